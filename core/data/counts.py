"""Honest counts: what was known about a user and an item before a row was asked.

Everything here is a count that a person could check by hand (method, section 10), and no label of the
user's own gets into it before its time:

- what the user did comes from his history alone (core/data/histories.py), from every split;
- what the crowd did comes from train rows of *other* users alone. Leaving out all rows of the user
  himself is leave-one-out wherever a user rates an item once, and stays free of leaks where he
  rates it again later.

So the evidence of a row does not change when the row's own label, or a later label of the same
user, is flipped. Train rows of others count whenever they happened: with one cut in time for all that
is before any valid or test row, with cuts on each user's own time line some of them are later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.dataset import SPLITS, Dataset, IntArray
from core.data.histories import Histories

RECENT = 10
"""How many of the last rows count as recent; as many as a prompt shows."""
SMOOTHING = 5.0
"""Pseudo-rows at the crowd's like-rate that are added to an item's rows; of 1..20, 3 and 5 tie on valid."""
GENRE_SMOOTHING = 5.0
"""Pseudo-rows of no preference that are added to every genre of a user."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Told:
    """Evidence as Python numbers, rates in whole per cent: to read single entries of arrays takes ten times longer."""

    user_seen: list[int]
    user_percent: list[int]
    recent_seen: list[int]
    recent_likes: list[int]
    item_seen: list[int]
    item_percent: list[int]
    crowd_percent: list[int]
    genre_start: list[int]
    genres: list[tuple[str, int, int]]
    """(category, likes, seen), flat over all rows."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was known before each of n rows or pairs. Rates are between 0 and 1."""

    user_likes: Integers
    """(n,) rows of the user's history that he liked."""
    user_seen: Integers
    """(n,) rows of the user's history."""
    recent_likes: Integers
    """(n,) the same among the last RECENT rows of the history."""
    recent_seen: Integers
    """(n,) at most RECENT."""
    item_likes: Integers
    """(n,) train rows of other users that liked the item."""
    item_seen: Integers
    """(n,) train rows of other users with the item."""
    item_likes_rate: Floats
    """(n,) smoothed like-rate of the item among others; the overall rate where nobody saw it."""
    crowd_likes_rate: Floats
    """(n,) mean of that rate over the items of the history: how others liked what this user saw."""
    residual: Floats
    """(n,) mean over the history of label minus item_likes_rate: how much kinder the user is."""
    genre_affinity: Floats
    """(n,) mean over the item's categories of the user's smoothed residual within the category."""
    year: Floats
    """(n,) year of the item, not-a-number if unknown."""
    genre_start: Integers
    """(n + 1,) entries genre_start[k] to genre_start[k + 1] of the arrays below belong to row k."""
    genre_index: Integers
    """(m,) category, as a position in genre_names."""
    genre_likes: Integers
    """(m,) rows of the history whose item has the category and that the user liked."""
    genre_seen: Integers
    """(m,) rows of the history whose item has the category."""
    genre_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.user_seen)

    def genres_of(self, position: int) -> list[tuple[str, int, int]]:
        """Return "enjoyed k of n" for every category of one row's item: (category, k, n)."""
        told = self.told
        return told.genres[told.genre_start[position] : told.genre_start[position + 1]]

    @cached_property
    def told(self) -> "Told":
        """Return what sentences say, of all rows at once."""
        names = [self.genre_names[index] for index in self.genre_index.tolist()]
        likes, seen = self.genre_likes.tolist(), self.genre_seen.tolist()
        return Told(
            user_seen=self.user_seen.tolist(),
            user_percent=_percent(self.user_likes / np.maximum(self.user_seen, 1)),
            recent_seen=self.recent_seen.tolist(),
            recent_likes=self.recent_likes.tolist(),
            item_seen=self.item_seen.tolist(),
            item_percent=_percent(self.item_likes / np.maximum(self.item_seen, 1)),
            crowd_percent=_percent(self.crowd_likes_rate),
            genre_start=self.genre_start.tolist(),
            genres=list(zip(names, likes, seen, strict=True)),
        )


class _Categories:
    """The categories of every item, flat: those of item i are index[start[i] : start[i + 1]]."""

    def __init__(self, categories: Sequence[Sequence[str]]) -> None:
        unique = [
            list(dict.fromkeys(names)) for names in categories
        ]  # a category named twice counts once
        self.names = sorted({name for names in unique for name in names})
        position = {name: index for index, name in enumerate(self.names)}
        lengths = np.array([len(names) for names in unique], dtype=np.int64)
        self.start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.index = np.array(
            [position[name] for names in unique for name in names], dtype=np.int64
        )

    def expand(self, items: IntArray) -> tuple[Integers, Integers, Integers]:
        """Return (start, owner, category): one entry per item asked for and category of it.

        start: (n + 1,) first entry of every item; owner: (m,) position in `items`; category: (m,).
        """
        lengths = self.start[items + 1] - self.start[items]
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        owner = np.repeat(np.arange(len(items)), lengths)
        offset = np.arange(start[-1]) - start[owner]
        return start, owner, self.index[self.start[items][owner] + offset]


