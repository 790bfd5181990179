"""Splits by time: one cut for everybody, each user's own time line, or what a column says.

Permuting the input rows never moves a row to another split: ties in time fall on one side of a common cut, and on a
user's own time line they are ordered by item.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from core.config.ingest import HALF, IngestConfig, seconds, split_column

_SLICES = 4096
"""Slices of time that rows are counted in to find the row of a rank."""
_SPLIT_WORDS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev", "eval"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """How rows are kept by time and split; times are seconds since 1970, UTC."""

    by: str
    """`time`, `user-time`, or the name of a column."""
    train: float
    valid: float
    since: int | None
    valid_from: int | None
    test_from: int | None
    until: int | None
    halves: bool = False
    """Rows from valid_from on are cut into two halves by time; test_from is None."""

    @classmethod
    def of(cls, config: IngestConfig) -> "SplitRule":
        """Take the rule of a configuration, presets filled in."""
        rules = config.rules()
        times = {
            name: None if rules[name] in (None, HALF) else seconds(rules[name])
            for name in ("since", "valid_from", "test_from", "until")
        }
        return cls(
            by=rules["split_by"],
            train=rules["train_fraction"],
            valid=rules["valid_fraction"],
            halves=rules["test_from"] == HALF,
            **times,
        )

    @property
    def column(self) -> str | None:
        """The column that says the split, if one does."""
        return split_column(self.by)

    @property
    def words(self) -> str:
        """The rule in words, for the report."""
        shares = f"first {self.train:.4g} train, next {self.valid:.4g} valid, rest test"
        if self.by == "user-time":
            text = (
                f"each user's own time line by position: {shares}; position 0 is always train; "
                "rows of one second ordered by item"
            )
        elif self.column is not None:
            text = f"as the column '{self.column}' says"
        elif self.valid_from is not None and self.halves:
            text = (
                f"one time line for all: train before {_date(self.valid_from)} (UTC), the rest in halves by time, "
                "valid and test; an odd row is valid, rows of one second stay together"
            )
        elif self.valid_from is not None and self.test_from is not None:
            text = (
                f"one time line for all: train before {_date(self.valid_from)}, valid before "
                f"{_date(self.test_from)}, test from then on (UTC)"
            )
        else:
            text = f"one time line for all: {shares}; rows of one second stay together"
        if self.since is not None:
            text += f"; rows before {_date(self.since)} left out"
        if self.until is not None:
            text += f"; rows from {_date(self.until)} on left out"
        return text

    def outside(self, time: str) -> str:
        """Return SQL that is true where a time lies outside the kept window."""
        tests = [f"{time} < {self.since}"] if self.since is not None else []
        tests += [f"{time} >= {self.until}"] if self.until is not None else []
        return f"({' OR '.join(tests)})" if tests else "false"


def column_code(text: str) -> str:
    """Return SQL: 0 train, 1 valid, 2 test, else NULL, of a text expression.

    One comparison per word: a list of five words after IN is a join, and joins lose the order of the file.
    """
    cases = " ".join(
        f"WHEN {word!r} THEN {code}"
        for code, words in enumerate(_SPLIT_WORDS.values())
        for word in words
    )
    return f"(CASE lower(trim({text})) {cases} END)::TINYINT"


@dataclass(frozen=True, kw_only=True)
class TimeLine:
    """The table `pairs` (key, split, ...) seen in time order, without sorting it.

    `key` orders rows by time, then file order: time = first + key // rows.
    """

    connection: Any
    first: int
    """Seconds of the earliest row that can be used."""
    rows: int
    """Rows of the file."""

    @property
    def time(self) -> str:
        """SQL over `pairs`: seconds since 1970."""
        return f"({self.first} + key // {self.rows})::BIGINT"

    @property
    def timed(self) -> str:
        """SQL of a table: `pairs` with `time`."""
        return f"(SELECT *, {self.time} AS time FROM pairs)"

    def count(self, *conditions: str) -> list[int]:
        """Return how many rows meet each condition; "true" counts all."""
        counts = ", ".join(f"count(*) FILTER ({condition})" for condition in conditions)
        return [
            int(n) for n in self.connection.execute(f"SELECT {counts} FROM {self.timed}").fetchone()
        ]

    def at(self, rank: int) -> int:
        """Return the time of row number `rank` (0..) in time order.

        Rows are counted in slices of time and only one slice is sorted.
        """
        (last,) = self.connection.execute("SELECT max(key) FROM pairs").fetchone()
        width = last // _SLICES + 1
        pieces = self.connection.execute(
            f"SELECT key // {width} AS piece, count(*) FROM pairs GROUP BY piece ORDER BY piece"
        ).fetchall()
        ends = list(accumulate(rows for _, rows in pieces))
        place = bisect_right(ends, rank)
        skipped = rank - (ends[place - 1] if place else 0)
        (time,) = self.connection.execute(
            f"SELECT time FROM {self.timed} WHERE key // {width} = {pieces[place][0]} "
            f"ORDER BY time LIMIT 1 OFFSET {skipped}"
        ).fetchone()
        return int(time)


def split_expression(line: TimeLine, rule: SplitRule) -> str:
    """Return SQL for the code of a row's split, over a table with `time`, `split` and, in time order, `rowid`.

    Whether a row is in train (code 0) does not depend on `rowid`.
    """
    if rule.by != "time":
        return "split"
    if rule.valid_from is not None and rule.halves:
        cut = middle_row(line, rule.valid_from)
        return (
            f"(CASE WHEN time < {rule.valid_from} THEN 0 WHEN rowid < {cut} THEN 1 ELSE 2 END)"
            "::TINYINT"
        )
    if rule.valid_from is not None and rule.test_from is not None:
        valid_from, test_from = rule.valid_from, rule.test_from
    else:
        (rows,) = line.count("true")
        valid_from = line.at(floor_of(rows, rule.train))
        test_from = line.at(floor_of(rows, rule.train + rule.valid))
    return (
        f"(CASE WHEN time < {valid_from} THEN 0 WHEN time < {test_from} THEN 1 ELSE 2 END)::TINYINT"
    )


def middle_row(line: TimeLine, start: int) -> int:
    """Return the position in time order at which the second half of the rows from a time on begins.

    Of an odd number of rows the first half gets one more. Where the middle falls between rows of one second, it moves
    to the end of that second that leaves the halves more equal (the later one if both do), so that input order decides
    nothing. Only if all the rows are of one second are they parted, in input order.
    """
    first, total = line.count(f"time < {start}", "true")
    middle = first + (total - first + 1) // 2
    if middle >= total:
        return middle
    second = line.at(middle)
    ends = line.count(f"time <= {second}", f"time < {second}")
    cuts = [end for end in ends if first < end < total]
    return min(cuts, key=lambda cut: abs(2 * cut - first - total), default=middle)


def floor_of(rows: int, share: float) -> int:
    """Return floor(rows * share), immune to 10 * (0.7 + 0.1) being 7.999..."""
    return int(rows * share + 1e-9)


def place_on_own_lines(line: TimeLine, rule: SplitRule) -> None:
    """Fill `split` of the table `pairs` (u, i, rating, split, key) by position on each user's line.

    A user's n rows, ordered by (time, item, rating), are cut at floor(train n) but at least 1, and
    at floor((train + valid) n): with 0.7 and 0.1, n = 1 gives 1/0/0, 2 gives 1/0/1, 3 gives 2/0/1,
    4 gives 2/1/1, 10 gives 7/1/2.
    """
    line.connection.execute(
        f"""CREATE OR REPLACE TABLE pairs AS SELECT u, i, rating, (CASE
            WHEN place < greatest(1, floor(n * {rule.train} + 1e-9)) THEN 0
            WHEN place < floor(n * {rule.train + rule.valid} + 1e-9) THEN 1 ELSE 2
            END)::TINYINT AS split, key
        FROM (SELECT *, count(*) OVER (PARTITION BY u) AS n,
            row_number() OVER (PARTITION BY u ORDER BY {line.time}, i, rating) - 1 AS place
            FROM pairs)"""
    )


def _date(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S").removesuffix(" 00:00:00")
