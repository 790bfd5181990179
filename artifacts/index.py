"""Reading a store: which versions there are, quickly.

The truth is refs/ and the manifests. To list thousands without opening thousands of files, what they
say is also kept in generations (index/gen-N.jsonl), each written once under a new name. A generation
that is missing or damaged is ignored; references it lacks are read from the files, references that are
gone are left out. So a listing always holds every commit made before it began, whatever happened to the
index.

A number is given once, unless somebody deletes commits by hand (`remove` keeps their numbers). Then the
commits of that name have other times than the index says, and are read again.

A generation is a line with format, number of rows and sha256 of the rest, then one line per version:
reference, object id and time of the commit, time of its file (ns), and the manifest, parted by tabs
(JSON holds none).
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts import files, locks
from artifacts.layout import Layout
from artifacts.manifest import MANIFEST_NAME, Artifact, Manifest

TAIL_LIMIT = 64
"""Versions read from their own files before a new generation is worth writing."""
KEPT_GENERATIONS = 2
_FORMAT = 2
_log = logging.getLogger("artifacts")


@dataclass(frozen=True)
class Generation:
    """What a file of the index holds."""

    digest: str
    """sha256 of its content."""
    artifacts: Mapping[str, Artifact]
    """By reference."""


@dataclass(frozen=True)
class Damaged:
    """A version whose commit or manifest cannot be read."""

    reference: str
    problem: str


class Index:
    """The versions of a store, kept in memory and brought up to date when asked."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._known: dict[str, Artifact] = {}
        self._loaded = False
        self.generation: Generation | None = None
        """The file of the index that was read or written last."""
        self.damaged: list[Damaged] = []
        self.artifacts: list[Artifact] = []
        """Oldest first."""
        self.by_reference: dict[str, Artifact] = {}
        self.by_object: dict[str, list[Artifact]] = {}
        self.latest: dict[tuple[str, str], Artifact] = {}

    def refresh(self) -> "Index":
        """Take in every commit made before this call."""
        # The generation is read before refs/: what it knows too much is dropped below, what it
        # lacks is read.
        if not self._loaded:
            self.generation, self._known = _read_newest_generation(self.layout)
            self._loaded = True
        names = list(_list_names(self.layout))
        self._forget_replaced(names)
        listed = [f"{name}@{version}" for name, versions in names for version in versions]
        missing = [entry for entry in listed if entry not in self._known]
        damaged = []
        for reference in missing:
            try:
                self._known[reference] = read_version(self.layout, reference)
            except FileNotFoundError as problem:
                if ref_path(self.layout, reference).exists():
                    damaged.append(Damaged(reference, f"{problem.filename} is missing"))
            except (OSError, ValueError, KeyError, TypeError) as problem:
                damaged.append(Damaged(reference, f"cannot be read: {problem}"))
        for found in damaged:
            if found not in self.damaged:
                _log.warning("%s %s (see: thinkrec verify)", found.reference, found.problem)
        self.damaged = damaged
        changed = bool(missing) or len(listed) != len(self.by_reference)
        if changed:
            self._arrange(listed)
        if len(missing) > TAIL_LIMIT:
            self.write()
        return self

    def forget(self) -> None:
        """Start from the files at the next refresh, without a generation."""
        self._known, self._loaded, self.generation = {}, True, None
        self._arrange([])

    def covered(self) -> set[str]:
        """Return the references of the generation that are still what it says."""
        held = self.generation.artifacts if self.generation else {}
        return {r for r, artifact in held.items() if self.by_reference.get(r) is artifact}

    def _forget_replaced(self, names: Iterable[tuple[str, list[int]]]) -> None:
        """Forget what is known of names whose commits have been deleted and their numbers given again.

        A number can come again only where it was above all others. So the highest one that is known
        has been replaced if any has: one file per name has to be looked at, not one per version.
        """
        replaced = set()
        for name, versions in names:
            numbers = (v for v in sorted(versions, reverse=True) if f"{name}@{v}" in self._known)
            highest = next(numbers, None)
            if highest is not None and _committed_ns(self.layout, name, highest) != (
                self._known[f"{name}@{highest}"].committed_ns
            ):
                replaced.add(name)
        if replaced:
            known = self._known.items()
            self._known = {r: a for r, a in known if r.rpartition("@")[0] not in replaced}

    def _arrange(self, listed: Iterable[str]) -> None:
        known = self._known
        self._known = {r: known[r] for r in listed if r in known}
        self.artifacts = sorted(self._known.values(), key=lambda a: (a.created, a.version, a.name))
        self.by_reference = dict(self._known)
        self.by_object, self.latest = {}, {}
        for artifact in self.artifacts:
            self.by_object.setdefault(artifact.object_id, []).append(artifact)
            name = (artifact.kind, artifact.name)
            newest = self.latest.get(name)
            if newest is None or newest.version < artifact.version:
                self.latest[name] = artifact

    def write(self) -> None:
        """Write all that is known as a new generation. It is a cache: whatever goes wrong, nothing
        is lost.
        """
        try:
            with locks.held_if_free(self.layout.lock("index")) as mine:
                if mine:
                    self.generation = _write_generation(self.layout, self.artifacts)
        except OSError as problem:  # a full disk or a read-only store
            _log.debug("no new generation of the index: %s", problem)


