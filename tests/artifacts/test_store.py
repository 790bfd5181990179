"""Keys, names, references, and what a draft must hold."""

import json
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from safetensors.numpy import save_file

from artifacts.errors import (
    AmbiguousReference,
    ArtifactNotFound,
    CorruptArtifact,
    SchemaViolation,
    StoreError,
    StoreTooNew,
)
from artifacts.keys import work_key
from artifacts.store import Store
from tests.artifacts.support import (
    leftovers,
    open_store,
    publish_note,
    publish_table,
    work,
    write_rows,
)


def test_key_recipe_is_the_one_that_older_stores_were_made_with() -> None:
    key = work_key(
        kind="encoder",
        schema_version=1,
        parameters={"encoder": "mf", "dim": 64, "rate": 1e-3, "title": "Amélie", "none": None},
        inputs={"dataset": ["aa", "bb"]},
        resources={"base": "cc"},
    )
    # printf '%s' '{"inputs":{"dataset":["aa","bb"]},"kind":"encoder","parameters":{"dim":64,
    # "encoder":"mf","none":null,"rate":0.001,"title":"Amélie"},"resources":{"base":"cc"},
    # "schema_version":1}' | sha256sum     (on one line)
    assert key == "797fd620ae44b85fec62f7c8e76736ca69cdad170df60d378bfa43eb5a1b6a78"


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "b"},
        {"schema_version": 2},
        {"parameters": {"n": 2}},
        {"parameters": {"n": 1.0}},
        {"parameters": {"n": 1, "m": None}},
        {"inputs": {"x": ["2", "1"]}},
        {"inputs": {"y": ["1", "2"]}},
        {"resources": {"r": "2"}},
    ],
    ids=str,
)
def test_everything_a_result_depends_on_changes_the_key(other: dict[str, Any]) -> None:
    base: dict[str, Any] = {
        "kind": "a",
        "schema_version": 1,
        "parameters": {"n": 1},
        "inputs": {"x": ["1", "2"]},
        "resources": {"r": "1"},
    }
    assert work_key(**base) == work_key(**dict(reversed(base.items())))
    assert work_key(**base) != work_key(**{**base, **other})


def test_a_manifest_that_was_changed_gets_no_further_name(store: Store) -> None:
    artifact = publish_note(store, "a", 1)
    manifest = artifact.folder / "manifest.json"
    content = manifest.read_text()
    manifest.chmod(0o644)
    for damage in (content.replace('"number":1', '"number":2'), content[:50]):
        manifest.write_text(damage)
        with pytest.raises(CorruptArtifact, match=r"note/a@1: manifest.json is not what") as caught:
            store.name_object(artifact, "b")
        assert "thinkrec verify note/a@1" in caught.value.hint
    assert not list((store.root / "refs/note/b").glob("*"))
    manifest.write_text(content)
    assert store.name_object(artifact, "b").reference == "note/b@1"


def test_published_artifact_is_read_only_and_says_how_it_was_made(store: Store) -> None:
    parent = publish_note(store, "parent", 1)
    with store.publish(
        name="child", **work(store, "table", depth=2, inputs={"note": [parent.object_id]})
    ) as draft:
        write_rows(draft.folder / "rows.parquet", 1, 2, 3)
        draft.summary["seed"] = 5
    artifact = draft.artifact
    assert artifact is not None
    assert artifact.reference == "table/child@1"
    manifest = open_store(store.root).resolve("table/child").manifest
    assert manifest.parameters == {"depth": 2}
    assert manifest.inputs == {"note": [parent.object_id]}
    assert (manifest.kind, manifest.schema_version, manifest.program_version) == ("table", 2, "9.9")
    assert manifest.summary == {"seed": 5}
    assert manifest.files["rows.parquet"]["rows"] == 3
    assert manifest.started <= manifest.finished
    for path in artifact.folder.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert json.loads((artifact.folder / "manifest.json").read_text())["key"] == artifact.key


