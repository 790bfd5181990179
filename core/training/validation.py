"""How good the weights are right now, on rows of the valid split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import TrainingDivergedError
from core.evaluation.auc import auc_statistic
from core.evaluation.intervals import LEAST_USERS, resample, widening
from core.evaluation.metrics import measures
from core.evaluation.rows import ScoredRows, value_of
from core.scoring.scorer import Scorer
from core.text.examples import Examples
from core.text.prompts import Prompt, PromptBuilder
from core.training.lora import NoDropout


@dataclass(kw_only=True)
class Validator:
    """Scores fixed prompts and measures AUC, UAUC and log loss."""

    model: Any
    scorer: Scorer
    relevance: str
    prompts: Sequence[Prompt]
    labels: npt.NDArray[np.int8]
    users: npt.NDArray[np.int32]
    columns: npt.NDArray[np.float64] | None = None
    last: ScoredRows | None = field(default=None, init=False)
    """The rows as the last call scored them."""

    def __post_init__(self) -> None:
        """Refuse prompts that the model cannot read whole, before anything trains. Raises: MismatchError."""
        self.scorer.require_room(self.prompts)

    def __call__(self) -> Mapping[str, float]:
        """Return auc, uauc, log_loss, mean_score and rows; not-a-number where a metric is not defined."""
        nan = float("nan")
        if not len(self.prompts):
            return {"auc": nan, "uauc": nan, "log_loss": nan, "mean_score": nan, "rows": 0}
        rows = self.last = self.scored()
        found = measures(rows, cut_offs=())
        values = {
            name: value_of(found[name].statistic, rows.users)
            for name in ("auc", "uauc", "log_loss")
        }
        return {name: nan if v is None else v for name, v in values.items()} | {
            "mean_score": float(rows.score.mean()),
            "rows": len(rows),
        }

    def scored(self) -> ScoredRows:
        """Score the rows with the weights as they are. Raises: TrainingDivergedError if a score is not finite."""
        if not len(self.prompts):
            return ScoredRows.of([], [], [], [])
        with NoDropout(self.model):
            score = self.scorer.score(self.prompts, self.columns).score(self.relevance)
        if not np.isfinite(score).all():
            raise TrainingDivergedError(
                "the scores of valid rows are not finite numbers", hint="Lower --lr-peak."
            )
        return ScoredRows.of(self.users, self.labels, score, 1 / (1 + np.exp(-score)))


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much better one scorer's AUC is than another's on the same rows."""

    without: float
    value: float
    standard_error: float
    """Of the difference, by paired bootstrap over users."""

    @property
    def clear(self) -> bool:
        """Whether it is more than one standard error; False without one (one label, or few users of both)."""
        return self.value > self.standard_error


def gain(better: ScoredRows, without: ScoredRows, *, samples: int = 1000, seed: int = 0) -> Gain:
    """Compare what may be the better scores with those of the simpler model on the same rows."""
    nan = float("nan")
    if not len(without):
        return Gain(without=nan, value=nan, standard_error=nan)
    first, second = (auc_statistic(rows) for rows in (better, without))
    drawn = resample(
        [first, second], users=without.users, rows=len(without), samples=samples, seed=seed
    )
    found, base = (value_of(statistic, without.users) for statistic in (first, second))
    base = nan if base is None else base
    gaps = (drawn[0] - drawn[1])[~np.isnan(drawn[0] - drawn[1])]
    users = min(len(np.unique(without.user[without.label == label])) for label in (0, 1))
    return Gain(
        without=base,
        value=nan if found is None else found - base,
        # Of few users all draws are alike.
        standard_error=widening(users) * float(gaps.std(ddof=1))
        if len(gaps) > 1 and users >= LEAST_USERS
        else nan,
    )


def prompts_of_rows(
    examples: Examples, builder: PromptBuilder, rows: npt.NDArray[np.int64]
) -> list[Prompt]:
    """Build the prompts of rows."""
    made = examples.of_rows(rows, builder.config.history_length)
    return [builder.build(example) for example in made]
