"""Scored rows: the one thing that all ranking and calibration metrics measure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from core.errors import BadValueError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Statistic = Callable[[Floats], Floats]
"""A metric over fixed rows: weights (B, users) -> values (B,); a user of weight 2 counts as two.

Weights of one give the metric itself, drawn weights the bootstrap over users. NaN: not defined.
"""


@dataclass(frozen=True, kw_only=True)
class ScoredRows:
    """Rows with a known label, as one scorer scored them."""

    user: Integers
    """(n,) 0.., every number up to the highest occurs."""
    label: Integers
    """(n,) 1 liked, 0 not."""
    score: Floats
    """(n,) the higher, the more wanted."""
    probability: Floats
    """(n,) of a like, 0..1."""

    @classmethod
    def of(cls, user: Any, label: Any, score: Any, probability: Any) -> Self:
        """Number the users and check the values.

        Args:
            user: (n,) ids of any kind.
            label: (n,) 0 or 1.
            score: (n,) finite.
            probability: (n,) 0..1.
        Raises: BadValueError.
        """
        if isinstance(user, np.ndarray):
            _, codes = np.unique(user, return_inverse=True)
        else:  # texts as long as the longest, which numpy would make of ids, can be long
            place = {name: code for code, name in enumerate(sorted(set(user)))}
            codes = np.array([place[name] for name in user], dtype=np.int64)
        made = cls(
            user=codes.astype(np.int64),
            label=np.asarray(label).astype(np.int64),
            score=np.asarray(score, dtype=np.float64),
            probability=np.asarray(probability, dtype=np.float64),
        )
        made._check()
        return made

    def _check(self) -> None:
        hint = "Score the rows again; if it stays so, the scorer's training has diverged."
        if not np.isfinite(self.score).all():
            count = int((~np.isfinite(self.score)).sum())
            raise BadValueError(f"{count} of {len(self)} scores are not finite numbers", hint=hint)
        if not ((self.probability >= 0) & (self.probability <= 1)).all():
            raise BadValueError("probabilities are not between 0 and 1", hint=hint)
        if not np.isin(self.label, (0, 1)).all():
            raise BadValueError("labels are not 0 or 1", hint="Let ingest label the rows.")

    def __len__(self) -> int:
        return len(self.user)

    @property
    def users(self) -> int:
        """How many users have rows."""
        return int(self.user.max()) + 1 if len(self) else 0

    def where(self, mask: Mask) -> "ScoredRows":
        """Return the rows of a slice, with users numbered anew."""
        return ScoredRows.of(
            self.user[mask], self.label[mask], self.score[mask], self.probability[mask]
        )


def user_mean(values: Floats) -> Statistic:
    """Return the statistic that is the mean of (U,) values of users; NaN leaves a user out."""
    counts = ~np.isnan(values)
    filled = np.where(counts, values, 0.0)
    return lambda weights: divide(weights @ filled, weights @ counts.astype(np.float64))


def row_mean(user: Integers, values: Floats) -> Statistic:
    """Return the statistic that is the mean of (n,) values of rows."""
    sums = np.bincount(user, values)
    counts = np.bincount(user).astype(np.float64)
    return lambda weights: divide(weights @ sums, weights @ counts)


def divide(above: Floats, below: Floats) -> Floats:
    """Divide, giving NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def value_of(statistic: Statistic, users: int) -> float | None:
    """Return a metric itself, None where it is not defined."""
    if users == 0:
        return None
    value = float(statistic(np.ones((1, users)))[0])
    return None if np.isnan(value) else value
