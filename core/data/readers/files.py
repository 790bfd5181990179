"""Table files of any format: how DuckDB reads them, their columns, and where a row of them stands."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

from core.errors import (
    BadValueError,
    EmptyFileError,
    EncodingError,
    MissingColumnError,
    MissingFileError,
)

Form = Literal["delimited", "json", "parquet"]
_DELIMITERS = (",", "\t", ";", "|")
_NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "pipe": "|"}


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """One file of rows. Text comes as VARCHAR whatever it looks like; Parquet keeps its types."""

    path: Path
    form: Form
    columns: tuple[str, ...]
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    header: bool = True
    lists: frozenset[str] = frozenset()
    """Columns of a Parquet file that hold lists."""

    @property
    def by_line(self) -> bool:
        """Whether the file holds a JSON object on each line."""
        return self.form == "json" and first_character(self.path) != "["

    def relation(self, *, lenient: bool = False) -> str:
        """Return the SQL that reads the file.

        Args:
            lenient: broken lines do not stop the reading: those of a delimited file go to `reject_errors`, those of
                JSON lines are rows of NULLs.
        """
        path = literal(_escape_glob(str(self.path)))
        if self.form == "parquet":
            return f"read_parquet({path})"
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in self.columns)
        if self.form == "json":
            # The format is not left to be guessed: guessing reads the file twice.
            layout = "newline_delimited" if self.by_line else "array"
            errors = ", ignore_errors = true" if lenient and self.by_line else ""
            return f"read_json({path}, format = '{layout}', columns = {{{columns}}}{errors})"
        rejects = ", store_rejects = true, rejects_limit = 0" if lenient else ""
        return (
            f"read_csv({path}, auto_detect = false, header = {str(self.header).lower()}, "
            f"delim = {literal(self.delimiter)}, quote = {literal(self.quote)}, escape = {literal(self.quote)}, "
            f"encoding = '{self.encoding}', columns = {{{columns}}}{rejects})"
        )

    def place(self, row: int) -> str:
        """Say where data row number `row` (0..) stands: its line, counted from 1, or its row in a Parquet file."""
        if self.form == "parquet" or (self.form == "json" and not self.by_line):
            return f"row {row + 1}"
        return f"line {self._line(row)}"

    def _line(self, row: int) -> int:
        """Read up to a row; only ever done to tell the user about a bad one."""
        before = int(self.form == "delimited" and self.header)
        wanted = row + before
        with open_text(self.path, self.encoding) as stream:
            if self.form == "delimited" and self.quote and len(self.delimiter) == 1:
                # A quoted value may hold line breaks.
                reader = csv.reader(stream, delimiter=self.delimiter, quotechar=self.quote)
                previous = 0
                for cells in reader:
                    if cells and (wanted := wanted - 1) < 0:
                        return previous + 1
                    previous = reader.line_num
            else:
                for number, line in enumerate(stream, start=1):
                    if line.strip() and (wanted := wanted - 1) < 0:
                        return number
        return row + 1 + before


def delimited_file(
    path: Path,
    *,
    delimiter: str | None = None,
    quote: str = '"',
    encoding: str = "utf-8",
    columns: tuple[str, ...] | None = None,
) -> TableFile:
    """Describe a text table.

    Args:
        delimiter: None guesses it from the header line; "tab" is a tab.
        quote: quote character; "none" or "" where quotes mean nothing.
        columns: names of the columns of a file without a header line.
    Raises: MissingFileError, EmptyFileError, EncodingError, BadValueError for a column named twice.
    """
    delimiter = _NAMED_DELIMITERS.get(delimiter or "", delimiter)
    quote = "" if quote == "none" else quote
    line = first_line(path, encoding)
    if columns is None:
        delimiter = delimiter or _guess_delimiter(path, line)
        names = _cells(line, delimiter, quote)
        if twice := [name for name in names if names.count(name) > 1]:
            raise BadValueError(
                f"{path}: line 1: the column '{twice[0]}' occurs twice",
                hint="Give every column a name of its own.",
            )
    return TableFile(
        path=path,
        form="delimited",
        columns=columns if columns is not None else tuple(names),
        delimiter=delimiter or ",",
        quote=quote,
        encoding=encoding,
        header=columns is None,
    )


def any_file(
    path: Path, *, delimiter: str | None = None, quote: str = '"', encoding: str = "utf-8"
) -> TableFile:
    """Describe a table file of any format, told by its suffix (.gz on top of it is fine).

    Raises: MissingFileError, EmptyFileError, EncodingError, BadValueError.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (".parquet", ".pq"):
        return _parquet_file(path)
    if suffix in (".json", ".jsonl", ".ndjson"):
        return TableFile(path=path, form="json", columns=_json_columns(path, encoding))
    return delimited_file(path, delimiter=delimiter, quote=quote, encoding=encoding)


