"""Second pass of ingest: pairs folded, small users and items left out, rows put in time order.

All of it happens before the one sort, where the order of rows does not matter and joins are free to lose it.
"""

from dataclasses import dataclass
from typing import Any

from core.config.ingest import IngestConfig
from core.data.readers.source import Source
from core.data.split import SplitRule, place_on_own_lines
from core.errors import DuplicateRowError, EmptySplitError

_PAIR = "((u::BIGINT << 32) | i)"


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """What the second pass counted; the rows are in `events`, whose rowid is the row number."""

    folded: int
    too_few: int
    """Rows of users or items below the minimum."""
    core_rounds: int
    """Rounds of leaving users and items out until nothing changed."""


def order_and_filter(
    connection: Any, source: Source, config: IngestConfig, rule: SplitRule
) -> Filtered:
    """Turn `raw` into `events` (u, i, rating, time, split), ordered by time and then file order.

    u and i are enums: they read as the ids, and their codes are the positions of users and items
    (numbers by value, then text).
    Raises: DuplicateRowError, EmptySplitError.
    """
    first, rows = _make_pairs(connection)
    folded = 0 if config.on_duplicate == "keep" else _fold(connection, source, config, rows)
    too_few, rounds = _core(connection, config)
    time = f"({first} + key // {rows})"
    if rule.by == "user-time":
        place_on_own_lines(connection, rule, time)
    for column, kind in (("u", "user"), ("i", "item")):
        connection.execute(
            f"CREATE TYPE {kind}_id AS ENUM (SELECT id FROM {kind}_ids ORDER BY {column})"
        )
    connection.execute(
        "CREATE TABLE events AS SELECT users.id AS u, items.id AS i, rating, "
        f"{time}::BIGINT AS time, split FROM pairs "
        "JOIN (SELECT u, id::user_id AS id FROM user_ids) users USING (u) "
        "JOIN (SELECT i, id::item_id AS id FROM item_ids) items USING (i) ORDER BY key"
    )
    connection.execute("DROP TABLE pairs")
    return Filtered(folded=folded, too_few=too_few, core_rounds=rounds)


def _make_pairs(connection: Any) -> tuple[int, int]:
    """Turn `raw` into `pairs` (u, i, rating, split, key); key orders rows by time, then file order.

    Returns: first time and number n of rows of the file; time = first + key // n, row = key % n.
    """
    for name, column, kind in (('"user"', "u", "user"), ("item", "i", "item")):
        connection.execute(
            f"CREATE TABLE {kind}_ids AS SELECT id, (row_number() OVER "
            f"(ORDER BY try_cast(id AS HUGEINT) NULLS LAST, id) - 1)::INTEGER AS {column} "
            f"FROM (SELECT DISTINCT {name} AS id FROM raw WHERE reason IS NULL)"
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
        'JOIN user_ids ON user_ids.id = raw."user" JOIN item_ids ON item_ids.id = raw.item '
        "WHERE reason IS NULL"
    )
    connection.execute("DROP TABLE raw")
    return int(first), int(rows)


def _fold(connection: Any, source: Source, config: IngestConfig, rows: int) -> int:
    """Keep one row of each pair; return how many were folded. Raises: DuplicateRowError."""
    chosen = "min" if config.on_duplicate == "first" else "max"
    connection.execute(
        f"CREATE TABLE repeated AS SELECT {_PAIR} AS pair, {chosen}(key) AS kept, "
        "count(*) AS n FROM pairs GROUP BY pair HAVING count(*) > 1"
    )
    (folded,) = connection.execute(
        "SELECT coalesce(sum(n) - count(*), 0)::BIGINT FROM repeated"
    ).fetchone()
    if folded and config.on_duplicate == "error":
        raise _duplicate(connection, source, rows)
    if folded:
        connection.execute(
            "CREATE OR REPLACE TABLE pairs AS SELECT pairs.* FROM pairs "
            f"LEFT JOIN repeated ON repeated.pair = {_PAIR} WHERE kept IS NULL OR kept = key"
        )
    connection.execute("DROP TABLE repeated")
    return int(folded)


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
