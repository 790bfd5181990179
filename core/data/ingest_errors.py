"""What DuckDB says of a file that is read, as one line of problem and one of remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.data.readers.files import BROKEN_LINES, TableFile, first_broken_json
from core.data.readers.streams import wrong_encoding
from core.data.sql import identifier
from core.errors import BadValueError, ConfigError, DiskFullError, ThinkRecError


@contextmanager
def reading(file: TableFile) -> Iterator[None]:
    """Turn what DuckDB says about a file into one line of problem and one of remedy."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as problem:
        raise out_of_memory(problem) from problem
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except (
        duckdb.InvalidInputException,
        duckdb.IOException,
        duckdb.ConversionException,
    ) as problem:
        raise _file_error(file, str(problem)) from problem
    except duckdb.Error as problem:
        if type(problem) is not duckdb.Error:  # those of a class of its own are ours
            raise
        raise BadValueError(
            f"{file.path} cannot be read: {str(problem).splitlines()[0]}",
            hint="Copy or fetch the file again.",
        ) from problem


def out_of_memory(problem: Exception) -> ThinkRecError:
    """Tell a full disk (spilling failed) from a memory limit that is too small."""
    if "max_temp_directory_size" in str(problem) or "No space left" in str(problem):
        return DiskFullError(
            "no space left to spill to", hint="Free some space, or raise --memory-limit."
        )
    return ConfigError(
        "the memory limit is too small for this work",
        hint="Raise --memory-limit, for instance 8GB.",
    )


def _file_error(file: TableFile, text: str) -> ThinkRecError:
    if "No space left" in text:
        return DiskFullError(
            f"no space left on the device while reading {file.path}",
            hint="Free some space and run again.",
        )
    found = re.search(r"CSV Error on Line: (\d+)", text)
    line = file.line_of(int(found.group(1))) if found else None
    if re.search(r"not utf-8|invalid unicode|invalid UTF-8", text, re.IGNORECASE):
        return wrong_encoding(file.path, file.encoding, is_json=file.form == "json")
    if file.form == "json":
        return first_broken_json(file, text)
    where = f"{file.path}: line {line}" if line else str(file.path)
    for pattern, what, remedy in _STRUCTURE:
        if pattern in text:
            return BadValueError(f"{where}: {what}", hint=remedy)
    return BadValueError(f"{where}: {text.splitlines()[0]}", hint="Correct the file.")


LEAVE_OUT = "leave such rows out with --bad-rows reject"
_STRUCTURE = (
    (
        "Expected Number of Columns",
        BROKEN_LINES["Expected Number of Columns"],
        f"Correct the line, or {LEAVE_OUT}.",
    ),
    (
        "unterminated quote",
        BROKEN_LINES["unterminated quote"],
        "Correct the line, or add --quote none if quotes mean nothing in this file.",
    ),
    (
        "Maximum line size",
        "the line is longer than 2 MB",
        "Check the delimiter and the quotes of the file.",
    ),
    (
        "invalid state",
        "line ends are mixed, or a quote stands where none may",
        "Give all lines the same end, or add --quote none if quotes mean nothing in this file.",
    ),
)
# Only a line whose ends are sure can be left out; a quote that is not closed swallows the lines after it.
_COUNTABLE = {"MISSING COLUMNS": "too few values", "TOO MANY COLUMNS": "too many values"}


def broken_lines(connection: Any, file: TableFile) -> dict[int, str]:
    """Return line -> what is wrong, of lines of a text table that were left out because of too few or too many values.

    Call it once after a lenient reading. Raises: EncodingError, BadValueError for what cannot be left out.
    """
    if file.form != "delimited":
        return {}
    found = connection.execute(
        "SELECT min(error_type::VARCHAR) AS kind, line, min(error_message) FROM reject_errors "
        "GROUP BY line ORDER BY line"
    ).fetchall()
    # The next reading makes them anew and does not add to these.
    connection.execute("DROP TABLE reject_errors")
    connection.execute("DROP TABLE reject_scans")
    for kind, line, message in found:
        if kind not in _COUNTABLE:
            raise _file_error(file, f"CSV Error on Line: {line} {message}")
    return {line: _COUNTABLE[kind] for kind, line, _ in found}


def value_at(
    connection: Any, file: TableFile, name: str, row: int, *, lenient: bool = False
) -> str | None:
    """Return the text of a column in data row number `row` (0..), counted as the reading was, lenient or not."""
    relation = file.relation(lenient=lenient)
    with reading(file):
        found = connection.execute(
            f"SELECT ({identifier(name)})::VARCHAR FROM {relation} LIMIT 1 OFFSET {row}"
        ).fetchone()
    return found[0] if found else None
