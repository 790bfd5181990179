"""Every change the store makes to the disk, each behind a numbered fault point (artifacts/faults.py).

Renaming and linking are atomic; what makes them last is the fsync of the file before and of the folder
after.
"""

import errno
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

from artifacts import faults


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, so that all of them outlive a power cut."""
    if path.is_dir():
        return
    make_folder(path.parent)
    faults.step(f"make {path}")
    path.mkdir(exist_ok=True)
    sync(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, and bring it to the disk."""
    faults.step(f"create {path}")
    with path.open("xb") as file:
        half = len(content) // 2
        file.write(content[:half])
        file.flush()
        faults.step(f"write {path}")  # between the halves: a kill here leaves a torn file
        file.write(content[half:])
        file.flush()
        faults.step(f"sync {path}")
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Bring a file's content, or the entries of a folder, to the disk."""
    faults.step(f"sync {path}")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def protect(path: Path) -> None:
    """Make a file read-only."""
    faults.step(f"protect {path}", grows=False)
    path.chmod(0o444)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder. Raises: OSError if target is a folder that is not empty."""
    faults.step(f"move {source} to {target}")
    os.rename(source, target)


def replace(source: Path, target: Path) -> None:
    """Rename a file over whatever target was."""
    faults.step(f"replace {target}")
    source.replace(target)


def link(source: Path, target: Path) -> bool:
    """Give a file a second name, unless that name is taken.

    Returns: True if target is source now (also if it was before), False if the name belongs to
    another file.
    """
    faults.step(f"link {target}")
    try:
        os.link(source, target)
    except FileExistsError:
        # The reply of an earlier try may have been lost (network file systems): then the name is
        # ours.
        return target.samefile(source)
    return True


def remove_file(path: Path) -> None:
    """Remove a file; one that is gone already is fine."""
    faults.step(f"remove {path}", grows=False)
    path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a folder with everything in it; what is gone already is fine. Raises: OSError."""
    faults.step(f"remove {path}", grows=False)
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        # Once more, to hear why it stayed; if another process removes the same, it can be left to that.
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 for what another process has tidied up meanwhile."""
    if not path.is_dir():
        return _size(str(path))
    return sum(
        _size(os.path.join(folder, name))  # noqa: PTH118 - hot loop
        for folder, _, names in os.walk(path)
        for name in names
    )


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def sha256(path: Path) -> str:
    """Digest of a file's content, read piece by piece."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_full_disk(error: OSError) -> bool:
    """Whether an error says that there is no space left (or no quota)."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
