"""The history of somebody who is not in the data, from a file."""

import math
from contextlib import suppress

from core.data.dataset import Dataset
from core.errors import BadValueError, MissingColumnError
from core.scoring.questions import read_texts, row_is_told

_YES = {"1", "yes", "true", "like", "liked"}
_NO = {"0", "no", "false", "dislike", "disliked"}


def read_history(path: str, dataset: Dataset, threshold: float) -> tuple[list[int], list[int]]:
    """Return item positions and labels, oldest first as in the file.

    The file has a column item, and a column label (yes/no, 1/0, true/false) or rating (liked above the threshold).
    Raises: MissingFileError, MissingColumnError, BadValueError, UnknownItemError.
    """
    table = read_texts(path, ("item",))
    column = "label" if "label" in table else "rating"
    if column not in table:
        raise MissingColumnError(
            f"{path} has neither a column 'label' nor 'rating'",
            hint="Add a column label with yes or no.",
        )
    items = []
    for n, item in enumerate(table["item"]):
        with row_is_told(path, n + 1):
            items.append(dataset.item_index(item))
    labels = [
        _label(value, column, threshold, f"{path}: row {n + 1}")
        for n, value in enumerate(table[column])
    ]
    return items, labels


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
