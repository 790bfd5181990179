"""Last pass of ingest: the payload files of a data set, and what the report counts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.sql import literal, scan

# Version 2 packs sorted and small integers before they are compressed: a quarter smaller and faster than version 1.
# Level 1 makes files of ratings as small as the default level does, in less time.
_PARQUET = (
    "(FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1, "
    "ROW_GROUP_SIZE 491520)"
)


@dataclass(frozen=True)
class RowColumns:
    """SQL over `events` for two columns of the payload."""

    split: str
    """0 train, 1 valid, 2 test."""
    label: str
    """1 liked, 0 not."""


def write_payloads(connection: Any, rows: RowColumns, folder: Path) -> dict[str, dict[str, Any]]:
    """Write interactions.parquet, items.parquet and users.parquet; return what each split holds, for the report.

    Args:
        connection: holds `events` (rowid in time order), `by_u`, `by_i`, `facts` and `unrated`, whose items come
            after the others.
        rows: SQL of what `events` does not hold as a column.
    """
    connection.execute("CREATE TYPE split_name AS ENUM ('train', 'valid', 'test')")
    interactions = folder / "interactions.parquet"
    _write_interactions(connection, rows, interactions)
    _write_items(connection, folder / "items.parquet")
    connection.execute(
        'COPY (SELECT u::VARCHAR AS "user", enum_code(u)::INTEGER AS user_index, train_rows, rows '
        f"FROM by_u ORDER BY u) TO {literal(str(folder / 'users.parquet'))} {_PARQUET}"
    )
    return _count_splits(connection, interactions)


def _write_interactions(connection: Any, rows: RowColumns, path: Path) -> None:
    """Write with one thread: with two, DuckDB 2.0 writes values of an enum that few rows hold as empty texts.

    That happened in 11 of 483 files, with one thread in none of 415, in no more time. Texts instead of enums would
    take four times as long.
    """
    (threads,) = connection.execute("SELECT current_setting('threads')").fetchone()
    connection.execute("SET threads = 1")
    connection.execute(
        f"""COPY (SELECT rowid AS row, u AS "user", i AS item,
            enum_code(u)::INTEGER AS user_index, enum_code(i)::INTEGER AS item_index,
            rating, {rows.label} AS label, time,
            (CASE {rows.split} WHEN 0 THEN 'train' WHEN 1 THEN 'valid' ELSE 'test' END)::split_name
            AS split,
            warm FROM events) TO {literal(str(path))} {_PARQUET}"""
    )
    connection.execute(f"SET threads = {threads}")


def _count_splits(connection: Any, path: Path) -> dict[str, dict[str, Any]]:
    """Return for each split its rows, likes, warm rows and times; see to it that rows stand in order."""
    written = scan("read_parquet", path, "file_row_number = true")
    found = connection.execute(
        "SELECT split, count(*), sum(label), avg(warm::INTEGER), min(time), max(time), min(rating), max(rating), "
        "count(*) FILTER (row <> file_row_number) "
        f"FROM {written} GROUP BY split ORDER BY min(row)"
    ).fetchall()
    counts = {}
    for split, rows, likes, warm, first, last, least, greatest, moved in found:
        assert moved == 0, "rows were written out of order"
        counts[split] = {
            "rows": rows,
            "likes": int(likes),
            "like_rate": round(likes / rows, 6),
            "warm_rate": round(warm, 6),
            "first_time": first,
            "last_time": last,
            "least_rating": least,
            "greatest_rating": greatest,
        }
    empty = {"rows": 0, "likes": 0} | dict.fromkeys(
        ("like_rate", "warm_rate", "first_time", "last_time", "least_rating", "greatest_rating")
    )
    return {split: counts.get(split, dict(empty)) for split in ("train", "valid", "test")}


def _write_items(connection: Any, path: Path) -> None:
    ids = (
        "SELECT i::VARCHAR AS item, enum_code(i)::INTEGER AS item_index FROM by_i "
        "UNION ALL SELECT item, ((SELECT count(*) FROM by_i) + row_number() OVER "
        "(ORDER BY try_cast(item AS HUGEINT) NULLS LAST, item) - 1)::INTEGER FROM unrated"
    )
    connection.execute(
        "COPY (SELECT ids.item, item_index, coalesce(title, ids.item) AS title, year, "
        "coalesce(categories, []) AS categories, coalesce(description, '') AS description "
        f"FROM ({ids}) ids LEFT JOIN facts ON facts.item = ids.item "
        f"ORDER BY item_index) TO {literal(str(path))} {_PARQUET}"
    )
