"""How good the weights are right now, on rows of the valid split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation.metrics import measures
from core.evaluation.rows import ScoredRows, value_of
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
        rows = ScoredRows.of(self.users, self.labels, score, 1 / (1 + np.exp(-score)))
        found = measures(rows, k=5)
        values = {
            name: value_of(found[name].statistic, rows.users)
            for name in ("auc", "uauc", "log_loss")
        }
        nan = float("nan")
        return {name: nan if v is None else v for name, v in values.items()} | {"rows": len(rows)}


def prompts_of_rows(
    examples: Examples, builder: PromptBuilder, rows: npt.NDArray[np.int64]
) -> list[Prompt]:
    """Build the prompts of rows."""
    made = examples.of_rows(rows, builder.config.history_length)
    return [builder.build(example) for example in made]
