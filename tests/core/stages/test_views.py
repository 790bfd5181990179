"""Every SQL view answers, on an empty store and on one that has an artifact of every kind."""

import json

import duckdb
import numpy as np
import pytest
from safetensors.numpy import save_file

from artifacts.kinds import Payload
from artifacts.store import Store
from core.stages.kinds import KINDS

OF_TABLES = {
    payload.view: payload
    for name in KINDS.names()
    for payload in KINDS[name].payloads
    if payload.view
}
NAMES = [*OF_TABLES, *(f"{name}_all" for name in OF_TABLES), *KINDS.views]


def write(path, payload: Payload) -> None:
    """Write one payload file; of a table one row, of ones as far as a column takes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if payload.format == "parquet":
        row = ", ".join(f"try_cast('1' as {t}) as {name}" for name, t in payload.columns.items())
        duckdb.sql(f"copy (select {row}) to '{path}' (format parquet)")
    elif payload.format == "safetensors":
        save_file({"weight": np.zeros(1, dtype=np.float32)}, path)
    elif payload.format == "folder":
        path.mkdir()
        (path / "note.json").write_text("{}")
    else:
        path.write_text(json.dumps({}))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """An empty store, and one with an artifact of every kind, each made from all those before it."""
    empty, filled = (
        Store.open(tmp_path_factory.mktemp(name), KINDS, program_version="test")
        for name in ("empty", "filled")
    )
    made = {}
    for kind in KINDS.names():
        inputs = {"scorer" if k == "model" else k: [a.object_id] for k, a in made.items()}
        settings = {"kind": kind, "parameters": {}, "inputs": inputs, "resources": {}}
        with filled.publish(name="one", key=filled.key(**settings), **settings) as draft:
            for payload in KINDS[kind].payloads:
                write(draft.folder / payload.path, payload)
        made[kind] = draft.artifact
    return empty, filled


@pytest.mark.parametrize("name", NAMES)
def test_a_view_has_its_columns_and_a_row_of_each_artifact(stores, name):
    none, one = (store.query(f"select * from {name}") for store in stores)
    assert (none[0], none[1]) == (one[0], [])
    assert len(one[1]) == 1
    if name in OF_TABLES:
        assert one[0] == ["artifact", "name", "version", *OF_TABLES[name].columns]


def test_views_of_several_kinds_find_what_they_join(stores):
    _, filled = stores
    assert filled.query("select title, probability from scored_items")[1] == [("1", 1.0)]
    found = filled.query(
        "select title, e.route, w.route from explained_scores e join weights w using (user)"
    )
    assert found[1] == [("1", "1", "1")]
