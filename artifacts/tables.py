"""What a person can query: tables about artifacts, and views over what they hold.

Tables (times are UTC, `reference` is kind/name@version):
    artifacts    reference, kind, name, version, latest, key, object_id, created, started, finished, seconds,
                 program_version, rows (of all its tables), bytes, folder
    lineage      child, input (its name), position, parent, child_object, parent_object;
                 parent is null if it has been removed
    parameters   reference, name, value: text as it is, everything else as JSON
    summary      reference, name, value: facts of the run, spelled likewise
    resources    reference, name, digest
    files        reference, path, bytes, sha256, rows

Views: a payload declared with view="v" gives `v` (the latest version of every name) and `v_all` (every version). Their
first columns are artifact (a reference), name and version, then come the columns of the payload. Then the views that
the kinds declare as SQL.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.errors import BadQuery
from artifacts.index import Index
from artifacts.kinds import Kinds, Payload
from artifacts.manifest import Artifact
from artifacts.sql import identifier, literal, path_list

if TYPE_CHECKING:
    import duckdb

_RAW = (
    '[{"reference":"VARCHAR","kind":"VARCHAR","name":"VARCHAR","version":"INTEGER","object_id":"VARCHAR",'
    '"latest":"BOOLEAN","created":"TIMESTAMP","folder":"VARCHAR","manifest":"JSON"}]'
)
_ENTRIES = "select reference, unnest(map_entries(from_json(manifest->'{field}', '\"MAP(VARCHAR,{value})\"'))) as entry from manifests"
_PAIRS = "select reference, entry.key as name, entry.value->>'$' as value from (" + _ENTRIES + ")"
TABLES = {
    "artifacts": """
        select reference, kind, name, version, latest, manifest->>'key' as key, object_id, created,
            (manifest->>'started')::timestamp as started, (manifest->>'finished')::timestamp as finished,
            epoch((manifest->>'finished')::timestamp - (manifest->>'started')::timestamp) as seconds,
            manifest->>'program_version' as program_version,
            coalesce(list_sum(json_extract(manifest, '$.files.*.rows')::bigint[]), 0)::bigint as rows,
            coalesce(list_sum(json_extract(manifest, '$.files.*.bytes')::bigint[]), 0)::bigint as bytes,
            folder
        from manifests""",
    "parameters": _PAIRS.format(field="parameters", value="JSON"),
    "summary": _PAIRS.format(field="summary", value="JSON"),
    "resources": "select reference, entry.key as name, entry.value as digest from ("
    + _ENTRIES.format(field="resources", value="VARCHAR")
    + ")",
    "files": """
        select reference, entry.key as path, (entry.value->>'bytes')::bigint as bytes,
            entry.value->>'sha256' as sha256, (entry.value->>'rows')::bigint as rows
        from ("""
    + _ENTRIES.format(field="files", value="JSON")
    + ")",
    "lineage": """
        with used as (
            select reference as child, object_id as child_object, entry.key as input,
                unnest(entry.value) as parent_object, generate_subscripts(entry.value, 1) - 1 as position
            from (select object_id, """
    + _ENTRIES.format(field="inputs", value="VARCHAR[]").removeprefix("select ")
    + """)
        )
        select child, input, position, parent.reference as parent, child_object, parent_object
        from used left join (
            select object_id, arg_max(reference, created) as reference from manifests group by object_id
        ) parent on parent.object_id = parent_object""",
}
_ASKS_FOR_ALL = {
    "show",
    "describe",
    "desc",
    "pragma",
    "summarize",
    "information_schema",
    "pg_catalog",
    "query",
    "query_table",
}


def connect(index: Index, kinds: Kinds) -> "duckdb.DuckDBPyConnection":
    """Return an in-memory connection with every table and view."""
    import duckdb

    connection = duckdb.connect()
    fill(connection, index, kinds)
    return connection


def fill(
    connection: "duckdb.DuckDBPyConnection",
    index: Index,
    kinds: Kinds,
    only: Collection[str] | None = None,
) -> None:
    """Make tables and views in an open database.

    Args:
        only: words of a query; what they do not name is left out. None makes everything.
    """
    views = dict(_views(index, kinds))
    wanted = None if only is None else _closure(set(only), views)
    rows = ",".join(_row(artifact, index) for artifact in index.artifacts)
    connection.execute(
        f"create temp table manifests as select unnest(from_json(?, {literal(_RAW)}), recursive := true)",
        [f"[{rows}]"],
    )
    for name, select in TABLES.items():
        if wanted is None or name in wanted:
            connection.execute(f"create table {name} as {select}")
    connection.execute("drop table manifests")
    for name, select in views.items():
        if wanted is None or name.lower() in wanted:
            connection.execute(f"create view {identifier(name)} as {select}")


def query(
    index: Index, kinds: Kinds, root: Path, sql: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one reading statement; see Store.query. Raises: BadQuery."""
    import duckdb

    _require_reading(sql)
    words = words_of(sql)
    everything = words & _ASKS_FOR_ALL or any(word.startswith("duckdb_") for word in words)
    try:
        return _run(index, kinds, root, sql, None if everything else words)
    except BadQuery as problem:
        if everything or not isinstance(problem.__cause__, duckdb.CatalogException):
            raise
        return _run(index, kinds, root, sql, None)  # named in a way we did not see, or not at all


def words_of(sql: str) -> set[str]:
    """All words of a query that could be the name of a table, in lower case."""
    return set(re.findall(r"[a-z_][a-z0-9_]*", sql.lower()))


def _run(
    index: Index, kinds: Kinds, root: Path, sql: str, wanted: set[str] | None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    import duckdb

    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        fill(connection, index, kinds, wanted)
        # Payload files are read below the root; everything else, and every change of these settings, is refused.
        connection.execute(f"set allowed_directories = [{literal(str(root))}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            cursor = connection.execute(sql)
            return [column[0] for column in cursor.description or []], cursor.fetchall()
        except duckdb.Error as problem:
            raise _bad_query(problem) from problem


def _require_reading(sql: str) -> None:
    """Let only statements through that read: a directory one may read is one that COPY may write."""
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
    explained = re.match(
        r"\s*explain\s+(analyze\s+)?(select|with|from|values)\b", sql, re.IGNORECASE
    )
    if kind not in ("SELECT", "RELATION") and not (kind == "EXPLAIN" and explained):
        raise BadQuery(
            f"only queries are run here, and this is {kind}",
            hint="Write a SELECT, or open catalog.duckdb, a copy, in a DuckDB client of your own.",
        )


def _bad_query(problem: Exception) -> BadQuery:
    lines = [line.strip() for line in str(problem).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("LINE ", "^"))]
    return BadQuery(
        " ".join(kept[:3]),
        hint='See what there is: thinkrec sql "show tables", thinkrec sql "describe artifacts".',
    )


def _row(artifact: Artifact, index: Index) -> str:
    head = {
        "reference": artifact.reference,
        "kind": artifact.kind,
        "name": artifact.name,
        "version": artifact.version,
        "object_id": artifact.object_id,
        "latest": index.latest[artifact.kind, artifact.name] is artifact,
        "created": artifact.created,
        "folder": str(artifact.folder),
    }
    return f'{json.dumps(head)[:-1]},"manifest":{artifact.manifest_json}}}'


def _closure(words: set[str], views: dict[str, str]) -> set[str]:
    """Add what the named views are made of."""
    seen: set[str] = set()
    todo = set(words)
    while todo:
        word = todo.pop()
        seen.add(word)
        for name, select in views.items():
            if name.lower() == word:
                todo |= words_of(select.split("read_parquet", 1)[0]) - seen
                todo |= {"artifacts"} - seen
    return seen


def _views(index: Index, kinds: Kinds) -> Iterator[tuple[str, str]]:
    """Yield name and SELECT of every view, in an order in which they can be made."""
    declared: dict[str, list[tuple[str, Payload]]] = {}
    for kind in kinds.names():
        for payload in kinds[kind].payloads:
            if payload.view and payload.format == "parquet":
                declared.setdefault(payload.view, []).append((kind, payload))
    for view, sources in declared.items():
        yield view, _payload_view(sources, index.latest.values(), "and latest")
        yield f"{view}_all", _payload_view(sources, index.artifacts, "")
    yield from kinds.views.items()


def _payload_view(
    sources: list[tuple[str, Payload]], artifacts: Iterable[Artifact], condition: str
) -> str:
    """Unite one payload file over artifacts. Several kinds may share a view if its columns are the same."""
    artifacts = list(artifacts)
    parts = []
    columns = sources[0][1].columns
    listed = ", ".join(identifier(column) for column in columns)
    for kind, payload in sources:
        folders = {a.folder: a for a in artifacts if a.kind == kind}
        if not payload.required:
            folders = {f: a for f, a in folders.items() if payload.path in a.manifest.files}
        if folders:
            parts.append(
                f"select reference as artifact, name, version, {listed} from ("
                f"select *, folder || {literal('/' + payload.path)} as artifact_path from artifacts "
                f"where kind = {literal(kind)} {condition}) "
                f"join read_parquet({path_list(f / payload.path for f in folders)}, "
                "filename = 'artifact_path', hive_partitioning = false, union_by_name = false) "
                "using (artifact_path)"
            )
    if parts:
        return " union all ".join(parts)
    nothing = "".join(f", null::{kind} as {identifier(name)}" for name, kind in columns.items())
    return f"select null::varchar as artifact, null::varchar as name, null::integer as version{nothing} where false"
