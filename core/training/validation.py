"""How good the weights are right now, on rows of the valid split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation.auc import auc
from core.evaluation.calibration import log_loss
from core.evaluation.uauc import uauc
from core.scoring.scorer import Scorer
from core.text.examples import Examples
from core.text.prompts import Prompt, PromptBuilder
from core.training.lora import NoDropout


@dataclass(frozen=True, kw_only=True)
class Validator:
    """Scores fixed prompts and measures AUC, UAUC and log loss."""

    model: Any
    scorer: Scorer
    relevance: str
    prompts: Sequence[Prompt]
    labels: npt.NDArray[np.int8]
    users: npt.NDArray[np.int32]
    columns: npt.NDArray[np.float64] | None = None

    def __call__(self) -> Mapping[str, float]:
        """Return auc, uauc, log_loss and rows; not-a-number where a metric is not defined."""
        if not len(self.prompts):
            return {"auc": float("nan"), "uauc": float("nan"), "log_loss": float("nan"), "rows": 0}
        with NoDropout(self.model):
            score = self.scorer.score(self.prompts, self.columns).score(self.relevance)
        return {
            "auc": auc(self.labels, score),
            "uauc": uauc(self.labels, score, self.users).value,
            "log_loss": log_loss(self.labels, 1 / (1 + np.exp(-score))),
            "rows": len(self.labels),
        }


def prompts_of_rows(
    examples: Examples, builder: PromptBuilder, rows: npt.NDArray[np.int64]
) -> list[Prompt]:
    """Build the prompts of rows."""
    made = examples.of_rows(rows, builder.config.history_length)
    return [builder.build(example) for example in made]
