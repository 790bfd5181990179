"""Scores as they come from files, and scores of several scorers brought onto the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from core.data.tables import read_table
from core.errors import EmptySplitError, MismatchError
from core.evaluation.rows import Floats, Integers, ScoredRows

OnDifferentRows = Literal["refuse", "intersect"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Labelled rows that one scorer scored, in the order of the data set."""

    row: Integers
    """(n,) rows of the data set."""
    user: Sequence[str]
    label: Integers
    score: Floats
    probability: Floats
    route: Sequence[str | None] | None = None
    """(n,) route of the gate; None for a scorer without experts."""

    def __len__(self) -> int:
        return len(self.user)

    def take(self, index: Integers) -> "Scores":
        """Return the rows at these positions, in this order."""
        return Scores(
            row=self.row[index],
            user=[self.user[i] for i in index],
            label=self.label[index],
            score=self.score[index],
            probability=self.probability[index],
            route=None if self.route is None else [self.route[i] for i in index],
        )

    def measured_as(self, score: Floats, probability: Floats) -> "Scores":
        """Return the same rows with the scores of another scorer."""
        return Scores(
            row=self.row,
            user=self.user,
            label=self.label,
            score=score,
            probability=probability,
        )

    def scored_rows(self) -> ScoredRows:
        """Return what metrics measure. Raises: BadValueError."""
        return ScoredRows.of(self.user, self.label, self.score, self.probability)


def read_scores(path: Path, name: str) -> Scores:
    """Read the labelled rows of a scores table, each once.

    Args:
        path: a scores.parquet.
        name: what to call it in messages.
    Raises: EmptySplitError if no row has a label.
    """
    columns = ["row", "user", "label", "score", "probability", "route"]
    table = read_table(path, columns)
    label = table["label"].astype(np.float64)
    labelled = np.flatnonzero(~np.isnan(label))
    if not len(labelled):
        raise EmptySplitError(
            f"{name} has no row with a known label, so there is nothing to measure it by",
            hint="Score a split of the data set: thinkrec score --split test.",
        )
    route = [table["route"][i] for i in labelled]
    scores = Scores(
        row=table["row"][labelled].astype(np.int64),
        user=[table["user"][i] for i in labelled],
        label=label[labelled].astype(np.int64),
        score=table["score"][labelled],
        probability=table["probability"][labelled],
        route=route if any(route) else None,
    )
    # In order, and once each: a file of pairs may name one twice.
    _, places = np.unique(scores.row, return_index=True)
    return scores.take(places)


def on_same_rows(
    scores: Mapping[str, Scores], on_different_rows: OnDifferentRows
) -> dict[str, Scores]:
    """Bring scores onto the same rows in the order of the data set.

    Raises: MismatchError if the rows differ and `on_different_rows` is refuse, EmptySplitError if no
        row is common to all.
    """
    first_name, first = next(iter(scores.items()))
    common = first.row
    for name, table in scores.items():
        shared = len(np.intersect1d(first.row, table.row))
        if on_different_rows == "refuse" and not len(first) == len(table) == shared:
            raise MismatchError(
                f"{first_name} has {len(first)} rows and {name} has {len(table)}, {shared} of "
                "them the same: figures over different rows do not compare",
                hint="Score the same split with each, or use --on-different-rows intersect.",
            )
        common = np.intersect1d(common, table.row)
    if not len(common):
        raise EmptySplitError(
            f"no row was scored by all of {', '.join(scores)}",
            hint="Score the same split of the same data set with each.",
        )
    return {
        name: table.take(np.intersect1d(table.row, common, return_indices=True)[1])
        for name, table in scores.items()
    }