@dataclass(frozen=True)
class _GenreLog:
    """Running counts of every (user, category), one entry per row and category, sorted by `key`."""

    key: Integers  # ((user, category), position in the user's rows): unique and ascending
    likes: Integers  # (m + 1,) running sums over the entries
    residual: Floats


class Counts:
    """Evidence for any row or pair of a data set, in time proportional to what is asked."""

    def __init__(self, dataset: Dataset, histories: Histories) -> None:
        """Count once over all rows; `histories` says which rows of a user come before a row."""
        self._dataset = dataset
        self._categories = _Categories(dataset.categories)
        self._year = np.array([np.nan if y is None else y for y in dataset.years], dtype=np.float64)
        self._order, self._start, self._end = histories.order, histories.start, histories.end
        self._count_crowd()
        label = dataset.label[self._order].astype(np.int64)
        rate = self._rate(dataset.user[self._order], dataset.item[self._order])
        self._residual_by_position = label - rate
        self._label_by_position = label
        self._likes = _running(label)
        self._rates = _running(rate)
        self._residuals = _running(self._residual_by_position)

    def for_rows(self, rows: IntArray) -> Evidence:
        """Return the evidence of rows as it stood before each of them."""
        user, item = self._dataset.user[rows], self._dataset.item[rows]
        return self._evidence(_integers(user), _integers(item), self._end[rows])

    def for_pairs(self, users: IntArray, items: IntArray) -> Evidence:
        """Return the evidence of pairs asked now: the history is everything the user ever did.

        Args:
            users: (n,) user positions.
            items: (n,) item positions.
        """
        return self._evidence(_integers(users), _integers(items), self._start[_integers(users) + 1])

    def for_history(
        self,
        history_items: IntArray,
        history_labels: IntArray,
        items: IntArray,
        *,
        user: int | None = None,
    ) -> Evidence:
        """Return the evidence of items for one history, given as it is.

        Args:
            history_items: (h,) item positions, oldest first.
            history_labels: (h,) 1 liked, 0 not.
            items: (n,) item positions to ask for.
            user: whose history it is, so that his own train rows do not count as the crowd's; None
                for a person who is not in the data.
        """
        history, label, asked_items = (
            _integers(history_items),
            _integers(history_labels),
            _integers(items),
        )
        history_rate = self._rate(np.full(len(history), -1 if user is None else user), history)
        residual = label - history_rate
        _, owner, genre = self._categories.expand(history)
        size = len(self._categories.names)
        seen = np.bincount(genre, minlength=size)
        likes = np.bincount(genre, weights=label[owner], minlength=size).astype(np.int64)
        leaning = np.bincount(genre, weights=residual[owner], minlength=size)
        asked = np.full(len(items), -1 if user is None else user)
        start, item_owner, item_genre = self._categories.expand(asked_items)
        return self._assemble(
            asked,
            asked_items,
            history=tuple(
                np.full(len(items), value)
                for value in (
                    len(label),
                    label.sum(),
                    min(len(label), RECENT),
                    label[-RECENT:].sum(),
                    history_rate.sum(),
                    residual.sum(),
                )
            ),
            genres=(
                start,
                item_owner,
                item_genre,
                seen[item_genre],
                likes[item_genre],
                leaning[item_genre],
            ),
        )

    def _count_crowd(self) -> None:
        """Count train rows per item, per user, and per pair of user and item."""
        data = self._dataset
        train = data.split == SPLITS.index("train")
        item, user = data.item[train].astype(np.int64), data.user[train].astype(np.int64)
        label = data.label[train].astype(np.int64)
        self._item_seen = np.bincount(item, minlength=len(data.items))
        self._item_likes = _weighted(item, label, len(data.items))
        self._train_seen = np.append(
            np.bincount(user, minlength=len(data.users)), 0
        )  # the last is nobody, -1
        self._train_likes = np.append(_weighted(user, label, len(data.users)), 0)
        self._pair_key, pair = np.unique(user * len(data.items) + item, return_inverse=True)
        self._pair_seen = np.bincount(pair, minlength=len(self._pair_key))
        self._pair_likes = _weighted(pair, label, len(self._pair_key))

    def _crowd(self, user: IntArray, item: IntArray) -> tuple[Integers, Integers]:
        """Return (likes, seen) of items among everybody but the user (-1: nobody)."""
        likes, seen = self._item_likes[item], self._item_seen[item]
        if not len(self._pair_key):
            return likes, seen
        key = user.astype(np.int64) * len(self._dataset.items) + item
        place = np.minimum(np.searchsorted(self._pair_key, key), len(self._pair_key) - 1)
        own = self._pair_key[place] == key
        likes = likes - np.where(own, self._pair_likes[place], 0)
        return likes, seen - np.where(own, self._pair_seen[place], 0)

    def _prior(self, user: IntArray) -> Floats:
        """Return (n,) the like-rate of everybody but the user; 0.5 without any row."""
        seen = self._train_seen[:-1].sum() - self._train_seen[user]
        likes = self._train_likes[:-1].sum() - self._train_likes[user]
        prior: Floats = np.where(seen > 0, likes / np.maximum(seen, 1), 0.5)
        return prior

    def _rate(self, user: IntArray, item: IntArray) -> Floats:
        likes, seen = self._crowd(user, item)
        rate: Floats = (likes + SMOOTHING * self._prior(user)) / (seen + SMOOTHING)
        return rate

    def _evidence(self, user: Integers, item: Integers, end: Integers) -> Evidence:
        """Assemble the evidence of pairs whose history is the user's rows up to position `end`."""
        start = self._start[user]
        recent = np.maximum(start, end - RECENT)
        return self._assemble(
            user,
            item,
            history=(
                end - start,
                self._likes[end] - self._likes[start],
                end - recent,
                self._likes[end] - self._likes[recent],
                self._rates[end] - self._rates[start],
                self._residuals[end] - self._residuals[start],
            ),
            genres=self._genre_counts(user, item, end),
        )

    def _assemble(
        self, user: Integers, item: Integers, *, history: tuple[Any, ...], genres: tuple[Any, ...]
    ) -> Evidence:
        """Turn sums over histories and over (history, category) into evidence."""
        seen, likes, recent_seen, recent_likes, rates, residuals = history
        start, owner, genre, genre_seen, genre_likes, leaning = genres
        item_likes, item_seen = self._crowd(user, item)
        prior = self._prior(user)
        divisor = np.maximum(seen, 1)
        affinity = np.bincount(owner, leaning / (genre_seen + GENRE_SMOOTHING), minlength=len(item))
        return Evidence(
            user_likes=likes,
            user_seen=seen,
            recent_likes=recent_likes,
            recent_seen=recent_seen,
            item_likes=item_likes,
            item_seen=item_seen,
            item_likes_rate=(item_likes + SMOOTHING * prior) / (item_seen + SMOOTHING),
            crowd_likes_rate=np.where(seen > 0, rates / divisor, prior),
            residual=residuals / divisor,
            genre_affinity=affinity / np.maximum(np.diff(start), 1),
            year=self._year[item],
            genre_start=start,
            genre_index=genre,
            genre_likes=genre_likes,
            genre_seen=genre_seen,
            genre_names=self._categories.names,
        )

    @cached_property
    def _genre_log(self) -> _GenreLog:
        user = self._dataset.user[self._order].astype(np.int64)
        _, position, genre = self._categories.expand(self._dataset.item[self._order])
        key = self._genre_key(user[position], genre, position)
        by_key = np.argsort(key, kind="stable")
        position = position[by_key]
        return _GenreLog(
            key=key[by_key],
            likes=_running(self._label_by_position[position]),
            residual=_running(self._residual_by_position[position]),
        )

    def _genre_key(self, user: Integers, genre: Integers, position: Integers) -> Integers:
        rows = len(self._order) + 1
        return (user * max(len(self._categories.names), 1) + genre) * rows + position

    def _genre_counts(self, user: Integers, item: Integers, end: Integers) -> tuple[Any, ...]:
        """Return (start, owner, genre, seen, likes, residual sum) per pair and category."""
        log = self._genre_log
        start, owner, genre = self._categories.expand(item)
        first = np.searchsorted(
            log.key, self._genre_key(user[owner], genre, self._start[user[owner]])
        )
        last = np.searchsorted(log.key, self._genre_key(user[owner], genre, end[owner]))
        likes = log.likes[last] - log.likes[first]
        return start, owner, genre, last - first, likes, log.residual[last] - log.residual[first]


def _percent(rate: Floats) -> list[int]:
    percent: list[int] = np.rint(100 * rate).astype(np.int64).tolist()
    return percent


def _integers(values: IntArray) -> Integers:
    return np.asarray(values).astype(np.int64)


def _running(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (n + 1,) sums of the first 0, 1, .. n values."""
    sums = np.zeros(len(values) + 1, dtype=np.float64 if values.dtype.kind == "f" else np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def _weighted(index: Integers, weight: Integers, size: int) -> Integers:
    return np.bincount(index, weights=weight, minlength=size).astype(np.int64)
