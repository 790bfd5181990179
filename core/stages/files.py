"""Files and folders that users name: digests of what is read, folders to write to."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.config.base import Config
from core.data.readers.streams import existing_file
from core.errors import ConfigError, MismatchError, MissingFileError
from core.files import file_sha256


def file_digest(path: str) -> str:
    """Return the sha256 of a file. Raises: MissingFileError."""
    return file_sha256(existing_file(Path(path)))


def folder_files_digest(path: str) -> str:
    """Return the sha256 over the names and contents of the files of a folder. Raises: MissingFileError."""
    folder = Path(path)
    if not folder.is_dir():
        raise MissingFileError(f"no folder {path}", hint="Check the path.")
    files = sorted(one for one in folder.iterdir() if one.is_file())
    lines = "\n".join(f"{one.name} {file_digest(str(one))}" for one in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def digests_of(config: Config, names: Sequence[str]) -> dict[str, str]:
    """Return setting -> digest of its file, of those that are given. Raises: MissingFileError."""
    return {name: file_digest(path) for name in names if (path := getattr(config, name))}


def require_unchanged(config: Config, before: Mapping[str, str]) -> None:
    """Raises: MismatchError if a file that was just read is not what `digests_of` was taken of, which is in the key."""
    for name, digest in digests_of(config, list(before)).items():
        if digest != before[name]:
            raise MismatchError(
                f"{getattr(config, name)} has changed while it was read",
                hint="Run the same again when nothing writes to that file any more.",
            )


def output_folder(folder: Path, *, empty: bool = False) -> Path:
    """Make a folder that the user named for files to write, if there is none.

    Raises: ConfigError if it cannot be made, or holds something although it has to be empty.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as problem:
        why = "it is a file" if folder.is_file() else problem.strerror
        raise ConfigError(
            f"cannot write to a folder {folder}: {why}", hint="Name a new or an empty folder."
        ) from problem
    if empty and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", hint="Name a new or an empty folder.")
    return folder
