"""First pass of ingest: read the file once, judge every row, and say where a bad one stands."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from core.config.ingest import IngestConfig
from core.data.readers.files import BROKEN_LINES, TableFile, first_broken_json, missing_column
from core.data.readers.source import Source
from core.data.readers.streams import check_encoding, wrong_encoding
from core.data.split import SplitRule, column_code
from core.data.sql import identifier, number
from core.errors import (
    BadValueError,
    ConfigError,
    DiskFullError,
    EmptyFileError,
    ThinkRecError,
    TimeUnitError,
)

REASONS = {
    1: "no user id",
    2: "no item id",
    3: "rating is not a number",
    4: "time is not a time",
    5: "split is not train, valid or test",
    6: "outside the kept time",
    7: "time is not in seconds",
    8: "no object with the wanted values",
    9: "time is before the year 1684",
}
_LARGEST_SECOND = 10**11  # the year 5138: what is above is milliseconds or finer
# The year 1684. The smallest integer, which is pandas' NaT, lies before it in every unit.
_EARLIEST_SECOND = -9 * 10**9
_EARLIEST_LAST_SECOND = 10**8  # March 1973: no log of a data set ends before it
_COMPACT_DATES = (19000101, 21001231)
_DIVISORS = {"s": 1, "auto": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_WHOLE = {
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
}
_WANTED = {
    3: "a number",
    4: "a time (seconds since 1970 or ISO 8601)",
    5: "train, valid or test",
    9: "a time after the year 1684",
}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What the first pass counted; the rows are in the table `raw`, `reason` is null for good ones."""

    source: Source
    """What was read; it knows which lines hold no row, and has items only if anything is told of them."""
    read: int
    rejected: dict[str, int] = field(default_factory=dict)
    """Reason -> rows."""


def load(connection: Any, source: Source, config: IngestConfig, rule: SplitRule) -> Loaded:
    """Read interactions into the table `raw` ("user", item, rating, time, split, reason, maybe told), in file order.

    Raises: EmptyFileError, EncodingError, MissingColumnError, BadValueError, TimeUnitError.
    """
    file = source.interactions
    if rule.column is not None and rule.column not in file.columns:
        raise missing_column(
            file, rule.column, what="the split", option="--split-by", words=("time", "user-time")
        )
    reject = config.bad_rows == "reject"
    with reading(file):
        types = _types(connection, source)
        time = _time_expression(source, types[source.time], config)
        relation = file.relation(lenient=reject)
        connection.execute(_load_statement(source, rule, time, relation, types))
    lines = broken_lines(connection, file) if reject else {}
    broken = Counter(lines.values())
    source = replace(source, interactions=replace(file, skipped=frozenset(lines)))
    if source.items_if is not None and not _any_told(connection):
        source = replace(source, items=None)
    if reject and file.by_line:
        _mark_broken_objects(connection, file)
    found = connection.execute(
        "SELECT reason, count(*), min(rowid) FROM raw GROUP BY reason ORDER BY reason"
    ).fetchall()
    read = sum(count for _, count, _ in found) + sum(broken.values())
    if read == 0:
        raise EmptyFileError(
            f"{file.path} holds no rows", hint="Give a file with at least one row."
        )
    bad = {reason: (count, row) for reason, count, row in found if reason is not None}
    _judge(connection, source, config, rule, bad)
    _check_coarse(connection, source, config)
    _check_dates(connection, source, config)
    counts = {REASONS[reason]: count for reason, (count, _) in bad.items()}
    if sum(counts.values()) + sum(broken.values()) == read:
        listing = ", ".join(f"{reason} ({count})" for reason, count in {**counts, **broken}.items())
        raise EmptyFileError(
            f"{file.path}: none of {read} rows can be used: {listing}",
            hint="Check columns, units and dates of the options.",
        )
    return Loaded(source=source, read=read, rejected=counts | broken)


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


