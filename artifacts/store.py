"""The store: everything a program does with artifacts goes through `Store`.

    store = Store.open(Path(".store"), kinds, program_version="1.0")
    key = store.key(kind="table", parameters={"n": 3}, inputs={}, resources={})
    with store.publish(kind="table", name="small", key=key, parameters={"n": 3}, inputs={},
    resources={}) as draft:
        write_something(draft.folder / "rows.parquet")
    print(draft.artifact.reference)          # table/small@1
    store.query("select * from rows")

Layout on disk: layout.py. How a publish survives a crash: publish.py. Tables and views: tables.py.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts import files, keys, locks, publish, references, schemas
from artifacts.errors import StoreError
from artifacts.index import Index
from artifacts.kinds import Kinds
from artifacts.layout import Layout, open_layout
from artifacts.manifest import Artifact, Draft, Manifest

if TYPE_CHECKING:
    from artifacts.fsck import Problem, Removal
    from artifacts.removal import Departure

__all__ = ["Artifact", "Draft", "Manifest", "Store"]


class Store:
    """Immutable artifacts below one folder, with names, versions and SQL over them. Safe for many
    processes at once.
    """

    def __init__(self, layout: Layout, kinds: Kinds, program_version: str) -> None:
        """Use Store.open."""
        self._layout = layout
        self._index = Index(layout)
        self.kinds = kinds
        self.program_version = program_version
        self.say: Callable[[str], None] = logging.getLogger("artifacts").warning
        """Where to report a line, such as that another process holds the work."""

    @classmethod
    def open(cls, root: Path, kinds: Kinds, program_version: str) -> "Store":
        """Open the store at a folder, making an empty one if there is none.

        Raises: StoreTooNew, StoreError if the folder cannot be made or holds something else.
        """
        return cls(open_layout(root), kinds, program_version)

    @property
    def root(self) -> Path:
        """Folder of the store, absolute."""
        return self._layout.root

    def key(
        self,
        *,
        kind: str,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Sequence[str]],
        resources: Mapping[str, str],
    ) -> str:
        """Return the key of a piece of work: sha256 in hex. See keys.work_key."""
        return keys.work_key(
            kind=kind,
            schema_version=self.kinds[kind].schema_version,
            parameters=parameters,
            inputs=inputs,
            resources=resources,
        )

    def resolve(self, reference: str, kinds: Collection[str] = ()) -> Artifact:
        """Return the artifact that kind/name@version, kind/name, an object id or the beginning of a
        key names.

        Args:
            kinds: kinds that will do (none: any); with them a bare `name` or `name@version` will do
            as well.
        Raises: ArtifactNotFound, AmbiguousReference, StoreError.
        """
        return references.resolve(self._index.refresh(), reference, kinds)

    def find(self, kind: str, key: str) -> Artifact | None:
        """Return the newest artifact that this piece of work made, or None."""
        for artifact in reversed(self._index.refresh().artifacts):
            if artifact.kind == kind and artifact.key == key:
                return artifact
        return None

    def by_object(self, object_id: str, *, child: Artifact | None = None) -> Artifact:
        """Return the artifact of an object id, under its newest name.

        Args:
            object_id: of its content.
            child: what was made from it: names that came after are none that its maker can have meant.
        Raises: ArtifactNotFound.
        """
        found = self._index.by_object.get(object_id)
        if not found:
            return references.by_object(self._index.refresh(), object_id)
        before = [a for a in found if child is None or a.created <= child.created]
        return (before or found)[-1]

    def latest(self, artifact: Artifact) -> Artifact:
        """Return the newest version of an artifact's name that can be read."""
        return self._index.refresh().latest[artifact.kind, artifact.name]

    def artifacts(self, kind: str | None = None) -> list[Artifact]:
        """Return every version of every name, oldest first."""
        return [a for a in self._index.refresh().artifacts if kind in (None, a.kind)]

    def name_object(self, artifact: Artifact, name: str) -> Artifact:
        """Give an artifact another name; one that it has already stays as it is.

        Raises: StoreError if it cannot be a name, ArtifactNotFound if the artifact was removed
        meanwhile.
        """
        keys.check_name(name)
        for same in reversed(self._index.refresh().by_object.get(artifact.object_id, [])):
            if same.name == name:
                return same
        return publish.name_again(self._layout, artifact, name)

    @contextmanager
    def run_folder(self, kind: str, key: str) -> Iterator[Path]:
        """Hold the mutable folder of a piece of work: what is written there survives a kill.

        A second process that wants the same waits (and says so): afterwards it should look whether
        the work is done.
        """
        folder = self._layout.run_folder(kind, key)

        def on_wait() -> None:
            self.say(f"another process is making the same {kind}; waiting for it to finish")

        lock = self._layout.lock(f"run-{folder.name}")
        with locks.held(lock, on_wait=on_wait):
            files.make_folder(folder)
            try:
                yield folder
            finally:
                with suppress(OSError):  # not empty: the work goes on another time
                    folder.rmdir()
                if not folder.exists():
                    lock.unlink(missing_ok=True)

    def discard_run_folder(self, path: Path) -> None:
        """Remove a folder that run_folder gave, all at once; call it while the folder is held."""
        # The work is published by now: what cannot be removed (a full disk) is for gc.
        with suppress(OSError), publish.staging(self._layout) as private:
            files.move(path, private / "run")

    @contextmanager
    def publish(
        self,
        *,
        kind: str,
        name: str,
        key: str,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Sequence[str]],
        resources: Mapping[str, str],
    ) -> Iterator[Draft]:
        """Yield a draft to fill; when the block ends well, make it the next version of a name.

        If the block raises, or the draft is not what the kind declares, or the disk is full,
        nothing is published.
        Where an object of this key exists, a new one is made beside it: whoever wants a hit asks
        `find` first.
        Raises: StoreError for an unfit name or a store on two disks, SchemaViolation, ArtifactNotFound if an input was
        removed meanwhile, OSError.
        """
        keys.check_name(name)
        started = _now()
        with publish.staging(self._layout) as private:
            publish.require_one_disk(self._layout, kind, private)
            draft = Draft(folder=private / "artifact")
            files.make_folder(draft.folder)
            yield draft
            facts = schemas.check_payload(draft.folder, self.kinds[kind])
            manifest = Manifest(
                kind=kind,
                schema_version=self.kinds[kind].schema_version,
                key=key,
                parameters=dict(parameters),
                inputs={input_name: list(ids) for input_name, ids in inputs.items()},
                resources=dict(resources),
                program_version=self.program_version,
                started=started,
                finished=_now(),
                summary=_json_summary(draft.summary),
                files=publish.seal(draft.folder, facts),
            )
            draft.artifact = publish.commit(self._layout, draft.folder, manifest, name)

    def query(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run one SELECT over tables and views; it can read this store and nothing else, and change
        nothing.

        Returns: names of the columns, rows.
        Raises: BadQuery with the first line of what DuckDB says; CorruptArtifact if the query needs
            a file that is missing or cannot be read.
        """
        with self.answer(sql) as (columns, batches):
            return columns, [row for rows in batches for row in rows]

    def answer(
        self, sql: str
    ) -> AbstractContextManager[tuple[list[str], Iterator[list[tuple[Any, ...]]]]]:
        """Run one SELECT as query() does, for results that need not fit into memory.

        Yields: names of the columns, batches of rows.
        """
        from artifacts import query

        return query.answer(self._index.refresh(), self.kinds, sql)

    def export_catalog(self) -> str | None:
        """Bring catalog.duckdb, the copy for other programs, up to date if anything changed.

        Returns: None, or a warning for the user if it had to stay as it is. Never breaks what was
        published.
        """
        from artifacts import catalog

        return catalog.export(self._layout, self._index, self.kinds)

    def verify(
        self,
        references: Collection[str] | None = None,
        on_file: Callable[[str, int], None] | None = None,
    ) -> "list[Problem]":
        """Read every byte of artifacts again and return what is wrong with them.

        Args:
            references: which artifacts; None for all.
            on_file: called after each file with its path and its bytes.
        """
        from artifacts import fsck

        self._index.forget()
        chosen = None if references is None else [self.resolve(r) for r in references]
        return fsck.verify(self._layout, self._index.refresh(), chosen, on_file)

    def gc(
        self,
        dry_run: bool = False,
        *,
        unfinished_days: float | None = None,
        on_kept: "Callable[[Removal], None] | None" = None,
    ) -> "list[Removal]":
        """Remove what nothing refers to: abandoned staging, orphans, finished run folders, old
        index files.

        Args:
            unfinished_days: also remove checkpoints of unfinished work that nobody touched for so
                many days; None keeps them all.
            on_kept: called for each folder of checkpoints that is kept for work that nobody is at.
        Returns: what was removed, or would be.
        """
        from artifacts import fsck

        return fsck.collect(
            self._layout, dry_run=dry_run, unfinished_days=unfinished_days, on_kept=on_kept
        )

    def remove(self, *references: str, dry_run: bool = False) -> "list[Departure]":
        """Take versions away, all or none, and their files where no other name has them.

        Args:
            references: see resolve; a version that cannot be read is named kind/name@version.
        Returns: what was removed, or would be.
        Raises: StoreError if something else was made from one of them; see resolve.
        """
        from artifacts import removal

        damaged = {version.reference for version in self._index.refresh().damaged}
        named = [r if r in damaged else self.resolve(r).reference for r in references]
        if dry_run:
            return removal.plan(self._index, named).departures
        return removal.remove(self._layout, self._index, named)

    def rebuild(self) -> str | None:
        """Make index and catalog anew from the files. Returns: None, or a warning as export_catalog
        does.
        """
        from artifacts import catalog

        catalog.drop(self._layout)
        self._index.forget()
        self._index.refresh().write()
        return self.export_catalog()

    def usage(self) -> int:
        """Bytes that the store takes on the disk."""
        return files.size(self.root)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _json_summary(summary: dict[str, Any]) -> dict[str, Any]:
    try:
        keys.canonical(summary)
    except (TypeError, ValueError) as problem:
        raise StoreError(
            f"the summary of the run is not JSON: {problem}",
            hint="Put plain numbers, texts, lists and dicts into draft.summary; None for what is not a number.",
        ) from problem
    return dict(summary)
