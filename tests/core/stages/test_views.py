"""Every SQL view answers, on an empty store and on one that has an artifact of every kind."""

import json
from collections.abc import Mapping

import duckdb
import numpy as np
import pytest
from safetensors.numpy import save_file

from artifacts.kinds import Payload
from artifacts.store import Artifact, Store
from core.stages.kinds import KINDS

OF_TABLES = {
    payload.view: payload
    for name in KINDS.names()
    for payload in KINDS[name].payloads
    if payload.view
}
NAMES = [*OF_TABLES, *(f"{name}_all" for name in OF_TABLES), *KINDS.views]


def write(path, payload: Payload, values: Mapping[str, str]) -> None:
    """Write one payload file; of a table one row, of ones as far as a column takes them and gets no other value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if payload.format == "parquet":
        row = ", ".join(
            f"try_cast('{values.get(name, 1)}' as {t}) as {name}"
            for name, t in payload.columns.items()
        )
        duckdb.sql(f"copy (select {row}) to '{path}' (format parquet)")
    elif payload.format == "safetensors":
        save_file({"weight": np.zeros(1, dtype=np.float32)}, path)
    elif payload.format == "folder":
        path.mkdir()
        (path / "note.json").write_text("{}")
    else:
        path.write_text(json.dumps({}))


def publish(store: Store, kind: str, inputs, *, name="one", **values: str) -> Artifact:
    """Publish an artifact, with these values in the columns of its tables."""
    settings = {"kind": kind, "parameters": {"name": name}, "inputs": inputs, "resources": {}}
    with store.publish(name=name, key=store.key(**settings), **settings) as draft:
        for payload in KINDS[kind].payloads:
            write(draft.folder / payload.path, payload, values)
    return draft.artifact


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
        made[kind] = publish(filled, kind, inputs)
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


def test_a_stranger_has_no_weights_of_the_user_of_his_name(tmp_path):
    store = Store.open(tmp_path, KINDS, program_version="test")
    scorer = {"scorer": [publish(store, "model", {}, weights="[1]").object_id]}
    for route in ("fused", "cold"):
        publish(store, "explanation", scorer, name=route, route=route)
    found = store.query(
        "select e.route, e.weights is null from explained_scores e order by e.route"
    )
    assert found[1] == [("cold", True), ("fused", False)]
