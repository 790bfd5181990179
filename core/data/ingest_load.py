"""First pass of ingest: read the file once, judge every row, and say where a bad one stands."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.config.ingest import IngestConfig
from core.data.ingest_errors import LEAVE_OUT, broken_lines, reading, value_at
from core.data.ingest_times import (
    DATES_AS_SECONDS,
    EARLIEST_LAST_SECOND,
    EARLIEST_SECOND,
    LARGEST_SECOND,
    UNITS,
    compact_date,
    time_expression,
    unit_name,
    wanted_time,
)
from core.data.readers.files import TableFile, missing_column
from core.data.readers.source import Source
from core.data.readers.streams import check_encoding
from core.data.split import SplitRule, column_code
from core.data.sql import WHOLE, identifier, literal, number_of
from core.errors import (
    BadValueError,
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
_FLOATING = ("FLOAT", "DOUBLE")
_WANTED = {
    1: "an id",
    2: "an id",
    3: "a number",
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
        time = time_expression(identifier(source.time), types[source.time], config.time_unit)
        relation = file.relation(lenient=reject)
        connection.execute(_load_statement(source, rule, time, relation, types))
    lines = broken_lines(connection, file) if reject else {}
    broken = Counter(lines.values())
    source = replace(source, interactions=replace(file, skipped=frozenset(lines)))
    if source.items_if is not None and not _any_told(connection):
        source = replace(source, items=None)
    if reject and file.by_line:
        _mark_broken_objects(connection, file)
    if file.form == "json":
        _mark_bare_nan(connection, source, lenient=reject)
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


def _mark_broken_objects(connection: Any, file: TableFile) -> None:
    """Give rows of which nothing could be read a reason of their own. Raises: EncodingError."""
    (count,) = connection.execute(
        'UPDATE raw SET reason = 8 WHERE "user" IS NULL AND item IS NULL AND rating IS NULL '
        "AND time IS NULL"
    ).fetchone()
    if count:
        # DuckDB passes over what is not UTF-8 like over any broken line; the whole file may be in another encoding.
        check_encoding(file.path, file.encoding, is_json=True)


def _mark_bare_nan(connection: Any, source: Source, *, lenient: bool) -> None:
    """Give rows whose id is NaN without quotes, as Python writes a number that is missing, the reason of no id.

    Read as text it is the same as "NaN" in quotes, which is an id: where either occurs, the file is read once more.
    """
    ids = "SELECT bool_or(\"user\" = 'NaN' OR item = 'NaN') FROM raw"
    if not connection.execute(ids).fetchone()[0]:
        return
    file = source.interactions
    relation = file.relation(lenient=lenient, kind="JSON")
    user, item = (f"({identifier(name)})::VARCHAR = 'NaN'" for name in (source.user, source.item))
    with reading(file):
        connection.execute(
            "UPDATE raw SET reason = CASE WHEN no_user THEN 1 ELSE least(coalesce(reason, 2), 2) END "
            f"FROM (SELECT row_number() OVER () - 1 AS row, {user} AS no_user, {item} AS no_item "
            f"FROM {relation}) WHERE raw.rowid = row AND (no_user OR no_item)"
        )


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
        identifier(name) + ("" if types[name] in WHOLE else "::VARCHAR")
        for name in (source.user, source.item)
    )
    # A rating of 2.2 in 32 bits is 2.2, not 2.200000047683716: it is compared with a threshold.
    shortest = "::VARCHAR" if types[source.rating] == "FLOAT" else ""
    rating = number_of(identifier(source.rating) + shortest, types[source.rating])
    text = f"({identifier(rule.column)})::VARCHAR" if rule.column is not None else ""
    split = column_code(text) if text else "NULL::TINYINT"
    no_split = "(split IS NULL)" if text else "false"
    told = f", {source.items_if} AS told" if source.items_if is not None else ""
    # Nearly every row is good: one look at it first takes half as long as all the others one by one.
    ids = (('"user"', types[source.user]), ("item", types[source.item]))
    good = (
        f"{' AND '.join(_visible(*of) for of in ids)} AND isfinite(rating) "
        f"AND time BETWEEN {EARLIEST_SECOND} AND {LARGEST_SECOND} AND NOT {no_split} "
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
            WHEN time > {LARGEST_SECOND} THEN 7
            WHEN time < {EARLIEST_SECOND} THEN 9
            WHEN {rule.outside("time")} THEN 6
            END)::UTINYINT AS reason
        FROM (SELECT {user} AS "user", {item} AS item,
            {rating} AS rating, {time} AS time, {split} AS split{told} FROM {relation})"""


