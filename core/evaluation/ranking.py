"""NDCG@k, MAP@k and HR@k: every user's rows ranked by score.

Users with at least two rows count; a user without a liked row counts 0. Rows of equal score stand in no order: they
count as the mean over all orders of theirs, as they do in AUC. The order of time would not do for them: what a person
rates earlier is liked more often, so that a score which knows nothing would look better than chance.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from core.evaluation.rows import Floats, Integers, ScoredRows


@dataclass(frozen=True)
class Ranked:
    """All rows, each user's together, best score first; rows of a user with one score are a group."""

    user: Integers
    rank: Integers
    """1.. within the user."""
    liked: Floats
    """Chance that the row at this rank is a liked one: the share of its group."""
    size: Integers
    """Rows of its group."""
    place: Integers
    """0.. within the group."""
    before: Floats
    """Liked rows of the user before the group."""
    counts: Integers
    """(U,) rows of each user."""
    positives: Floats
    """(U,) liked rows of each user."""

    @classmethod
    def of(cls, rows: ScoredRows) -> "Ranked":
        """Rank rows."""
        order = np.lexsort((-rows.score, rows.user))
        user, score = rows.user[order], rows.score[order]
        liked = rows.label[order].astype(np.float64)
        counts = np.bincount(user, minlength=rows.users)
        begins = np.cumsum(counts) - counts
        starts = np.flatnonzero(
            np.r_[True, (user[1:] != user[:-1]) | (score[1:] != score[:-1])][: len(user)]
        )
        sizes = np.diff(np.r_[starts, len(user)])
        group = np.repeat(np.arange(len(starts)), sizes)
        of_group = np.bincount(group, liked, minlength=len(starts))
        so_far = np.r_[0.0, np.cumsum(liked)]
        places = np.arange(len(rows))
        return cls(
            user=user,
            rank=places + 1 - begins[user],
            liked=of_group[group] / sizes[group],
            size=sizes[group],
            place=places - starts[group],
            before=so_far[starts[group]] - so_far[begins[user]],
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
    # Of a liked row within its group: those liked among the others of the group, as far as they stand before it.
    others = np.divide(
        ranked.liked * ranked.size - 1,
        ranked.size - 1,
        out=np.zeros_like(ranked.liked),
        where=ranked.size > 1,
    )
    precision = (ranked.before + 1 + others * ranked.place) / ranked.rank
    gained = ranked.user_sums(np.where(ranked.rank <= k, ranked.liked * precision, 0.0))
    return ranked.per_user(gained, ranked.positives)


def user_hits(rows: ScoredRows, k: int) -> Floats:
    """Return (U,) 1 if one of the first k rows was liked, else 0; in between where equal scores leave it open."""
    ranked = Ranked.of(rows)
    first = np.flatnonzero((ranked.place == 0) & (ranked.rank <= k))  # once for each group
    size = ranked.size[first]
    within = np.minimum(k - ranked.rank[first] + 1, size)
    missed = np.ones(len(ranked.counts))
    none = _chance_of_none(size, np.rint(ranked.liked[first] * size), within)
    np.multiply.at(missed, ranked.user[first], none)
    return ranked.per_user(1 - missed, np.ones(len(missed)))


def _chance_of_none(size: Integers, liked: Floats, drawn: Integers) -> Floats:
    """Return the chance that of `size` rows, so many liked, none is among so many drawn of them."""
    other = size - liked
    possible = drawn <= other
    left = np.where(possible, other - drawn, 0)
    log = gammaln(other + 1) - gammaln(left + 1) + gammaln(size - drawn + 1) - gammaln(size + 1)
    return np.where(possible, np.exp(log), 0.0)
