"""A data set in memory: one array entry per interaction, one list entry per item and user."""

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from core.data.tables import read_codes, read_rows, read_table
from core.errors import UnknownItemError, UnknownUserError

SplitName = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")
# Of 64 bits: Python makes no number of thousands of digits.
_NUMBER = re.compile("-?[0-9]{1,18}")
IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Interactions in time order (ties in input order); index `row` is the row number everywhere."""

    user: npt.NDArray[np.int32]
    """(N,) position in `users`."""
    item: npt.NDArray[np.int32]
    """(N,) position in `items`."""
    label: npt.NDArray[np.int8]
    """(N,) 1 liked, 0 not."""
    time: npt.NDArray[np.int64]
    """(N,) seconds since 1970."""
    split: npt.NDArray[np.int8]
    """(N,) position in SPLITS."""
    warm: npt.NDArray[np.bool_]
    """(N,) user and item both occur in train."""
    users: list[str]
    items: list[str]
    titles: list[str]
    years: list[int | None]
    categories: list[list[str]]
    descriptions: list[str]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a dataset artifact's folder."""
        table = read_table(
            folder / "interactions.parquet",
            ["user_index", "item_index", "label", "time", "warm"],
        )
        items = read_rows(folder / "items.parquet")
        return cls(
            user=table["user_index"],
            item=table["item_index"],
            label=table["label"],
            time=table["time"],
            split=read_codes(folder / "interactions.parquet", "split", SPLITS),
            warm=table["warm"],
            users=read_table(folder / "users.parquet", ["user"])["user"],
            items=[row["item"] for row in items],
            titles=[row["title"] for row in items],
            years=[row["year"] for row in items],
            categories=[list(row["categories"] or ()) for row in items],
            descriptions=[row["description"] or "" for row in items],
        )

    def __len__(self) -> int:
        return len(self.user)

    def rows(self, split: SplitName) -> npt.NDArray[np.int64]:
        """Return the row numbers of a split, in time order."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    @cached_property
    def _user_positions(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.users)}

    @cached_property
    def _item_positions(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.items)}

    def user_index(self, user: str) -> int:
        """Return a user's position. Raises: UnknownUserError naming the nearest ids."""
        if user in self._user_positions:
            return self._user_positions[user]
        raise UnknownUserError(
            f"no user '{user}' in the data", hint=_nearest(user, self.users, "users")
        )

    def item_index(self, item: str) -> int:
        """Return an item's position. Raises: UnknownItemError naming the nearest ids or titles."""
        if item in self._item_positions:
            return self._item_positions[item]
        by_title = [
            self.items[index]
            for index, title in enumerate(self.titles)
            if item.lower() in title.lower() and len(item) > 2
        ]
        hint = _nearest(item, self.items, "items")
        if by_title:
            hint = f"Items with that in the title: {', '.join(by_title[:5])}."
        raise UnknownItemError(f"no item '{item}' in the data", hint=hint)


def _nearest(word: str, known: list[str], what: str) -> str:
    if _NUMBER.fullmatch(word):
        numbers = sorted(
            (abs(int(k) - int(word)), int(k), k) for k in known if _NUMBER.fullmatch(k)
        )
        near = [k for _, _, k in numbers[:3]]
    else:
        near = difflib.get_close_matches(word, known, n=3, cutoff=0.3)
    if not near:
        near = known[:3]
    return f"Nearest {what}: {', '.join(near)}."
