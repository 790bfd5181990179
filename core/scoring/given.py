"""Scores that another program gave: looked up in a file instead of asked of a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.config.score import ScoreConfig
from core.data import spill
from core.data.dataset import Dataset
from core.errors import BadValueError, EmptyFileError
from core.progress import Progress
from core.scoring.language import Scored
from core.scoring.questions import Index, Questions, of_split
from core.scoring.tables import open_table

_COLUMNS = ("user", "item", "score")


@dataclass(frozen=True, kw_only=True)
class GivenScorer:
    """Knows the scores of some rows of a data set, and nothing else."""

    rows: Index
    """(n,) rows of the data set, ascending."""
    scores: npt.NDArray[np.float64]
    """(n,) their scores."""
    number_format = "float64"
    device = "cpu"

    def score_rows(self, rows: Index) -> Scored:
        """See RowOrPairScorer."""
        return Scored(score=self.scores[np.searchsorted(self.rows, rows)])

    def score_pairs(self, users: Index, items: Index) -> Scored:
        """See RowOrPairScorer; rows are all that is asked."""
        raise NotImplementedError


def from_scored_file(
    config: ScoreConfig, dataset: Dataset, folder: Path, progress: Progress
) -> tuple[Questions, GivenScorer]:
    """Take the rows of a split that a file with columns user, item and score has scores for.

    What else the file holds is passed over: it may have scores of every item for every user.

    Args:
        folder: to spill to.
    Raises: what open_table does, BadValueError for a score that is no number and for a pair that occurs twice,
        EmptySplitError, EmptyFileError if no row of the split is among the pairs.
    """
    assert config.given is not None
    path, split = config.given, of_split(config, dataset)
    with spill.connect(folder) as connection:
        open_table(connection, path, _COLUMNS)
        _register(connection, split, dataset)
        connection.execute(
            "create table found as select asked.row, n, try_cast(given.score as double) as value, given.score as text "
            'from given join asked on given."user" = asked."user" and given.item = asked.item'
        )
        _check(connection, path, dataset)
        known = connection.execute("select row, value from found order by row").fetchnumpy()
        (pairs,) = connection.execute("select count(*) from given").fetchone() or (0,)
    rows, scores = known["row"].astype(np.int64), np.asarray(known["value"], dtype=np.float64)
    if not len(rows):
        raise EmptyFileError(
            f"{path} holds no score of a {config.split} row of the data set: {pairs:,} pairs of others",
            hint="Compare its ids with those of the data: thinkrec sql 'from interactions limit 5'",
        )
    kept = np.isin(split.rows, rows)
    progress.say(f"{path}: scores of {len(rows):,} of {len(split):,} {config.split} rows")
    return Questions(
        users=split.users[kept],
        items=split.items[kept],
        rows=split.rows[kept],
        about=f"{len(rows):,} of {len(split):,} {config.split} rows, given by {Path(path).name}",
    ), GivenScorer(rows=rows, scores=scores)


def _register(connection: Any, split: Questions, dataset: Dataset) -> None:
    """Make a view `asked` of the rows of a split, with ids as texts."""
    import pyarrow as pa

    connection.register(
        "asked",
        pa.table(
            {
                "row": split.rows,
                "user": [dataset.users[user] for user in split.users],
                "item": [dataset.items[item] for item in split.items],
            }
        ),
    )


def _check(connection: Any, path: str, dataset: Dataset) -> None:
    """Raises: BadValueError for the first score that is no number, and for a pair that occurs twice."""
    wrong = connection.execute(
        "select n, text from found where value is null or not isfinite(value) order by n limit 1"
    ).fetchone()
    if wrong is not None:
        row, text = wrong
        raise BadValueError(
            f"{path}: row {row}: score {'is missing' if text is None else f'{text!r} is no finite number'}",
            hint="Give a number, greater for what is liked better.",
        )
    twice = connection.execute(
        "select min(n), max(n), row from found group by row having count(*) > 1 order by 1 limit 1"
    ).fetchone()
    if twice is not None:
        first, last, row = twice
        user, item = dataset.users[dataset.user[row]], dataset.items[dataset.item[row]]
        raise BadValueError(
            f"{path}: rows {first} and {last}: user '{user}' and item '{item}' occur twice",
            hint="Give one score of each pair.",
        )
