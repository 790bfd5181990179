"""How far the probabilities can be taken at their word."""

from dataclasses import dataclass

import numpy as np

from core.evaluation.rows import Floats, Integers, ScoredRows, Statistic, divide, row_mean

BINS = 10
"""Bins of equal width over 0..1 for the calibration error."""
_NEVER_SURE = float(np.finfo(np.float64).eps)


def log_loss_statistic(rows: ScoredRows) -> Statistic:
    """Prepare the mean of -log P(label); P is kept 2e-16 away from 0 and 1."""
    probability = np.clip(rows.probability, _NEVER_SURE, 1 - _NEVER_SURE)
    losses = -np.log(np.where(rows.label == 1, probability, 1 - probability))
    return row_mean(rows.user, losses)


def brier_statistic(rows: ScoredRows) -> Statistic:
    """Prepare the mean of (probability - label) squared."""
    return row_mean(rows.user, (rows.probability - rows.label) ** 2)


def calibration_error_statistic(rows: ScoredRows) -> Statistic:
    """Prepare the expected calibration error: |mean probability - like-rate| of bins, by rows."""
    shape = (rows.users, BINS)
    gaps = np.zeros(shape)
    np.add.at(gaps, (rows.user, bin_of(rows.probability)), rows.probability - rows.label)
    counts = np.bincount(rows.user, minlength=rows.users).astype(np.float64)
    return lambda weights: divide(np.abs(weights @ gaps).sum(1), weights @ counts)


def bin_of(probability: Floats) -> Integers:
    """Return (n,) bins 0..BINS - 1; a probability of 1 belongs to the last."""
    return np.minimum((probability * BINS).astype(np.int64), BINS - 1)


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """One point of a calibration plot."""

    rows: int
    probability: float
    """Mean of the bin's rows."""
    like_rate: float


def calibration_curve(rows: ScoredRows) -> list[CalibrationBin]:
    """Return the bins that hold rows, lowest probability first."""
    bins = bin_of(rows.probability)
    return [
        CalibrationBin(
            rows=int((bins == b).sum()),
            probability=float(rows.probability[bins == b].mean()),
            like_rate=float(rows.label[bins == b].mean()),
        )
        for b in np.unique(bins)
    ]
