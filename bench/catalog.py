"""The catalog with 10,000 artifacts: listing, showing, joining, and publishing by eight writers at once.

    python -m bench.catalog [--artifacts 10000] [--markdown PATH]

Processes are measured from start to end, the median of five; calls inside one process open the store anew each time.
The first SQL query after many commits also keeps the tables of the index (derived files); it is measured by itself.
The peer of publishing is writing the same files and bringing them to the disk.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from artifacts.store import Store
from bench.process import thinkrec
from bench.table import Beside, Line, run_alone
from core.stages.kinds import EVALUATION, KINDS

ARTIFACTS, WRITERS, TIMES = 10_000, 8, 5
NAMES = 500
"""Names that the versions are spread over."""
JOIN = (
    "select a.kind, count(distinct a.reference) as versions, sum(f.bytes) as bytes, count(l.parent) as parents "
    "from artifacts a join files f using (reference) left join lineage l on l.child = a.reference group by a.kind"
)


def lines(short: bool) -> list[Line]:
    """Measure; the short set has the same size, for the floors are about that size."""
    return measure(ARTIFACTS)


def measure(artifacts: int) -> list[Line]:
    """Return the lines for a number of artifacts."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        publishing = _publish_all(root, artifacts)
        return [*_processes(root, artifacts), *_calls(root, artifacts), publishing]


def _processes(root: Path, artifacts: int) -> list[Line]:
    made = Store.open(root, KINDS, "bench").artifacts()[-1]
    commands = {
        "list": ("list",),
        "show": ("show", made.reference),
        "sql (a join), first after many commits": ("sql", JOIN),
        "sql (a join)": ("sql", JOIN),
    }
    start = _median(lambda: thinkrec(root, "--version"))
    found = []
    for name, command in commands.items():
        once = "first" in name
        seconds = thinkrec(root, *command).seconds if once else 0.0
        found.append(
            Line(
                work=f"thinkrec {name}, {artifacts:,} artifacts, whole process",
                unit="s",
                ours=seconds or _median(lambda c=command: thinkrec(root, *c)),  # type: ignore[misc]
                limit=Beside("thinkrec --version", start),
                smaller_is_better=True,
                at_least=None if once else 0.5,
            )
        )
    return found


def _calls(root: Path, artifacts: int) -> list[Line]:
    reference = Store.open(root, KINDS, "bench").artifacts()[0].reference
    calls: dict[str, Callable[[Store], object]] = {
        "list": lambda store: store.artifacts(),
        "show": lambda store: store.resolve(reference).manifest,
        "a join": lambda store: store.query(JOIN),
    }
    return [
        Line(
            work=f"{name}, {artifacts:,} artifacts, within a process",
            unit="s",
            ours=_median(lambda c=call: c(Store.open(root, KINDS, "bench"))),  # type: ignore[misc]
            smaller_is_better=True,
            at_least=0.5,
        )
        for name, call in calls.items()
    ]


def _publish_all(root: Path, artifacts: int) -> Line:
    """Fill a store with WRITERS processes at once and return what a publish cost each of them."""
    Store.open(root, KINDS, "bench")
    share = artifacts // WRITERS
    with ProcessPoolExecutor(WRITERS, mp_context=get_context("spawn")) as pool:
        costs = list(pool.map(_writer, [root] * WRITERS, range(WRITERS), [share] * WRITERS))
    whole = statistics.median(seconds for cost in costs for seconds, _ in cost)
    files = statistics.median(seconds for cost in costs for _, seconds in cost)
    return Line(
        work=f"publishing beyond writing the files, {WRITERS} writers at once, median of {artifacts:,}",
        unit="s",
        ours=max(whole - files, 1e-9),
        peer=Beside("writing the files and fsync", files),
        smaller_is_better=True,
        at_least=0.05,
    )


def _writer(root: Path, number: int, count: int) -> list[tuple[float, float]]:
    """Publish small evaluations; return for each the seconds of all of it, and of the same files written plainly."""
    from core.data.tables import write_table

    store = Store.open(root, KINDS, "bench")
    payload = EVALUATION.payload("metrics.parquet")
    columns = {name: [0] * 20 if "CHAR" not in kind else ["auc"] * 20
               for name, kind in payload.columns.items()}  # fmt: skip
    scratch = root.parent / f"plain-{number}"
    scratch.mkdir()
    sample = scratch / "sample.parquet"
    write_table(sample, columns, payload.columns)
    table, costs, parent = sample.read_bytes(), [], ""
    for index in range(count):
        parameters = {"writer": number, "index": index, "k": 5, "confidence": 0.95}
        inputs = {"scores": [parent] if parent else []}
        key = store.key(kind="evaluation", parameters=parameters, inputs=inputs, resources={})
        started = time.perf_counter()
        with store.publish(
            kind="evaluation",
            name=f"run-{(number * count + index) % NAMES}",
            key=key,
            parameters=parameters,
            inputs=inputs,
            resources={},
        ) as draft:
            (draft.folder / "metrics.parquet").write_bytes(table)
        middle = time.perf_counter()
        _write_plainly(scratch / str(index), table, json.dumps(parameters))
        costs.append((middle - started, time.perf_counter() - middle))
        parent = key
    return costs


def _write_plainly(folder: Path, table: bytes, manifest: str) -> None:
    folder.mkdir()
    for name, content in (("metrics.parquet", table), ("manifest.json", manifest.encode())):
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _median(work: Callable[[], object]) -> float:
    """Return the median seconds of a few runs, those of a process where the work is one."""
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        ran = work()
        seconds.append(getattr(ran, "seconds", time.perf_counter() - started))
    return statistics.median(seconds)


if __name__ == "__main__":
    run_alone("bench.catalog", __doc__, measure, {"artifacts": ARTIFACTS})
