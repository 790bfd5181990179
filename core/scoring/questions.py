"""Which pairs to score: rows of a split, pairs of a file, or candidates of a user."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.config.score import ScoreConfig
from core.data import spill
from core.data.dataset import Dataset
from core.data.sql import literal, scan
from core.data.tables import TableWriter
from core.errors import (
    BadValueError,
    ConfigError,
    EmptyFileError,
    EmptySplitError,
)
from core.scoring.language import Scored
from core.scoring.tables import open_table, read_texts
from core.scoring.unknown import Unknown
from core.text.examples import Examples

Index = npt.NDArray[np.int64]
FirstPass = Callable[[Index, Index], Scored]
"""(n,) users and (n,) items -> the scores by which candidates are picked."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Pairs to score, in the order of scoring."""

    users: Index
    """-1 for somebody who is not in the data."""
    items: Index
    rows: Index
    """Row of the data set as which a pair is asked, with what was known before it; -1 for a pair asked now."""
    about: str
    """In words, for the artifact."""

    def __len__(self) -> int:
        return len(self.users)

    def block(self, start: int, stop: int) -> "Questions":
        """Return the questions start..stop-1."""
        return Questions(
            users=self.users[start:stop],
            items=self.items[start:stop],
            rows=self.rows[start:stop],
            about=self.about,
        )


class FiledQuestions:
    """Pairs that lie in a Parquet file, read block by block: memory does not grow with their number."""

    def __init__(self, path: Path, about: str) -> None:
        """Take a file with columns user_index, item_index and row, as those of Questions."""
        import pyarrow.parquet as pq

        self._path = path
        self._count = int(pq.read_metadata(path).num_rows)
        self.about = about

    def __len__(self) -> int:
        return self._count

    def block(self, start: int, stop: int) -> Questions:
        """Return the questions start..stop-1."""
        import duckdb

        with duckdb.connect() as connection:
            found = connection.execute(
                f"select user_index, item_index, row from {scan('read_parquet', self._path)} "
                "where file_row_number >= ? and file_row_number < ? order by file_row_number",
                [start, stop],
            ).fetchnumpy()
        return Questions(
            users=found["user_index"].astype(np.int64),
            items=found["item_index"].astype(np.int64),
            rows=found["row"].astype(np.int64),
            about=self.about,
        )


def of_split(config: ScoreConfig, dataset: Dataset) -> Questions:
    """Ask the rows of a split, or of a sample of its users or rows, ordered by user so that histories are shared.

    Raises: EmptySplitError if the split has no rows.
    """
    rows = dataset.rows(config.split)
    if not len(rows):
        raise EmptySplitError(
            f"the data set has no {config.split} rows, so there is nothing to score",
            hint="Score another split, or ingest again with a split that leaves rows for it.",
        )
    rng = np.random.default_rng([config.sample_seed, 3])
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


def for_user(config: ScoreConfig, examples: Examples, first_pass: FirstPass | None) -> Questions:
    """Ask a user's candidates as of now: the items he has not rated that the first pass likes best.

    Items that he has rated (--seen) are asked as before their last row: now the history would hold the answer.

    Args:
        first_pass: scores of an encoder; without one the most rated items are taken.
    Raises: UnknownUserError, ConfigError if he has rated every item.
    """
    assert config.user is not None
    user = examples.dataset.user_index(config.user)
    items = _candidates(config, examples, _liking(examples, first_pass), user)
    if not len(items):
        raise ConfigError(
            f"user {config.user} has rated every item: nothing is left to score",
            hint="Add --seen to rank rated items, too.",
        )
    return Questions(
        users=np.full(len(items), user, dtype=np.int64),
        items=items,
        rows=_last_rows(examples, user, items),
        about=f"{len(items)} candidates of user {config.user}",
    )


def for_history(config: ScoreConfig, dataset: Dataset, history: Sequence[int]) -> Questions:
    """Ask the most rated items that a history of somebody who is not in the data does not hold.

    Raises: ConfigError if it holds every item.
    """
    rated = np.bincount(dataset.item, minlength=len(dataset.items))
    items = np.setdiff1d(np.arange(len(dataset.items), dtype=np.int64), history)
    if not len(items):
        raise ConfigError("the history holds every item", hint="Leave some out.")
    if 0 < config.candidates < len(items):
        items = np.sort(items[np.argsort(-rated[items], kind="stable")[: config.candidates]])
    nobody = np.full(len(items), -1, dtype=np.int64)
    about = f"{len(items)} candidates of somebody who is not in the data"
    return Questions(users=nobody, items=items, rows=nobody, about=about)


def for_users(
    config: ScoreConfig,
    examples: Examples,
    first_pass: FirstPass | None,
    folder: Path,
    unknown: Unknown,
) -> FiledQuestions:
    """Ask the candidates of every user of a file with a column user, one user after the other; see for_user.

    Args:
        folder: where they are kept, so that memory does not grow with the users.
        unknown: the file, and whether users that the data do not have are left out.
    Raises: what read_texts does, UnknownUserError, EmptyFileError if there are none, or none is left, ConfigError if
        all of them have rated every item.
    """
    dataset = examples.dataset
    asked: dict[int, None] = {}
    for row, name in enumerate(read_texts(unknown.path, ("user",))["user"], 1):
        with unknown.row(row):
            asked[dataset.user_index(name)] = None
    unknown.require_some(len(asked), "user")
    if not asked:
        raise EmptyFileError(f"{unknown.path} holds no users", hint="Give rows of user.")
    liking = _liking(examples, first_pass)
    path, scratch = folder / "asked.parquet", folder / "asked.new"
    types = {"user_index": "INTEGER", "item_index": "INTEGER", "row": "BIGINT"}
    with TableWriter(scratch, types) as writer:
        for user in asked:
            items = _candidates(config, examples, liking, user)
            columns = {"user_index": np.full(len(items), user), "item_index": items}
            writer.write({**columns, "row": _last_rows(examples, user, items)})
    scratch.rename(path)
    questions = FiledQuestions(path, f"candidates of {len(asked):,} users{unknown.beside}")
    if not len(questions):
        raise ConfigError(
            f"the users of {unknown.path} have rated every item: nothing is left to score",
            hint="Add --seen to rank rated items, too.",
        )
    return questions


