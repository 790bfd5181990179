"""Locks between processes: flock on small files. The kernel frees them when their holder dies."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from artifacts import files

_MODE = 0o666
"""What the umask leaves of it: who shares a store lets the group write."""


@contextmanager
def held(
    path: Path,
    *,
    shared: bool = False,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[int]:
    """Hold a lock file, waiting for as long as another process does.

    Args:
        path: lock file; made if missing.
        shared: several holders may share it; the default is to be alone.
        on_wait: called once if the lock is taken, before the wait.
    Yields: the descriptor of the open lock file.
    """
    descriptor = _take(path, shared=shared, wait=False)
    if descriptor is None:
        if on_wait:
            on_wait()
        descriptor = _take(path, shared=shared, wait=True)
    assert descriptor is not None
    try:
        yield descriptor
    finally:
        _free(descriptor)


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock file alone if nobody else does. Yields: whether it is held."""
    descriptor = _take(path, shared=False, wait=False)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _free(descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock file at this moment (a missing file is free)."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _take(path: Path, *, shared: bool, wait: bool) -> int | None:
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, operation if wait else operation | fcntl.LOCK_NB)
            # The file may have been removed while we waited: a lock on a file without a name
            # protects nothing.
            if _same_file(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
    except FileNotFoundError:
        files.make_folder(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT, _MODE)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _free(descriptor: int) -> None:
    # Unlock in so many words: a forked child may still share the open file, and would keep the lock
    # alive.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