def with_columns(file: TableFile, columns: tuple[str, ...]) -> TableFile:
    """Add columns that a JSON file may have beyond those of its first objects; they are NULL where they are not."""
    return replace(file, columns=tuple(dict.fromkeys(file.columns + columns)))


def existing_file(path: Path) -> Path:
    """Return the path. Raises: MissingFileError if there is no such file."""
    if path.is_dir():
        raise MissingFileError(f"{path} is a folder, not a file", hint="Give the path of a file.")
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


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[IO[str]]:
    """Open a text file, gzipped or not. Raises: MissingFileError, EncodingError with the line."""
    existing_file(path)
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with _open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=name, newline="") as stream:
            yield stream
    except UnicodeDecodeError:
        raise wrong_encoding(path, encoding) from None
    except PermissionError:
        raise MissingFileError(f"{path} cannot be read", hint="Check its permissions.") from None
    except (gzip.BadGzipFile, EOFError) as problem:
        raise BadValueError(
            f"{path}: not a complete gzip file", hint="Copy or fetch it again."
        ) from problem


def wrong_encoding(path: Path, encoding: str, line: int | None = None) -> EncodingError:
    """Build the error for a file that is not in the encoding it was read with; finds the line if not given."""
    if line is None:
        line = 1
        with _open_bytes(path) as stream:
            for number, raw in enumerate(stream, start=1):
                try:
                    raw.decode(encoding)
                except UnicodeDecodeError:
                    line = number
                    break
    other = "latin-1" if encoding == "utf-8" else "utf-8"
    return EncodingError(
        f"{path}: line {line}: not {encoding} text",
        hint=f"If it is {other}, add --encoding {other}; else convert the file to utf-8.",
    )


def first_line(path: Path, encoding: str) -> str:
    """Return the first line without its end. Raises: EmptyFileError, MissingFileError, EncodingError."""
    with open_text(path, encoding) as stream:
        line = stream.readline()
    if not line.strip():
        raise EmptyFileError(f"{path} is empty", hint="Give a file with rows.")
    return line.rstrip("\r\n")


def first_character(path: Path) -> str:
    """Return the first character that is not blank, or an empty string."""
    existing_file(path)
    with _open_bytes(path) as stream:
        return stream.read(64).decode("latin-1").removeprefix("\xef\xbb\xbf").lstrip()[:1]


def literal(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a quoted SQL name."""
    return '"' + name.replace('"', '""') + '"'


def _open_bytes(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _escape_glob(path: str) -> str:
    """Keep DuckDB from reading * ? [ in a file's name as a pattern."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _guess_delimiter(path: Path, line: str) -> str:
    if path.name.removesuffix(".gz").lower().endswith((".tsv", ".tab")):
        return "\t"
    if "::" in line:
        return "::"
    return max(_DELIMITERS, key=line.count)


def _cells(line: str, delimiter: str, quote: str) -> list[str]:
    if not quote or len(delimiter) > 1:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, quotechar=quote))


