"""Parts of the rows that are measured on their own."""

from collections.abc import Mapping, Sequence

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
    histories: Histories,
    *,
    groups: Mapping[str, Mapping[str, int]] | None = None,
    routes: Mapping[str, Sequence[str | None]] | None = None,
) -> dict[str, Mask]:
    """Return name -> (n,) mask of every slice that holds rows, beginning with `all`.

    Groups and routes are named with what parts the rows (`group=0 by groups/sasrec-2@1`), so that a name means the
    same in every evaluation.

    Args:
        scores: the rows.
        dataset: where the rows come from.
        histories: that the rows were asked with.
        groups: groups artifact -> user -> group, where there are groups.
        routes: scorer -> (n,) route of its gate, where there is one.
    """
    found: dict[str, Mask] = {"all": np.ones(len(scores), dtype=bool)}
    warm = dataset.warm[scores.row].astype(bool)
    found |= {"warm": warm, "cold": ~warm}
    lengths = histories.counts(scores.row)
    for start, after in zip(HISTORY_STARTS, (*HISTORY_STARTS[1:], None), strict=True):
        name = f"history={start}+" if after is None else f"history={start}-{after - 1}"
        inside = lengths >= start if after is None else (lengths >= start) & (lengths < after)
        found[name] = inside
    grouped = {
        name: [None if (own := of_user.get(user)) is None else str(own) for user in scores.user]
        for name, of_user in (groups or {}).items()
    }
    found |= _partitions("group", grouped) | _partitions("route", routes or {})
    return {name: mask for name, mask in found.items() if mask.any()}


def _partitions(kind: str, values: Mapping[str, Sequence[str | None]]) -> dict[str, Mask]:
    """Return the slices of one or several ways to part the rows; ways that part them alike are told once.

    Args:
        kind: group or route.
        values: what parts the rows -> (n,) part of each row, None for rows in none.
    """
    different = {
        tuple(parts): name
        for name, parts in reversed(list(values.items()))
        if len(set(parts)) > 1  # one part that holds all rows is no slice
    }
    found: dict[str, Mask] = {}
    for name, parts in values.items():
        if different.get(tuple(parts)) != name:
            continue
        for part in sorted({part for part in parts if part}):
            found[f"{kind}={part} by {name}"] = np.array([one == part for one in parts], dtype=bool)
    return found
