"""AUC over all rows: how often a liked row scores above one that was not; ties are one half."""

import numpy as np

from core.evaluation.rows import Floats, ScoredRows, Statistic, divide


def auc_statistic(rows: ScoredRows) -> Statistic:
    """Prepare the AUC for weighted users: sorting happens once, for any number of weightings.

    It is undefined unless both labels occur.
    """
    liked = rows.label == 1
    order = np.argsort(rows.score[~liked], kind="stable")
    disliked_score, disliked_user = rows.score[~liked][order], rows.user[~liked][order]
    liked_user = rows.user[liked]
    # Of a liked row: how many disliked ones score below it, and how many not above it.
    below = np.searchsorted(disliked_score, rows.score[liked], side="left")
    not_above = np.searchsorted(disliked_score, rows.score[liked], side="right")

    def statistic(weights: Floats) -> Floats:
        positive, negative = weights[:, liked_user], weights[:, disliked_user]
        up_to = np.zeros((len(weights), len(disliked_user) + 1))
        np.cumsum(negative, axis=1, out=up_to[:, 1:])
        wins = (positive * (up_to[:, below] + up_to[:, not_above])).sum(1) / 2
        return divide(wins, positive.sum(1) * up_to[:, -1])

    return statistic
