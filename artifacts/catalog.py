"""catalog.duckdb: a copy of tables and views for other DuckDB programs.

It is made whole under another name and moved over. It is derived and may be thrown away; nothing here
is ever read by the store. Whoever holds an older copy open keeps it. The table `catalog_info` says what
the copy covers: number of versions, when it was made, of which store.
"""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from artifacts import files, locks, publish, tables
from artifacts.index import Index
from artifacts.keys import canonical
from artifacts.kinds import Kinds
from artifacts.layout import Layout

_RECIPE = 1
"""Goes up when tables or views change, so that older copies are made again."""


def export(layout: Layout, index: Index, kinds: Kinds) -> str | None:
    """Bring the copy up to date. Returns: None, or a warning if it could not be done."""
    import duckdb

    if not os.access(layout.root, os.W_OK):
        return None  # a store to read from: nothing new can have come
    try:
        # Whoever comes second waits, then sees that the first has covered its artifact as well, or
        # covers both.
        with locks.held(layout.lock("catalog")):
            index.refresh()
            if stray := _stray_log(layout):
                return stray
            covered = _fingerprint(layout, index, kinds)
            if _exported(layout) != {**covered, **_identity(layout.catalog)}:
                return _write(layout, index, kinds, covered)
    except (OSError, duckdb.Error) as problem:
        reason = str(problem).splitlines()[0]
        return f"catalog.duckdb was not brought up to date: {reason}. Later: thinkrec rebuild"
    return None


def drop(layout: Layout) -> None:
    """Remove the copy, and the index with it."""
    with locks.held(layout.lock("catalog")), locks.held(layout.lock("index")):
        for path in (_log_path(layout), layout.catalog):
            files.remove_file(path)
        files.remove_tree(layout.index)


def _write(layout: Layout, index: Index, kinds: Kinds, covered: dict[str, Any]) -> str | None:
    """Write the copy. Returns: None, or a warning if some of its views cannot be read."""
    import duckdb

    with publish.staging(layout) as private:
        draft = private / "catalog.duckdb"
        with duckdb.connect(str(draft)) as connection:
            damages = tables.fill(connection, index, kinds)
            connection.execute(
                "create table catalog_info as "
                "select ?::bigint as versions, ?::timestamp as made, ?::varchar as store",
                [len(index.artifacts), datetime.now(UTC).replace(tzinfo=None), str(layout.root)],
            )
            connection.execute("checkpoint")
        if Path(f"{draft}.wal").exists():
            raise OSError("DuckDB left a log beside the copy")
        files.sync(draft)
        if _stray_log(layout):  # opened for writing meanwhile
            return None
        files.replace(draft, layout.catalog)
        if damages:  # without the note it is written again as long as they are there
            return f"views of catalog.duckdb cannot be read: {damages[0]}. See: thinkrec verify"
        note = private / f"note-{os.urandom(4).hex()}"
        files.write_new(note, json.dumps({**covered, **_identity(layout.catalog)}).encode())
        files.make_folder(layout.index)
        files.replace(note, _note_path(layout))
    return None


def _log_path(layout: Layout) -> Path:
    return layout.root / "catalog.duckdb.wal"


def _note_path(layout: Layout) -> Path:
    return layout.index / "exported.json"


def _stray_log(layout: Layout) -> str | None:
    if not _log_path(layout).exists():
        return None
    return (
        "catalog.duckdb is open for writing in another program (or was, when that program died), "
        "so it stays as it is; close that program and run: thinkrec rebuild"
    )


def _fingerprint(layout: Layout, index: Index, kinds: Kinds) -> dict[str, Any]:
    digest = hashlib.sha256()
    for artifact in index.artifacts:
        digest.update(f"{artifact.reference} {artifact.object_id}\n".encode())
    declared = [
        [payload.view, payload.path, dict(payload.columns)]
        for kind in kinds.names()
        for payload in kinds[kind].payloads
    ]
    schema = hashlib.sha256(canonical([_RECIPE, declared, dict(kinds.views)]).encode())
    return {
        "versions": digest.hexdigest(),
        "schema": schema.hexdigest(),
        "root": str(layout.root),
    }


def _identity(path: Path) -> dict[str, Any]:
    """What changes when anybody else touches the file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return {}
    return {"inode": found.st_ino, "bytes": found.st_size, "modified_ns": found.st_mtime_ns}


def _exported(layout: Layout) -> dict[str, Any] | None:
    try:
        found = json.loads(_note_path(layout).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
