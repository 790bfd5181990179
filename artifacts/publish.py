"""Publishing: from a private folder to a committed version, all or nothing.

1. staging: a private folder, locked by its owner, is filled and checked against its kind;
2. every payload file is hashed, made read-only and brought to the disk (fsync), then the manifest,
   then the folders;
3. the folder is renamed into objects/, and objects/<kind> brought to the disk;
4. a small file that names the object is linked under the next free version number of the name. This
   is the commit: before it nobody can see anything, after it everything is there. Its folder is
   brought to the disk last.

Locks: `gc` is shared by all who publish, so that no object is collected on its way from 3 to 4.
`commit` puts one publisher after the other for 3 and 4; that a version number is given once rests on
link(2), not on the lock.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from artifacts import files, locks
from artifacts.errors import ArtifactNotFound, CorruptArtifact, StoreError
from artifacts.index import read_version, ref_name
from artifacts.layout import Layout
from artifacts.manifest import MANIFEST_NAME, Artifact, Manifest

OWNER_NAME = "owner"


@contextmanager
def staging(layout: Layout) -> Iterator[Path]:
    """Yield a private folder, which is removed at the end whatever happens."""
    folder = layout.staging / os.urandom(8).hex()
    with ExitStack() as stack:
        # gc removes what has no living owner: it must not look between the making and the lock.
        with locks.held(layout.lock("gc"), shared=True):
            try:
                files.make_folder(folder)
                stack.enter_context(locks.held(folder / OWNER_NAME))
            except OSError:
                _tidy(folder)
                raise
            stack.callback(_tidy, folder)
        yield folder


def _tidy(folder: Path) -> None:
    with suppress(OSError):  # what stays is for gc; it must not turn a success into a failure
        files.remove_tree(folder)


def require_one_disk(layout: Layout, kind: str, folder: Path) -> None:
    """Raises: StoreError if what is made in a staging folder could not be moved to its place when all is done."""
    for place in (layout.objects, layout.objects / kind, layout.refs, layout.refs / kind):
        if place.exists() and place.stat().st_dev != folder.stat().st_dev:
            raise StoreError(
                f"objects, refs and staging of a store must lie on one disk, and {place} lies on another than "
                f"{folder.parent}",
                hint="Move the whole store to one disk, and name it with --store.",
            )


def seal(folder: Path, facts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Hash the payload files of a draft, bring them to the disk and make them read-only.

    Args:
        facts: path -> what is known already; lists the files.
    Returns: path -> bytes, sha256 and what was known.
    """
    sealed = {}
    for path, known in facts.items():
        file = folder / path
        digest = files.sha256(file)
        files.protect(file)
        files.sync(file)
        sealed[path] = {"bytes": file.stat().st_size, "sha256": digest, **known}
    for base, _, _ in os.walk(folder):
        if Path(base) != folder:
            files.sync(Path(base))
    return sealed


def commit(layout: Layout, folder: Path, manifest: Manifest, name: str) -> Artifact:
    """Make a sealed draft visible as the next version of a name.

    Args:
        folder: the sealed draft, inside a staging folder of this process.
    Raises: ArtifactNotFound if an input has been removed meanwhile.
    """
    content = (manifest.to_json() + "\n").encode()
    files.write_new(folder / MANIFEST_NAME, content)
    files.protect(folder / MANIFEST_NAME)
    files.sync(folder)
    kind, digest = manifest.kind, hashlib.sha256(content).hexdigest()
    files.make_folder(layout.objects / kind)
    files.make_folder(layout.refs / kind / name)
    with locks.held(layout.lock("gc"), shared=True):
        _check_inputs(layout, manifest)
        with locks.held(layout.lock("commit")) as clock:
            object_id = _place(layout, folder, manifest)
            try:
                version = _link(layout, folder.parent, clock, (kind, name, object_id, digest))
            except OSError:
                # Without its commit the object is nothing: back into the private folder, which is
                # removed.
                if not _is_committed(layout, kind, object_id):
                    with suppress(OSError):  # then gc finds it
                        os.rename(layout.object_folder(kind, object_id), folder)
                raise
        files.sync(layout.refs / kind / name)
    return read_version(layout, f"{kind}/{name}@{version}")


