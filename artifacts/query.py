"""One reading SQL statement of a person, run where it can read this store and nothing else."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.damage import damage_of
from artifacts.errors import BadQuery, StoreError
from artifacts.index import Index
from artifacts.kinds import Kinds
from artifacts.sql import literal, path_literal
from artifacts.tables import fill
from artifacts.views import words_of

if TYPE_CHECKING:
    import duckdb

BATCH_ROWS = 2048
"""Rows that are held as Python objects at a time; DuckDB works on as many."""

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
# Comments as narrowly as anybody could mean them: what is no comment to DuckDB must not be one here.
_EXPLAIN = re.compile(
    r"(\s|--[^\r\n]*\r?\n|/\*((?!/\*|\*/)[\s\S])*\*/)*explain\s+(analyze\s+|\([\w\s,]*\)\s*)?"
    r"(?=(select|with|from|values)\b)",
    re.IGNORECASE,
)
_READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
"""What DuckDB calls the parts of a query that read; a WITH may also hold COPY, INSERT, UPDATE, DELETE."""
_RUNS_ANYTHING = "json_execute_serialized_sql"
"""A function that runs a statement which was taken apart before."""


@contextmanager
def answer(
    index: Index, kinds: Kinds, sql: str
) -> Iterator[tuple[list[str], Iterator[list[tuple[Any, ...]]]]]:
    """Run one SELECT over tables and views.

    Yields: names of the columns; rows in batches of BATCH_ROWS, computed as they are asked for.
    Raises: BadQuery with what DuckDB says, on one line; CorruptArtifact if the query needs a file
        that is missing or cannot be read. Both may come with any batch.
    """
    import duckdb

    _require_reading(sql)
    words = words_of(sql)
    everything = words & _ASKS_FOR_ALL or any(word.startswith("duckdb_") for word in words)
    try:
        connection = _run(index, kinds, sql, None if everything else words)
    except BadQuery as problem:
        if everything or not isinstance(problem.__cause__, duckdb.CatalogException):
            raise
        # Named in a way we did not see, or not at all.
        connection = _run(index, kinds, sql, None)
    with connection:
        columns = [column[0] for column in connection.description or []]
        yield columns, _batches(connection, index)


def _batches(
    connection: "duckdb.DuckDBPyConnection", index: Index
) -> Iterator[list[tuple[Any, ...]]]:
    import duckdb

    while True:
        try:
            rows = connection.fetchmany(BATCH_ROWS)
        except duckdb.Error as problem:
            raise _failure(problem, index) from problem
        except OverflowError as problem:
            raise BadQuery(
                f"a time is beyond what Python holds: {problem}",
                hint="Ask for it as a text: (...)::varchar.",
            ) from problem
        if not rows:
            return
        yield rows


def _run(
    index: Index, kinds: Kinds, sql: str, words: set[str] | None
) -> "duckdb.DuckDBPyConnection":
    """Return a connection that has begun to answer."""
    import duckdb

    overflow = Path(tempfile.gettempdir(), f"thinkrec-sql-{os.getpid()}")  # made only when needed
    config = {"autoinstall_known_extensions": "false", "temp_directory": str(overflow)}
    with ExitStack() as stack:
        connection = stack.enter_context(duckdb.connect(config=config))
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
            connection.execute(sql)
        except duckdb.Error as problem:
            raise _failure(problem, index) from problem
        stack.pop_all()
        return connection


def _require_reading(sql: str) -> None:
    """Let only statements through that read: COPY may write wherever one may read."""
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as problem:
        raise _bad_query(problem) from problem
    if not statements:
        raise BadQuery(
            "one statement is wanted, and none was given",
            hint='Give one in quotes: thinkrec sql "show tables".',
        )
    if len(statements) > 1:
        raise BadQuery(
            f"one statement is wanted, {len(statements)} were given", hint="Run them one by one."
        )
    kind = statements[0].type.name
    if kind == "EXPLAIN" and (explain := _EXPLAIN.match(sql)):
        _require_reading(sql[explain.end() :])
        return
    if kind == "MULTI" and "pivot" in words_of(sql):
        raise BadQuery(
            "a PIVOT has to name its values here",
            hint="Write: from t pivot (count(*) for kind in ('a', 'b')).",
        )
    more = _beyond_reading(sql) if kind in ("SELECT", "RELATION") else kind
    if more:
        raise BadQuery(
            f"only queries are run here, and this is {more}",
            hint="Write a SELECT, or open catalog.duckdb, a copy, in a DuckDB client.",
        )


def _beyond_reading(sql: str) -> str | None:
    """Return what a statement of type SELECT does besides reading, None if nothing."""
    import duckdb

    if _RUNS_ANYTHING in words_of(sql):
        return _RUNS_ANYTHING
    with duckdb.connect() as connection:
        (parsed,) = connection.execute("select json_serialize_sql(?)", [sql]).fetchone() or ("",)
    # In a text of the query these quotes have backslashes.
    nodes = set(re.findall(r'"type":"(\w+_NODE)"', parsed))
    if not nodes:
        return "none that can be looked into"
    return next((f"WITH {n.partition('_')[0]}" for n in sorted(nodes - _READING_NODES)), None)


def _failure(problem: Exception, index: Index) -> StoreError:
    """Return whose fault it is that a query failed: a damaged artifact's, or the query's."""
    return damage_of(index, problem) or _bad_query(problem)


def _bad_query(problem: Exception) -> BadQuery:
    lines = [line.strip() for line in str(problem).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("LINE ", "^"))]
    return BadQuery(
        " ".join(kept[:3]),
        hint='See what there is: thinkrec sql "show tables", thinkrec sql "describe artifacts".',
    )