def _visible(text: str, kind: str) -> str:
    """Return SQL that is true for an id that needs no closer look: most texts begin with a visible ASCII character."""
    if kind in WHOLE:
        return f"{text} IS NOT NULL"
    visible = f"{text} BETWEEN '!' AND '~'"
    return f"{visible} AND NOT {_nan(text)}" if kind in _FLOATING else visible


def _blank(text: str, kind: str) -> str:
    """Return SQL that is true for no id."""
    if kind in WHOLE:
        return f"{text} IS NULL"
    blank = f"{text} IS NULL OR trim({text}) = ''"
    return f"{blank} OR {_nan(text)}" if kind in _FLOATING else blank


def _nan(text: str) -> str:
    """Return SQL that is true for a floating NaN, written as text: how pandas writes a number that is missing."""
    return f"{text} IN ('nan', '-nan')"


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
        raise _bad_value(connection, source, rule, config.time_unit, (reason, row))


def _check_coarse(connection: Any, source: Source, config: IngestConfig) -> None:
    """Raises: TimeUnitError if a finer unit was named than the times have, which puts them all in 1970."""
    if config.time_unit not in ("ms", "us", "ns"):
        return
    (last,) = connection.execute(
        "SELECT max(time) FROM raw WHERE reason IS NULL OR reason = 6"
    ).fetchone()
    if last is not None and 0 <= last < EARLIEST_LAST_SECOND:
        file = source.interactions
        raise TimeUnitError(
            f"{file.path}: column '{source.time}': in {config.time_unit} no time is later than 1973",
            hint="If these are seconds, add --time-unit s.",
        )


def _check_dates(connection: Any, source: Source, config: IngestConfig) -> None:
    """Raises: TimeUnitError if what would be times of a far year is dates like 20010601, all over the file."""
    if config.time_unit not in DATES_AS_SECONDS:
        return
    least, largest, lost = DATES_AS_SECONDS[config.time_unit]
    good = "FROM raw WHERE reason IS NULL OR reason = 6"
    first, last = connection.execute(f"SELECT min(time), max(time) {good}").fetchone()
    if first is None or first < least or last > largest:
        return
    date = compact_date(f"(time::VARCHAR || '{lost}')")
    others, row = connection.execute(
        f"SELECT count(*) FILTER ({date} IS NULL), min(rowid) {good}"
    ).fetchone()
    if others:
        return
    file = source.interactions
    value = value_at(connection, file, source.time, row, lenient=config.bad_rows == "reject")
    hint = "If these are dates, add --time-unit iso"
    if config.time_unit == "auto":
        hint += "; if they are seconds all the same, --time-unit s"
    raise TimeUnitError(
        f"{file.path}: {file.place(row)}: column '{source.time}': {value} is a date, not "
        f"{unit_name(config.time_unit)} since 1970",
        hint=f"{hint}.",
    )


def _bad_value(
    connection: Any, source: Source, rule: SplitRule, unit: str, bad: tuple[int, int]
) -> BadValueError:
    """Build the error for the first bad row, given by its reason and its number."""
    reason, row = bad
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
    hint = f"Correct the file, or {LEAVE_OUT}."
    if value is None or not value.strip():
        return BadValueError(f"{where}: no value", hint=hint)
    if reason != 4:
        return BadValueError(f"{where}: '{value[:60]}' is not {_WANTED[reason]}", hint=hint)
    if unit != "auto":
        expression = time_expression(literal(value), "VARCHAR", "auto")
        if connection.execute(f"SELECT {expression}").fetchone()[0] is not None:
            hint = f"Leave --time-unit {unit} out: seconds and ISO 8601 are read without it. Or c{hint[1:]}"
    return BadValueError(f"{where}: '{value[:60]}' is not {wanted_time(unit)}", hint=hint)


def _time_unit_error(
    connection: Any, source: Source, config: IngestConfig, row: int
) -> ThinkRecError:
    """Build the error for a time after the year 5138: a number is meant in another unit."""
    file = source.interactions
    lenient = config.bad_rows == "reject"
    value = value_at(connection, file, source.time, row, lenient=lenient) or ""
    where = f"{file.path}: {file.place(row)}: column '{source.time}'"
    try:
        digits = len(str(int(float(value))))
    except ValueError:
        return BadValueError(
            f"{where}: '{value[:60]}' is after the year 5138",
            hint=f"Correct the file, or {LEAVE_OUT}.",
        )
    (date,) = connection.execute(f"SELECT {compact_date(literal(value))}").fetchone()
    unit = "ms" if digits <= 14 else "us" if digits <= 17 else "ns"
    what, unit = ("dates", "iso") if date is not None else (UNITS[unit], unit)
    return TimeUnitError(
        f"{where}: {value} is too large for {unit_name(config.time_unit)} since 1970",
        hint=f"If these are {what}, add --time-unit {unit}.",
    )