def name_again(layout: Layout, artifact: Artifact, name: str) -> Artifact:
    """Commit an object that is there already under another name, unless the name has it already.

    Raises: ArtifactNotFound if the artifact has been removed meanwhile, CorruptArtifact if its manifest is not the
        one that was read before.
    """
    kind, object_id = artifact.kind, artifact.object_id
    manifest = layout.object_folder(kind, object_id) / MANIFEST_NAME
    names = layout.refs / kind / name
    with staging(layout) as private, locks.held(layout.lock("gc"), shared=True):
        if not manifest.exists():
            raise ArtifactNotFound(
                f"{artifact.reference} was removed meanwhile", hint="Make it again."
            )
        content = manifest.read_bytes()
        _require_same(artifact, content)
        digest = hashlib.sha256(content).hexdigest()
        files.make_folder(names)
        with locks.held(layout.lock("commit")) as clock:
            same = [path for path in sorted(names.glob("*.json")) if _named(path) == object_id]
            what = (kind, name, object_id, digest)
            version = int(same[-1].stem) if same else _link(layout, private, clock, what)
        files.sync(names)
    return read_version(layout, f"{kind}/{name}@{version}")


def _require_same(artifact: Artifact, manifest: bytes) -> None:
    """Raises: CorruptArtifact if a manifest is not that of an artifact: a new commit would vouch for it."""
    try:
        same = Manifest.from_json(manifest).to_json() == artifact.manifest_json
    except (ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise CorruptArtifact.of(
            artifact.reference,
            f"{artifact.reference}: {MANIFEST_NAME} is not what was published ({artifact.folder / MANIFEST_NAME})",
        )


def _place(layout: Layout, folder: Path, manifest: Manifest) -> str:
    """Rename a draft into objects/ under a free object id, and return that id."""
    object_id = manifest.key
    while True:
        target = layout.object_folder(manifest.kind, object_id)
        if target.exists():
            if _is_committed(layout, manifest.kind, object_id):
                object_id = f"{manifest.key}.{os.urandom(4).hex()}"
                continue
            # Left by a process that died before its commit. Everybody who could still commit it
            # holds our lock.
            files.move(target, folder.parent / f"orphan-{os.urandom(4).hex()}")
        files.move(folder, target)
        files.sync(target.parent)
        return object_id


def _is_committed(layout: Layout, kind: str, object_id: str) -> bool:
    return any(_names_object(path, object_id) for path in layout.refs.glob(f"{kind}/*/*.json"))


def _names_object(commit_path: Path, object_id: str) -> bool:
    # Nobody knows what a damaged commit named: leave alone whatever it may be.
    return _named(commit_path) in (object_id, None)


def _named(commit_path: Path) -> str | None:
    """Return the object that a commit names, None if it cannot be read."""
    try:
        return str(json.loads(commit_path.read_bytes())["object"])
    except (ValueError, KeyError, TypeError):
        return None


def _link(layout: Layout, private: Path, clock: int, what: tuple[str, str, str, str]) -> int:
    """Write the commit and link it under the next free version. Returns: the version."""
    kind, name, object_id, digest = what
    content = {"object": object_id, "manifest_sha256": digest, "created": _later(clock)}
    draft = private / f"commit-{os.urandom(4).hex()}"
    files.write_new(draft, json.dumps(content, sort_keys=True).encode() + b"\n")
    files.protect(draft)
    folder = layout.refs / kind / name
    taken = [int(path.stem) for path in folder.iterdir() if path.stem.isdigit()]
    version = max(taken, default=0) + 1
    while not files.link(draft, folder / ref_name(version)):
        version += 1
    return version


def _later(clock: int) -> str:
    """Return the time, or just after the last commit if the clock was set back, and note it in the
    lock file.
    """
    now = datetime.now(UTC)
    try:
        last = datetime.fromisoformat(os.pread(clock, 64, 0).decode().strip())
        now = max(now, last + timedelta(microseconds=1))
    except (ValueError, TypeError):  # the first commit, or a damaged note
        pass
    text = now.isoformat(timespec="microseconds")
    os.pwrite(clock, text.encode(), 0)
    return text


def _check_inputs(layout: Layout, manifest: Manifest) -> None:
    wanted = set(manifest.objects_used())
    for kind in layout.objects.iterdir() if wanted else ():
        wanted -= {i for i in wanted if (kind / i).is_dir()}
    if wanted:
        raise ArtifactNotFound(
            f"an input of this {manifest.kind} was removed while it was made: object {min(wanted)}",
            hint="Make the input again, then this.",
        )
