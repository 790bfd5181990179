"""Damage is found, garbage is removed, what is needed stays."""

import errno
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from artifacts import files, fsck, locks
from artifacts.errors import ArtifactNotFound, CorruptArtifact, StoreError
from artifacts.fsck import Removal
from artifacts.store import Store
from tests.artifacts.support import leftovers, open_store, publish_note, work


def _writable(path: Path) -> Path:
    path.chmod(0o644)
    return path


def _flip_a_bit(folder: Path) -> None:
    path = _writable(folder / "text/note.txt")
    content = bytearray(path.read_bytes())
    content[7] ^= 4
    path.write_bytes(content)


def _checkpoint(folder: Path, text: str) -> Path:
    """Write into a run folder, a while ago: the times of files may be some milliseconds coarse."""
    path = folder / "checkpoint"
    path.write_text(text)
    _set_back(path, folder)
    return path


def _set_back(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - 60,) * 2)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (_flip_a_bit, "text/note.txt: is not what was published (sha256 differs)"),
    "a missing file": (lambda f: (f / "note.json").unlink(), "note.json: is missing"),
    "a cut file": (
        lambda f: os.truncate(_writable(f / "note.json"), 3),
        "note.json: has 3 bytes instead of 13",
    ),
    "a file too many": (lambda f: (f / "x").write_text("x"), "x: was added after publishing"),
    "a missing manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json is missing"),
    "a changed manifest": (
        lambda f: _writable(f / "manifest.json").write_text("{}"),
        "is not the manifest that was committed",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_finds_exactly_what_is_damaged(store: Store, damage: str) -> None:
    publish_note(store, "good", 1)
    bad = publish_note(store, "bad", 2)
    seen: list[str] = []
    assert store.verify(on_file=lambda path, size: seen.append(path)) == []
    assert sorted(seen) == ["note.json", "note.json", "text/note.txt", "text/note.txt"]
    spoil, what = DAMAGES[damage]
    spoil(bad.folder)
    problems = open_store(store.root).verify()
    assert [problem.reference for problem in problems] == ["note/bad@1"]
    assert what in str(problems[0])
    assert open_store(store.root).verify(["note/good"]) == []


def test_verify_finds_inputs_that_are_gone(store: Store) -> None:
    publish_note(store, "child", 1)
    parent = publish_note(store, "parent", 2)
    publish_note(store, "grandchild", 3, inputs={"p": [parent.object_id]})
    (store.root / "refs/note/parent/00000001.json").unlink()
    (problem,) = store.verify()
    assert str(problem) == f"note/grandchild@1: its input, object {parent.object_id}, is missing"


def test_a_damaged_commit_is_reported_and_hides_only_its_own_version(store: Store) -> None:
    publish_note(store, "a", 1)
    publish_note(store, "b", 2)
    _writable(store.root / "refs/note/b/00000001.json").write_text("{")
    fresh = open_store(store.root)
    assert [a.reference for a in fresh.artifacts()] == ["note/a@1"]
    (problem,) = fresh.verify()
    assert problem.reference == "note/b@1"
    # Nobody knows which object that version was, so none is collected.
    with pytest.raises(CorruptArtifact, match="the commit of note/b@1 cannot be read") as caught:
        fresh.gc()
    assert len(list(store.root.glob("objects/note/*"))) == 2
    # What the hint says gives that version up, and its number with it.
    assert "thinkrec remove note/b@1 --yes" in caught.value.hint
    (departure,) = fresh.remove("note/b@1")
    assert (departure.reference, departure.bytes) == ("note/b@1", 0)
    assert [removal.why for removal in fresh.gc()] == ["has no name"]
    assert publish_note(store, "b", 3).reference == "note/b@2"
    assert fresh.verify() == []


def test_a_damaged_version_stays_while_something_may_have_been_made_from_it(store: Store) -> None:
    parent = publish_note(store, "parent", 1)
    child = publish_note(store, "child", 2, inputs={"p": [parent.object_id]})
    (parent.folder / "manifest.json").unlink()
    with pytest.raises(StoreError, match="child@1 may have been made from note/parent@1"):
        open_store(store.root).remove("note/parent@1")
    _writable(store.root / "refs/note/parent/00000001.json").write_text("{")
    fresh = open_store(store.root)
    with pytest.raises(StoreError, match="child@1 may have been made from note/parent@1") as caught:
        fresh.remove("note/parent@1")
    assert caught.value.hint == "Remove them together: thinkrec remove note/parent@1 note/child@1"
    gone = [departure.reference for departure in fresh.remove("note/parent@1", "note/child@1")]
    assert gone == ["note/child@1", "note/parent@1"]
    assert not child.folder.exists()
    assert fresh.verify() == fresh.artifacts() == []


def test_opening_a_payload_file_notices_what_is_missing_or_cut(store: Store) -> None:
    artifact = publish_note(store, "a", 1)
    os.truncate(_writable(artifact.folder / "note.json"), 3)
    (artifact.folder / "text/note.txt").unlink()
    with pytest.raises(CorruptArtifact, match=r"note/a@1: note.json is damaged") as caught:
        artifact.file("note.json")
    assert "thinkrec verify note/a@1" in caught.value.hint
    with pytest.raises(CorruptArtifact, match=r"note/a@1: text/note.txt is missing"):
        artifact.file("text/note.txt")


def test_gc_removes_what_nothing_refers_to_and_nothing_else(store: Store) -> None:
    key = work(store, "note", number=1)["key"]
    for number, text in ((key, "done"), ("2" * 64, "under way")):
        with store.run_folder("note", number) as folder:
            _checkpoint(folder, text)
    kept = publish_note(store, "a", 1)
    store.name_object(kept, "b")
    child = publish_note(store, "c", 2, inputs={"p": [kept.object_id]})
    orphan = store.root / "objects/note" / ("1" * 64)
    orphan.mkdir()
    (orphan / "note.json").write_text("{}")
    dead = store.root / "staging/dead"
    dead.mkdir()
    (dead / "owner").touch()
    finished, under_way = store.root / f"runs/note-{kept.key}", folder
    expected = {orphan, dead, finished}
    assert {removal.path for removal in store.gc(dry_run=True)} == expected
    assert all(path.exists() for path in expected)
    assert {removal.path for removal in store.gc()} >= expected
    assert not any(path.exists() for path in expected)
    assert (under_way / "checkpoint").read_text() == "under way"
    assert open_store(store.root).verify() == []
    assert [a.object_id for a in store.artifacts()] == [kept.object_id] * 2 + [child.object_id]


@pytest.mark.parametrize("missing", ["refs", "refs/note"])
def test_gc_removes_nothing_where_the_commits_are_missing(store: Store, missing: str) -> None:
    artifact = publish_note(store, "a", 1)
    (store.root / missing).rename(store.root / "elsewhere")
    with pytest.raises(CorruptArtifact, match="the folder of their commits is missing") as caught:
        open_store(store.root).gc()
    assert "Restore that folder" in caught.value.hint
    assert artifact.folder.exists()
    (store.root / "elsewhere").rename(store.root / missing)
    assert store.gc() == []


def test_gc_takes_unfinished_work_only_when_it_is_old_enough_and_nobody_is_at_it(
    store: Store,
) -> None:
    folders = {}
    for name, days in (("old", 40), ("young", 2), ("held", 40)):
        with store.run_folder("note", name) as folder:
            (folder / "checkpoint").mkdir()
            file = folder / "checkpoint" / "state"
            file.write_text(name)
        for path in (file, file.parent, folder):
            os.utime(path, (time.time() - days * 86400,) * 2)
        folders[name] = folder
    kept: list[Removal] = []
    assert store.gc(on_kept=kept.append) == []
    assert {run.path for run in kept} == set(folders.values())
    with store.run_folder("note", "held"):
        kept.clear()
        (removed,) = store.gc(unfinished_days=30, on_kept=kept.append)
        assert [run.path for run in kept] == [folders["young"]]
    assert removed.path == folders["old"]
    assert removed.why == "unfinished work, untouched for 40 days"
    assert not folders["old"].exists()
    assert (folders["held"] / "checkpoint" / "state").read_text() == "held"
    assert [removal.path for removal in store.gc(unfinished_days=30)] == [folders["held"]]


def test_gc_leaves_a_run_folder_that_is_taken_while_it_looks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = work(store, "note", number=1)["key"]
    with store.run_folder("note", key) as folder:
        _checkpoint(folder, "done")
    publish_note(store, "a", 1)
    size = files.size

    def taken_meanwhile(path: Path) -> int:
        if path == folder:
            held.enter_context(store.run_folder("note", key))  # a run with --force begins
        return size(path)

    with ExitStack() as held:
        monkeypatch.setattr(files, "size", taken_meanwhile)
        assert store.gc() == []
        assert (folder / "checkpoint").read_text() == "done"
    monkeypatch.undo()
    assert [removal.path for removal in store.gc()] == [folder]


def test_gc_is_content_with_what_others_tidy_up_while_it_looks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_note(store, "a", 1)
    with store.run_folder("note", "1" * 64) as run:
        (run / "checkpoint").write_text("x")
    owner = store.root / "staging/dead/owner"
    owner.parent.mkdir()
    owner.touch()
    lock = store.root / "locks/run-note-abc"
    lock.touch()
    held = store.root / "locks" / f"run-{run.name}"
    goes = {owner: owner.parent, held: run, lock: lock}
    is_free = locks.is_free

    def free_and_gone(path: Path) -> bool:
        free = is_free(path)
        if path in goes:
            fsck._remove_path(goes[path])
        return free

    monkeypatch.setattr(locks, "is_free", free_and_gone)
    kept: list[Removal] = []
    removed = {(removal.path, removal.bytes) for removal in store.gc(on_kept=kept.append)}
    assert removed == {(owner.parent, 0), (held, 0), (lock, 0)}
    assert kept == []
    assert not any(path.exists() for path in goes.values())


def test_two_may_remove_the_same_folder_at_once(tmp_path: Path) -> None:
    for number in range(20):
        tree = tmp_path / str(number)
        for name in range(40):
            (tree / str(name % 4)).mkdir(parents=True, exist_ok=True)
            (tree / str(name % 4) / f"{name}").touch()
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(files.remove_tree, [tree, tree])) == [None, None]
        assert not tree.exists()


