"""Which pairs to score: rows of a split, pairs of a file, or candidates of a user."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.config.score import ScoreConfig
from core.data.dataset import Dataset
from core.errors import BadValueError, EmptyFileError, MissingColumnError, MissingFileError
from core.scoring.language import Scored
from core.text.examples import Examples

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Pairs to score, in the order of scoring."""

    users: Index
    items: Index
    rows: Index | None
    """Row of each pair in the data set, or None for pairs asked now."""
    about: str
    """In words, for the artifact."""

    def __len__(self) -> int:
        return len(self.users)


def of_split(config: ScoreConfig, dataset: Dataset) -> Questions:
    """Ask the rows of a split, or of a sample of its users or rows, ordered by user so that histories are shared."""
    rows = dataset.rows(config.split)
    rng = np.random.default_rng([config.seed, 3])
    about: str = config.split
    present = np.unique(dataset.user[rows])
    if 0 < config.sample_users < len(present):
        chosen = rng.choice(present, config.sample_users, replace=False)
        rows = rows[np.isin(dataset.user[rows], chosen)]
        about += f", {config.sample_users} of {len(present)} users"
    if 0 < config.limit < len(rows):
        about += f", {config.limit} of {len(rows)} rows"
        rows = np.sort(rng.choice(rows, config.limit, replace=False))
    rows = rows[np.lexsort((rows, dataset.user[rows]))]
    return Questions(
        users=dataset.user[rows].astype(np.int64),
        items=dataset.item[rows].astype(np.int64),
        rows=rows,
        about=about,
    )


def for_user(
    config: ScoreConfig, examples: Examples, first_pass: Callable[[Index, Index], Scored] | None
) -> Questions:
    """Ask a user's candidates as of now: the items he has not rated that the first pass likes best.

    Args:
        first_pass: scores of an encoder; without one the most rated items are taken.
    Raises: UnknownUserError.
    """
    dataset = examples.dataset
    assert config.user is not None
    user = dataset.user_index(config.user)
    items = np.arange(len(dataset.items), dtype=np.int64)
    if not config.seen:
        items = items[~np.isin(items, dataset.item[examples.histories.latest(user)])]
    users = np.full(len(items), user, dtype=np.int64)
    if 0 < config.candidates < len(items):
        if first_pass is None:
            liking = np.bincount(dataset.item, minlength=len(dataset.items))[items].astype(float)
        else:
            liking = first_pass(users, items).score
        keep = np.sort(np.argsort(-liking, kind="stable")[: config.candidates])
        items, users = items[keep], users[keep]
    return Questions(
        users=users, items=items, rows=None, about=f"{len(items)} candidates of user {config.user}"
    )


def from_file(path: str, dataset: Dataset) -> Questions:
    """Ask the pairs of a file with columns user and item.

    Raises: MissingFileError, MissingColumnError, EmptyFileError, BadValueError, UnknownUserError, UnknownItemError.
    """
    pairs = read_pairs(path, ("user", "item"))
    if not len(pairs["user"]):
        raise EmptyFileError(f"{path} holds no pairs", hint="Give rows of user and item.")
    users = np.array([dataset.user_index(user) for user in pairs["user"]], dtype=np.int64)
    items = np.array([dataset.item_index(item) for item in pairs["item"]], dtype=np.int64)
    order = np.argsort(
        users, kind="stable"
    )  # candidates of one user share their history's computation
    return Questions(
        users=users[order], items=items[order], rows=None, about=f"pairs of {Path(path).name}"
    )


def read_pairs(path: str, columns: tuple[str, ...]) -> dict[str, Any]:
    """Read named columns of a CSV, TSV, JSONL or Parquet file as text.

    Raises: MissingFileError, MissingColumnError, BadValueError.
    """
    import duckdb

    if not Path(path).is_file():
        raise MissingFileError(f"no file {path}", hint="Check the path.")
    suffixes = Path(path).suffixes
    reader = "read_csv(?, all_varchar = true)"
    if ".parquet" in suffixes:
        reader = "read_parquet(?)"
    elif ".jsonl" in suffixes or ".json" in suffixes:
        reader = "read_json(?, format = 'newline_delimited')"
    with duckdb.connect() as connection:
        try:
            relation = connection.execute(f"select * from {reader}", [path])
            names = [column[0] for column in relation.description or ()]
            rows = relation.fetchall()
        except duckdb.Error as problem:
            raise BadValueError(
                f"{path} cannot be read: {str(problem).splitlines()[0]}",
                hint=f"Give a CSV, JSONL or Parquet file with columns {', '.join(columns)}.",
            ) from problem
    for column in columns:
        if column not in names:
            raise MissingColumnError(
                f"{path} has no column '{column}' (it has {', '.join(names)})",
                hint=f"Name its columns {', '.join(columns)}.",
            )
    table = {name: [row[names.index(name)] for row in rows] for name in names}
    for column in columns:
        empty = next((n for n, value in enumerate(table[column]) if value in (None, "")), None)
        if empty is not None:
            raise BadValueError(
                f"{path}: row {empty + 1} has no {column}", hint="Fill it in, or drop the row."
            )
    return {name: [str(value) for value in values] for name, values in table.items()}
