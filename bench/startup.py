"""How long the program takes to start: whole processes, the median of ten.

    python -m bench.startup [--times 10] [--markdown PATH]

The limit is the interpreter with nothing but the library that every command line here needs (typer).
"""

import statistics
import sys
import tempfile
from pathlib import Path

from artifacts.store import Store
from bench.process import run, thinkrec
from bench.table import Beside, Line, run_alone
from core.stages.kinds import KINDS

TIMES = 10


def lines(short: bool) -> list[Line]:
    """Measure; there is no shorter set."""
    return measure(TIMES)


def measure(times: int) -> list[Line]:
    """Return the lines, each the median of so many runs after one to warm up."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        Store.open(store, KINDS, program_version="bench")
        bare = _median(times, lambda: run([sys.executable, "-c", "import typer"]).seconds)
        limit = Beside("python -c 'import typer'", bare)
        return [
            Line(
                work=f"thinkrec {command}{of}, whole process, median of {times}",
                unit="s",
                ours=_median(times, lambda c=command: thinkrec(store, c).seconds),  # type: ignore[misc]
                limit=limit,
                smaller_is_better=True,
                at_least=floor,
            )
            for command, of, floor in (("--help", "", 0.3), ("list", " of an empty store", 0.6))
        ]


def _median(times: int, seconds_of: object) -> float:
    assert callable(seconds_of)
    seconds_of()
    return statistics.median(float(seconds_of()) for _ in range(times))


if __name__ == "__main__":
    run_alone("bench.startup", __doc__, measure, {"times": TIMES})
