"""Table files of any format: how DuckDB reads them, their columns, and where a row of them stands."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

from core.data.readers.json_text import (
    array,
    broken_json,
    first_objects,
    occurring,
    wrong_with,
)
from core.data.readers.streams import (
    check_whole,
    copy_as_utf8,
    existing_file,
    first_character,
    first_line,
    has_mark,
    known_suffix,
    open_text,
)
from core.data.sql import identifier, literal, scan
from core.errors import (
    BadValueError,
    ConfigError,
    EmptyFileError,
    EncodingError,
    MissingColumnError,
)

Form = Literal["delimited", "json", "parquet"]
_DELIMITERS = (",", "\t", ";", "|")
_LONGEST_LINE_BYTES = 1 << 21  # of a text table, by DuckDB
_LIKE = 0.7  # how alike two names are, of 1, for one to be meant by the other
_NO_NAMES: dict[Form, str] = {
    "delimited": "The first line has to name the columns, for instance: user,item,rating,time.",
    "json": "Give a list of objects, or one object a line, with fields such as user, item, rating and time.",
    "parquet": "Give the columns names, for instance: user, item, rating, time.",
}
"""What to do about a file whose columns are called by numbers."""
_SEPARATOR = re.compile(r'("?)sep=(.)\1\s*', re.IGNORECASE)
"""A first line that only names the delimiter. Excel takes it so, and programs write it for Excel."""
BROKEN_LINES = {
    "Expected Number of Columns": "the number of values is not the number of columns",
    "unterminated quote": "a quote is opened and not closed",
}
"""What DuckDB says of a line of a text table, and what that means."""
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
    skip: int = 0
    """Lines of a text table before its header, or before its rows where it has none."""
    lists: frozenset[str] = frozenset()
    """Columns of a Parquet file that hold lists."""
    skipped: frozenset[int] = frozenset()
    """Lines of a text table, counted from 1, that hold no row: they are broken and were left out."""
    copy: Path | None = None
    """Where the rows are read from, in UTF-8, if not from the path itself."""
    absent: tuple[str, ...] | None = None
    """Columns that a reader of JSON asks for and another file lacks: NULL. All others then come as text, too."""
    later: tuple[tuple[str, ...], ...] = ()
    """Names of JSON that no object of its beginning has. Those of one group mean the same and are the column that the
    first of them names: what the first that an object has says."""

    @property
    def by_line(self) -> bool:
        """Whether the file holds a JSON object on each line."""
        return self.form == "json" and first_character(self.path) != "["

    def relation(
        self, *, lenient: bool = False, kind: Literal["VARCHAR", "JSON"] = "VARCHAR"
    ) -> str:
        """Return the SQL that reads the file, which must have been made `readable`.

        Args:
            lenient: broken lines do not stop the reading: those of a delimited file go to `reject_errors`, those of
                JSON lines are rows of NULLs.
            kind: what columns of a JSON file are: as JSON, texts keep their quotes.
        """
        found = self._scan(lenient=lenient, kind=kind)
        if self.later:
            either = (
                f"coalesce({', '.join(map(identifier, names))}) AS {identifier(names[0])}"
                for names in self.later
            )
            return f"(SELECT * REPLACE ({', '.join(either)}) FROM {found})"
        if self.absent is None:
            return found
        values = {
            name: f"to_json({identifier(name)})" if name in self.lists else identifier(name)
            for name in self.columns
        } | dict.fromkeys(self.absent, "NULL")
        shown = (f"{value}::VARCHAR AS {identifier(name)}" for name, value in values.items())
        return f"(SELECT {', '.join(shown)} FROM {found})"

    def _scan(self, *, lenient: bool, kind: str) -> str:
        file = self.copy or self.path
        if self.form == "parquet":
            return scan("read_parquet", file)
        names = dict.fromkeys((*self.columns, *(name for names in self.later for name in names)))
        types = ", ".join(f"{literal(name)}: '{kind}'" for name in names)
        columns = f"columns = {{{types}}}"
        if self.form == "json":
            # The format is not left to be guessed: guessing reads the file twice.
            layout = "newline_delimited" if self.by_line else "array"
            errors = ["ignore_errors = true"] if lenient and self.by_line else []
            return scan("read_json", file, f"format = '{layout}'", columns, *errors)
        quote = literal(self.quote)
        rejects = ["store_rejects = true", "rejects_limit = 0"] if lenient else []
        return scan(
            "read_csv",
            file,
            f"auto_detect = false, header = {str(self.header).lower()}, skip = {self.skip}",
            f"delim = {literal(self.delimiter)}, quote = {quote}, escape = {quote}",
            columns,
            *rejects,
        )

    def place(self, row: int) -> str:
        """Say where data row number `row` (0..) stands: its line, counted from 1, or its row in a Parquet file."""
        if self.form == "parquet" or (self.form == "json" and not self.by_line):
            return f"row {row + 1}"
        return f"line {self._line(row)}"

    def line_of(self, record: int) -> int:
        """Return the line, from 1, at which DuckDB's line number `record` begins: a quoted value may hold line ends."""
        if not self.quote or len(self.delimiter) > 1:
            return record
        with open_text(self.path, self.encoding) as stream:
            try:
                lines = (line for number, line, _ in self._records(stream) if number == record)
                return next(lines, record)
            except csv.Error:  # a value longer than any line that DuckDB reads
                return record

    def _records(self, stream: IO[str]) -> Iterator[tuple[int, int, list[str]]]:
        """Yield (what DuckDB calls its line, the line it begins at, its cells): a quoted value may hold line ends."""
        reader = _cells(stream, self.delimiter, self.quote)
        line = 1
        for number, cells in enumerate(reader, start=1):
            yield number, line, cells
            line = reader.line_num + 1

    def _line(self, row: int) -> int:
        """Read up to a row; only ever done to tell the user about a bad one."""
        before = self.skip + int(self.form == "delimited" and self.header)
        wanted = row + before
        # csv fails at a value longer than any line that DuckDB reads.
        with open_text(self.path, self.encoding) as stream, suppress(csv.Error):
            if self.form == "delimited" and self.quote and len(self.delimiter) == 1:
                for number, line, cells in self._records(stream):
                    if cells and number not in self.skipped and (wanted := wanted - 1) < 0:
                        return line
            else:
                for number, text in enumerate(stream, start=1):
                    if number in self.skipped or not text.strip():
                        continue
                    if (wanted := wanted - 1) < 0:
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
        delimiter: None takes the one that a line before the table names (sep=;), or guesses it from the header line;
            "tab" is a tab.
        quote: quote character; "none" or "" where quotes mean nothing.
        columns: names of the columns of a file without a header line.
    Raises: MissingFileError, EmptyFileError, EncodingError, BadValueError for a column named twice, ConfigError for a
        quote that is part of the delimiter.
    """
    delimiter = _NAMED_DELIMITERS.get(delimiter or "", delimiter)
    quote = "" if quote == "none" else quote
    separator, line = beginning(path, encoding)
    skip = 0 if separator is None else 1
    delimiter = delimiter or separator
    delimiter = delimiter or ("," if columns is not None else _guess_delimiter(path, line))
    if quote and quote in delimiter:
        raise ConfigError(
            f"{path}: the quote {quote} is also the delimiter",
            hint="Give another --quote or --delimiter.",
        )
    return TableFile(
        path=path,
        form="delimited",
        columns=columns or _header(path, line, delimiter, quote, number=skip + 1),
        delimiter=delimiter,
        quote=quote,
        encoding=encoding,
        header=columns is None,
        skip=skip,
    )


def beginning(path: Path, encoding: str) -> tuple[str | None, str]:
    """Return the delimiter that the first line names (sep=;), None if it does not, and the first line of the table.

    Raises: EmptyFileError, MissingFileError, EncodingError, BadValueError for a blank line or one that ends otherwise
        than the line before it.
    """
    line = first_line(path, encoding)
    named = _SEPARATOR.fullmatch(line)
    if named is None:
        return None, line
    line = first_line(path, encoding, number=2)
    with open_text(path, encoding) as stream:
        ends = {text[len(text.rstrip("\r\n")) :] for text in islice(stream, 2)} - {""}
    if len(ends) > 1:  # DuckDB would find no rows, and say nothing
        raise BadValueError(
            f"{path}: line 1 has another line end than line 2",
            hint="Delete the first line; --delimiter names the delimiter where it is not guessed.",
        )
    return named[2], line


def any_file(
    path: Path, *, delimiter: str | None = None, quote: str = '"', encoding: str = "utf-8"
) -> TableFile:
    """Describe a table file of any format, told by its suffix (.gz on top of it is fine).

    Raises: MissingFileError, EmptyFileError, EncodingError, BadValueError, ConfigError.
    """
    suffix = known_suffix(path)
    if suffix in (".parquet", ".pq"):
        return _parquet_file(path)
    if suffix in (".json", ".jsonl", ".ndjson"):
        return TableFile(path=path, form="json", columns=_json_columns(path, encoding))
    return delimited_file(path, delimiter=delimiter, quote=quote, encoding=encoding)


def with_columns(file: TableFile, columns: tuple[str, ...]) -> TableFile:
    """Add columns that a JSON file may have beyond those of its first objects; they are NULL where they are not.

    A file of another format gets them, too, and can be read like one of JSON.
    """
    there = {name.lower() for name in file.columns}
    more: list[str] = []
    for name in columns:
        if name.lower() not in there:
            more.append(name)
            there.add(name.lower())
    if file.form == "json":
        return replace(file, columns=(*file.columns, *more))
    return replace(file, absent=tuple(more))


def with_occurring(file: TableFile, names: Iterable[str]) -> TableFile:
    """Add those of the names that occur in a JSON file beyond its first objects, which is read for it where need be.

    Raises: MissingFileError, BadValueError, EncodingError.
    """
    wanted = set(names) - set(file.columns)
    if file.form != "json" or not wanted:
        return file
    return with_columns(file, tuple(sorted(occurring(file.path, wanted, by_line=file.by_line))))


def with_later(file: TableFile, groups: Iterable[tuple[str, ...]]) -> TableFile:
    """Add columns that a JSON file may have beyond those of its first objects, each called by any of several names.

    Args:
        groups: the names of each column, none of them among the columns yet.
    """
    later = tuple(groups)
    columns = (*file.columns, *(names[0] for names in later))
    return replace(file, columns=columns, later=later) if file.form == "json" else file


def readable(file: TableFile, copy: Path) -> TableFile:
    """Return a file that DuckDB reads as it is meant, copied where that takes UTF-8 or the loss of a byte order mark.

    Args:
        copy: path to write to.
    Raises: MissingFileError, BadValueError for gzip that is damaged, EncodingError.
    """
    other = file.form == "delimited" and file.encoding != "utf-8"
    if other or (file.by_line and has_mark(file.path)):
        copy_as_utf8(file.path, file.encoding, copy)
        return replace(file, copy=copy)
    check_whole(file.path)
    return file


def _guess_delimiter(path: Path, line: str) -> str:
    if path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab")):
        return "\t"
    if "::" in line:
        return "::"
    return max(_DELIMITERS, key=line.count)


def _cells(lines: Iterable[str], delimiter: str, quote: str) -> Any:
    """Return a reader of the cells of lines, which may be as long as DuckDB takes them. It raises csv.Error."""
    # For the whole process, csv knows no other limit; its own is 128 kB.
    csv.field_size_limit(_LONGEST_LINE_BYTES)
    return csv.reader(lines, delimiter=delimiter, quotechar=quote)


def _header(path: Path, line: str, delimiter: str, quote: str, *, number: int) -> tuple[str, ...]:
    """Return the names in a header line; a column without one is called `column` and its number, 0..

    Args:
        number: the number of the line, from 1.
    Raises: BadValueError for one that is too long to be read, and for a column named twice.
    """
    if not quote or len(delimiter) > 1:
        names = line.split(delimiter)
    else:
        try:
            names = next(_cells([line], delimiter, quote))
        except csv.Error as problem:
            raise BadValueError(
                f"{path}: line {number}: {problem}",
                hint="The names of the columns are wanted there. Check the delimiter and the quotes of the file.",
            ) from problem
    named = [name if name.strip() else f"column{place}" for place, name in enumerate(names)]
    return distinct(path, named, f"line {number}: ")


def distinct(path: Path, names: Sequence[str], where: str = "") -> tuple[str, ...]:
    """Return the names. Raises: BadValueError for two that are one to SQL, which knows no letter case.

    Args:
        where: the line of a text table that they stand in.
    """
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.get(name.lower())) is not None:
            what = (
                f"the column '{name}' occurs twice"
                if other == name
                else f"the columns '{other}' and '{name}' differ by letter case only"
            )
            row = where and is_number(name)  # the first line holds values
            hint = _NO_NAMES["delimited"] if row else "Give every column a name of its own."
            raise BadValueError(f"{path}: {where}{what}", hint=hint)
        seen[name.lower()] = name
    return tuple(names)


def _json_columns(path: Path, encoding: str) -> tuple[str, ...]:
    """Return the keys of the first hundred objects, in order of appearance."""
    if encoding != "utf-8":
        raise EncodingError(f"{path}: JSON is always utf-8", hint="Leave --encoding out.")
    names: dict[str, None] = {}
    read = array if first_character(path) == "[" else first_objects
    for record in read(path)[:100]:
        names |= dict.fromkeys(name for name in record if name)
    if not names:
        raise EmptyFileError(f"{path} is empty", hint="Give a file with rows.")
    return distinct(path, tuple(names))


def first_broken_json(file: TableFile, said: str) -> BadValueError:
    """Find the first line of a JSON file that cannot be read and build its error.

    Args:
        said: DuckDB's words, told where no line is found; it counts lines otherwise.
    """
    if file.by_line:
        with open_text(file.path, "utf-8", is_json=True) as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip() and (what := wrong_with(line)):
                    return broken_json(file.path, number, what)
    what = re.sub(r".* in (line|record/value) \d+: ", "", said.splitlines()[0]).rstrip(". ")
    return BadValueError(f"{file.path}: broken JSON ({what})", hint="Correct the file.")


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
    return TableFile(path=path, form="parquet", columns=distinct(path, schema.names), lists=lists)


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


def missing_column(
    file: TableFile, wanted: str, *, what: str, option: str, words: Sequence[str] = ()
) -> MissingColumnError:
    """Build the error for a column that is not there, naming the nearest one.

    Args:
        words: what the option takes besides a column.
    """
    supposed = {names[0] for names in file.later}
    columns = [name for name in file.columns if name not in supposed]
    known = {name.lower(): name for name in (*columns, *words)}
    near = get_close_matches(wanted.lower(), known, n=1, cutoff=_LIKE)
    if all(is_number(name) for name in columns):
        hint = _NO_NAMES[file.form]
    elif near and option == "--title-format":
        hint = f"Did you mean '{{{known[near[0]]}}}' in {option}?"
    elif near:
        hint = f"Did you mean {option} '{known[near[0]]}'?"
    elif option == "--title-format":
        hint = f"Write columns of the file in braces: {option} '{{{columns[0]}}}'."
    else:
        hint = f"Name the column with {option} NAME."
        if option == "--time-column":
            hint += " Without times add a column that counts the rows, oldest first."
    listed = ", ".join(columns[:20])
    return MissingColumnError(
        f"{file.path}: no column '{wanted}' for {what}; columns are: {listed}", hint=hint
    )


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
