"""The history of somebody who is not in the data, from a file."""

import math
from contextlib import suppress

from core.data.dataset import Dataset
from core.data.ingest_times import time_expression
from core.errors import BadValueError, EmptyFileError, MissingColumnError
from core.scoring.tables import read_texts
from core.scoring.unknown import Unknown

_YES = {"1", "yes", "true", "like", "liked"}
_NO = {"0", "no", "false", "dislike", "disliked"}


def read_history(
    unknown: Unknown, dataset: Dataset, threshold: float
) -> tuple[list[int], list[int]]:
    """Return item positions and labels, oldest first: by a column of times, without one in the order of the file.

    The file has a column item, and a column label (yes/no, 1/0, true/false) or rating (liked above the threshold). Rows
    of one time stay in its order.

    Args:
        unknown: the file, and whether items that the data do not have are left out.
    Raises: MissingFileError, MissingColumnError, BadValueError, UnknownItemError, EmptyFileError if there are no rows,
        or none is left.
    """
    path = unknown.path
    table = read_texts(path, ("item",), ("time",))
    column = "label" if "label" in table else "rating"
    if column not in table:
        raise MissingColumnError(
            f"{path} has neither a column 'label' nor 'rating'",
            hint="Add a column label with yes or no.",
        )
    times = _seconds(table["time"], path) if "time" in table else [0] * len(table["item"])
    found: list[tuple[int, int, int]] = []
    for n, (item, value) in enumerate(zip(table["item"], table[column], strict=True), 1):
        label = _label(value, column, threshold, f"{path}: row {n}")
        with unknown.row(n):
            found.append((times[n - 1], dataset.item_index(item), label))
    unknown.require_some(len(found), "item")
    if not found:
        raise EmptyFileError(f"{path} holds no history", hint="Give rows of item and label.")
    found.sort(key=lambda row: row[0])  # many an export has the newest first
    return [item for _, item, _ in found], [label for _, _, label in found]


def _seconds(times: list[str], path: str) -> list[int]:
    """Return the seconds since 1970 of numbers and ISO dates, as ingest reads them.

    A unit that is finer stands in the same order. Raises: BadValueError for the first text that is no time.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        found = connection.execute(
            f"select {time_expression('text', 'VARCHAR', 'auto')} from (select unnest(?::varchar[]) as text)",
            [times],
        ).fetchall()
    seconds = [second for (second,) in found]
    if None in seconds:
        n = seconds.index(None)
        what = f"time {times[n]!r} is neither seconds nor an ISO date" if times[n] else "no time"
        raise BadValueError(
            f"{path}: row {n + 1}: {what}",
            hint="Write one in every row, or leave the column out: then the order of the file is taken.",
        )
    return seconds


def _label(value: str, column: str, threshold: float, where: str) -> int:
    word = value.strip().lower()
    if column == "label" and word in _YES | _NO:
        return int(word in _YES)
    if column == "rating":
        with suppress(ValueError):
            if math.isfinite(rating := float(word)):
                return int(rating > threshold)
    wanted = "yes or no" if column == "label" else "a number"
    raise BadValueError(f"{where}: {column} {value!r} is not {wanted}", hint=f"Write {wanted}.")