def test_what_is_gone_takes_no_bytes(tmp_path: Path) -> None:
    assert files.size(tmp_path / "gone") == 0


def test_gc_keeps_the_checkpoints_of_forced_work_that_was_interrupted(store: Store) -> None:
    # The clock ran ahead when the work was done.
    (store.root / "locks").mkdir()
    (store.root / "locks" / "commit").write_text("2999-01-01T00:00:00.000000+00:00")
    done = publish_note(store, "a", 1)
    with store.run_folder("note", done.key) as folder:
        path = folder / "checkpoint"
        path.write_text("of a run with --force, which was killed")
    store.name_object(done, "b")  # a further name is no further work
    kept: list[Removal] = []
    assert store.gc(on_kept=kept.append) == []
    assert [run.path for run in kept] == [folder]
    _set_back(path, folder)
    publish_note(store, "a", 1)
    assert [removal.path for removal in store.gc()] == [folder]


def test_gc_leaves_a_lock_that_is_taken_while_it_looks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_note(store, "a", 1)
    lock = store.root / "locks" / "run-note-abc"
    lock.touch()
    size = files.size

    def taken_meanwhile(path: Path) -> int:
        if path == lock and not (store.root / "runs/note-abc").exists():
            held.enter_context(store.run_folder("note", "abc"))
        return size(path)

    with ExitStack() as held:
        monkeypatch.setattr(files, "size", taken_meanwhile)
        assert store.gc() == []
        assert lock.exists()  # else the next process would hold another file, and not wait
    monkeypatch.undo()
    lock.touch()
    assert [removal.path for removal in store.gc()] == [lock]


