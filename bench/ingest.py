"""Ingest of synthetic ratings against pandas, as whole processes.

    python -m bench.ingest [--rows 20000000] [--markdown PATH]

The peer installs itself in .venv-bench/. Both results are compared: the same rows, splits and like-rates, or the bench
fails. Of both the faster of two runs counts: on a shared machine one can take a third longer than the next. Pandas runs
once with ids as texts, which is the work done here, and once with ids as numbers, as one may who knows that they are.
The limit is the time that DuckDB takes to parse the file and add up its columns, on all cores.
"""

import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench.process import ROOT, Ran, peer_python, run, thinkrec
from bench.ratings import Ratings
from bench.table import Beside, Line, run_alone

ROWS, SHORT_ROWS = 20_000_000, 2_000_000
TIMES = 2
CAP = "1GB"
"""A --memory-limit that the full size exceeds by far."""
OUTSIDE_CAP_GB = 0.6
"""What a process may take beside the cap: Python, libraries, the file's pages, and a piece of numbers to sort."""


def lines(short: bool) -> list[Line]:
    """Measure with the short or the full number of rows."""
    return measure(SHORT_ROWS if short else ROWS)


def measure(rows: int) -> list[Line]:
    """Return the lines for a number of rows."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = []
        for suffix in ("csv", "parquet"):
            file = root / f"ratings.{suffix}"
            Ratings(rows).write(file)
            made += _lines_of(root, file, rows)
            file.unlink()
        return made


def _lines_of(root: Path, file: Path, rows: int) -> list[Line]:
    suffix = file.suffix[1:]
    work = f"ingest {rows:,} ratings ({suffix.upper()})"
    stores = [root / f"store-{suffix}-{n}" for n in range(TIMES)]
    ours = _faster(_ingest(store, file) for store in stores)
    engines = ("pyarrow", "c") if suffix == "csv" else ("",)
    theirs = {
        (engine, ids): _faster(_pandas(root, file, engine, ids, store) for store in stores)
        for ids in ("texts", "numbers")
        for engine in engines
    }
    limit = Beside("parsing the file alone, DuckDB", rows / _parse_seconds(file))
    words = {"pyarrow": "pandas, pyarrow reader", "c": "pandas, its own reader", "": "pandas"}
    found = [
        Line(
            work=work,
            unit="rows/s",
            ours=rows / ours.seconds,
            peer=Beside(f"{words[engine]}, ids as {ids}", rows / peer.seconds),
            limit=limit,
            at_least=1e6 if rows >= ROWS else None,
            ratio_at_least=3,
        )
        for (engine, ids), peer in theirs.items()
    ]
    (engine, _), first = next(iter(theirs.items()))
    peak = Beside(f"{words[engine]}, ids as texts", first.peak_gb)
    memory = Line(
        work=f"{work}: peak memory",
        unit="GB",
        ours=ours.peak_gb,
        peer=peak,
        smaller_is_better=True,
        at_least=6 if rows >= ROWS else None,
    )
    if rows < ROWS:  # they fit under the cap
        return [*found, memory]
    capped = _ingest(root / f"capped-{suffix}", file, "--memory-limit", CAP)
    spilled = Line(
        work=f"{work}: peak memory with --memory-limit {CAP}",
        unit="GB",
        ours=capped.peak_gb,
        peer=peak,
        smaller_is_better=True,
        at_least=float(CAP.removesuffix("GB")) + OUTSIDE_CAP_GB,
    )
    return [*found, memory, spilled]


def _faster(runs: Iterable[Ran]) -> Ran:
    return min(runs, key=lambda ran: ran.seconds)


def _ingest(store: Path, file: Path, *options: str) -> Ran:
    return thinkrec(store, "--quiet", "ingest", "table", "--interactions", str(file), *options)


def _pandas(root: Path, file: Path, engine: str, ids: str, store: Path) -> Ran:
    """Run the peer. Raises: RuntimeError if it came to something else than we did."""
    python = peer_python("pandas", ["pandas", "pyarrow"])
    target = root / f"pandas-{engine}-{ids}"
    target.mkdir(exist_ok=True)
    ran = run([python, ROOT / "bench" / "pandas_peer.py", file, target, engine, ids])
    theirs = json.loads(ran.output)["splits"]
    (report,) = store.glob("objects/dataset/*/report.json")
    ours = json.loads(report.read_text())["splits"]
    for name, split in theirs.items():
        if any(abs(ours[name][key] - value) > 1e-6 for key, value in split.items()):
            raise RuntimeError(f"pandas found {theirs}, we found {ours}")
    return ran


def _parse_seconds(file: Path) -> float:
    import duckdb

    columns = "{'user': 'BIGINT', 'item': 'BIGINT', 'rating': 'DOUBLE', 'timestamp': 'BIGINT'}"
    source = (
        f"read_csv('{file}', header = true, auto_detect = false, delim = ',', columns = {columns})"
        if file.suffix == ".csv"
        else f"read_parquet('{file}')"
    )
    with duckdb.connect() as connection:
        started = time.perf_counter()
        connection.execute(
            f'SELECT sum("user"), sum(item), sum(rating), sum("timestamp") FROM {source}'
        ).fetchone()
        return time.perf_counter() - started


if __name__ == "__main__":
    run_alone("bench.ingest", __doc__, measure, {"rows": ROWS})
