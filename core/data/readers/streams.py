"""Files and folders of the user: found, opened as text, unpacked, and refused in words where they are no text."""

import gzip
import io
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from core.errors import BadValueError, EmptyFileError, EncodingError, MissingFileError

_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20
# What windows-1252 writes quotes and dashes with; latin-1 has nothing there that is printed.
_WINDOWS_ONLY = re.compile(rb"[\x80-\x9f]")
_UNPACK = "Unpack it first and give the file that was in it; .gz is read as it is."
_NO_TEXT = {
    # DuckDB reads .zst, but takes a file that was cut short for a whole one.
    **dict.fromkeys((".zip", ".zst", ".xz", ".bz2", ".7z", ".rar", ".tar", ".tgz"), _UNPACK),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the sheet as CSV first."),
}


def existing_file(path: Path) -> Path:
    """Return the path. Raises: MissingFileError if there is no such file, or its name cannot be told to DuckDB."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise MissingFileError(
            f"the name of the file {str(path)!a} is not UTF-8", hint="Rename the file."
        ) from None
    if path.is_dir():
        raise MissingFileError(f"{path} is a folder, not a file", hint="Give the path of a file.")
    if path.exists() and not path.is_file():
        raise MissingFileError(
            f"{path} is a pipe or a device, and files are read more than once",
            hint="Write it to a file, and give that.",
        )
    if not path.is_file():
        near = nearest_name(path)
        raise MissingFileError(
            f"no file {path}", hint=f"Did you mean {near}?" if near else "Check the path."
        )
    return path


def existing_folder(path: Path) -> Path:
    """Return the path. Raises: MissingFileError if there is no such folder."""
    if not path.is_dir():
        near = nearest_name(path)
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise MissingFileError(
            f"{path} {what}",
            hint=f"Did you mean {near}?" if near else "Give the folder that holds the files.",
        )
    return path


def nearest_name(path: Path) -> Path | None:
    """Return the path beside a missing one whose name is most like it, or None."""
    from core.config.base import suggestion

    if not path.parent.is_dir():
        return None
    near = suggestion(path.name, [entry.name for entry in path.parent.iterdir()])
    return path.parent / near if near and near != path.name else None


def known_suffix(path: Path) -> str:
    """Return the last suffix before .gz, in small letters. Raises: BadValueError for archives and sheets."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in _NO_TEXT:
        raise BadValueError(f"{path}: {suffix} files are not read", hint=_NO_TEXT[suffix])
    return suffix


@contextmanager
def open_text(path: Path, encoding: str, *, is_json: bool = False) -> Iterator[IO[str]]:
    """Open a text file, gzipped or not.

    Args:
        is_json: it can be in no other encoding, so that an error names none.
    Raises: MissingFileError, BadValueError, EncodingError with the line.
    """
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with _open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=name, newline="") as stream:
            yield stream
    except UnicodeError:  # UTF-16 without a mark is no UnicodeDecodeError
        raise wrong_encoding(path, encoding, is_json=is_json) from None


@contextmanager
def _open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, gzipped or not. Raises: MissingFileError, BadValueError for what is not gzip."""
    existing_file(path)
    packed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            yield stream  # type: ignore[misc]
    except PermissionError:
        raise MissingFileError(f"{path} cannot be read", hint="Check its permissions.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise BadValueError(
            f"{path}: not a complete gzip file", hint="Copy or fetch it again."
        ) from problem


def wrong_encoding(path: Path, encoding: str, *, is_json: bool = False) -> EncodingError:
    """Build the error for a file that is not in the encoding it was read with; finds the line."""
    with _open_bytes(path) as stream:
        begin = stream.read(2)
    if begin == _GZIP:
        return EncodingError(
            f"{path}: packed with gzip, which its name does not say",
            hint="Let its name end in .gz, or unpack it.",
        )
    line, windows = 0, False
    with _open_bytes(path) as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                raw.decode(encoding)
            except UnicodeError:
                line = line or number
                windows = windows or _WINDOWS_ONLY.search(raw) is not None
    wide = begin in (b"\xff\xfe", b"\xfe\xff")
    one_byte = "windows-1252" if windows else "latin-1"
    other = "utf-8" if encoding != "utf-8" else "utf-16" if wide else one_byte
    # The bytes of UTF-16 do not fall into lines where its text does.
    where = str(path) if encoding == "utf-16" else f"{path}: line {line or 1}"
    return EncodingError(
        f"{where}: not {encoding} text" + (" with a mark" if encoding == "utf-16" else ""),
        hint=f"JSON is always utf-8: convert the file, which may be {other}."
        if is_json
        else f"If it is {other}, add --encoding {other}; else convert the file to utf-8.",
    )


def check_encoding(path: Path, encoding: str, *, is_json: bool = False) -> None:
    """Read a file to its end. Raises: EncodingError with the first line that is not in its encoding."""
    with open_text(path, encoding, is_json=is_json) as stream:
        for _ in stream:
            pass


def first_line(path: Path, encoding: str, *, number: int = 1) -> str:
    """Return the line that a table begins with, without its end.

    Args:
        number: its number, from 1; what stands before it is no part of the table.
    Raises: EmptyFileError, MissingFileError, BadValueError if it is blank and others follow, EncodingError.
    """
    with open_text(path, encoding) as stream:
        line = next(islice(stream, number - 1, None), "")
        blank = not line.strip()
        follows = blank and any(text.strip() for text in stream)
    if follows:
        raise BadValueError(
            f"{path}: line {number} is blank",
            hint="Delete the blank lines at the beginning of the file.",
        )
    if blank:
        raise EmptyFileError(f"{path} is empty", hint="Give a file with rows.")
    return line.rstrip("\r\n")


def first_character(path: Path) -> str:
    """Return the first character that is not blank, or an empty string. Raises: MissingFileError, BadValueError."""
    with _open_bytes(path) as stream:
        read = stream.read(64).removeprefix(_MARK)
        while read and not read.strip():
            read = stream.read(4096)
        return read.decode("latin-1").lstrip()[:1]


def has_mark(path: Path) -> bool:
    """Return whether a file begins with the byte order mark of UTF-8. Raises: MissingFileError, BadValueError."""
    with _open_bytes(path) as stream:
        return stream.read(len(_MARK)) == _MARK


def copy_as_utf8(path: Path, encoding: str, copy: Path) -> None:
    """Write a text file unpacked, in UTF-8 and without its byte order mark.

    Raises: MissingFileError, BadValueError, EncodingError.
    """
    with (
        open_text(path, encoding) as stream,
        copy.open("w", encoding="utf-8", newline="") as target,
    ):
        shutil.copyfileobj(stream, target, _BLOCK)


def check_whole(path: Path) -> None:
    """Read a gzipped file to its end, and no other. Raises: MissingFileError, BadValueError if it is damaged or cut.

    DuckDB looks at no check sum and may take what comes before the damage for the whole file.
    """
    if path.suffix.lower() == ".gz":
        with _open_bytes(path) as stream:
            while stream.read(_BLOCK):
                pass
