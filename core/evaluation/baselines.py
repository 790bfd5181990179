"""What every scorer has to beat: one number for all rows, the likes a history ends with, and honest counts."""

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.data.counts import RECENT as RECENT_ROWS
from core.data.dataset import Dataset
from core.data.histories import Histories
from core.errors import EmptySplitError
from core.evaluation.scores import Scores
from core.progress import Progress

CONSTANT = "constant"
RECENT = "recent"
BIAS = "bias"

_PSEUDO_ROWS = 2.0
"""Rows with train's like-rate that `recent` adds to those it reads: nobody is certain after one row."""


def constant_scores(scores: Scores, dataset: Dataset) -> Scores:
    """Return train's like-rate as the probability of every row. Raises: EmptySplitError."""
    return _at_rates(scores, np.full(len(scores), _train_rate(dataset)))


def recent_scores(scores: Scores, dataset: Dataset, histories: Histories) -> Scores:
    """Return the like-rate of the last 10 rows before each, whatever item is asked for. Raises: EmptySplitError.

    That is what a model knows that counts the answers in its prompt and cannot tell items apart. Its UAUC tends to lie
    below .5, also with labels in random order: what a user has liked already is missing among the rows that are left.

    Args:
        scores: rows of the data set.
        dataset: the data set.
        histories: that the rows were asked with.
    """
    rate = _train_rate(dataset)
    end = histories.end[scores.row]
    first = np.maximum(histories.start[dataset.user[scores.row]], end - RECENT_ROWS)
    likes = np.concatenate([[0], np.cumsum(dataset.label[histories.order], dtype=np.int64)])
    seen = end - first
    return _at_rates(
        scores, (likes[end] - likes[first] + _PSEUDO_ROWS * rate) / (seen + _PSEUDO_ROWS)
    )


def bias_scores(
    scores: Scores, dataset: Dataset, histories: Histories, progress: Progress
) -> Scores:
    """Fit the bias encoder with its default settings on train, and score the rows with it.

    Args:
        scores: rows of the data set.
        dataset: the data set.
        histories: that the rows were asked with.
        progress: where the fit reports to.
    Raises: EmptySplitError if train does not hold both labels.
    """
    from core.config.encode import EncodeConfig
    from core.encoders.bias import BiasEncoder

    encoder = BiasEncoder(EncodeConfig(encoder="bias"), dataset, histories)
    with tempfile.TemporaryDirectory() as scratch:
        encoder.fit(Path(scratch), progress)
    logits = encoder.score_rows(scores.row)
    return scores.measured_as(logits, np.exp(-np.logaddexp(0, -logits)))


def _train_rate(dataset: Dataset) -> float:
    """Return train's like-rate, never 0 or 1. Raises: EmptySplitError."""
    train = dataset.rows("train")
    if not len(train):
        raise EmptySplitError(
            "the data set has no train rows", hint="Choose another split in ingest."
        )
    # One more liked row and one more that was not: the logit stays finite whatever the labels.
    return float((int(dataset.label[train].sum()) + 1) / (len(train) + 2))


def _at_rates(scores: Scores, rates: npt.NDArray[np.float64]) -> Scores:
    return scores.measured_as(np.log(rates / (1 - rates)), rates)
