"""The SQL views over what artifacts hold.

A payload declared with view="v" gives `v` (the latest version of every name) and `v_all` (every
version). Their first columns are artifact (a reference), name and version, then come the columns of
the payload. Several kinds may share a view if its columns are the same. A view without any artifact
is there, and empty; one of which a file cannot be read is there, and says so when it is read. Then come
the views that the kinds declare as SQL.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from artifacts.index import Index
from artifacts.kinds import Kinds, Payload
from artifacts.manifest import Artifact
from artifacts.sql import identifier, literal, parquet_scan

_OWNER = {"artifact": "varchar", "name": "varchar", "version": "integer"}


def view_names(kinds: Kinds) -> list[str]:
    """Names of all views, in an order in which they can be made."""
    names = [name for view in _declared(kinds) for name in (view, f"{view}_all")]
    return names + list(kinds.views)


def select_views(index: Index, kinds: Kinds, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield name and SELECT of the wanted views, in an order in which they can be made."""
    for view, sources in _declared(kinds).items():
        if view in wanted:
            yield view, _payload_view(kinds, sources, index.latest.values(), "and latest")
        if f"{view}_all" in wanted:
            yield f"{view}_all", _payload_view(kinds, sources, index.artifacts, "")
    yield from ((name, select) for name, select in kinds.views.items() if name in wanted)


def payloads_of(index: Index, kinds: Kinds, name: str) -> Iterator[tuple[Artifact, str]]:
    """Yield the artifacts that a payload view, or its twin, is made of, newest first, with the path of their file."""
    for kind, payload in _sources(kinds, name):
        for artifact in reversed(index.artifacts):
            if artifact.kind == kind and _holds(artifact, payload):
                yield artifact, payload.path


def unreadable_view(kinds: Kinds, name: str, why: str) -> str:
    """Spell a payload view that has its columns and fails when it is read."""
    ((_, payload), *_) = _sources(kinds, name)
    failure = f"error({literal(why)})"
    # In the columns as well: DuckDB leaves a filter out where it sees that its columns match nothing.
    columns = ", ".join(
        f"{failure}::{kind} as {identifier(column)}"
        for column, kind in {**_OWNER, **payload.columns}.items()
    )
    return f"select {columns} where {failure} is null"


def with_sources(words: Collection[str], kinds: Kinds) -> set[str]:
    """Return the words of a query, and what the views and tables among them are made of."""
    payload_views = {name for view in _declared(kinds) for name in (view, f"{view}_all")}
    seen: set[str] = set()
    todo = set(words)
    while todo:
        word = todo.pop()
        seen.add(word)
        if word in kinds.views:
            todo |= words_of(kinds.views[word]) - seen
        elif word in payload_views or word == "lineage":
            todo |= {"artifacts"} - seen
    return seen


def words_of(sql: str) -> set[str]:
    """All words of a query that could be the name of a table, in lower case."""
    return set(re.findall(r"[a-z_][a-z0-9_]*", sql.lower()))


def _declared(kinds: Kinds) -> dict[str, list[tuple[str, Payload]]]:
    declared: dict[str, list[tuple[str, Payload]]] = {}
    for kind in kinds.names():
        for payload in kinds[kind].payloads:
            if payload.view and payload.format == "parquet":
                declared.setdefault(payload.view, []).append((kind, payload))
    return declared


def _sources(kinds: Kinds, name: str) -> list[tuple[str, Payload]]:
    declared = _declared(kinds)
    return declared.get(name) or declared[name.removesuffix("_all")]


def _holds(artifact: Artifact, payload: Payload) -> bool:
    return payload.required or payload.path in artifact.manifest.files


def _payload_view(
    kinds: Kinds,
    sources: list[tuple[str, Payload]],
    artifacts: Iterable[Artifact],
    condition: str,
) -> str:
    """Unite one payload file over artifacts; columns that an older schema had not are null."""
    artifacts = list(artifacts)
    parts = []
    columns = sources[0][1].columns
    listed = ", ".join(f"payload.{identifier(column)}" for column in columns)
    for kind, payload in sources:
        folders = {
            str(a.folder): a.manifest.schema_version  # one object may have several names
            for a in artifacts
            if a.kind == kind and _holds(a, payload)
        }
        if folders:
            paths = [f"{folder}/{payload.path}" for folder in folders]
            # Only where there are older ones, for then every file is opened to see what it has.
            older = {*folders.values()} != {kinds[kind].schema_version}
            scan = _any_schema(paths, columns) if older else _scan(paths)
            parts.append(
                f"select owner.reference as artifact, owner.name, owner.version, {listed} "
                f"from (from artifacts where kind = {literal(kind)} {condition}) owner "
                f"join {scan} payload "
                f"on payload.artifact_path = owner.folder || {literal('/' + payload.path)}"
            )
    if parts:
        return " union all ".join(parts)
    return _nothing({**_OWNER, **columns})


def _scan(paths: Iterable[str], *options: str) -> str:
    return parquet_scan(paths, "filename = 'artifact_path'", *options)


def _any_schema(paths: Iterable[str], columns: Mapping[str, str]) -> str:
    """Spell a table of files of which some lack columns."""
    return f"({_nothing(columns)} union all by name from {_scan(paths, 'union_by_name = true')})"


def _nothing(columns: Mapping[str, str]) -> str:
    nulls = (f"null::{kind} as {identifier(name)}" for name, kind in columns.items())
    return f"select {', '.join(nulls)} where false"
