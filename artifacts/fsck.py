"""Keeping house: find what is damaged, remove what nobody needs."""

import errno
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from artifacts import files, locks
from artifacts.errors import CorruptArtifact
from artifacts.index import KEPT_GENERATIONS, Index, generations, list_references, ref_path
from artifacts.layout import Layout
from artifacts.manifest import MANIFEST_NAME, Artifact
from artifacts.publish import OWNER_NAME

_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Problem:
    """Something wrong with an artifact."""

    reference: str
    path: str
    """File inside the artifact, or empty where it is about the artifact as a whole."""
    what: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.reference}: {self.path + ': ' if self.path else ''}{self.what}"


@dataclass(frozen=True)
class Removal:
    """Something gc removed, or would."""

    path: Path
    bytes: int
    why: str
    lock: Path | None = None
    """Whoever uses it holds this."""
    unless: Path | None = None
    """It stays if this is there by then."""


def verify(
    layout: Layout,
    index: Index,
    chosen: Iterable[Artifact] | None,
    on_file: Callable[[str, int], None] | None = None,
) -> list[Problem]:
    """Compare every byte with what the manifests say.

    Args:
        index: read from the files, not from a generation.
        chosen: artifacts to look at; None for all, unreadable ones included.
        on_file: called after each file with its path and its bytes.
    """
    problems = []
    if chosen is None:
        problems = [Problem(damaged.reference, "", damaged.problem) for damaged in index.damaged]
    seen: dict[Path, list[Problem]] = {}
    for artifact in index.artifacts if chosen is None else chosen:
        for object_id in artifact.manifest.objects_used():
            if object_id not in index.by_object:
                problems.append(
                    Problem(artifact.reference, "", f"its input, object {object_id}, is missing")
                )
        if artifact.folder not in seen:  # one object may have several names
            seen[artifact.folder] = [*_verify_files(artifact, on_file)]
        problems += (replace(p, reference=artifact.reference) for p in seen[artifact.folder])
    return problems


def _verify_files(
    artifact: Artifact, on_file: Callable[[str, int], None] | None
) -> Iterator[Problem]:
    for path, expected in artifact.manifest.files.items():
        file = artifact.folder / path
        try:
            size = file.stat().st_size
            if size != expected["bytes"]:
                wrong = f"has {size} bytes instead of {expected['bytes']}"
                yield Problem(artifact.reference, path, wrong)
                continue
            if files.sha256(file) != expected["sha256"]:
                yield Problem(
                    artifact.reference, path, "is not what was published (sha256 differs)"
                )
        except FileNotFoundError:
            yield Problem(artifact.reference, path, "is missing")
        except OSError as problem:
            yield Problem(artifact.reference, path, f"cannot be read: {problem.strerror}")
        if on_file:
            on_file(path, int(expected["bytes"]))
    present = {f.relative_to(artifact.folder).as_posix() for f in _all_files(artifact.folder)}
    for path in sorted(present - set(artifact.manifest.files) - {MANIFEST_NAME}):
        yield Problem(artifact.reference, path, "was added after publishing")


def _all_files(folder: Path) -> Iterator[Path]:
    for base, _, names in os.walk(folder):
        for name in names:
            yield Path(base, name)


def collect(
    layout: Layout,
    *,
    dry_run: bool,
    unfinished_days: float | None,
    on_kept: Callable[[Removal], None] | None = None,
) -> list[Removal]:
    """Remove what nothing refers to. Publishers wait meanwhile, for as long as the removal takes.

    Args:
        unfinished_days: also remove run folders in which nothing was written for so many days.
        on_kept: called for each run folder of unfinished work that nobody is at and that stays.
    Raises: CorruptArtifact if a commit cannot be read, or the folder of a kind's commits is missing: nobody knows
        then which objects are needed.
    """
    with _alone(layout, may_look=dry_run):
        found = [*_garbage(layout, unfinished_days, on_kept)]
        return found if dry_run else [removal for removal in found if _remove(removal)]


@contextmanager
def _alone(layout: Layout, *, may_look: bool) -> Iterator[None]:
    """Let publishers wait. Who only looks may do so where nobody can write, as in a store that is read-only."""
    with ExitStack() as held:
        try:
            held.enter_context(locks.held(layout.lock("gc")))
        except OSError as problem:
            if not may_look or problem.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
        yield


def _remove(removal: Removal) -> bool:
    """Remove it, unless somebody has begun to use it meanwhile."""
    if removal.lock is None:
        _remove_path(removal.path)
        return True
    with locks.held_if_free(removal.lock) as mine:
        free = mine and not (removal.unless and removal.unless.exists())
        if free:
            _remove_path(removal.path)
            removal.lock.unlink(missing_ok=True)
        return free


def _remove_path(path: Path) -> None:
    if path.is_dir():
        files.remove_tree(path)
    else:
        files.remove_file(path)


