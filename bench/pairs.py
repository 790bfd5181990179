"""Scoring a file of a million pairs: memory must not grow with their number.

    python -m bench.pairs [--pairs 1000000] [--markdown PATH]

Whole processes of `thinkrec score --pairs`, once with all pairs and once with a tenth, which is the peer of memory. The
scorer is an encoder, so that a million takes a minute; blocks, files and joining are the same for every scorer.
"""

import tempfile
from itertools import islice, product
from pathlib import Path

from artifacts.store import Store
from bench.process import Ran, thinkrec
from bench.table import Beside, Line, run_alone
from core.data.dataset import Dataset
from core.stages.kinds import KINDS

PAIRS = 1_000_000
CPU = ("--device", "cpu")
"""Beside a GPU, too: its driver would be in the memory that is measured."""
SPILL_GB = 0.512
"""What all pairs may take beyond a tenth of them: the memory after which joining spills (core/data/spill.py)."""


def lines(short: bool) -> list[Line]:
    """Measure; the short set has the same size, for the floor is about that size."""
    return measure(PAIRS)


def measure(pairs: int) -> list[Line]:
    """Return the lines for a number of pairs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = root / "store"
        thinkrec(store, "--quiet", "ingest", "ml-100k")
        thinkrec(store, "--quiet", "encode", "--encoder", "mf", "--epochs", "2", *CPU)
        (dataset,) = Store.open(store, KINDS, "bench").artifacts("dataset")
        few = _score(store, root, Dataset.open(dataset.folder), pairs // 10)
        many = _score(store, root, Dataset.open(dataset.folder), pairs)
    return [
        Line(
            work=f"score a file of {pairs:,} pairs with mf, whole process",
            unit="pairs/s",
            ours=pairs / many.seconds,
        ),
        Line(
            work="the same, peak memory",
            unit="GB",
            ours=many.peak_gb,
            peer=Beside("a tenth of the pairs", few.peak_gb),
            smaller_is_better=True,
            at_least=few.peak_gb + SPILL_GB,
        ),
    ]


def _score(store: Path, root: Path, dataset: Dataset, count: int) -> Ran:
    file = root / f"pairs-{count}.csv"
    with file.open("w") as out:
        out.write("user,item\n")
        out.writelines(
            f"{user},{item}\n"
            for user, item in islice(product(dataset.users, dataset.items), count)
        )
    return thinkrec(store, "--quiet", "score", "--scorer", "mf", "--pairs", str(file), *CPU)


if __name__ == "__main__":
    run_alone("bench.pairs", __doc__, measure, {"pairs": PAIRS})
