"""The figure that encoders stop by."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.dataset import Dataset


def valid_auc(
    dataset: Dataset, score_rows: Callable[[Any], npt.NDArray[np.float64]]
) -> float | None:
    """Return the AUC over the valid rows, None without rows or with one label only."""
    from sklearn.metrics import roc_auc_score

    rows = dataset.rows("valid")
    if len(np.unique(dataset.label[rows])) < 2:
        return None
    return float(roc_auc_score(dataset.label[rows], score_rows(rows)))
