"""UAUC: the mean of the users' own AUCs, over users with at least two rows and both labels."""

import numpy as np

from core.evaluation.rows import Floats, ScoredRows, Statistic, divide, user_mean, value_of


def uauc(rows: ScoredRows) -> float | None:
    """Return the UAUC; None if no user has both labels."""
    return value_of(uauc_statistic(rows), rows.users)


def uauc_statistic(rows: ScoredRows) -> Statistic:
    """Prepare the UAUC for weighted users."""
    return user_mean(user_aucs(rows))


def user_aucs(rows: ScoredRows) -> Floats:
    """Return (U,) AUC of every user by mid-ranks; NaN for a user without both labels."""
    order = np.lexsort((rows.score, rows.user))
    user, score = rows.user[order], rows.score[order]
    counts = np.bincount(user, minlength=rows.users)
    begins = np.cumsum(counts) - counts
    rank = np.arange(1, len(rows) + 1) - begins[user]  # 1.. within the user, lowest score first
    fresh = np.ones(len(rows), dtype=bool)
    fresh[1:] = (user[1:] != user[:-1]) | (score[1:] != score[:-1])
    tie = np.cumsum(fresh) - 1
    middle = np.bincount(tie, rank) / np.bincount(tie)  # rows of equal score share their mean rank
    liked = rows.label[order].astype(np.float64)
    positive = np.bincount(user, liked, minlength=rows.users)
    negative = counts - positive
    rank_sum = np.bincount(user, liked * middle[tie], minlength=rows.users)
    return divide(rank_sum - positive * (positive + 1) / 2, positive * negative)
