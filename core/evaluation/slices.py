"""Parts of the rows that are measured on their own."""

from collections.abc import Sequence

import numpy as np

from core.data.dataset import Dataset
from core.data.histories import Histories
from core.evaluation.rows import Mask
from core.evaluation.scores import Scores

HISTORY_STARTS = (0, 5, 10, 25)
"""Where buckets of history length begin: prompts show the last 10 rows, SASRec sees the last 25."""


def slices_of(
    scores: Scores,
    dataset: Dataset,
    *,
    groups: dict[str, int] | None = None,
    routes: Sequence[str | None] | None = None,
) -> dict[str, Mask]:
    """Return name -> (n,) mask of every slice that holds rows, beginning with `all`.

    Args:
        scores: the rows.
        dataset: where the rows come from.
        groups: user -> group, where there are groups.
        routes: (n,) route of the gate, where there is one.
    """
    found: dict[str, Mask] = {"all": np.ones(len(scores), dtype=bool)}
    warm = _warm(scores, dataset)
    found |= {"warm": warm, "cold": ~warm}
    if scores.row is not None:
        lengths = Histories.of(dataset).counts(scores.row, dataset.user)
        for start, after in zip(HISTORY_STARTS, (*HISTORY_STARTS[1:], None), strict=True):
            name = f"history={start}+" if after is None else f"history={start}-{after - 1}"
            inside = lengths >= start if after is None else (lengths >= start) & (lengths < after)
            found[name] = inside
    if groups:
        own = np.array([groups.get(user, -1) for user in scores.user])
        found |= {f"group={group}": own == group for group in sorted(set(groups.values()))}
    if routes is not None:
        names = sorted({route for route in routes if route})
        found |= {f"route={name}": np.array([r == name for r in routes]) for name in names}
    return {name: mask for name, mask in found.items() if mask.any()}


def _warm(scores: Scores, dataset: Dataset) -> Mask:
    if scores.row is not None:
        return dataset.warm[scores.row].astype(bool)
    train = dataset.rows("train")
    users = {dataset.users[index] for index in np.unique(dataset.user[train])}
    items = {dataset.items[index] for index in np.unique(dataset.item[train])}
    pairs = zip(scores.user, scores.item, strict=True)
    return np.array([user in users and item in items for user, item in pairs])
