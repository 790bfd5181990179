"""Taking versions away, unless something that stays was made from them."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter

from artifacts import files, locks
from artifacts.errors import ArtifactNotFound, StoreError
from artifacts.index import Index, ref_path
from artifacts.layout import Layout
from artifacts.manifest import Artifact
from artifacts.publish import staging

_LISTED = 5


@dataclass(frozen=True)
class Departure:
    """A version that was taken away, or would be."""

    reference: str
    bytes: int
    """Bytes of payload that go with it."""
    what: str
    """What becomes of its files."""


@dataclass(frozen=True)
class Plan:
    """What goes, in an order in which nothing outlives what it was made from."""

    departures: list[Departure]
    nameless: set[str]
    """Objects that have no name afterwards and are taken away with it."""


def plan(index: Index, references: Sequence[str]) -> Plan:
    """Say what the removal of versions comes to.

    Args:
        references: kind/name@version; of a damaged one only the name goes, its files are for gc.
    Raises: StoreError if something else was made from one, ArtifactNotFound.
    """
    damaged = {version.reference for version in index.damaged}
    for reference in references:
        if reference not in index.by_reference and reference not in damaged:
            raise ArtifactNotFound(
                f"{reference} is gone already", hint="List what there is: thinkrec list"
            )
    leaving = {r: index.by_reference[r] for r in references if r in index.by_reference}
    lost = [r for r in dict.fromkeys(references) if r in damaged]
    nameless = {
        artifact.object_id
        for artifact in leaving.values()
        if all(same.reference in leaving for same in index.by_object[artifact.object_id])
    }
    _require_unused(index, references, nameless.union(*(_perhaps(index, r) for r in lost)))
    departures, counted = [], set[str]()
    for artifact in _children_first(leaving.values()):
        departures.append(
            _departure(
                artifact,
                is_last=artifact.object_id in nameless,
                is_first=artifact.object_id not in counted,
            )
        )
        counted.add(artifact.object_id)
    unread = [Departure(r, 0, "cannot be read; gc removes its files") for r in lost]
    return Plan([*departures, *unread], nameless)


def remove(layout: Layout, index: Index, references: Sequence[str]) -> list[Departure]:
    """Take versions away, and objects that have no other name. Returns: what went.

    Raises: as plan() does; nothing is removed then.
    """
    with staging(layout) as private, locks.held(layout.lock("gc")):
        planned = plan(index.refresh(), references)
        for departure in planned.departures:
            commit = ref_path(layout, departure.reference)
            # The number stays taken: a reference never comes to mean something else.
            files.move(commit, commit.with_suffix(".removed"))
            files.sync(commit.parent)
        for object_id in sorted(planned.nameless):
            folder = index.by_object[object_id][0].folder
            with suppress(FileNotFoundError):  # somebody deleted it by hand
                files.move(folder, private / f"removed-{object_id}")
                files.sync(folder.parent)
        index.refresh()
    return planned.departures


def _departure(artifact: Artifact, *, is_last: bool, is_first: bool) -> Departure:
    """Say what becomes of a version; of several names of an object that goes, the first has its files."""
    if not is_last:
        return Departure(artifact.reference, 0, "another name keeps its files")
    if not is_first:
        return Departure(artifact.reference, 0, "another name of the same files")
    held = sum(int(entry["bytes"]) for entry in artifact.manifest.files.values())
    return Departure(artifact.reference, held, "with its files")


def _children_first(leaving: Iterable[Artifact]) -> list[Artifact]:
    """Sort so that a removal that is killed on its way leaves nothing without its inputs."""
    named: dict[str, list[Artifact]] = {}
    for artifact in leaving:
        named.setdefault(artifact.object_id, []).append(artifact)
    made_from: dict[str, set[str]] = {object_id: set() for object_id in named}
    for object_id, artifacts in named.items():
        for parent in made_from.keys() & set(artifacts[0].objects_used()):
            made_from[parent].add(object_id)
    order = TopologicalSorter(made_from).static_order()
    return [artifact for object_id in order for artifact in named[object_id]]


def _perhaps(index: Index, reference: str) -> set[str]:
    """Return the objects that a damaged version may be the name of."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        commit = json.loads(ref_path(index.layout, reference).read_bytes())
        return {str(commit["object"])} - index.by_object.keys()
    folder = index.layout.objects / reference.partition("/")[0]
    return {entry.name for entry in folder.glob("*")} - index.by_object.keys()


def _require_unused(index: Index, references: Sequence[str], objects: set[str]) -> None:
    """Raises: StoreError if something besides `references` was made from one of the objects."""
    children: dict[str, list[Artifact]] = {}
    leaving = set(references)
    for artifact in index.artifacts:
        if artifact.reference not in leaving:
            for object_id in artifact.objects_used():
                children.setdefault(object_id, []).append(artifact)
    users: dict[str, Artifact] = {}
    todo = sorted(objects)
    for object_id in todo:  # grows as it goes
        for artifact in children.get(object_id, ()):
            if artifact.reference not in users:
                users[artifact.reference] = artifact
                todo.append(artifact.object_id)
    if not users:
        return
    first, more = next(iter(users.values())), len(users) - 1
    parents = {a.reference for i in first.objects_used() for a in index.by_object.get(i, ())}
    known = next((r for r in references if r in parents), None)
    source = known or next(r for r in references if r not in index.by_reference)
    raise StoreError(
        f"{first.reference} {'was' if known else 'may have been'} made from {source}"
        + (f", and {more} more came from it" if more else ""),
        hint=f"Remove them together: thinkrec remove {' '.join([*references, *users])}"
        if len(users) <= _LISTED
        else f"Name all that came from it as well; thinkrec show {source} lists it.",
    )