def test_remove_takes_only_what_nothing_was_made_from(store: Store) -> None:
    parent = publish_note(store, "parent", 1)
    child = publish_note(store, "child", 2, inputs={"p": [parent.object_id]})
    with pytest.raises(StoreError, match="note/child@1 was made from note/parent@1") as caught:
        store.remove("note/parent@1")
    assert caught.value.hint == "Remove them together: thinkrec remove note/parent@1 note/child@1"
    store.name_object(parent, "second")
    store.remove("note/parent")  # it keeps its other name
    assert store.resolve("note/second").file("note.json").exists()
    store.remove("note/child")
    assert not child.folder.exists()
    with pytest.raises(ArtifactNotFound):
        store.by_object(child.object_id)
    assert open_store(store.root).verify() == []
    assert leftovers(store.root) == []


def test_remove_takes_several_versions_or_none(store: Store) -> None:
    parent = publish_note(store, "parent", 1)
    child = publish_note(store, "child", 2, inputs={"p": [parent.object_id]})
    other = publish_note(store, "other", 3, inputs={"p": [child.object_id]})
    store.name_object(child, "second")
    with pytest.raises(StoreError, match="note/second@1 was made from note/parent@1"):
        store.remove("note/parent", "note/child", "note/other")
    with pytest.raises(ArtifactNotFound, match="no artifact note/nothing"):
        store.remove("note/other", "note/nothing")
    everything = ["note/parent", "note/child", "note/second", "note/other", "note/other"]
    planned = store.remove(*everything, dry_run=True)
    assert len(store.artifacts()) == 4
    assert store.remove(*everything) == planned
    # Whatever a removal is interrupted at, nothing is left without what it was made from.
    order = [departure.reference for departure in planned]
    assert (order[0], order[-1]) == (other.reference, parent.reference)
    assert store.artifacts() == []
    assert list(store.root.glob("objects/note/*")) == []


