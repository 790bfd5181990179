"""AUC over all rows: how often a liked row scores above one that was not; ties are one half."""

import numpy as np

from core.evaluation.rows import Floats, ScoredRows, Statistic, divide, value_of


def auc(rows: ScoredRows) -> float | None:
    """Return the AUC; None unless both labels occur."""
    return value_of(auc_statistic(rows), rows.users)


def auc_statistic(rows: ScoredRows) -> Statistic:
    """Prepare the AUC for weighted users: sorting happens once, for any number of weightings."""
    order = np.argsort(rows.score, kind="stable")
    score, user = rows.score[order], rows.user[order]
    liked = rows.label[order].astype(np.float64)
    first_of_tie = np.flatnonzero(np.r_[True, score[1:] != score[:-1]]) if len(rows) else order

    def statistic(weights: Floats) -> Floats:
        if not len(user):
            return np.full(len(weights), np.nan)
        row_weights = weights[:, user]
        total = np.add.reduceat(row_weights, first_of_tie, axis=1)
        positive = np.add.reduceat(row_weights * liked, first_of_tie, axis=1)
        negative = total - positive
        below = np.cumsum(negative, axis=1) - negative
        wins = (positive * (below + negative / 2)).sum(1)
        return divide(wins, positive.sum(1) * negative.sum(1))

    return statistic