def list_references(layout: Layout) -> Iterator[str]:
    """Yield the reference of every version there is, in no order."""
    for name, versions in _list_names(layout):
        yield from (f"{name}@{version}" for version in versions)


def _list_names(layout: Layout) -> Iterator[tuple[str, list[int]]]:
    """Yield every kind/name with the numbers of its versions, in no order."""
    for kind in _names(layout.refs):
        for name in _names(layout.refs / kind):
            entries = _names(layout.refs / kind / name)
            stems = [entry[:-5] for entry in entries if entry.endswith(".json")]
            yield f"{kind}/{name}", [int(stem) for stem in stems if stem.isdigit()]


def read_version(layout: Layout, reference: str) -> Artifact:
    """Read one version from its own files.

    Raises: OSError, ValueError, KeyError or TypeError if the commit or the manifest is damaged.
    """
    kind, name, version = split_reference(reference)
    path = ref_path(layout, reference)
    committed_ns = path.stat().st_mtime_ns  # first: if it is replaced now, the next refresh sees it
    commit = json.loads(path.read_bytes())
    folder = layout.object_folder(kind, commit["object"])
    content = (folder / MANIFEST_NAME).read_bytes()
    if hashlib.sha256(content).hexdigest() != commit["manifest_sha256"]:
        raise ValueError(f"{folder / MANIFEST_NAME} is not the manifest that was committed")
    manifest = Manifest.from_json(content)
    return Artifact(
        kind=kind,
        name=name,
        version=version,
        object_id=commit["object"],
        created=commit["created"],
        committed_ns=committed_ns,
        layout=layout,
        manifest_json=manifest.to_json(),
    )


def split_reference(reference: str) -> tuple[str, str, int]:
    """Split kind/name@version."""
    kind, _, rest = reference.partition("/")
    name, _, version = rest.rpartition("@")
    return kind, name, int(version)


def ref_name(version: int) -> str:
    """File name of a version's commit."""
    return f"{version:08d}.json"


def generations(layout: Layout) -> list[Path]:
    """All generations, oldest first; not what a program that copies files put beside them."""
    names = [n for n in _names(layout.index) if re.fullmatch(r"gen-[0-9]+\.jsonl", n)]
    return [layout.index / name for name in sorted(names)]


def ref_path(layout: Layout, reference: str) -> Path:
    """File of a version's commit."""
    kind, name, version = split_reference(reference)
    return layout.refs / kind / name / ref_name(version)


def _committed_ns(layout: Layout, name: str, version: int) -> int | None:
    """Return when the commit of a version of kind/name was written, None if it is gone."""
    path = f"{layout.root}/refs/{name}/{ref_name(version)}"
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a path object for each of thousands
    except FileNotFoundError:
        return None


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all we want of thousands
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read_newest_generation(layout: Layout) -> tuple[Generation | None, dict[str, Artifact]]:
    for path in reversed(generations(layout)):
        try:
            digest, known = _read_generation(layout, path)
            return Generation(digest, dict(known)), known
        except (OSError, ValueError, KeyError, TypeError, IndexError) as problem:
            _log.debug("%s is left aside: %s", path, problem)
    return None, {}


def _read_generation(layout: Layout, path: Path) -> tuple[str, dict[str, Artifact]]:
    head, _, body = path.read_bytes().partition(b"\n")
    expected = json.loads(head)
    if expected["format"] != _FORMAT or hashlib.sha256(body).hexdigest() != expected["sha256"]:
        raise ValueError("damaged, or of another format")
    known = {}
    for line in body.decode().split("\n")[:-1]:
        reference, object_id, created, committed_ns, manifest_json = line.split("\t")
        kind, name, version = split_reference(reference)
        known[reference] = Artifact(
            kind=kind,
            name=name,
            version=version,
            object_id=object_id,
            created=created,
            committed_ns=int(committed_ns),
            layout=layout,
            manifest_json=manifest_json,
        )
    return expected["sha256"], known


def _write_generation(layout: Layout, artifacts: Collection[Artifact]) -> Generation:
    lines = [
        f"{a.reference}\t{a.object_id}\t{a.created}\t{a.committed_ns}\t{a.manifest_json}\n"
        for a in artifacts
    ]
    body = "".join(lines).encode()
    head: dict[str, Any] = {
        "format": _FORMAT,
        "rows": len(lines),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    files.make_folder(layout.index)
    existing = generations(layout)
    number = int(existing[-1].stem[4:]) + 1 if existing else 1
    draft = layout.index / f"draft-{os.urandom(4).hex()}"
    try:
        files.write_new(draft, json.dumps(head).encode() + b"\n" + body)
        files.move(draft, layout.index / f"gen-{number:08d}.jsonl")
    finally:
        draft.unlink(missing_ok=True)
    for path in existing[: 1 - KEPT_GENERATIONS]:
        files.remove_file(path)
    return Generation(head["sha256"], {artifact.reference: artifact for artifact in artifacts})
