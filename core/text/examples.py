"""What a prompt is made from: a user's history, an item, and what was known before."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from core.data.counts import Counts, Evidence
from core.data.dataset import Dataset
from core.data.histories import Histories


@dataclass(frozen=True, kw_only=True)
class Example:
    """One question: would this user enjoy this item?"""

    user: int | None
    """Position of the user, None for somebody who is not in the data."""
    item: int
    history: npt.NDArray[np.int64]
    """(h,) item positions, oldest first."""
    labels: npt.NDArray[np.int64]
    """(h,) 1 liked, 0 not."""
    evidence: Evidence
    """Counts of many examples, of which this is the one at `position`."""
    position: int
    prior_logit: float | None = None
    """Log odds of a like by counts alone, where an encoder of counts was given."""

    @property
    def prior(self) -> float | None:
        """Chance of a like by counts alone."""
        return None if self.prior_logit is None else float(1 / (1 + np.exp(-self.prior_logit)))


class Prior(Protocol):
    """What gives the chance of a like by counts alone: the bias encoder."""

    def score_rows(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return (n,) logits of rows, each with what was known before it."""

    def score_pairs(
        self, users: npt.NDArray[Any], items: npt.NDArray[Any]
    ) -> npt.NDArray[np.float64]:
        """Return (n,) logits of pairs asked now."""

    def score_history(
        self,
        history_items: npt.NDArray[Any],
        history_labels: npt.NDArray[Any],
        items: npt.NDArray[Any],
        *,
        user: int | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return (n,) logits of items for a history given as it is."""


class Examples:
    """Makes examples from rows, from pairs asked now, or from a history given as it is."""

    def __init__(self, dataset: Dataset, histories: Histories | None = None) -> None:
        """Index a data set once; `histories` may be others than those of each row."""
        self.dataset = dataset
        self.histories = histories or Histories.of(dataset)
        self.prior: Prior | None = None

    @cached_property
    def counts(self) -> Counts:
        """The counts before every row; an encoder that scores needs none."""
        return Counts(self.dataset, self.histories)

    def told(self, prior: Prior) -> Self:
        """Return examples over the same data that tell the chance by counts, too."""
        other = copy(self)
        other.prior = prior
        return other

    def of_rows(self, rows: npt.NDArray[Any], length: int) -> list[Example]:
        """Make one example per row, with the last `length` items before it."""
        users = self.dataset.user[rows]
        longest = int(self.histories.counts(rows).max(initial=0))
        windows = self.histories.windows(rows, min(length, longest))
        prior = None if self.prior is None else self.prior.score_rows(rows)
        evidence = self.counts.for_rows(rows)
        return self._assemble(users, self.dataset.item[rows], windows, evidence, prior)

    def of_pairs(
        self, users: npt.NDArray[Any], items: npt.NDArray[Any], length: int
    ) -> list[Example]:
        """Make one example per pair asked now: the history is all the user ever did."""
        asked, place = np.unique(users, return_inverse=True)
        longest = int(self.histories.latest_counts(asked).max(initial=0))
        windows = self.histories.latest_windows(asked, min(length, longest))[place]
        prior = None if self.prior is None else self.prior.score_pairs(users, items)
        evidence = self.counts.for_pairs(users, items)
        return self._assemble(users, items, windows, evidence, prior)

    def of_history(
        self,
        history: Sequence[int],
        labels: Sequence[int],
        items: Sequence[int],
        length: int,
        user: int | None = None,
    ) -> list[Example]:
        """Make one example per item for a history given as it is (items oldest first, labels 1 or 0)."""
        all_items, all_labels = np.array(history, dtype=np.int64), np.array(labels, dtype=np.int64)
        evidence = self.counts.for_history(
            all_items, all_labels, np.array(items, dtype=np.int64), user=user
        )
        prior = None
        if self.prior is not None:
            prior = self.prior.score_history(
                all_items, all_labels, np.array(items, dtype=np.int64), user=user
            )
        shown = slice(max(0, len(all_items) - length), None)
        return [
            Example(
                user=user,
                item=int(item),
                history=all_items[shown],
                labels=all_labels[shown],
                evidence=evidence,
                position=position,
                prior_logit=None if prior is None else float(prior[position]),
            )
            for position, item in enumerate(items)
        ]

    def _assemble(
        self,
        users: npt.NDArray[Any],
        items: npt.NDArray[Any],
        windows: npt.NDArray[np.int64],
        evidence: Evidence,
        prior: npt.NDArray[np.float64] | None,
    ) -> list[Example]:
        """Make examples of (n, length) rows of histories, -1 before the first."""
        shown = self.dataset.item[windows].astype(np.int64)
        liked = self.dataset.label[windows].astype(np.int64)
        first = (windows < 0).sum(1).tolist()
        pairs = zip(users.tolist(), items.tolist(), strict=True)
        return [
            Example(
                user=user,
                item=item,
                history=shown[n, first[n] :],
                labels=liked[n, first[n] :],
                evidence=evidence,
                position=n,
                prior_logit=None if prior is None else float(prior[n]),
            )
            for n, (user, item) in enumerate(pairs)
        ]
