"""Second pass of ingest: pairs folded, small users and items left out, rows put in time order.

All of it happens before the one sort, where the order of rows does not matter and joins are free to lose it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config.ingest import IngestConfig
from core.data.readers.source import Source
from core.data.split import SplitRule, TimeLine, place_on_own_lines
from core.errors import DuplicateRowError, EmptySplitError

_PAIR = "((u::BIGINT << 32) | i)"
PAIRS_AT_ONCE = 1 << 24
"""Pairs that are looked through for doubles at once: 128 MB, twice."""


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """What the second pass counted."""

    folded: int
    too_few: int
    """Rows of users or items below the minimum."""
    core_rounds: int
    """Rounds of leaving users and items out until nothing changed."""


def fold_and_filter(
    connection: Any, source: Source, config: IngestConfig, rule: SplitRule
) -> tuple[Filtered, TimeLine]:
    """Turn `raw` into `pairs` (u, i, rating, split, key) without repeated pairs, small users and small items.

    u and i number users and items (numbers by value, then text); `user_ids` and `item_ids` name them.
    Raises: DuplicateRowError, EmptySplitError.
    """
    line = _make_pairs(connection)
    folded = 0 if config.on_duplicate == "keep" else _fold(line, source, config)
    too_few, rounds = _core(connection, config)
    if rule.by == "user-time":
        place_on_own_lines(line, rule)
    return Filtered(folded=folded, too_few=too_few, core_rounds=rounds), line


def order(line: TimeLine, split: str) -> None:
    """Turn `pairs` into `events` (u, i, rating, time, split, warm), ordered by time and then file order.

    u and i become enums: they read as the ids, and their codes are the positions of users and items. Who is in train
    is counted first, in `by_u` and `by_i` (u or i, rows, train_rows), and comes in with the ids.

    Args:
        split: SQL as split_expression gives it.
    """
    connection = line.connection
    for column, kind in (("u", "user"), ("i", "item")):
        connection.execute(
            f"CREATE TYPE {kind}_id AS ENUM (SELECT id FROM {kind}_ids ORDER BY {column})"
        )
        connection.execute(
            f"CREATE TABLE by_{column} AS SELECT id::{kind}_id AS {column}, {column} AS code, rows, "
            f"train_rows FROM (SELECT {column}, count(*) AS rows, count(*) FILTER ({split} = 0) AS "
            f"train_rows FROM (SELECT *, rowid, {line.time} AS time FROM pairs) GROUP BY {column}) "
            f"JOIN {kind}_ids USING ({column})"
        )
    connection.execute(
        "CREATE TABLE events AS SELECT by_u.u AS u, by_i.i AS i, rating, "
        f"{line.time} AS time, split, by_u.train_rows > 0 AND by_i.train_rows > 0 AS warm FROM pairs "
        "JOIN by_u ON by_u.code = pairs.u JOIN by_i ON by_i.code = pairs.i ORDER BY key"
    )
    connection.execute("DROP TABLE pairs")


def _make_pairs(connection: Any) -> TimeLine:
    """Turn `raw` into `pairs` (u, i, rating, split, key); key % rows is the row of the file."""
    for name, column, kind in (('"user"', "u", "user"), ("item", "i", "item")):
        connection.execute(
            f"CREATE TABLE {kind}_ids AS SELECT asked, asked::VARCHAR AS id, (row_number() OVER "
            f"(ORDER BY try_cast(asked AS HUGEINT) NULLS LAST, asked) - 1)::INTEGER AS {column} "
            f"FROM (SELECT DISTINCT {name} AS asked FROM raw WHERE reason IS NULL)"
        )
    (rows,) = connection.execute("SELECT count(*) FROM raw").fetchone()
    first, last = connection.execute(
        "SELECT min(time), max(time) FROM raw WHERE reason IS NULL"
    ).fetchone()
    # One narrow key sorts in half the time of two columns.
    wide = "HUGEINT" if (last - first + 1) * rows >= 2**62 else "BIGINT"
    connection.execute(
        f"CREATE TABLE pairs AS SELECT u, i, rating, split, "
        f"(time - {first})::{wide} * {rows} + raw.rowid AS key FROM raw "
        'JOIN user_ids ON user_ids.asked = raw."user" JOIN item_ids ON item_ids.asked = raw.item '
        "WHERE reason IS NULL"
    )
    connection.execute("DROP TABLE raw")
    return TimeLine(connection=connection, first=int(first), rows=int(rows))


def _fold(line: TimeLine, source: Source, config: IngestConfig) -> int:
    """Keep one row of each pair; return how many were folded. Raises: DuplicateRowError."""
    connection = line.connection
    if not _find_doubled(connection):
        return 0
    chosen = "min" if config.on_duplicate == "first" else "max"
    connection.execute(
        f"CREATE TABLE repeated AS SELECT pair, {chosen}(key) AS kept, count(*) AS n "
        f"FROM (SELECT {_PAIR} AS pair, key FROM pairs) SEMI JOIN doubled USING (pair) GROUP BY pair"
    )
    if config.on_duplicate == "error":
        raise _duplicate(connection, source, line.rows)
    (folded,) = connection.execute("SELECT (sum(n) - count(*))::BIGINT FROM repeated").fetchone()
    # Hardly any pair is doubled: to take those out is less than to write all others once more.
    connection.execute(
        f"DELETE FROM pairs USING repeated WHERE repeated.pair = {_PAIR} AND kept <> key"
    )
    connection.execute("DROP TABLE repeated")
    connection.execute("DROP TABLE doubled")
    return int(folded)


def _find_doubled(connection: Any) -> int:
    """Fill the table `doubled` with the pairs that occur more than once; return how many there are.

    numpy sorts integers several times faster than a hash table of all pairs is made, and hardly any pair is doubled.
    Some users at a time, so that memory stays bounded.
    """
    import pyarrow as pa

    connection.execute("CREATE TABLE doubled (pair BIGINT)")
    (rows,) = connection.execute("SELECT count(*) FROM pairs").fetchone()
    parts = rows // PAIRS_AT_ONCE + 1
    found = 0
    for part in range(parts):
        pairs = connection.execute(
            f"SELECT {_PAIR} AS pair FROM pairs WHERE u % {parts} = {part}"
        ).fetchnumpy()["pair"]
        pairs = np.sort(np.asarray(pairs))
        again = pairs[1:][pairs[1:] == pairs[:-1]]
        # Sorted already: np.unique would sort it once more.
        again = again[np.append(True, again[1:] != again[:-1])[: len(again)]]
        found += len(again)
        if len(again):
            connection.register("again", pa.table({"pair": again}))
            connection.execute("INSERT INTO doubled SELECT pair FROM again")
            connection.unregister("again")
    return found


def _duplicate(connection: Any, source: Source, rows: int) -> DuplicateRowError:
    (pair,) = connection.execute("SELECT pair FROM repeated ORDER BY kept LIMIT 1").fetchone()
    found = connection.execute(
        f"SELECT key % {rows} AS row, user_ids.id, item_ids.id FROM pairs JOIN user_ids USING (u) "
        f"JOIN item_ids USING (i) WHERE {_PAIR} = {pair} ORDER BY row LIMIT 2"
    ).fetchall()
    file = source.interactions
    places = " and ".join(file.place(row) for row, _, _ in found)
    _, user, item = found[0]
    return DuplicateRowError(
        f"{file.path}: {places}: user '{user}' and item '{item}' occur twice",
        hint="Remove one, or choose with --on-duplicate last (or first, keep).",
    )


def _core(connection: Any, config: IngestConfig) -> tuple[int, int]:
    """Leave out users and items with too few rows until none is left.

    Returns: rows dropped, rounds it took. Raises: EmptySplitError if nothing is left.
    """
    rules = config.rules()
    minimum = {"u": rules["min_user_rows"], "i": rules["min_item_rows"]}
    if max(minimum.values()) <= 1:
        return 0, 0
    (before,) = connection.execute("SELECT count(*) FROM pairs").fetchone()
    rounds = _core_rounds(connection, minimum)
    connection.execute(
        "CREATE OR REPLACE TABLE pairs AS SELECT pairs.* FROM pairs "
        "SEMI JOIN core_u USING (u) SEMI JOIN core_i USING (i)"
    )
    (left,) = connection.execute("SELECT count(*) FROM pairs").fetchone()
    if left == 0:
        raise EmptySplitError(
            f"no user has {minimum['u']} rows with items of {minimum['i']} rows",
            hint="Lower --min-user-rows or --min-item-rows.",
        )
    for column, kind in (("u", "user"), ("i", "item")):
        connection.execute(
            f"CREATE OR REPLACE TABLE {kind}_ids AS SELECT {kind}_ids.* FROM {kind}_ids "
            f"SEMI JOIN core_{column} USING ({column})"
        )
    return int(before - left), rounds


def _core_rounds(connection: Any, minimum: dict[str, int]) -> int:
    """Make `core_u` and `core_i`, the users and items that stay; return the rounds it took."""
    kept = {}
    for column in minimum:
        connection.execute(f"CREATE TABLE core_{column} AS SELECT DISTINCT {column} FROM pairs")
        kept[column] = _count(connection, f"core_{column}")
    rounds = 0
    while True:
        before = dict(kept)
        for column, least in minimum.items():
            connection.execute(
                f"CREATE OR REPLACE TABLE core_{column} AS SELECT {column} FROM pairs "
                "SEMI JOIN core_u USING (u) SEMI JOIN core_i USING (i) "
                f"GROUP BY {column} HAVING count(*) >= {least}"
            )
            kept[column] = _count(connection, f"core_{column}")
        if kept == before:
            return rounds
        rounds += 1


def _count(connection: Any, table: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)