_LEAVE_OUT = "leave such rows out with --bad-rows reject"
_STRUCTURE = (
    (
        "Expected Number of Columns",
        BROKEN_LINES["Expected Number of Columns"],
        f"Correct the line, or {_LEAVE_OUT}.",
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


def _mark_broken_objects(connection: Any, file: TableFile) -> None:
    """Give rows of which nothing could be read a reason of their own. Raises: EncodingError."""
    (count,) = connection.execute(
        'UPDATE raw SET reason = 8 WHERE "user" IS NULL AND item IS NULL AND rating IS NULL '
        "AND time IS NULL"
    ).fetchone()
    if count:
        # DuckDB passes over what is not UTF-8 like over any broken line; the whole file may be in another encoding.
        check_encoding(file.path, file.encoding, is_json=True)


def _any_told(connection: Any) -> bool:
    """Return whether any row of `raw` tells of its item."""
    return bool(connection.execute("SELECT bool_or(told) FROM raw").fetchone()[0])


def _types(connection: Any, source: Source) -> dict[str, str]:
    """Return column -> DuckDB's name of its type."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {source.interactions.relation()}")
    return {name: kind for name, kind, *_ in described.fetchall()}


def _load_statement(
    source: Source, rule: SplitRule, time: str, relation: str, types: Mapping[str, str]
) -> str:
    # Whole numbers stay what they are: to make texts of millions of them and to compare those takes far longer.
    user, item = (
        identifier(name) + ("" if types[name] in _WHOLE else "::VARCHAR")
        for name in (source.user, source.item)
    )
    # A rating of 2.2 in 32 bits is 2.2, not 2.200000047683716: it is compared with a threshold.
    shortest = "::VARCHAR" if types[source.rating] == "FLOAT" else ""
    rating = _number(identifier(source.rating) + shortest, types[source.rating])
    text = f"({identifier(rule.column)})::VARCHAR" if rule.column is not None else ""
    split = column_code(text) if text else "NULL::TINYINT"
    no_split = "(split IS NULL)" if text else "false"
    told = f", {source.items_if} AS told" if source.items_if is not None else ""
    # Nearly every row is good: one look at it first takes half as long as all the others one by one.
    ids = (('"user"', types[source.user]), ("item", types[source.item]))
    good = (
        f"{' AND '.join(_visible(*of) for of in ids)} AND isfinite(rating) "
        f"AND time BETWEEN {_EARLIEST_SECOND} AND {_LARGEST_SECOND} AND NOT {no_split} "
        f"AND NOT {rule.outside('time')}"
    )
    return f"""
        CREATE TABLE raw AS SELECT *, (CASE
            WHEN {good} THEN NULL
            WHEN {_blank(*ids[0])} THEN 1
            WHEN {_blank(*ids[1])} THEN 2
            WHEN rating IS NULL OR NOT isfinite(rating) THEN 3
            WHEN time IS NULL THEN 4
            WHEN {no_split} THEN 5
            WHEN time > {_LARGEST_SECOND} THEN 7
            WHEN time < {_EARLIEST_SECOND} THEN 9
            WHEN {rule.outside("time")} THEN 6
            END)::UTINYINT AS reason
        FROM (SELECT {user} AS "user", {item} AS item,
            {rating} AS rating, {time} AS time, {split} AS split{told} FROM {relation})"""


def _visible(text: str, kind: str) -> str:
    """Return SQL that is true for an id that needs no closer look: most texts begin with a visible ASCII character."""
    return f"{text} IS NOT NULL" if kind in _WHOLE else f"{text} BETWEEN '!' AND '~'"


def _blank(text: str, kind: str) -> str:
    """Return SQL that is true for no id."""
    return f"{text} IS NULL" if kind in _WHOLE else f"{text} IS NULL OR trim({text}) = ''"


def _time_expression(source: Source, kind: str, config: IngestConfig) -> str:
    """Return SQL for whole seconds since 1970 (rounded down), NULL where there is no time."""
    name = identifier(source.time)
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"try_cast(floor(epoch({name})) AS BIGINT)"
    text = f"({name})::VARCHAR"
    iso = f"try_cast(floor(epoch(try_cast({text} AS TIMESTAMPTZ))) AS BIGINT)"
    if config.time_unit == "iso":
        return f"coalesce({iso}, {_compact_date(text)})"
    divisor = _DIVISORS[config.time_unit]
    if kind in _WHOLE and divisor == 1:
        return f"try_cast({name} AS BIGINT)"
    scaled = f" / {divisor}" if divisor > 1 else ""
    whole = f"try_cast(floor(({_number(name, kind)}){scaled}) AS BIGINT)"
    return f"coalesce({whole}, {iso})" if config.time_unit == "auto" else whole


def _number(name: str, kind: str) -> str:
    """Return SQL for a column, of a DuckDB type, as a number."""
    return number(name, "DOUBLE") if kind == "VARCHAR" else f"try_cast({name} AS DOUBLE)"


def _compact_date(text: str) -> str:
    """Return SQL for the seconds since 1970 of a date like 20010601, NULL for anything else."""
    date = f"CASE WHEN length({text}) = 8 THEN try_strptime({text}, '%Y%m%d') END"
    return f"try_cast(epoch({date}) AS BIGINT)"


def _judge(
    connection: Any,
    source: Source,
    config: IngestConfig,
    rule: SplitRule,
    bad: dict[int, tuple[int, int]],
) -> None:
    """Fail on the first bad row, unless the user wants such rows left out and not all times are too large."""
    bad = {reason: found for reason, found in bad.items() if reason != 6}
    if not bad:
        return
    good = connection.execute(
        "SELECT count(*) FROM raw WHERE reason IS NULL OR reason = 6"
    ).fetchone()[0]
    if 7 in bad and (config.bad_rows == "error" or bad[7][0] > good):
        raise _time_unit_error(connection, source, config, bad[7][1])
    if config.bad_rows == "error":
        reason, (_, row) = min(bad.items(), key=lambda entry: entry[1][1])
        raise _bad_value(connection, source, rule, reason, row)


def _check_coarse(connection: Any, source: Source, config: IngestConfig) -> None:
    """Raises: TimeUnitError if a finer unit was named than the times have, which puts them all in 1970."""
    if config.time_unit not in ("ms", "us", "ns"):
        return
    (last,) = connection.execute(
        "SELECT max(time) FROM raw WHERE reason IS NULL OR reason = 6"
    ).fetchone()
    if last is not None and 0 <= last < _EARLIEST_LAST_SECOND:
        file = source.interactions
        raise TimeUnitError(
            f"{file.path}: column '{source.time}': in {config.time_unit} no time is later than 1973",
            hint="If these are seconds, add --time-unit s.",
        )


def _check_dates(connection: Any, source: Source, config: IngestConfig) -> None:
    """Raises: TimeUnitError if what would be seconds of the year 1970 is a date like 20010601, all over the file."""
    if config.time_unit != "auto":
        return
    good = "FROM raw WHERE reason IS NULL OR reason = 6"
    first, last = connection.execute(f"SELECT min(time), max(time) {good}").fetchone()
    if first is None or first < _COMPACT_DATES[0] or last > _COMPACT_DATES[1]:
        return
    (others,) = connection.execute(
        f"SELECT count(*) FILTER ({_compact_date('time::VARCHAR')} IS NULL) {good}"
    ).fetchone()
    if not others:
        raise TimeUnitError(
            f"{source.interactions.path}: column '{source.time}': {first} is a date, not seconds since 1970",
            hint="If these are dates, add --time-unit iso; if they are seconds all the same, --time-unit s.",
        )


def _bad_value(
    connection: Any, source: Source, rule: SplitRule, reason: int, row: int
) -> BadValueError:
    columns = {
        1: source.user,
        2: source.item,
        3: source.rating,
        4: source.time,
        5: rule.column or "",
        9: source.time,
    }
    file, name = source.interactions, columns[reason]
    value = value_at(connection, file, name, row)
    where = f"{file.path}: {file.place(row)}: column '{name}'"
    if value is None or not value.strip():
        problem = f"{where}: no value"
    else:
        problem = f"{where}: '{value[:60]}' is not {_WANTED[reason]}"
    return BadValueError(problem, hint=f"Correct the file, or {_LEAVE_OUT}.")


def _time_unit_error(
    connection: Any, source: Source, config: IngestConfig, row: int
) -> TimeUnitError:
    file = source.interactions
    lenient = config.bad_rows == "reject"
    value = value_at(connection, file, source.time, row, lenient=lenient) or ""
    digits = len(value.split(".")[0])
    unit = "ms" if digits <= 14 else "us" if digits <= 17 else "ns"
    name = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
    return TimeUnitError(
        f"{file.path}: {file.place(row)}: column '{source.time}': {value} is too large for seconds since 1970",
        hint=f"If these are {name}, add --time-unit {unit}.",
    )


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
