"""95 % intervals and comparisons by bootstrap over users.

Users are drawn, not rows: rows of one user resemble each other, so drawing rows would make
intervals too narrow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from core.errors import MismatchError
from core.evaluation.rows import Floats, ScoredRows, Statistic

LOW, HIGH = 2.5, 97.5
LEAST_USERS = 6
"""Below, no interval: even if all users agree, chance alone does that once in 2^(n-1) times, and not before six is
this under .05. Draws of few users know nothing of it: of two that agree, every draw is the same.
"""
MOST_UNDEFINED = 0.05
"""Share of draws in which a metric may be undefined: an interval of the rest would be of other data."""
LEVEL = 0.05
"""p below which a difference counts as more than chance."""
_CELLS_AT_ONCE = 4_000_000
"""Weights of rows held in memory at a time: 32 MB."""


@dataclass(frozen=True)
class Interval:
    """Where 95 % of the resampled values lie."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of one scorer minus the same of another, on the same rows."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided: how often the resampled difference lies on the other side of zero, doubled; never below that of a
    sign test in which all users agree.
    """


def resample(
    statistics: Sequence[Statistic], *, users: int, rows: int, samples: int, seed: int
) -> Floats:
    """Return (len(statistics), samples) values over users drawn with replacement.

    All statistics see the same draws, so values of one column can be compared.

    Args:
        users: how many users the statistics were prepared with.
        rows: how many rows, to bound the memory.
        samples: how many draws.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    out = np.full((len(statistics), samples), np.nan)
    if users == 0:
        return out
    step = max(1, _CELLS_AT_ONCE // max(users, rows))
    for start in range(0, samples, step):
        count = min(step, samples - start)
        drawn = generator.integers(0, users, (count, users)) + np.arange(count)[:, None] * users
        weights = np.bincount(drawn.ravel(), minlength=count * users).reshape(count, users)
        as_floats = weights.astype(np.float64)
        for index, statistic in enumerate(statistics):
            out[index, start : start + count] = statistic(as_floats)
    return out


def beyond_chance(low: float | None, high: float | None, p_value: float | None) -> bool:
    """Whether the interval of a difference leaves out zero, and its p is below LEVEL."""
    if low is None or high is None or p_value is None:
        return False
    return (low > 0 or high < 0) and p_value < LEVEL


def interval(
    value: float, drawn: Floats, *, users: int, least: float = -math.inf, most: float = math.inf
) -> Interval | None:
    """Return the interval of a metric; None if too many of its draws are not defined.

    Args:
        value: over all rows.
        drawn: (samples,) resampled values.
        users: how many can move it, at least two.
        least: below which it cannot be.
        most: above which it cannot be.
    """
    spread = _spread(value, drawn, users)
    if spread is None:
        return None
    found = _middle(spread, least, most)
    if found.low == found.high == value and value in (least, most):
        # All users alike at the end of the range, so that draws know nothing: as far as it can be from there and still
        # give all of them one time in forty.
        room = (most - least) * (1 - (1 - HIGH / 100) ** (1 / users))
        found = Interval(least, least + room) if value == least else Interval(most - room, most)
    return found


def _middle(spread: Floats, least: float, most: float) -> Interval:
    low, high = np.clip(np.percentile(spread, [LOW, HIGH]), least, most)
    return Interval(float(low), float(high))


def _spread(value: float, drawn: Floats, users: int) -> Floats | None:
    """Return the draws that are defined, as far from the value as those of many users would be; None if too few are."""
    defined = drawn[~np.isnan(drawn)]
    if not len(defined) or len(defined) < (1 - MOST_UNDEFINED) * len(drawn):
        return None
    return value + widening(users) * (defined - value)


@cache
def widening(users: int) -> float:
    """Return by how much draws of so few users lie too near: as Student's t to the normal distribution, and n to n - 1.

    Drawn users differ less than those that could have been asked, and how much users differ is itself a guess.
    """
    from scipy.special import ndtri, stdtrit

    tail = HIGH / 100
    return float(stdtrit(users - 1, tail) / ndtri(tail) * math.sqrt(users / (users - 1)))


def difference(
    value: float, first: Floats, second: Floats, *, users: int, most: float = math.inf
) -> Difference | None:
    """Return the paired difference of two scorers.

    Args:
        value: the difference over all rows.
        first: (samples,) resampled values of one scorer.
        second: (samples,) of the other, from the same draws.
        users: of how many the scorers say something else, at least two: all others are on neither side.
        most: that it cannot be above, nor below the negative of it.
    """
    gaps = _spread(value, first - second, users)
    if gaps is None:
        return None
    found = _middle(gaps, -most, most)
    # One is added to counts, so that the p-value is never zero: the samples cannot tell that much.
    below, above = ((gaps <= 0).sum() + 1, (gaps >= 0).sum() + 1)
    p_value = max(2 * min(below, above) / (len(gaps) + 1), 2.0 ** (1 - users))
    return Difference(value=value, low=found.low, high=found.high, p_value=float(min(1.0, p_value)))


def require_same_rows(first: ScoredRows, second: ScoredRows) -> None:
    """Raises: MismatchError unless both score the same rows in the same order."""
    same = (
        len(first) == len(second)
        and np.array_equal(first.user, second.user)
        and np.array_equal(first.label, second.label)
    )
    if not same:
        raise MismatchError(
            f"scores of different rows cannot be compared ({len(first)} and {len(second)} rows)",
            hint="Score the same split of the same data set with both.",
        )
