"""Digests of files that users name: they belong to the key of what is made from them."""

import hashlib
from pathlib import Path

from core.errors import MissingFileError


def file_digest(path: str) -> str:
    """Return the sha256 of a file. Raises: MissingFileError."""
    file = Path(path)
    if not file.is_file():
        raise MissingFileError(f"no file {path}", hint="Check the path.")
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
