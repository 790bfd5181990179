"""Files of pairs, users and histories: small tables of any format that ingest reads, as text."""

import csv
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.data.readers import guesses
from core.data.readers.files import (
    BROKEN_LINES,
    TableFile,
    any_file,
    first_broken_json,
    readable,
)
from core.data.readers.streams import open_text, wrong_encoding
from core.data.sql import identifier
from core.errors import (
    BadValueError,
    EncodingError,
    MissingColumnError,
)


def open_table(
    connection: Any, path: str, columns: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Sequence[str]:
    """Make a table `given` of a file of any format that ingest reads: row number n from 1, and all columns as text.

    Where a column that it must or may have is called by another common name, it gets its own. Blank lines are no rows.

    Returns: the names of its columns.
    Raises: MissingFileError, EmptyFileError, EncodingError, MissingColumnError, BadValueError.
    """
    with _utf8_is_all(), tempfile.TemporaryDirectory() as folder:
        file = any_file(Path(path))
        texts, names = _texts(file, columns, optional)
        _load(connection, readable(file, Path(folder) / "rows.txt"), texts, columns)
        if file.form == "delimited" and len(names) == 1:
            _drop_blank_lines(connection, file, names[0])
    return names


@contextmanager
def _utf8_is_all() -> Iterator[None]:
    """Let an error of encoding name no option that only ingest has."""
    try:
        yield
    except EncodingError as problem:
        hint = "Save the file as UTF-8." if "--encoding" in problem.hint else problem.hint
        raise EncodingError(str(problem), hint=hint) from None


def _drop_blank_lines(connection: Any, file: TableFile, name: str) -> None:
    """Take the rows of blank lines away, which DuckDB passes over where there are several columns.

    In one column it reads them as it reads "", which is a value that somebody left out.
    """
    empty = f"trim(coalesce({identifier(name)}, '')) = ''"
    if not connection.execute(f"select count(*) from given where {empty}").fetchone()[0]:
        return
    blank: list[int] = []
    with open_text(file.path, file.encoding) as stream, suppress(csv.Error):
        lines = csv.reader(stream, delimiter=file.delimiter, quotechar=file.quote)
        for number, cells in enumerate(lines, -file.skip):  # the header is 0
            if not cells or cells[0].isspace():
                blank.append(number)
    connection.execute(
        f"create or replace table given as select row_number() over (order by n) as n, * exclude n from given "
        f"where not ({empty} and n in (select unnest(?::bigint[])))",
        [blank],
    )


def _texts(
    file: TableFile, columns: tuple[str, ...], optional: tuple[str, ...]
) -> tuple[str, Sequence[str]]:
    """Return the SQL of all columns as text, and their names. Raises: MissingColumnError."""
    called = {name: name for name in file.columns}
    for column in (*columns, *optional):
        if column in file.columns:
            continue
        if (guess := guesses.by_common_name(file, column)) is None:
            if column in optional:
                continue
            raise MissingColumnError(
                f"{file.path} has no column '{column}' (it has {', '.join(file.columns)})",
                hint=f"Name its columns {', '.join(columns)}.",
            )
        called[guess] = column
    texts = ", ".join(
        f"{identifier(name)}::varchar as {identifier(known)}" for name, known in called.items()
    )
    return texts, list(called.values())


def _load(connection: Any, file: TableFile, texts: str, columns: tuple[str, ...]) -> None:
    """Make the table. Raises: BadValueError with the line, EncodingError."""
    import duckdb

    try:
        connection.execute(
            f"create table given as select row_number() over () as n, {texts} from {file.relation()}"
        )
    except duckdb.Error as problem:
        said = str(problem)
        if "utf-8" in said.lower() or "utf8" in said.lower():
            raise wrong_encoding(file.path, "utf-8") from problem
        if file.form == "json":
            raise first_broken_json(file, said) from problem
        line = re.search(r"CSV Error on Line: (\d+)", said)
        where = f"{file.path}: line {file.line_of(int(line[1]))}" if line else f"{file.path}"
        for words, what in BROKEN_LINES.items():
            if words in said:
                hint = "Correct the line; a value with the delimiter in it has to stand in quotes."
                raise BadValueError(f"{where}: {what}", hint=hint) from problem
        raise BadValueError(
            f"{where} cannot be read: {said.splitlines()[0]}",
            hint=f"Give a CSV, JSONL or Parquet file with columns {', '.join(columns)}.",
        ) from problem


def read_texts(
    path: str, columns: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, list[str]]:
    """Read a small CSV, TSV, JSONL or Parquet file as text, column by column.

    Args:
        columns: columns it must have, with a value in every row.
        optional: columns it may have, by these or other common names.
    Raises: MissingFileError, MissingColumnError, BadValueError.
    """
    import duckdb

    with duckdb.connect() as connection:
        names = open_table(connection, path, columns, optional)
        rows = connection.execute("select * exclude n from given order by n").fetchall()
    table = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    for column in columns:
        empty = next((n for n, value in enumerate(table[column]) if value in (None, "")), None)
        if empty is not None:
            raise BadValueError(
                f"{path}: row {empty + 1} has no {column}", hint="Fill it in, or drop the row."
            )
    return {name: [v or "" for v in values] for name, values in table.items()}
