"""What a person can query: tables about artifacts, and views over what they hold.

Tables (times are UTC, `reference` is kind/name@version):
    artifacts    reference, kind, name, version, latest, key, object_id, created, started, finished,
                 seconds, program_version, rows (of all its tables), bytes, folder
    lineage      child, input (its name), position, parent, child_object, parent_object;
                 parent is null if it has been removed
    parameters   reference, name, value: text as it is, everything else as JSON
    summary      reference, name, value: facts of the run, spelled likewise
    resources    reference, name, digest
    files        reference, path, bytes, sha256, rows

The views are described in views.py.

What takes time is to take manifests apart. In a large store that is done once per generation of the
index and kept as Parquet in index/tables-<digest of the generation>/; only younger versions are
read
from their manifests. Those files are derived: whatever is missing or damaged is made again.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts import files
from artifacts.damage import damage_of, damage_of_view
from artifacts.errors import CorruptArtifact
from artifacts.index import Index
from artifacts.kinds import Kinds
from artifacts.manifest import Artifact
from artifacts.publish import staging
from artifacts.sql import identifier, literal, parquet_scan
from artifacts.views import (
    payloads_of,
    select_views,
    unreadable_view,
    view_names,
    with_sources,
)

if TYPE_CHECKING:
    import duckdb

CACHED_FROM = 1000
"""Versions in a generation from which its tables are kept: below, taking manifests apart is quick
(0.04 s).
"""

_RAW = (
    '[{"reference":"VARCHAR","kind":"VARCHAR","name":"VARCHAR","version":"INTEGER",'
    '"object_id":"VARCHAR","created":"TIMESTAMP","manifest":"JSON"}]'
)


def _entries(field: str, value: str) -> str:
    """Spell the select of one row per entry of a JSON object in the manifest."""
    entries = f"map_entries(from_json(manifest->'{field}', '\"MAP(VARCHAR,{value})\"'))"
    return f"(select reference, object_id, unnest({entries}) as entry from manifests)"


# From the manifests alone: these are kept per generation.
_BASE = {
    "artifacts": """
        select reference, kind, name, version, manifest->>'key' as key, object_id, created,
            (manifest->>'started')::timestamp as started,
            (manifest->>'finished')::timestamp as finished,
            manifest->>'program_version' as program_version,
            coalesce(list_sum(json_extract(manifest, '$.files.*.rows')::bigint[]), 0)::bigint
                as rows,
            coalesce(list_sum(json_extract(manifest, '$.files.*.bytes')::bigint[]), 0)::bigint
                as bytes
        from manifests""",
    "lineage": f"""
        select reference, object_id as child_object, entry.key as input,
            generate_subscripts(entry.value, 1) - 1 as position,
            unnest(entry.value) as parent_object
        from {_entries("inputs", "VARCHAR[]")}""",
    "parameters": f"""
        select reference, entry.key as name, entry.value->>'$' as value
        from {_entries("parameters", "JSON")}""",
    "summary": f"""
        select reference, entry.key as name, entry.value->>'$' as value
        from {_entries("summary", "JSON")}""",
    "resources": f"""
        select reference, entry.key as name, entry.value as digest
        from {_entries("resources", "VARCHAR")}""",
    "files": f"""
        select reference, entry.key as path, (entry.value->>'bytes')::bigint as bytes,
            entry.value->>'sha256' as sha256, (entry.value->>'rows')::bigint as rows
        from {_entries("files", "JSON")}""",
}
# What also depends on other versions, or on where the store lies.
_FINISHED = {
    "artifacts": """
        select reference, kind, name, version,
            version = max(version) over (partition by kind, name) as latest,
            key, object_id, created, started, finished, epoch(finished - started) as seconds,
            program_version, rows, bytes,
            {objects} || '/' || kind || '/' || object_id as folder
        from {base} order by created, version, name""",
    "lineage": """
        select base.reference as child, input, position,
            arg_max(parent.reference, (parent.created <= child.created, parent.created, parent.version)) as parent,
            child_object, parent_object
        from {base} base join artifacts child on child.reference = base.reference
        left join artifacts parent on parent.object_id = parent_object
        group by all order by child, input, position""",
}


def fill(
    connection: "duckdb.DuckDBPyConnection",
    index: Index,
    kinds: Kinds,
    only: Collection[str] | None = None,
) -> list[CorruptArtifact]:
    """Make tables and views in an open database.

    Args:
        only: words of a query; what they do not name is left out. None makes everything.
    Returns: why views cannot be read: a payload file is missing or damaged. They are there and fail
        when they are read. Not every file is looked at.
    """
    import duckdb

    wanted = {*_BASE, *view_names(kinds)} if only is None else with_sources(only, kinds)
    kept = _kept_tables(index)
    try:
        _make_tables(connection, index, wanted, kept)
    except duckdb.IOException:
        if kept is None:
            raise
        _make_tables(connection, index, wanted, None)  # gc was faster
    damages = []
    for name, select in select_views(index, kinds, wanted):
        try:
            connection.execute(f"create view {identifier(name)} as {select}")
        except duckdb.Error as problem:
            damage = damage_of(index, problem)
            if damage is None:
                # A file whose columns are others; anything else is no damage.
                if name in kinds.views or not isinstance(problem, duckdb.BinderException):
                    raise
                damage = damage_of_view(payloads_of(index, kinds, name), problem)
            damages.append(damage)
            failing = unreadable_view(kinds, name, str(damage))
            connection.execute(f"create view {identifier(name)} as {failing}")
    return damages


def _make_tables(
    connection: "duckdb.DuckDBPyConnection", index: Index, wanted: set[str], kept: Path | None
) -> None:
    """Make the wanted tables; `kept` holds those of the index's generation, if anything does."""
    held = index.generation.artifacts if kept and index.generation else {}
    covered = index.covered() if held else set()
    _load_manifests(connection, (a for a in index.artifacts if a.reference not in covered))
    gone = [reference for reference in held if reference not in covered]
    for name, select in _BASE.items():
        if name not in wanted:
            continue
        base = f"({select})"
        if kept:
            left_out = " where reference not in (select unnest(?))" if gone else ""
            old = parquet_scan(kept / f"{name}.parquet")
            base = f"(select * from {old}{left_out} union all ({select}))"
        finished = _FINISHED.get(name, "select * from {base}")
        finished = finished.format(base=base, objects=literal(str(index.layout.objects)))
        parameters = [gone] if gone else []
        connection.execute(f"create or replace table {name} as {finished}", parameters)
    connection.execute("drop table manifests")


