"""The figures over the valid rows: the one that encoders stop by, and the one shown beside it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.dataset import Dataset
from core.errors import TrainingDivergedError

Score = Callable[[Any], npt.NDArray[np.float64]]
"""Rows of the data set -> their logits."""


def valid_auc(dataset: Dataset, score_rows: Score) -> float | None:
    """Return the AUC over the valid rows, None without rows or with one label only.

    Raises: TrainingDivergedError if a score is not finite.
    """
    from sklearn.metrics import roc_auc_score

    rows = dataset.rows("valid")
    if not has_both_labels(dataset):
        return None
    return float(roc_auc_score(dataset.label[rows], _finite(score_rows(rows))))


def valid_uauc(dataset: Dataset, score_rows: Score) -> float | None:
    """Return the mean of the users' own AUCs over the valid rows, None if no user has both labels."""
    from core.evaluation.rows import ScoredRows
    from core.evaluation.uauc import uauc

    rows = dataset.rows("valid")
    if not len(rows):
        return None
    score = _finite(score_rows(rows))
    probability = 1 / (1 + np.exp(-score.clip(-700, 700)))
    return uauc(ScoredRows.of(dataset.user[rows], dataset.label[rows], score, probability))


def has_both_labels(dataset: Dataset) -> bool:
    """Whether the valid rows can be ranked right or wrong at all."""
    return len(np.unique(dataset.label[dataset.rows("valid")])) == 2


def _finite(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not np.isfinite(scores).all():
        raise TrainingDivergedError(
            "the scores of valid rows are not finite numbers", hint="Lower --learning-rate."
        )
    return scores
