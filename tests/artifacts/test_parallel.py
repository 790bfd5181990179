"""Many processes at once: nothing is lost, nobody is refused, no work is done twice."""

import itertools
import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from artifacts import locks
from tests.artifacts.support import ending, finish, open_store, publish_note, run, start

WORKERS, EACH = 8, 4


def test_eight_processes_publish_at_once_while_a_reader_holds_the_catalog(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    publish_note(store, "shared", 0)
    assert store.export_catalog() is None
    with duckdb.connect(str(tmp_path / "catalog.duckdb"), read_only=True) as reader:
        processes = [start("many", tmp_path, who, EACH) for who in range(1, WORKERS + 1)]
        results = [finish(process) for process in processes]
        assert reader.execute("select count(*) from artifacts").fetchall() == [(1,)]
    assert [(status, err) for status, _, err in results] == [(0, "")] * WORKERS
    told = dict(line.split() for _, out, _ in results for line in out.splitlines())
    assert len(told) == WORKERS * EACH  # no reference was given twice
    artifacts = {a.reference: a for a in open_store(tmp_path).artifacts()}
    assert {r: a.key for r, a in artifacts.items() if r != "note/shared@1"} == told
    by_name = itertools.groupby(
        sorted((a.name, a.version) for a in artifacts.values()), lambda p: p[0]
    )
    versions = {name: [version for _, version in pairs] for name, pairs in by_name}
    assert versions.pop("shared") == list(range(1, WORKERS * EACH // 2 + 2))
    assert set(map(tuple, versions.values())) == {(1, 2)}
    assert store.verify() == []
    with duckdb.connect(str(tmp_path / "catalog.duckdb"), read_only=True) as reader:
        exported = reader.execute("select reference from artifacts").fetchall()
    assert {reference for (reference,) in exported} == set(artifacts)


def test_commit_times_grow_even_when_the_clock_is_set_back(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    publish_note(store, "a", 1)
    # As if the clock had stood at this time at the last commit, and was right again now.
    (tmp_path / "locks" / "commit").write_text("2999-01-01T00:00:00.000000+00:00")
    second, third = publish_note(store, "c", 2), publish_note(store, "b", 3)
    assert second.created == "2999-01-01T00:00:00.000001+00:00"
    assert third.created == "2999-01-01T00:00:00.000002+00:00"
    order = [a.reference for a in open_store(tmp_path).artifacts()]
    assert order == ["note/a@1", "note/c@1", "note/b@1"]
    (tmp_path / "locks" / "commit").write_text("damaged")
    assert publish_note(store, "d", 4).version == 1


def test_a_lock_is_never_held_on_a_file_that_was_removed(tmp_path: Path) -> None:
    path, waiting = tmp_path / "lock", threading.Event()

    def wait_for_it() -> bool:
        with locks.held(path, on_wait=waiting.set):
            return path.exists() and not locks.is_free(path)

    with ThreadPoolExecutor(1) as pool:
        with locks.held(path):
            second = pool.submit(wait_for_it)
            assert waiting.wait(10)
            path.unlink()
        assert second.result(10)


def test_the_same_work_in_four_processes_is_done_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [start("once", tmp_path / "store", 1, log) for _ in range(4)]
    results = [finish(process) for process in processes]
    assert [(status, out) for status, out, _ in results] == [(0, "note/once@1\n")] * 4
    assert log.read_text() == "computed\n"
    assert sum("waiting for it to finish" in err for *_, err in results) >= 1
    assert list((tmp_path / "store" / "runs").iterdir()) == []


def test_gc_leaves_a_publish_alone_that_is_under_way(tmp_path: Path) -> None:
    root = tmp_path / "store"
    process = start("frozen", root, stdin=subprocess.PIPE)
    with ending(process):
        assert process.stdout is not None
        assert process.stdout.readline() == "half way\n"
        assert open_store(root).gc() == []
        _, err = process.communicate("go on\n")
    assert process.returncode == 0, err
    assert open_store(root).verify() == []
    assert open_store(root).resolve("note/frozen").file("text/note.txt").read_text() == "done"


def test_one_object_named_by_many_processes_at_once_gets_the_name_once(tmp_path: Path) -> None:
    publish_note(open_store(tmp_path), "a", 1)
    processes = [start("second_name", tmp_path, "note/a@1", "b") for _ in range(4)]
    assert [finish(process)[0] for process in processes] == [0] * 4
    references = [a.reference for a in open_store(tmp_path).artifacts()]
    assert references == ["note/a@1", "note/b@1"]


def test_a_run_folder_survives_a_kill_and_is_empty_for_other_work(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(KeyboardInterrupt), store.run_folder("note", "f" * 64) as folder:  # noqa: PT012 - the block is what fails
        (folder / "checkpoint").write_text("step 3")
        raise KeyboardInterrupt
    with open_store(tmp_path).run_folder("note", "f" * 64) as folder:
        assert (folder / "checkpoint").read_text() == "step 3"
        store.discard_run_folder(folder)
    with store.run_folder("note", "f" * 64) as folder:
        assert list(folder.iterdir()) == []
    assert not folder.exists()


def test_two_processes_that_make_the_same_new_store_agree(tmp_path: Path) -> None:
    root = tmp_path / "store"
    processes = [start("publish", root, f"n{i}", i) for i in range(6)]
    assert [finish(process)[0] for process in processes] == [0] * 6
    assert json.loads((root / "format.json").read_text()) == {"format": 1}
    assert len(open_store(root).artifacts()) == 6


def test_a_second_run_of_the_same_work_is_a_hit(tmp_path: Path) -> None:
    assert run("publish", tmp_path, "a", 1)[1] == "note/a@1\n"
    assert run("publish", tmp_path, "a", 1)[1] == "note/a@1\n"
    assert run("publish", tmp_path, "b", 1)[1] == "note/b@1\n"
    assert len(list(tmp_path.glob("objects/note/*"))) == 1
