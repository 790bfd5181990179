"""The history of somebody who is not in the data, from a file."""

import math
from contextlib import suppress

from core.data.dataset import Dataset
from core.errors import BadValueError, EmptyFileError, MissingColumnError
from core.scoring.questions import read_texts
from core.scoring.unknown import Unknown

_YES = {"1", "yes", "true", "like", "liked"}
_NO = {"0", "no", "false", "dislike", "disliked"}


def read_history(
    unknown: Unknown, dataset: Dataset, threshold: float
) -> tuple[list[int], list[int]]:
    """Return item positions and labels, oldest first as in the file.

    The file has a column item, and a column label (yes/no, 1/0, true/false) or rating (liked above the threshold).

    Args:
        unknown: the file, and whether items that the data do not have are left out.
    Raises: MissingFileError, MissingColumnError, BadValueError, UnknownItemError, EmptyFileError if there are no rows,
        or none is left.
    """
    path = unknown.path
    table = read_texts(path, ("item",))
    column = "label" if "label" in table else "rating"
    if column not in table:
        raise MissingColumnError(
            f"{path} has neither a column 'label' nor 'rating'",
            hint="Add a column label with yes or no.",
        )
    found: list[tuple[int, int]] = []
    for n, (item, value) in enumerate(zip(table["item"], table[column], strict=True), 1):
        label = _label(value, column, threshold, f"{path}: row {n}")
        with unknown.row(n):
            found.append((dataset.item_index(item), label))
    unknown.require_some(len(found), "item")
    if not found:
        raise EmptyFileError(f"{path} holds no history", hint="Give rows of item and label.")
    return [item for item, _ in found], [label for _, label in found]


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
