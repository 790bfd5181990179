"""Times of a table as SQL: seconds since 1970 in any unit, ISO 8601, and dates without dashes."""

from core.data.sql import WHOLE, number_of

LARGEST_SECOND = 10**11  # the year 5138: what is above is milliseconds or finer
# The year 1684. The smallest integer, which is pandas' NaT, lies before it in every unit.
EARLIEST_SECOND = -9 * 10**9
EARLIEST_LAST_SECOND = 10**8  # March 1973: no log of a data set ends before it
# Length -> how a date without dashes is spelled; what pandas made floats of ends in .0.
_COMPACT_DATES = {
    8: "%Y%m%d",
    10: "%Y%m%d.0",
    14: "%Y%m%d%H%M%S",
    16: "%Y%m%d%H%M%S.0",
}
# Unit -> least and largest second that a date without dashes is taken for, and the digits that it lost on the way.
DATES_AS_SECONDS = {
    "auto": (19000101, 21001231, ""),
    "ms": (19000101000, 21001231235, "000"),
}
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_DIVISORS = {"s": 1, "auto": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def time_expression(name: str, kind: str, unit: str) -> str:
    """Return SQL for whole seconds since 1970 (rounded down), NULL where there is no time.

    Args:
        name: SQL of what holds the time, of the DuckDB type `kind`.
    """
    if kind.startswith("TIMESTAMPTZ"):  # TIMESTAMPTZ_NS, which epoch does not take
        name = f"{name}::TIMESTAMPTZ"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"try_cast(floor(epoch({name})) AS BIGINT)"
    text = f"({name})::VARCHAR"
    iso = f"try_cast(floor(epoch(try_cast({text} AS TIMESTAMPTZ))) AS BIGINT)"
    if unit == "iso":
        return f"coalesce({iso}, {compact_date(text)})"
    divisor = _DIVISORS[unit]
    if kind in WHOLE and divisor == 1:
        return f"try_cast({name} AS BIGINT)"
    scaled = f" / {divisor}" if divisor > 1 else ""
    whole = f"try_cast(floor(({number_of(name, kind)}){scaled}) AS BIGINT)"
    return f"coalesce({whole}, {iso})" if unit == "auto" else whole


def compact_date(text: str) -> str:
    """Return SQL for the seconds since 1970 of a date like 20010601 or 20010601235959, NULL for anything else."""
    cases = " ".join(
        f"WHEN {length} THEN try_strptime({text}, '{form}')"
        for length, form in _COMPACT_DATES.items()
    )
    # A digit has to come first: strptime passes over blanks, and takes "infinity" for the year 1900.
    date = f"CASE WHEN {text} BETWEEN '0' AND ':' THEN CASE length({text}) {cases} END END"
    return f"try_cast(epoch({date}) AS BIGINT)"


def unit_name(unit: str) -> str:
    """Return what whole numbers are in a unit, `auto` among them."""
    return UNITS.get(unit, "seconds")


def wanted_time(unit: str) -> str:
    """Say what a time has to be in a unit."""
    if unit == "auto":
        return "a time (seconds since 1970 or ISO 8601)"
    form = "ISO 8601" if unit == "iso" else f"{UNITS[unit]} since 1970"
    return f"a time in {form} (--time-unit {unit})"
