"""All metrics of scores by name, measured together with intervals."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.evaluation.auc import auc_statistic
from core.evaluation.calibration import (
    brier_statistic,
    calibration_error_statistic,
    log_loss_statistic,
)
from core.evaluation.intervals import (
    LEAST_USERS,
    Difference,
    Interval,
    difference,
    interval,
    require_same_rows,
    resample,
)
from core.evaluation.ranking import user_average_precisions, user_hits, user_ndcgs
from core.evaluation.rows import Floats, Integers, ScoredRows, Statistic, user_mean, value_of
from core.evaluation.uauc import user_aucs


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric over prepared rows."""

    statistic: Statistic
    users: int
    """Users that count."""
    independent: int
    """Users whose drawing can move it: where likes meet dislikes of others, those who have the rarer of the two."""
    told: Floats
    """(n,) what it is computed from: values of users, or what the scorer says of rows."""
    owner: Integers
    """(n,) the user of each."""
    is_fair: bool = True
    """Whether its draws lie around its value."""
    most: float = 1.0
    """Above which it cannot be; nor below zero."""

    @property
    def is_drawn(self) -> bool:
        """Whether it gets an interval."""
        return self.is_fair and self.independent >= LEAST_USERS


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One metric of one scorer over one slice."""

    value: float | None
    interval: Interval | None
    rows: int
    users: int
    """Users that count."""
    users_left_out: int


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How intervals are drawn."""

    samples: int = 1000
    seed: int = 0


def measures(rows: ScoredRows, cut_offs: Sequence[int]) -> dict[str, Measure]:
    """Prepare every metric, in the order in which they are shown; those of ranking once for each cut-off."""
    ranking = {"ndcg": user_ndcgs, "map": user_average_precisions, "hr": user_hits}
    per_user = {"uauc": user_aucs(rows)} | {
        f"{name}@{k}": per_user_of(rows, k)
        for name, per_user_of in ranking.items()
        for k in sorted(set(cut_offs))
    }
    over_rows: dict[str, Callable[[ScoredRows], Statistic]] = {
        "log_loss": log_loss_statistic,
        "brier": brier_statistic,
        "ece": calibration_error_statistic,
    }
    return {
        "auc": Measure(
            statistic=auc_statistic(rows),
            users=rows.users,
            independent=min(len(np.unique(rows.user[rows.label == label])) for label in (0, 1)),
            told=rows.score,
            owner=rows.user,
        ),
        **{name: _mean_of_users(values) for name, values in per_user.items()},
        **{
            name: Measure(
                statistic=prepare(rows),
                users=rows.users,
                independent=rows.users,
                told=rows.probability,
                owner=rows.user,
                # A sum of absolute values grows by every draw's noise.
                is_fair=name != "ece",
                most=math.inf if name == "log_loss" else 1.0,
            )
            for name, prepare in over_rows.items()
        },
    }


def measure_all(
    scorers: Mapping[str, ScoredRows],
    *,
    cut_offs: Sequence[int] = (5,),
    drawing: Drawing | None = None,
) -> "Measurement":
    """Measure scorers on the same rows, with the same draws for all.

    Args:
        scorers: name -> its scores; all over the same rows in the same order.
        cut_offs: of the ranking metrics.
    Raises: MismatchError if the rows differ.
    """
    drawing = drawing or Drawing()
    reference = next(iter(scorers.values()))
    for rows in scorers.values():
        require_same_rows(reference, rows)
    prepared = {name: measures(rows, cut_offs) for name, rows in scorers.items()}
    # The rows are the same, so the users that count are, too.
    names = [n for n, measure in next(iter(prepared.values())).items() if measure.is_drawn]
    flat = [table[name].statistic for table in prepared.values() for name in names]
    samples = resample(
        flat,
        users=reference.users,
        rows=len(reference),
        samples=drawing.samples,
        seed=drawing.seed,
    )
    shaped = samples.reshape(len(scorers), len(names), drawing.samples)
    drawn = {
        scorer: dict(zip(names, values, strict=True))
        for scorer, values in zip(scorers, shaped, strict=True)
    }
    return Measurement(rows=reference, prepared=prepared, drawn=drawn)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Scorers measured on the same rows, and the draws that their intervals come from."""

    rows: ScoredRows
    """Of any of the scorers: users and labels are those of all."""
    prepared: Mapping[str, Mapping[str, Measure]]
    """Scorer -> metric -> measure."""
    drawn: Mapping[str, Mapping[str, Floats]]
    """Scorer -> metric that gets an interval -> (samples,) values over drawn users, the same for all scorers."""
    _values: dict[tuple[str, str], float | None] = field(default_factory=dict)

    def value(self, scorer: str, metric: str) -> float | None:
        """Return the metric over all rows, computed once."""
        if (scorer, metric) not in self._values:
            statistic = self.prepared[scorer][metric].statistic
            self._values[scorer, metric] = value_of(statistic, self.rows.users)
        return self._values[scorer, metric]

    def figures(self, scorer: str) -> dict[str, Figure]:
        """Return every metric of one scorer."""
        return {
            metric: Figure(
                value=self.value(scorer, metric),
                interval=self._interval(scorer, metric),
                rows=len(self.rows),
                users=measure.users,
                users_left_out=self.rows.users - measure.users,
            )
            for metric, measure in self.prepared[scorer].items()
        }

    def gap(self, scorer: str, other: str, metric: str) -> float | None:
        """Return the metric of one scorer minus that of another; None where either is not defined."""
        first, second = self.value(scorer, metric), self.value(other, metric)
        return None if first is None or second is None else first - second

    def difference(self, scorer: str, other: str, metric: str) -> Difference | None:
        """Return the gap with its interval; None where it is not defined, nothing was drawn or few users make it."""
        gap, measure = self.gap(scorer, other, metric), self.prepared[scorer][metric]
        if gap is None or not measure.is_drawn:
            return None
        differing = self._differing(scorer, other, metric)
        if not differing and len(self.drawn[scorer][metric]):
            return Difference(value=gap, low=gap, high=gap, p_value=1.0)
        # Six who agree among fifty of whom both say the same are six, not fifty.
        users = min(measure.independent, differing)
        if users < LEAST_USERS:
            return None
        return difference(
            gap,
            self.drawn[scorer][metric],
            self.drawn[other][metric],
            users=users,
            most=measure.most,
        )

    def _differing(self, scorer: str, other: str, metric: str) -> int:
        """Return of how many users two scorers say something else."""
        first, second = (self.prepared[name][metric] for name in (scorer, other))
        unknown = np.isnan(first.told) & np.isnan(second.told)
        differs = (first.told != second.told) & ~unknown
        return len(np.unique(first.owner[differs]))

    def _interval(self, scorer: str, metric: str) -> Interval | None:
        value, measure = self.value(scorer, metric), self.prepared[scorer][metric]
        if value is None or not measure.is_drawn:
            return None
        drawn = self.drawn[scorer][metric]
        return interval(value, drawn, users=measure.independent, least=0, most=measure.most)


def _mean_of_users(values: Floats) -> Measure:
    users = int((~np.isnan(values)).sum())
    return Measure(
        statistic=user_mean(values),
        users=users,
        independent=users,
        told=values,
        owner=np.arange(len(values)),
    )
