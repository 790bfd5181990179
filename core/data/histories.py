"""What a user had done before a row: histories that never look ahead.

The rule (method, section 1): the history of a row holds the user's interactions at strictly earlier times, liked or
not, from every split. Two rows of one user in the same second are in neither's history; inside a history such
rows stand in input order. So no row sees its own or a later label, however coarse the clock.
"""

from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.dataset import Dataset


class Histories:
    """The rows of every user in time order, and for every row how many of them lie strictly before it."""

    def __init__(self, user: npt.NDArray[Any], time: npt.NDArray[Any], users: int) -> None:
        """Index rows.

        Args:
            user: (N,) user positions, rows in time order.
            time: (N,) non-decreasing times.
            users: number of users.
        """
        self.user = user
        self.order = np.argsort(user, kind="stable").astype(np.int64)
        """(N,) rows grouped by user, in time order: a history is a range of positions in this order."""
        self.start = np.zeros(users + 1, dtype=np.int64)
        """(U + 1,) position of every user's first row."""
        np.cumsum(np.bincount(user, minlength=users), out=self.start[1:])
        ordered_user, ordered_time = user[self.order], time[self.order]
        position = np.arange(len(user))
        first_of_second = np.ones(len(user), dtype=bool)
        first_of_second[1:] = (ordered_user[1:] != ordered_user[:-1]) | (
            ordered_time[1:] != ordered_time[:-1]
        )
        # Position of the first row of the same user and second: everything before it is history.
        bound = np.maximum.accumulate(np.where(first_of_second, position, 0))
        self.end = np.empty(len(user), dtype=np.int64)
        """(N,) position at which the history of each row ends."""
        self.end[self.order] = bound

    @classmethod
    def of(cls, dataset: Dataset) -> "Histories":
        """Index a data set."""
        return cls(dataset.user, dataset.time, len(dataset.users))

    def frozen(self, rows: npt.NDArray[np.int64]) -> "Histories":
        """Return histories in which each of these rows has what its user had done before the first of them.

        So all rows of a user are asked as at one moment, as candidates are. Other rows keep their own histories.
        """
        other = copy(self)
        first = np.full(len(self.start) - 1, len(self.order), dtype=np.int64)
        np.minimum.at(first, self.user[rows], self.end[rows])
        other.end = self.end.copy()
        other.end[rows] = first[self.user[rows]]
        return other

    def before(self, row: int, length: int | None = None) -> npt.NDArray[np.int64]:
        """Return the rows of its user strictly before a row, oldest first, at most the last `length`."""
        start, end = self.start[self.user[row]], self.end[row]
        return self.order[max(start, end - length) if length is not None else start : end]

    def latest(self, user: int, length: int | None = None) -> npt.NDArray[np.int64]:
        """Return the last rows of a user, oldest first: the history of a question asked now."""
        start, end = self.start[user], self.start[user + 1]
        return self.order[max(start, end - length) if length is not None else start : end]

    def windows(self, rows: npt.NDArray[Any], length: int) -> npt.NDArray[np.int64]:
        """Return (n, length) the last rows before each row, oldest first, -1 where there are fewer.

        Args:
            rows: (n,) row numbers.
            length: how many rows of the history to take.
        """
        return self._windows(self.start[self.user[rows]], self.end[rows], length)

    def latest_windows(self, users: npt.NDArray[Any], length: int) -> npt.NDArray[np.int64]:
        """Return (n, length) the last rows of each of n users, as `windows` does."""
        return self._windows(self.start[users], self.start[users + 1], length)

    def latest_counts(self, users: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return (n,) how many rows each of n users has."""
        counts: npt.NDArray[np.int64] = self.start[users + 1] - self.start[users]
        return counts

    def _windows(
        self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], length: int
    ) -> npt.NDArray[np.int64]:
        position = end[:, None] + np.arange(-length, 0)
        inside = position >= start[:, None]
        if not len(self.order):
            return np.full(position.shape, -1, dtype=np.int64)
        row = self.order[np.where(inside, position, 0)]
        windows: npt.NDArray[np.int64] = np.where(inside, row, -1)
        return windows

    def counts(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return (n,) lengths of the whole histories of n rows."""
        counts: npt.NDArray[np.int64] = self.end[rows] - self.start[self.user[rows]]
        return counts
