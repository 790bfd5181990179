"""NDCG@k, MAP@k and HR@k: every user's rows ranked by score.

Users with at least two rows count; a user without a liked row counts 0. Rows of equal score stand
in the order in which they are given, which is the order of time: it knows nothing of labels.
"""

from dataclasses import dataclass

import numpy as np

from core.evaluation.rows import Floats, Integers, ScoredRows


@dataclass(frozen=True)
class Ranked:
    """All rows, each user's together, best score first."""

    user: Integers
    rank: Integers
    """1.. within the user."""
    liked: Floats
    counts: Integers
    """(U,) rows of each user."""
    positives: Floats
    """(U,) liked rows of each user."""

    @classmethod
    def of(cls, rows: ScoredRows) -> "Ranked":
        """Rank rows."""
        order = np.lexsort((-rows.score, rows.user))  # lexsort is stable
        user = rows.user[order]
        counts = np.bincount(user, minlength=rows.users)
        begins = np.cumsum(counts) - counts
        liked = rows.label[order].astype(np.float64)
        return cls(
            user=user,
            rank=np.arange(1, len(rows) + 1) - begins[user],
            liked=liked,
            counts=counts,
            positives=np.bincount(user, liked, minlength=rows.users).astype(np.float64),
        )

    def user_sums(self, values: Floats) -> Floats:
        """Return (U,) sums of (n,) values."""
        return np.bincount(self.user, values, minlength=len(self.counts)).astype(np.float64)

    def per_user(self, gained: Floats, at_most: Floats) -> Floats:
        """Return (U,) gained / at_most, 0 without a liked row, NaN for users with one row."""
        value = np.divide(gained, at_most, out=np.zeros_like(gained), where=at_most > 0)
        return np.where(self.counts >= 2, value, np.nan)


def user_ndcgs(rows: ScoredRows, k: int) -> Floats:
    """Return (U,) NDCG@k: gain 1 for a liked row, discount log2(rank + 1)."""
    ranked = Ranked.of(rows)
    discount = np.where(ranked.rank <= k, 1 / np.log2(ranked.rank + 1), 0.0)
    ideal = np.r_[0.0, np.cumsum(1 / np.log2(np.arange(2, k + 2)))]
    best = ideal[np.minimum(ranked.positives, k).astype(np.int64)]
    return ranked.per_user(ranked.user_sums(ranked.liked * discount), best)


def user_average_precisions(rows: ScoredRows, k: int) -> Floats:
    """Return (U,) AP@k: precisions at the first k rows that are liked, over all liked rows.

    With more than k liked rows a user's AP@k cannot reach 1 (method, section 9).
    """
    ranked = Ranked.of(rows)
    seen = np.cumsum(ranked.liked)
    begins = np.cumsum(ranked.counts) - ranked.counts
    before = np.r_[0.0, seen][begins]
    precision = (seen - before[ranked.user]) / ranked.rank
    gained = ranked.user_sums(np.where(ranked.rank <= k, ranked.liked * precision, 0.0))
    return ranked.per_user(gained, ranked.positives)


def user_hits(rows: ScoredRows, k: int) -> Floats:
    """Return (U,) 1 if one of the user's first k rows was liked, else 0."""
    ranked = Ranked.of(rows)
    hits = ranked.user_sums(np.where(ranked.rank <= k, ranked.liked, 0.0))
    return ranked.per_user((hits > 0).astype(np.float64), np.ones(len(hits)))