def _load_manifests(connection: "duckdb.DuckDBPyConnection", artifacts: Iterable[Artifact]) -> None:
    rows = ",".join(_row(artifact) for artifact in artifacts)
    connection.execute(
        "create or replace temp table manifests as select row.* from "
        f"(select unnest(from_json(?, {literal(_RAW)})) as row)",
        [f"[{rows}]"],
    )


def _row(artifact: Artifact) -> str:
    head = {
        "reference": artifact.reference,
        "kind": artifact.kind,
        "name": artifact.name,
        "version": artifact.version,
        "object_id": artifact.object_id,
        "created": artifact.created,
    }
    return f'{json.dumps(head)[:-1]},"manifest":{artifact.manifest_json}}}'


def _kept_tables(index: Index) -> Path | None:
    """Return the folder with the tables of the index's generation, making it if need be, or None."""
    generation = index.generation
    if generation is None or len(generation.artifacts) < CACHED_FROM:
        return None
    folder = index.layout.index / f"tables-{generation.digest[:32]}"
    if _is_intact(folder):
        return folder
    import duckdb

    with suppress(OSError, duckdb.Error):  # a full disk or store for reading; another was faster
        _keep_tables(index, folder)
    return folder if _is_intact(folder) else None


def _is_intact(folder: Path) -> bool:
    try:
        expected = json.loads((folder / "sha256.json").read_bytes())
        return set(expected) == set(_BASE) and all(
            hashlib.sha256((folder / f"{name}.parquet").read_bytes()).hexdigest() == digest
            for name, digest in expected.items()
        )
    except (OSError, ValueError, TypeError):
        return False


def _keep_tables(index: Index, folder: Path) -> None:
    import duckdb

    assert index.generation is not None
    with staging(index.layout) as private, duckdb.connect() as connection:
        draft = private / "tables"
        files.make_folder(draft)
        _load_manifests(connection, index.generation.artifacts.values())
        digests = {}
        for name, select in _BASE.items():
            path = draft / f"{name}.parquet"
            connection.execute(f"copy ({select}) to {literal(str(path))} (format parquet)")
            digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        files.write_new(draft / "sha256.json", json.dumps(digests).encode())
        if folder.exists():  # damaged
            files.move(folder, private / "damaged")
        files.move(draft, folder)