def test_forced_work_makes_a_new_object_and_version(store: Store) -> None:
    first, second = publish_note(store, "a", 1), publish_note(store, "a", 1)
    assert first.key == second.key
    assert first.object_id != second.object_id
    assert second.reference == "note/a@2"
    newest = store.find("note", first.key)
    assert newest == second
    assert store.resolve(first.key) == second
    assert store.resolve(first.object_id[:10]) == second
    assert store.resolve(second.object_id) == second
    assert store.by_object(first.object_id) == first


def test_a_run_folder_that_cannot_be_removed_is_left_to_gc(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = work(store, "note", number=1)["key"]
    with store.run_folder("note", key) as folder:
        (folder / "checkpoint").write_text("1")
        for path in (folder / "checkpoint", folder):
            os.utime(path, (0, 0))
        publish_note(store, "a", 1)
        monkeypatch.setenv("THINKREC_FAULT", "1:enospc")
        store.discard_run_folder(folder)
        monkeypatch.delenv("THINKREC_FAULT")
    assert [removal.path for removal in store.gc()] == [folder]


def test_an_artifact_that_exists_gets_a_further_name(store: Store) -> None:
    artifact = publish_note(store, "a", 1)
    other = store.name_object(artifact, "b")
    assert (other.reference, other.object_id) == ("note/b@1", artifact.object_id)
    assert store.name_object(artifact, "b") == other
    publish_note(store, "a", 2)
    assert (
        store.name_object(artifact, "a") == artifact
    )  # it has the name, if not the latest version
    assert store.find("table", artifact.key) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "a/b",
        "..",
        ".a",
        "-a",
        "a b",
        "é",
        "a" * 65,
        "a\n",
        "a@1",
        "con:",
        "../../etc",
        "none",
    ],
)
def test_unfit_names_are_refused_before_anything_is_made(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="is not a name") as caught:
        publish_note(store, name, 1)
    assert caught.value.hint
    assert store.artifacts() == []
    assert leftovers(store.root) == []


def test_references(store: Store) -> None:
    a1, a2 = publish_note(store, "alpha", 1), publish_note(store, "alpha", 2)
    table = publish_table(store, "alpha", 1)
    assert store.resolve("note/alpha@1") == a1
    assert store.resolve("note/alpha") == a2
    assert store.resolve(a1.key[:12]) == a1
    assert store.resolve("alpha", kinds=["note"]) == a2
    assert store.resolve("alpha@1", kinds=["note"]) == a1
    assert store.resolve("note/alpha", kinds=["table", "note"]) == a2
    assert store.artifacts("table") == [table]
    with pytest.raises(
        AmbiguousReference, match="could be 2 artifacts: note/alpha@2, table/alpha@1"
    ):
        store.resolve("alpha", kinds=["note", "table"])


@pytest.mark.parametrize(
    ("reference", "problem", "hint"),
    [
        ("note/alhpa", "there is no artifact note/alhpa", "note/alpha"),
        ("alpha", "there is no artifact alpha", "note/alpha"),
        ("note/alpha@9", "has no version 9", "note/alpha@1"),
        ("nothing/like-it@1", "there is no artifact nothing/like-it", "thinkrec list"),
        ("ffffffffffff", "none whose key begins so", "thinkrec list"),
        ("abc", "there is no artifact abc", "at least 6"),
    ],
)
def test_unknown_references_say_what_to_do(
    store: Store, reference: str, problem: str, hint: str
) -> None:
    publish_note(store, "alpha", 1)
    with pytest.raises(ArtifactNotFound, match=problem) as caught:
        store.resolve(reference)
    assert hint in caught.value.hint


def test_an_artifact_of_another_kind_is_refused(store: Store) -> None:
    publish_note(store, "alpha", 1)
    with pytest.raises(ArtifactNotFound, match="is of kind note, and table is wanted"):
        store.resolve("note/alpha", kinds=["table"])
    with pytest.raises(ArtifactNotFound, match="note/alpha@1 is of kind note, and table is wanted"):
        store.resolve("alpha", kinds=["table"])
    with pytest.raises(StoreError, match="is not a reference"):
        store.resolve("note/alpha@1@2")
    with pytest.raises(StoreError, match="is not a reference"):
        store.resolve("note/alpha@" + "9" * 5000)


