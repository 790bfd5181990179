"""A small set of kinds, and the means to use a store from this process and from others."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from artifacts.kinds import Kind, Kinds, Payload
from artifacts.store import Artifact, Store

AT_ONCE = 4
"""Processes that run at the same time where there are many."""
REPOSITORY = Path(__file__).parents[2]

KINDS = Kinds(
    Kind(
        name="note",
        schema_version=1,
        about="a number and a text; quick to publish",
        payloads=(
            Payload(path="note.json", format="json"),
            Payload(path="text/note.txt", format="text"),
        ),
    ),
    Kind(
        name="table",
        schema_version=2,
        about="rows, and what may come with them",
        payloads=(
            Payload(
                path="rows.parquet",
                format="parquet",
                view="rows_of_tables",
                columns={"id": "INTEGER", "word": "VARCHAR", "vector": "FLOAT[]"},
            ),
            Payload(path="weights.safetensors", format="safetensors", required=False),
            Payload(path="about.json", format="json", required=False),
            Payload(path="adapter", format="folder", required=False),
            Payload(
                path="extra.parquet",
                format="parquet",
                view="extras",
                columns={"amount": "DOUBLE"},
                required=False,
            ),
        ),
    ),
    views={"words": "select distinct word from rows_of_tables"},
)


def open_store(root: Path) -> Store:
    """Open a store with the kinds above."""
    return Store.open(root, KINDS, "9.9")


def work(store: Store, kind: str, **parameters: Any) -> dict[str, Any]:
    """Return the arguments of `publish` for a piece of work, but for the name."""
    inputs = parameters.pop("inputs", {})
    key = store.key(kind=kind, parameters=parameters, inputs=inputs, resources={})
    return {
        "kind": kind,
        "key": key,
        "parameters": parameters,
        "inputs": inputs,
        "resources": {},
    }


def publish_note(store: Store, name: str, number: int, **more: Any) -> Artifact:
    """Publish a note whatever is there already."""
    with store.publish(name=name, **work(store, "note", number=number, **more)) as draft:
        (draft.folder / "note.json").write_text(json.dumps({"number": number}))
        (draft.folder / "text").mkdir()
        (draft.folder / "text" / "note.txt").write_text(f"number {number}\n" * 50)
        draft.summary["seed"] = number
    assert draft.artifact is not None
    return draft.artifact


def write_rows(path: Path, *ids: int) -> None:
    """Write a table of the kind `table`."""
    import duckdb

    listed = ", ".join(f"({i}::integer, 'word {i}', [{i}, 0.5]::float[])" for i in ids)
    duckdb.sql(f"copy (from (values {listed}) t(id, word, vector)) to '{path}' (format parquet)")


def publish_table(store: Store, name: str, *ids: int, **more: Any) -> Artifact:
    """Publish a table with these ids."""
    with store.publish(name=name, **work(store, "table", ids=list(ids), **more)) as draft:
        write_rows(draft.folder / "rows.parquet", *ids)
    assert draft.artifact is not None
    return draft.artifact


def start(*arguments: object, fault: str = "", **more: Any) -> subprocess.Popen[str]:
    """Start tests/artifacts/worker.py with these arguments in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.artifacts.worker", *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, "THINKREC_FAULT": fault},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


@contextmanager
def ending(process: subprocess.Popen[str], seconds: float = 120) -> Iterator[None]:
    """Kill a process at the end of the block, or after some seconds, whichever comes first: nobody waits forever."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    with process:  # waits for it, and closes its pipes
        try:
            yield
        finally:
            timer.cancel()
            process.kill()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process. Returns: exit status, stdout, stderr."""
    with ending(process):
        out, err = process.communicate()
    return process.returncode, out, err


def run(*arguments: object, fault: str = "") -> tuple[int, str, str]:
    """Run the worker to its end."""
    return finish(start(*arguments, fault=fault))


def run_with_faults(
    folder: Path, fault: str, *arguments: object, origin: Path | None = None
) -> Iterator[tuple[int, Path, tuple[int, str, str]]]:
    """Run the worker with a fault at step 1, 2, ..., each on a store of its own, until one ends well.

    Args:
        folder: where the stores are made.
        fault: kill or enospc.
        arguments: action of the worker, and its arguments after the root of the store.
        origin: store that each run gets a copy of; None for a new one.
    Yields: step, root of the store, and what `run` gives; the last one met no fault.
    """
    for first in itertools.count(1, AT_ONCE):
        steps = range(first, first + AT_ONCE)
        roots = [folder / f"step-{step}" for step in steps]
        for root in roots if origin else ():
            shutil.copytree(origin, root)
        processes = [
            start(arguments[0], root, *arguments[1:], fault=f"{step}:{fault}")
            for step, root in zip(steps, roots, strict=True)
        ]
        results = [finish(process) for process in processes]
        for step, root, result in zip(steps, roots, results, strict=True):
            yield step, root, result
            if result[0] == 0:
                return


def leftovers(root: Path) -> list[str]:
    """List what lies in staging, and what else should not outlive a process."""
    found = [*(root / "staging").glob("*"), *root.glob("format.json.*"), *root.glob("index/draft*")]
    return [str(path) for path in found]
