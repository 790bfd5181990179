"""What every scorer has to beat: one number for all rows, and honest counts."""

import tempfile
from pathlib import Path

import numpy as np

from core.data.dataset import Dataset
from core.errors import EmptySplitError
from core.evaluation.scores import Scores
from core.progress import Progress

CONSTANT = "constant"
BIAS = "bias"


def constant_scores(scores: Scores, dataset: Dataset) -> Scores:
    """Return train's like-rate as the probability of every row. Raises: EmptySplitError."""
    train = dataset.rows("train")
    if not len(train):
        raise EmptySplitError(
            "the data set has no train rows", hint="Choose another split in ingest."
        )
    # One more liked row and one more that was not: the logit stays finite whatever the labels.
    rate = (int(dataset.label[train].sum()) + 1) / (len(train) + 2)
    shape = len(scores)
    return scores.measured_as(
        np.full(shape, float(np.log(rate / (1 - rate)))), np.full(shape, rate)
    )


def bias_scores(scores: Scores, dataset: Dataset, progress: Progress) -> Scores:
    """Fit the bias encoder with its default settings on train, and score the rows with it.

    Args:
        scores: rows of the data set.
    Raises: EmptySplitError if train does not hold both labels.
    """
    from core.config.encode import EncodeConfig
    from core.data.histories import Histories
    from core.encoders.bias import BiasEncoder

    encoder = BiasEncoder(EncodeConfig(encoder="bias"), dataset, Histories.of(dataset))
    with tempfile.TemporaryDirectory() as scratch:
        encoder.fit(Path(scratch), progress)
    logits = encoder.score_rows(scores.row)
    return scores.measured_as(logits, 1 / (1 + np.exp(-logits)))