def test_a_refusal_names_all_that_came_from_an_artifact(store: Store) -> None:
    chain = [publish_note(store, "n0", 0)]
    for number in range(1, 8):
        inputs = {"p": [chain[-1].object_id]}
        chain.append(publish_note(store, f"n{number}", number, inputs=inputs))
    with pytest.raises(StoreError, match="n1@1 was made from note/n0@1, and 6 more") as caught:
        store.remove("note/n0")
    assert "thinkrec show note/n0@1 lists it" in caught.value.hint


def test_the_number_of_a_removed_version_is_not_used_again(store: Store) -> None:
    publish_note(store, "a", 1)
    publish_note(store, "a", 2)
    store.remove("note/a@2")
    assert publish_note(store, "a", 3).reference == "note/a@3"
    assert [a.version for a in open_store(store.root).artifacts()] == [1, 3]


def test_usage_counts_the_bytes_of_all_files(store: Store) -> None:
    before = store.usage()
    artifact = publish_note(store, "a", 1)
    payload = sum(entry["bytes"] for entry in artifact.manifest.files.values())
    assert store.usage() >= before + payload
    assert json.loads((artifact.folder / "manifest.json").read_text())["files"]


def test_all_names_of_a_damaged_object_are_told(store: Store) -> None:
    artifact = publish_note(store, "first", 1)
    store.name_object(artifact, "second")
    (artifact.folder / "note.json").unlink()
    found = open_store(store.root).verify()
    assert [(p.reference, p.path) for p in found] == [
        ("note/first@1", "note.json"),
        ("note/second@1", "note.json"),
    ]


def test_the_bytes_of_an_object_with_two_names_go_once(store: Store) -> None:
    artifact = publish_note(store, "first", 1)
    store.name_object(artifact, "second")
    held = sum(int(entry["bytes"]) for entry in artifact.manifest.files.values())
    gone = store.remove("note/first", "note/second")
    assert sorted(departure.bytes for departure in gone) == [0, held]


@pytest.mark.parametrize("why", [errno.EROFS, errno.EACCES])
def test_gc_lists_what_it_would_remove_where_it_may_not_write(
    store: Store, monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    """The refusal is made up: tests may run with every right."""
    publish_note(store, "a", 1)
    orphan = store.root / "objects/note" / ("1" * 64)
    orphan.mkdir()

    def refuse(path: Path, **_: object) -> None:
        raise OSError(why, os.strerror(why), str(path))

    monkeypatch.setattr("artifacts.locks.held", refuse)
    assert [removal.path for removal in store.gc(dry_run=True)] == [orphan]
    with pytest.raises(OSError, match=os.strerror(why)):
        store.gc()