def test_a_key_prefix_of_several_artifacts_is_refused(store: Store) -> None:
    numbers = range(10_000)
    keys = [work(store, "note", number=number)["key"] for number in numbers]
    firsts: dict[str, int] = {}
    # Among 10,000 keys some pair shares its first 6 characters (expected: 3 pairs).
    for number in numbers:
        other = firsts.setdefault(keys[number][:6], number)
        if other != number:
            break
    assert other != number
    publish_note(store, "a", other)
    publish_note(store, "b", number)
    with pytest.raises(AmbiguousReference, match="could be 2 artifacts: note/a@1, note/b@1"):
        store.resolve(keys[number][:6])
    assert store.resolve(keys[number]).name == "b"


def _rows(folder: Path, select: str) -> None:
    duckdb.sql(f"copy ({select}) to '{folder / 'rows.parquet'}' (format parquet)")


_GOOD = "select 1::integer as id, 'a' as word, [1]::float[] as vector"
VIOLATIONS = {
    "a required file is missing": (lambda f: None, "needs rows.parquet"),
    "a column is missing": (
        lambda f: _rows(f, "select 1::integer as id, 'a' as word"),
        "column vector is missing",
    ),
    "a column is too many": (
        lambda f: _rows(f, f"select *, 1 as more from ({_GOOD})"),
        "column more",
    ),
    "a type is another": (
        lambda f: _rows(f, f"select * replace (1::bigint as id) from ({_GOOD})"),
        "column id is BIGINT, declared INTEGER",
    ),
    "no Parquet": (
        lambda f: (f / "rows.parquet").write_text("id\n1\n"),
        "cannot be read as Parquet",
    ),
    "an undeclared file": (lambda f: (f / "x.txt").write_text("x"), "x.txt is not declared"),
    "an undeclared folder": (lambda f: (f / "x").mkdir(), "folder x is not declared"),
    "a manifest": (
        lambda f: (f / "manifest.json").write_text("{}"),
        "manifest.json is not declared",
    ),
    "broken JSON": (lambda f: (f / "about.json").write_text("{"), "about.json cannot be read"),
    "NaN in JSON": (lambda f: (f / "about.json").write_text('{"a": NaN}'), "NaN is not JSON"),
    "broken tensors": (
        lambda f: (f / "weights.safetensors").write_bytes(b"\x05" + b"\0" * 20),
        "cannot be read as safetensors",
    ),
    "a link": (lambda f: (f / "about.json").symlink_to("/etc/hostname"), "not a plain file"),
    "a pickle": (
        lambda f: (
            (f / "adapter").mkdir(),
            (f / "adapter/model.bin").write_bytes(pickle.dumps([1])),
        ),
        "is a pickle",
    ),
    "a pickle by name": (
        lambda f: ((f / "adapter").mkdir(), (f / "adapter/model.pt").write_bytes(b"PK")),
        "is a pickle",
    ),
    "broken JSON in a folder": (
        lambda f: ((f / "adapter").mkdir(), (f / "adapter/config.json").write_text("")),
        "adapter/config.json cannot be read",
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_draft_that_is_not_what_its_kind_declares_is_refused(
    store: Store, violation: str
) -> None:
    spoil, problem = VIOLATIONS[violation]
    with (  # noqa: PT012 - the block is what fails
        pytest.raises(SchemaViolation, match=problem) as caught,
        store.publish(name="a", **work(store, "table")) as draft,
    ):
        if violation not in ("a required file is missing", "no Parquet"):
            _rows(draft.folder, _GOOD)
        spoil(draft.folder)
    assert caught.value.hint
    assert store.artifacts() == []
    assert leftovers(store.root) == []


def test_optional_files_and_folders_are_published(store: Store) -> None:
    with store.publish(name="a", **work(store, "table")) as draft:
        write_rows(draft.folder / "rows.parquet", 1)
        save_file({"w": np.ones(3, np.float32)}, draft.folder / "weights.safetensors")
        (draft.folder / "adapter" / "deep").mkdir(parents=True)
        (draft.folder / "adapter" / "deep" / "config.json").write_text("{}")
    artifact = draft.artifact
    assert artifact is not None
    assert artifact.file("adapter").is_dir()
    assert artifact.has("adapter")
    assert not artifact.has("about.json")
    assert store.verify() == []
    with pytest.raises(CorruptArtifact, match=r"about\.json is missing"):
        artifact.file("about.json")


def test_an_error_in_the_block_publishes_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.publish(name="a", **work(store, "note")) as draft:  # noqa: PT012 - the block is what fails
        (draft.folder / "note.json").write_text("{}")
        raise ZeroDivisionError
    assert store.artifacts() == []
    assert leftovers(store.root) == []


def test_figures_that_are_not_json_are_refused(store: Store) -> None:
    with (  # noqa: PT012 - the block is what fails
        pytest.raises(StoreError, match="summary"),
        store.publish(name="a", **work(store, "note")) as draft,
    ):
        (draft.folder / "note.json").write_text("{}")
        (draft.folder / "text").mkdir()
        (draft.folder / "text" / "note.txt").write_text("")
        draft.summary["loss"] = float("nan")


def test_an_input_that_was_removed_meanwhile_stops_the_publish(store: Store) -> None:
    parent = publish_note(store, "parent", 1)
    with (  # noqa: PT012 - the block is what fails
        pytest.raises(ArtifactNotFound, match="removed while it was made"),
        store.publish(
            name="child", **work(store, "table", inputs={"note": [parent.object_id]})
        ) as draft,
    ):
        write_rows(draft.folder / "rows.parquet", 1)
        open_store(store.root).remove("note/parent@1")
    assert store.artifacts() == []


@pytest.mark.parametrize("away", ["objects", "staging", "refs"])
def test_a_store_on_two_disks_is_refused_before_the_work(
    store: Store, fast_folder: Path, away: str
) -> None:
    if fast_folder.stat().st_dev == store.root.stat().st_dev:
        pytest.skip("there is one disk only")
    (fast_folder / away).mkdir()
    (store.root / away).symlink_to(fast_folder / away)
    (store.root / "objects").mkdir(exist_ok=True)
    with (
        pytest.raises(StoreError, match="must lie on one disk") as caught,
        store.publish(name="a", **work(store, "note")),
    ):
        pytest.fail("the work was begun")
    assert "--store" in caught.value.hint
    assert leftovers(store.root) == []


def test_whoever_shares_a_store_can_write_its_locks(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        publish_note(open_store(tmp_path), "a", 1)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "locks").iterdir()}
    assert modes == {0o664}


def test_a_store_whose_path_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    with pytest.raises(StoreError, match="is not UTF-8") as caught:
        open_store(folder)
    assert "--store" in caught.value.hint
    assert not folder.exists()


def test_a_store_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format.json").write_text('{"format": 2}')
    with pytest.raises(StoreTooNew, match="format 2, this program knows up to 1") as caught:
        open_store(tmp_path)
    assert "Update" in caught.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": "x"}', b'{"format": 1e999}', b'{"format\xe9": 1}']
)
def test_a_damaged_format_file_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "format.json").write_bytes(content)
    with pytest.raises(StoreError, match="does not say which format"):
        open_store(tmp_path)


def test_a_folder_that_holds_something_else_is_not_made_a_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match="it is not empty"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match="cannot"):
        open_store(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_that_another_process_made_meanwhile_is_taken_as_it_is(store: Store) -> None:
    publish_note(store, "a", 1)
    # As seen by a process that found no format.json a moment ago.
    from artifacts import layout

    layout._make(layout.Layout(store.root))
    assert open_store(store.root).resolve("note/a@1").version == 1


def test_a_damaged_commit_under_a_name_does_not_count_as_the_name(store: Store) -> None:
    artifact = publish_note(store, "a", 1)
    publish_note(store, "b", 2)
    torn = store.root / "refs/note/b/00000001.json"
    torn.chmod(0o644)
    torn.write_text('{"torn')
    again = open_store(store.root).name_object(artifact, "b")
    assert (again.reference, again.object_id) == ("note/b@2", artifact.object_id)
