"""Second pass of ingest: rows in time order, repeated pairs folded, small users and items left out."""

from dataclasses import dataclass
from typing import Any

from core.config.ingest import IngestConfig
from core.data.readers.source import Source
from core.errors import DuplicateRowError, EmptySplitError

_PAIR = "((enum_code(u)::BIGINT << 32) | enum_code(i))"


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """What the second pass counted; the rows are in the table `events`, whose rowid is the row number."""

    folded: int
    too_few: int
    """Rows of users or items below the minimum."""
    core_rounds: int
    """Rounds of leaving users and items out until nothing changed."""


def order_and_filter(connection: Any, source: Source, config: IngestConfig) -> Filtered:
    """Turn `raw` into `events` (u, i, rating, time, split), ordered by time and then file order.

    u and i are enums whose codes are the positions of users and items: numbers by value, then text. Enums rather
    than joins because they keep the order of rows and cost a quarter of the time.
    Raises: DuplicateRowError, EmptySplitError.
    """
    for column, kind in (('"user"', "user_id"), ("item", "item_id")):
        _make_ids(connection, kind, f"SELECT DISTINCT {column} AS id FROM raw WHERE reason IS NULL")
    connection.execute(
        'CREATE TABLE events AS SELECT "user"::user_id AS u, item::item_id AS i, rating, time, split '
        "FROM raw WHERE reason IS NULL ORDER BY time, rowid"
    )
    folded = 0 if config.on_duplicate == "keep" else _fold(connection, source, config)
    connection.execute("DROP TABLE raw")
    too_few, rounds = _core(connection, config)
    return Filtered(folded=folded, too_few=too_few, core_rounds=rounds)


def _make_ids(connection: Any, kind: str, ids: str) -> None:
    connection.execute(
        f"CREATE TYPE {kind} AS ENUM (SELECT id FROM ({ids}) ORDER BY try_cast(id AS HUGEINT) NULLS LAST, id)"
    )


def _fold(connection: Any, source: Source, config: IngestConfig) -> int:
    """Keep one row of each pair; return how many were folded. Raises: DuplicateRowError."""
    chosen = "min" if config.on_duplicate == "first" else "max"
    connection.execute(
        f"CREATE TABLE repeated AS SELECT {_PAIR} AS pair, {chosen}(rowid) AS kept, count(*) AS n, "
        "any_value(u) AS u, any_value(i) AS i FROM events GROUP BY pair HAVING count(*) > 1"
    )
    (folded,) = connection.execute(
        "SELECT coalesce(sum(n) - count(*), 0)::BIGINT FROM repeated"
    ).fetchone()
    if folded and config.on_duplicate == "error":
        raise _duplicate(connection, source)
    if folded:
        connection.execute(
            "CREATE OR REPLACE TABLE events AS SELECT e.u, e.i, rating, time, split FROM "
            "(SELECT *, rowid AS row FROM events) e LEFT JOIN repeated r "
            "ON r.pair = ((enum_code(e.u)::BIGINT << 32) | enum_code(e.i)) "
            "WHERE r.kept IS NULL OR r.kept = e.row ORDER BY e.row"
        )
    connection.execute("DROP TABLE repeated")
    return int(folded)


def _duplicate(connection: Any, source: Source) -> DuplicateRowError:
    user, item = connection.execute(
        "SELECT u::VARCHAR, i::VARCHAR FROM repeated ORDER BY kept LIMIT 1"
    ).fetchone()
    rows = connection.execute(
        'SELECT rowid FROM raw WHERE reason IS NULL AND "user" = ? AND item = ? ORDER BY rowid LIMIT 2',
        [user, item],
    ).fetchall()
    file = source.interactions
    places = " and ".join(file.place(row) for (row,) in rows)
    return DuplicateRowError(
        f"{file.path}: {places}: user '{user}' and item '{item}' occur twice",
        hint="Remove one, or choose with --on-duplicate last (or first, keep).",
    )


def _core(connection: Any, config: IngestConfig) -> tuple[int, int]:
    """Leave out small users and items until none is left; return the rows dropped and the rounds it took."""
    if config.min_user_rows <= 1 and config.min_item_rows <= 1:
        return 0, 0
    (before,) = connection.execute("SELECT count(*) FROM events").fetchone()
    rounds, left = _core_rounds(connection, config)
    if left == 0:
        raise EmptySplitError(
            f"no user has {config.min_user_rows} rows with items of {config.min_item_rows} rows",
            hint="Lower --min-user-rows or --min-item-rows.",
        )
    if left < before:
        for column, kind in (("u", "user_id"), ("i", "item_id")):
            _make_ids(
                connection, f"core_{kind}", f"SELECT {column}::VARCHAR AS id FROM core_{column}"
            )
        connection.execute(
            "CREATE OR REPLACE TABLE events AS SELECT u::VARCHAR::core_user_id AS u, i::VARCHAR::core_item_id AS i, "
            "rating, time, split FROM (SELECT *, rowid AS row FROM events) SEMI JOIN core_u USING (u) "
            "SEMI JOIN core_i USING (i) ORDER BY row"
        )
    return before - left, rounds


def _core_rounds(connection: Any, config: IngestConfig) -> tuple[int, int]:
    minimum = {"u": config.min_user_rows, "i": config.min_item_rows}
    for column in minimum:
        connection.execute(f"CREATE TABLE core_{column} AS SELECT DISTINCT {column} FROM events")
    rounds = 0
    while True:
        dropped = 0
        for column, least in minimum.items():
            (had,) = connection.execute(f"SELECT count(*) FROM core_{column}").fetchone()
            connection.execute(
                f"CREATE OR REPLACE TABLE core_{column} AS SELECT {column} FROM events "
                f"SEMI JOIN core_u USING (u) SEMI JOIN core_i USING (i) GROUP BY {column} HAVING count(*) >= {least}"
            )
            (has,) = connection.execute(f"SELECT count(*) FROM core_{column}").fetchone()
            dropped += had - has
        if dropped == 0:
            break
        rounds += 1
    (left,) = connection.execute(
        "SELECT count(*) FROM events SEMI JOIN core_u USING (u) SEMI JOIN core_i USING (i)"
    ).fetchone()
    return rounds, int(left)
