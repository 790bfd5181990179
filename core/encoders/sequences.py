"""Train histories cut into pieces: one pass of a causal model trains every position at once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.data.dataset import Dataset
from core.data.histories import Histories

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """A batch: pieces of histories and the rows that their positions have to predict."""

    history: Integers
    """(p, length) row numbers of history rows, -1 where there is none."""
    row: Integers
    """(n,) rows to predict."""
    piece: Integers
    """(n,) the piece that holds the row's history; -1 if the row has no history."""
    slot: Integers
    """(n,) the position in the piece where that history ends."""

    def __len__(self) -> int:
        return len(self.row)


class TrainSequences:
    """The train rows of all users as sequences; labels of other splits are never in them."""

    def __init__(self, dataset: Dataset, length: int) -> None:
        """Order train rows by user and time."""
        rows = dataset.rows("train")
        user = dataset.user[rows]
        histories = Histories(user, dataset.time[rows], len(dataset.users))
        by_user = histories.order
        self._row, self._user = rows[by_user], user[by_user]
        self._before = histories.counts(by_user)
        count = np.bincount(user, minlength=len(dataset.users))
        self._count = count
        self._position = np.arange(len(rows)) - (np.cumsum(count) - count)[self._user]
        self._length = length

    def batches(self, random: np.random.Generator, rows_per_batch: int) -> list[Pieces]:
        """Cut every user's sequence at new random places and shuffle the pieces into batches."""
        length = self._length
        shift = random.integers(0, length, len(self._count))
        pieces = (self._count + shift + length - 1) // length
        first = np.cumsum(pieces) - pieces
        place = self._position + shift[self._user]
        order = random.permutation(pieces.sum())  # piece number -> shuffled number
        history = np.full((len(order), length), -1, dtype=np.int64)
        history[order[first[self._user] + place // length], place % length] = self._row
        # A row is predicted where its history ends; without one, with its user's first piece.
        end = np.maximum(self._before - 1, 0) + shift[self._user]
        piece = order[first[self._user] + end // length]
        by_piece = np.argsort(piece, kind="stable")
        piece, row = piece[by_piece], self._row[by_piece]
        slot, empty = (end % length)[by_piece], (self._before == 0)[by_piece]
        step = max(1, rows_per_batch // length)
        batches = []
        for start in range(0, len(order), step):
            low, high = np.searchsorted(piece, [start, start + step])
            if low == high:
                continue
            batches.append(
                Pieces(
                    history=history[start : start + step],
                    row=row[low:high],
                    piece=np.where(empty[low:high], -1, piece[low:high] - start),
                    slot=slot[low:high],
                )
            )
        return batches