Liking = Callable[[int, Index], npt.NDArray[np.float64]]
"""User and (n,) items -> (n,) how much he is likely to like each."""


def _liking(examples: Examples, first_pass: FirstPass | None) -> Liking:
    """Return what picks candidates: the scores of an encoder, else how often an item was rated."""
    if first_pass is not None:
        return lambda user, items: (
            first_pass(np.full(len(items), user, dtype=np.int64), items).score
        )
    dataset = examples.dataset
    rated = np.bincount(dataset.item, minlength=len(dataset.items)).astype(float)
    return lambda user, items: rated[items]


def _candidates(config: ScoreConfig, examples: Examples, liking: Liking, user: int) -> Index:
    """Return the items to score for a user, ascending; none if he has rated every item."""
    dataset = examples.dataset
    items = np.arange(len(dataset.items), dtype=np.int64)
    if not config.seen:
        items = items[~np.isin(items, dataset.item[examples.histories.latest(user)])]
    if not 0 < config.candidates < len(items):
        return items
    best = np.argsort(-liking(user, items), kind="stable")[: config.candidates]
    return items[np.sort(best)]


def _last_rows(examples: Examples, user: int, items: Index) -> Index:
    """Return (n,) rows in which a user rated items last, -1 for those that he has not rated."""
    last = np.full(len(examples.dataset.items), -1, dtype=np.int64)
    rows = examples.histories.latest(user)
    np.maximum.at(last, examples.dataset.item[rows], rows)  # rows are numbered by time
    return last[items]


def from_file(unknown: Unknown, dataset: Dataset, folder: Path) -> FiledQuestions:
    """Ask the pairs of a file with columns user and item, ordered by user so that histories are shared.

    A pair that is in the data is asked as it stood before its (last) row: now its history would hold the answer. One
    that stands in the file twice is asked once.

    Args:
        unknown: the file, and whether pairs that the data do not have are left out.
        folder: where the pairs are kept with the positions of their users and items.
    Raises: MissingFileError, MissingColumnError, EmptyFileError, BadValueError, UnknownUserError, UnknownItemError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, asked = unknown.path, folder / "asked.parquet"
    with spill.connect(folder) as connection:
        open_table(connection, path, ("user", "item"))
        for what, names in (("user", dataset.users), ("item", dataset.items)):
            known = pa.table({what: names, f"{what}_index": range(len(names))})
            connection.register(f"{what}s", known)
        connection.execute(
            """create view joined as select n, given.user, given.item, users.user_index, items.item_index
            from given left join users on given.user = users.user left join items on given.item = items.item"""
        )
        connection.execute(
            """create view odd as select n, "user", item, user_index is null as no_user from joined
            where user_index is null or item_index is null"""
        )
        if unknown.skip:
            empty = '"user" is null or item is null or \'\' in ("user", item)'
            unknown.left_out = _count(connection, f"odd where not ({empty})")
            refused = f"odd where {empty}"
        else:
            refused = "odd"
        found = connection.execute(f"from {refused} order by n limit 1").fetchone()
        if found is not None:
            _refuse(unknown, dataset, *found)
        events = {
            "user_index": dataset.user,
            "item_index": dataset.item,
            "row": np.arange(len(dataset)),
        }
        connection.register("events", pa.table(events))
        connection.execute(
            f"""copy (
                select user_index, item_index, coalesce(row, -1) as row from joined left join (
                    select user_index, item_index, max(row) as row
                    from events semi join joined using (user_index, item_index) group by all
                ) known using (user_index, item_index)
                where user_index is not null and item_index is not null
                group by all order by user_index, row, min(n)
            ) to {literal(str(asked))} (format parquet)"""
        )
        given = _count(connection, "given") - unknown.left_out
    unknown.repeated = given - int(pq.read_metadata(asked).num_rows)
    questions = FiledQuestions(asked, f"pairs of {Path(path).name}{unknown.beside}")
    unknown.require_some(len(questions), "pair")
    if not len(questions):
        raise EmptyFileError(f"{path} holds no pairs", hint="Give rows of user and item.")
    return questions


def _count(connection: Any, relation: str) -> int:
    return int(connection.execute(f"select count(*) from {relation}").fetchone()[0])


def _refuse(
    unknown: Unknown, dataset: Dataset, row: int, user: Any, item: Any, no_user: bool
) -> None:
    """Raise what is wrong with the first pair that cannot be asked."""
    for what, value in (("user", user), ("item", item)):
        if value in (None, ""):
            raise BadValueError(
                f"{unknown.path}: row {row} has no {what}", hint="Fill it in, or drop the row."
            )
    with unknown.row(row):
        _ = dataset.user_index(user) if no_user else dataset.item_index(item)
