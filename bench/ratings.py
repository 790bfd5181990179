"""Synthetic ratings of any size: few busy users and popular items, many of whom little is known, ten years of time.

Rows come in no order at all, so that no reader is helped by it; a pair drawn twice is a rating that was changed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PIECE = 1 << 20
"""Rows made at once; bounds memory."""
FIRST_SECOND = 1_262_304_000  # 2010-01-01
SECONDS = 10 * 365 * 86_400
ROWS_PER_USER, ROWS_PER_ITEM = 100, 400
STEEPNESS = 0.8
USER_OFFSET, ITEM_OFFSET = 200, 20
"""Rank r has a share that goes with 1 / (r + offset) ** STEEPNESS: of 20 million rows the busiest user has 6,800."""


class Ratings:
    """Rows of (user, item, rating, timestamp), the same for the same size and seed."""

    def __init__(self, rows: int, seed: int = 0) -> None:
        """Draw who is busy, who is popular, and when everybody came."""
        self.rows, self.seed = rows, seed
        self.users = max(rows // ROWS_PER_USER, 50)
        self.items = max(rows // ROWS_PER_ITEM, 50)
        random = np.random.default_rng(seed)
        self._user_share = _running_shares(self.users, USER_OFFSET)
        self._item_share = _running_shares(self.items, ITEM_OFFSET)
        self._user_id = random.permutation(2 * self.users)[: self.users] + 1
        self._item_id = random.permutation(4 * self.items)[: self.items] + 1
        self._came = random.integers(0, SECONDS // 2, self.users)
        self._quality = random.normal(3.5, 0.5, self.items)

    def pieces(self) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """Yield the rows, at most PIECE at a time."""
        for number, start in enumerate(range(0, self.rows, PIECE)):
            size = min(PIECE, self.rows - start)
            random = np.random.default_rng([self.seed, number])
            user = np.searchsorted(self._user_share, random.random(size))
            item = np.searchsorted(self._item_share, random.random(size))
            stars = np.round(2 * (self._quality[item] + random.normal(0, 1, size))) / 2
            stayed = (random.random(size) ** 3 * (SECONDS - self._came[user])).astype(np.int64)
            yield {
                "user": self._user_id[user],
                "item": self._item_id[item],
                "rating": np.clip(stars, 0.5, 5.0),
                "timestamp": FIRST_SECOND + self._came[user] + stayed,
            }

    def write(self, path: Path) -> None:
        """Write a CSV or a Parquet file, told by the suffix."""
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet

        names = ("user", "item", "rating", "timestamp")
        schema = pa.schema([(n, pa.float64() if n == "rating" else pa.int64()) for n in names])
        open_file = (
            pyarrow.csv.CSVWriter if path.suffix == ".csv" else pyarrow.parquet.ParquetWriter
        )
        with open_file(path, schema) as writer:
            for piece in self.pieces():
                writer.write_table(pa.table(piece, schema=schema))


def _running_shares(count: int, offset: int) -> npt.NDArray[np.float64]:
    weight = 1 / (np.arange(count) + offset) ** STEEPNESS
    return np.cumsum(weight) / weight.sum()