def _json_columns(path: Path, encoding: str) -> tuple[str, ...]:
    """Return the keys of the first hundred objects, in order of appearance."""
    if encoding != "utf-8":
        raise EncodingError(f"{path}: JSON is always utf-8", hint="Leave --encoding out.")
    names: dict[str, None] = {}
    if first_character(path) == "[":
        with open_text(path, encoding) as stream:
            records = json.load(stream)[:100]
    else:
        records = _first_objects(path, encoding)
    for record in records:
        names |= dict.fromkeys(record)
    if not names:
        raise EmptyFileError(f"{path} is empty", hint="Give a file with rows.")
    return tuple(names)


def _first_objects(path: Path, encoding: str) -> list[dict[str, object]]:
    """Return the first objects of JSON lines. Raises: BadValueError if there are only lines that are no objects."""
    records: list[dict[str, object]] = []
    broken: BadValueError | None = None
    with open_text(path, encoding) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            # Reading the file later stops at a broken line or leaves it out, as the user wants it.
            try:
                record = json.loads(line)
            except json.JSONDecodeError as problem:
                broken = broken or broken_json(path, number, problem.msg)
                continue
            if isinstance(record, dict):
                records.append(record)
            else:
                broken = broken or broken_json(path, number, "not an object with named values")
            if len(records) == 100:
                break
    if broken and not records:
        raise broken
    return records


def broken_json(path: Path, line: int, what: str) -> BadValueError:
    """Build the error for a line that is not a JSON object."""
    return BadValueError(
        f"{path}: line {line}: broken JSON ({what})",
        hint="Correct the line, one object is wanted on each, or leave such rows out with --bad-rows reject.",
    )


def check_encoding(path: Path, encoding: str) -> None:
    """Read a file to its end. Raises: EncodingError with the first line that is not in its encoding."""
    with open_text(path, encoding) as stream:
        for _ in stream:
            pass


def first_broken_json(path: Path) -> BadValueError:
    """Find the first line of a JSON lines file that cannot be read and build its error."""
    with open_text(path, "utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                if line.strip() and not isinstance(json.loads(line), dict):
                    return broken_json(path, number, "not an object with named values")
            except json.JSONDecodeError as problem:
                return broken_json(path, number, problem.msg)
    return broken_json(path, 1, "unreadable")


def _parquet_file(path: Path) -> TableFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if existing_file(path).stat().st_size == 0:
        raise EmptyFileError(f"{path} is empty", hint="Give a file with rows.")
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as problem:
        raise BadValueError(
            f"{path}: not a Parquet file",
            hint="Check the file, or give it the suffix of what it is.",
        ) from problem
    lists = frozenset(field.name for field in schema if pa.types.is_nested(field.type))
    return TableFile(path=path, form="parquet", columns=tuple(schema.names), lists=lists)


def column(
    file: TableFile, wanted: str | None, guesses: tuple[str, ...], *, what: str, option: str
) -> str | None:
    """Return the column named by the user or else the first guess that is there (letter case ignored), or None.

    Raises: MissingColumnError for a column that the user named and the file lacks.
    """
    if wanted is not None:
        if wanted in file.columns:
            return wanted
        raise missing_column(file, wanted, what=what, option=option)
    lowered = {name.lower(): name for name in reversed(file.columns)}
    return next((lowered[guess] for guess in guesses if guess in lowered), None)


def missing_column(file: TableFile, wanted: str, *, what: str, option: str) -> MissingColumnError:
    """Build the error for a column that is not there, naming the nearest one."""
    from core.config.base import suggestion

    near = suggestion(wanted.lower(), [name.lower() for name in file.columns])
    named = next((name for name in file.columns if name.lower() == near), None)
    known = ", ".join(file.columns[:20])
    return MissingColumnError(
        f"{file.path}: no column '{wanted}' for {what}; columns are: {known}",
        hint=f"Did you mean {option} '{named}'?"
        if named
        else f"Name the column with {option} NAME.",
    )
