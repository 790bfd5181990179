"""One reading SQL statement of a person, run where it can read this store and nothing else."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from artifacts.errors import BadQuery
from artifacts.index import Index
from artifacts.kinds import Kinds
from artifacts.sql import literal, path_literal
from artifacts.tables import fill
from artifacts.views import words_of

# Whoever asks what there is must be shown everything.
_ASKS_FOR_ALL = {
    "show",
    "describe",
    "pragma",
    "summarize",
    "information_schema",
    "pg_catalog",
    "query",
    "query_table",
}


def query(index: Index, kinds: Kinds, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one SELECT over tables and views.

    Returns: names of the columns, rows.
    Raises: BadQuery with what DuckDB says, on one line.
    """
    import duckdb

    _require_reading(sql)
    words = words_of(sql)
    everything = words & _ASKS_FOR_ALL or any(word.startswith("duckdb_") for word in words)
    try:
        return _run(index, kinds, sql, None if everything else words)
    except BadQuery as problem:
        if everything or not isinstance(problem.__cause__, duckdb.CatalogException):
            raise
        return _run(index, kinds, sql, None)  # named in a way we did not see, or not at all


def _run(
    index: Index, kinds: Kinds, sql: str, words: set[str] | None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    import duckdb

    overflow = Path(tempfile.gettempdir(), f"thinkrec-sql-{os.getpid()}")  # made only when needed
    config = {"autoinstall_known_extensions": "false", "temp_directory": str(overflow)}
    with duckdb.connect(config=config) as connection:
        fill(connection, index, kinds, words)
        # Payload files are read below objects/; everything else, and changing this, is refused.
        objects = str(index.layout.objects)
        allowed = (
            f"[{literal(objects)}, {path_literal(objects)}]"  # it looks at patterns as such, too
        )
        connection.execute(f"set allowed_directories = {allowed}")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            cursor = connection.execute(sql)
            return [column[0] for column in cursor.description or []], cursor.fetchall()
        except duckdb.Error as problem:
            raise _bad_query(problem) from problem


def _require_reading(sql: str) -> None:
    """Let only statements through that read: COPY may write wherever one may read."""
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as problem:
        raise _bad_query(problem) from problem
    if len(statements) != 1:
        raise BadQuery(
            f"one statement is wanted, {len(statements)} were given", hint="Run them one by one."
        )
    kind = statements[0].type.name
    reads = r"\s*explain\s+(analyze\s+)?(select|with|from|values)\b"
    explained = kind == "EXPLAIN" and re.match(reads, sql, re.IGNORECASE)
    if kind not in ("SELECT", "RELATION") and not explained:
        raise BadQuery(
            f"only queries are run here, and this is {kind}",
            hint="Write a SELECT, or open catalog.duckdb, a copy, in a DuckDB client.",
        )


def _bad_query(problem: Exception) -> BadQuery:
    lines = [line.strip() for line in str(problem).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("LINE ", "^"))]
    return BadQuery(
        " ".join(kept[:3]),
        hint='See what there is: thinkrec sql "show tables", thinkrec sql "describe artifacts".',
    )