def _garbage(
    layout: Layout, unfinished_days: float | None, on_kept: Callable[[Removal], None] | None
) -> Iterator[Removal]:
    committed = _committed(layout)
    for folder in _entries(layout.staging):
        if locks.is_free(folder / OWNER_NAME):
            yield Removal(folder, files.size(folder), "left by a process that died")
    for path in sorted(layout.root.glob("format.json.*")):
        yield Removal(path, files.size(path), "left by a process that died")
    for kind in _entries(layout.objects):
        for folder in _entries(kind):
            if (kind.name, folder.name) not in committed:
                yield Removal(folder, files.size(folder), "has no name")
    for folder, lock, done in _idle_runs(layout, committed):
        if done:
            yield Removal(folder, files.size(folder), "its work is done", lock)
            continue
        days = 0.0 if unfinished_days is None else (time.time() - _last_written(folder)) / _DAY
        if unfinished_days is not None and days >= unfinished_days:
            why = f"unfinished work, untouched for {days:.0f} days"
            yield Removal(folder, files.size(folder), why, lock)
        elif on_kept:
            on_kept(Removal(folder, files.size(folder), "unfinished work", lock))
    yield from _unused_locks(layout)
    yield from _old_index(layout)


def _idle_runs(
    layout: Layout, committed: dict[tuple[str, str], float]
) -> Iterator[tuple[Path, Path, bool]]:
    """Yield (folder, lock, whether its work is done) of the run folders that nobody is at.

    Where something was written after the work was last done, it was begun again (--force) and has
    not come to its end.
    """
    finished: dict[tuple[str, str], float] = {}
    for (kind, object_id), seconds in committed.items():
        work = (kind, object_id.partition(".")[0])
        finished[work] = max(seconds, finished.get(work, seconds))
    for folder in _entries(layout.runs):
        kind, _, key = folder.name.rpartition("-")
        lock = layout.lock(f"run-{folder.name}")
        # Whoever was at it may just have removed it.
        if locks.is_free(lock) and folder.exists():
            ended = finished.get((kind, key))
            yield folder, lock, ended is not None and _last_written(folder) < ended


def _last_written(folder: Path) -> float:
    """Return when anything in a folder was written last, in seconds since 1970; 0 if it is gone."""
    times = [0.0]
    for path in (folder, *_all_files(folder)):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)


def _unused_locks(layout: Layout) -> Iterator[Removal]:
    for lock in _entries(layout.root / "locks"):
        folder = layout.runs / lock.name.removeprefix("run-")
        unused = lock.name.startswith("run-") and not folder.exists()
        if unused and locks.is_free(lock):
            why = "lock of work that is done"
            yield Removal(lock, files.size(lock), why, lock, unless=folder)


def _old_index(layout: Layout) -> Iterator[Removal]:
    old = [*generations(layout)[:-KEPT_GENERATIONS], *_old_tables(layout)]
    drafts = [path for path in _entries(layout.index) if path.name.startswith("draft-")]
    if old or drafts:
        with locks.held_if_free(
            layout.lock("index")
        ) as mine:  # else somebody is writing one of them
            for path in [*old, *drafts] if mine else ():
                yield Removal(path, files.size(path), "an old index")


def _old_tables(layout: Layout) -> list[Path]:
    """List the folders with SQL tables of generations that are no longer kept."""
    kept = set()
    for path in generations(layout)[-KEPT_GENERATIONS:]:
        with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
            kept.add(f"tables-{json.loads(file.readline())['sha256'][:32]}")
    return [p for p in _entries(layout.index) if p.is_dir() and p.name not in kept]


def _committed(layout: Layout) -> dict[tuple[str, str], float]:
    """Kind and object id of everything that has a name -> when it got its first one (s since 1970).

    By the file system's clock, as what is compared with it: the time in a commit is later where a clock ran ahead once.
    """
    _require_refs(layout)
    found: dict[tuple[str, str], float] = {}
    for reference in list_references(layout):
        path = ref_path(layout, reference)
        try:
            commit = json.loads(path.read_bytes())
            named = (reference.partition("/")[0], str(commit["object"]))
            seconds = path.stat().st_mtime
            found[named] = min(seconds, found.get(named, seconds))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise CorruptArtifact(
                f"the commit of {reference} cannot be read ({path}), so nothing is removed",
                hint="Restore that file, or give that version up: "
                f"thinkrec remove {reference} --yes; then run gc again.",
            ) from problem
    return found


def _require_refs(layout: Layout) -> None:
    """Raises: CorruptArtifact if a kind has objects and no folder of commits, which is made before its first object."""
    for kind in _entries(layout.objects):
        refs = layout.refs / kind.name
        if _entries(kind) and not refs.is_dir():
            raise CorruptArtifact(
                f"{kind} holds artifacts, and the folder of their commits is missing ({refs}), so nothing is removed",
                hint="Restore that folder from a copy of the store: it says which artifacts are still wanted.",
            )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # not made yet, or tidied up meanwhile
        return []
