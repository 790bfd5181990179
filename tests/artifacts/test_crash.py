"""Killed or out of space at any step: nothing half is ever seen, and doing it again succeeds."""

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.artifacts.support import leftovers, open_store, publish_note, run, run_with_faults, work


def assert_whole(root: Path) -> None:
    """Everything visible is complete, down to the last byte; then tidy up and look again."""
    store = open_store(root)
    assert store.verify() == []
    seen = store.artifacts()
    store.gc()
    assert [a.reference for a in open_store(root).artifacts()] == [a.reference for a in seen]
    assert open_store(root).verify() == []
    objects = {path.name for path in root.glob("objects/*/*")}
    assert objects == {a.object_id for a in seen}
    assert leftovers(root) == []


def test_publish_killed_at_any_step_shows_nothing_half_and_the_rerun_succeeds(
    fast_folder: Path,
) -> None:
    for step, root, (status, out, err) in run_with_faults(fast_folder, "kill", "publish", "a", 1):  # noqa: B007
        assert status == -signal.SIGKILL or out == "note/a@1\n", err
        # Nobody tidies up in between: the next run meets what the killed one left.
        store = open_store(root)
        assert [a.reference for a in store.artifacts()] in ([], ["note/a@1"])
        assert store.verify() == []
        found = store.find("note", work(store, "note", number=1)["key"])
        again = found or publish_note(store, "a", 1)
        assert again.reference == "note/a@1"
        assert again.file("note.json").read_text() == '{"number": 1}'
        assert_whole(root)
    assert step > 25  # every change to the disk was met


def test_forced_publish_killed_at_any_step_keeps_the_earlier_version(fast_folder: Path) -> None:
    origin = fast_folder / "origin"
    first = publish_note(open_store(origin), "a", 1)
    for _, root, (status, _, err) in run_with_faults(
        fast_folder, "kill", "force", "a", 1, origin=origin
    ):
        assert status in (0, -signal.SIGKILL), err
        assert open_store(root).resolve("note/a@1").object_id == first.object_id
        assert_whole(root)
    assert [a.version for a in open_store(root).artifacts()] == [1, 2]


@pytest.mark.parametrize(
    "action",
    [("second_name", "note/a@1", "b"), ("remove", "note/b@1"), ("gc",), ("rebuild",)],
    ids=lambda action: action[0],
)
def test_housekeeping_killed_at_any_step_loses_nothing_else(
    fast_folder: Path, action: tuple[str, ...]
) -> None:
    origin = fast_folder / "origin"
    store = open_store(origin)
    publish_note(store, "a", 1)
    publish_note(store, "b", 2)
    store.export_catalog()
    (origin / "objects" / "note" / ("0" * 64)).mkdir()  # an orphan
    (origin / "staging" / "dead").mkdir()
    for step, root, (status, _, err) in run_with_faults(  # noqa: B007 - how far it came
        fast_folder, "kill", *action, origin=origin
    ):
        assert status in (0, -signal.SIGKILL), err
        there = {a.reference for a in open_store(root).artifacts()}
        assert there >= ({"note/a@1"} if action[0] == "remove" else {"note/a@1", "note/b@1"})
        assert_whole(root)
    assert step > 2  # the action did change the disk


def test_disk_full_at_any_step_leaves_no_trace_and_the_rerun_succeeds(fast_folder: Path) -> None:
    for step, root, (status, out, err) in run_with_faults(fast_folder, "enospc", "publish", "a", 1):  # noqa: B007
        assert status == errno.ENOSPC or out == "note/a@1\n", err
        assert leftovers(root) == []
        store = open_store(root)
        assert store.verify() == []
        if not store.artifacts():
            assert publish_note(store, "a", 1).reference == "note/a@1"
        assert_whole(root)
    assert step > 25


def test_full_disk_at_export_is_a_warning_and_keeps_the_older_catalog(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    publish_note(store, "a", 1)
    store.export_catalog()
    before = (tmp_path / "catalog.duckdb").read_bytes()
    publish_note(store, "a", 2)
    for step in (1, 3):
        status, out, err = run("export", tmp_path, fault=f"{step}:enospc")
        assert (status, err) == (0, "")
        assert "thinkrec rebuild" in out
        assert (tmp_path / "catalog.duckdb").read_bytes() == before
        assert leftovers(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if (
        not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_publish_on_a_disk_that_is_really_full_fails_clean(small_disk: Path) -> None:
    root = small_disk / "store"
    store = open_store(root)
    publish_note(store, "a", 1)
    with (
        pytest.raises(OSError, match="No space left"),
        store.publish(name="a", **work(store, "note", number=2)) as draft,
    ):
        (draft.folder / "note.json").write_bytes(b"[" + b"1," * 2**20 + b"1]")
    assert leftovers(root) == []
    assert publish_note(store, "a", 2).reference == "note/a@2"
    assert_whole(root)
    # Now to the last byte: the manifest itself has no room.
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(os.urandom(2**20))
    with pytest.raises(OSError, match="No space left"):
        publish_note(store, "a", 3)
    filler.unlink()
    assert [a.version for a in open_store(root).artifacts()] == [1, 2]
    assert publish_note(store, "a", 3).reference == "note/a@3"
