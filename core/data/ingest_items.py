"""Items of a data set: titles, years, categories and descriptions, one row per id."""

from collections.abc import Collection
from typing import Any

from core.config.ingest import IngestConfig
from core.data.ingest_errors import broken_lines, reading, value_at
from core.data.readers.source import ItemSource, Source
from core.data.sql import literal, number
from core.errors import BadValueError, EmptyFileError, MismatchError
from core.progress import Progress

_MOST_DIFFERENT = 0.1
"""Share of the items with several values among which a column may differ and still be the item's: slips happen."""
_VALUES = {
    "title": "title",
    "year": "year",
    "categories": "nullif(categories::VARCHAR, '[]')",
    "description": "nullif(description, '')",
}
"""Role -> SQL over `all_facts` that is NULL where a row tells nothing."""
_BLANKS = {
    "title": ("title", "NULL::VARCHAR"),
    "title_from": ("title", "NULL::VARCHAR"),
    "year": ("year", "NULL::INTEGER"),
    "categories": ("categories", "[]::VARCHAR[]"),
    "description": ("description", "''"),
}
"""Column of `facts` -> its role, and what it holds where nothing is told."""
# "Toy Story (1995)" is the title Toy Story and the year 1995.
_TITLE_WITH_YEAR = r"^(.*\S)\s*\(((?:18|19|20)\d\d)\)$"
# The year as it is written: in UTC, 1995-01-01T00:00+02:00 would lie in 1994.
_MONTH, _DAY = "(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = rf"^\s*(\d{{4}})[-/]{_MONTH}(?:[-/]{_DAY}(?:[T ]\d.*)?)?\s*$"


def load_items(
    connection: Any, source: Source, config: IngestConfig, progress: Progress
) -> tuple[dict[str, int], list[str]]:
    """Fill the table `facts` (item, title, title_from, year, categories, description), one row per id.

    Of several rows with one id the first counts, and beside the interactions the first that has a value, for each
    column: what is told once of an item is told of it in all rows.
    Returns: rows read, repeated ids, rows without an id, broken lines of a text table, for the report; what was left
        out of the interactions (title, ...) because it describes their rows, not items.
    Raises: EncodingError, BadValueError, EmptyFileError.
    """
    items = source.items
    if items is None:
        connection.execute(
            "CREATE TABLE facts (item VARCHAR, title VARCHAR, title_from VARCHAR, year INTEGER, categories VARCHAR[], "
            "description VARCHAR)"
        )
        return {"read": 0, "repeated": 0, "without_id": 0, "broken": 0}, []
    reject = config.bad_rows == "reject"
    with reading(items.file):
        connection.execute(
            _statement(items, items.file.relation(lenient=reject), config.year_column is not None)
        )
    broken = len(broken_lines(connection, items.file)) if reject else 0
    beside = source.items_beside
    read, without = connection.execute(
        "SELECT count(*), count(*) FILTER (item IS NULL OR trim(item) = '') FROM all_facts"
    ).fetchone()
    if without and config.bad_rows == "error" and not beside:
        (row,) = connection.execute(
            "SELECT min(rowid) FROM all_facts WHERE item IS NULL OR trim(item) = ''"
        ).fetchone()
        raise _no_id(connection, items, row)
    if read and config.year_column is not None:
        _tell_of_no_year(connection, items, config.year_column, progress)
    of_rows: list[str] = []
    with_id = "FROM all_facts WHERE item IS NOT NULL AND trim(item) <> ''"
    if beside:
        left_out, of_rows = _told_of_rows(connection, config)
        connection.execute(
            f"CREATE TABLE facts AS SELECT item, {_first_values(left_out)} {with_id} GROUP BY item"
        )
    else:
        connection.execute(
            f"CREATE TABLE facts AS SELECT item, {', '.join(_BLANKS)} {with_id} "
            "QUALIFY row_number() OVER (PARTITION BY item ORDER BY rowid) = 1"
        )
    (kept,) = connection.execute("SELECT count(*) FROM facts").fetchone()
    connection.execute("DROP TABLE all_facts")
    counts = {
        "read": read + broken,
        "repeated": read - without - kept,
        "without_id": without,
        "broken": broken,
    }
    return counts, of_rows


def list_unrated(connection: Any, source: Source, *, wanted: bool) -> None:
    """Fill the table `unrated` (item) with the ids of `facts` that stand in no row of `raw`.

    Whatever becomes of a row, its user knows the item: it is nothing new to be recommended.

    Args:
        wanted: whether items without an interaction belong to the data set; else the table stays empty.
    """
    connection.execute("CREATE TABLE unrated (item VARCHAR)")
    if wanted and source.items is not None and not source.items_beside:
        connection.execute(
            "INSERT INTO unrated SELECT item FROM facts "
            "ANTI JOIN (SELECT DISTINCT item::VARCHAR AS item FROM raw) USING (item)"
        )


def _told_of_rows(connection: Any, config: IngestConfig) -> tuple[list[str], list[str]]:
    """Return the guessed columns of `all_facts` that are not the items', and those of them that hold anything.

    A review has a headline of its own, often in a column called title: as the item's title it would tell every prompt
    what somebody thought of the item, and sometimes the very answer. So what differs between rows of one item is the
    rows'. A column that the user names is taken at its word.
    """
    guessed = [role for role in _VALUES if getattr(config, f"{role}_column") is None]
    if config.title_format is not None:
        guessed.remove("title")
    if not guessed:
        return [], []
    differs = ", ".join(
        f"avg((min_{role} <> max_{role})::INTEGER) FILTER (rows_{role} > 1), coalesce(sum(rows_{role}), 0)"
        for role in guessed
    )
    ends = ", ".join(
        f"min({_VALUES[role]}) AS min_{role}, max({_VALUES[role]}) AS max_{role}, "
        f"count({_VALUES[role]}) AS rows_{role}"
        for role in guessed
    )
    found = connection.execute(
        f"SELECT {differs} FROM (SELECT {ends} FROM all_facts GROUP BY item)"
    ).fetchone()
    shares = dict(zip(guessed, found[::2], strict=True))
    filled = dict(zip(guessed, found[1::2], strict=True))
    differing = [role for role in guessed if (shares[role] or 0) > _MOST_DIFFERENT]
    # What stands beside a headline is the review's, too.
    left_out = guessed if "title" in differing else differing
    return left_out, [role for role in left_out if filled[role]]


def _tell_of_no_year(connection: Any, items: ItemSource, column: str, progress: Progress) -> None:
    """Tell where the column that the user named gave no year: years that are missing are not seen."""
    years, first = connection.execute(
        f"SELECT count({_year('told_year')}), arg_min(told_year, rowid) FILTER (trim(told_year) <> '') "
        "FROM all_facts"
    ).fetchone()
    if not years:
        why = (
            "it holds no value"
            if first is None
            else f"'{' '.join(first.split())[:60]}' is neither a year nor a date like 1995-05-20"
        )
        progress.say(
            f"warning: no year in column '{column}' of {items.file.path.name}: {why}; correct it, or name another "
            "with --year-column"
        )


def _first_values(left_out: Collection[str]) -> str:
    """Return SQL for each column's first value among the rows of one item, blank for those that are left out."""
    columns = []
    for name, (role, blank) in _BLANKS.items():
        first = f"arg_min({name}, rowid) FILTER ({_VALUES[role]} IS NOT NULL)"
        columns.append(f"{blank if role in left_out else f'coalesce({first}, {blank})'} AS {name}")
    return ", ".join(columns)


def count_matched(connection: Any, source: Source) -> int | None:
    """Return how many rated items have a row in `facts`, None if the source has no items of its own.

    Args:
        connection: holds `by_i` and `facts`.
    Raises: EmptyFileError if no item was read, MismatchError if none of those read is rated.
    """
    if source.items is None:
        return None
    rated, matched = connection.execute(
        "SELECT count(*), count(facts.item) FROM by_i LEFT JOIN facts ON facts.item = i::VARCHAR"
    ).fetchone()
    if matched:
        return int(matched)
    path, ratings = source.items.file.path, source.interactions.path
    first = connection.execute(
        "SELECT item FROM facts ORDER BY try_cast(item AS HUGEINT) NULLS LAST, item LIMIT 1"
    ).fetchone()
    if first is None:
        raise EmptyFileError(f"{path} holds no items", hint="Give a file with at least one item.")
    (asked,) = connection.execute("SELECT i::VARCHAR FROM by_i ORDER BY code LIMIT 1").fetchone()
    raise MismatchError(
        f"{path}: holds none of the {rated:,} rated items; its ids are like '{first[0]}', those of {ratings.name} "
        f"like '{asked}'",
        hint="Write the ids of both files the same way; --item-column names their column.",
    )


def count_titles(connection: Any) -> dict[str, int]:
    """Return what the titles of a data set's items were made of (`own`, ..., `id`) -> items, most first.

    Args:
        connection: holds `by_i`, `facts` and `unrated`.
    """
    ids = "SELECT i::VARCHAR AS item FROM by_i UNION ALL SELECT item FROM unrated"
    return dict(
        connection.execute(
            "SELECT CASE WHEN title IS NULL THEN 'id' ELSE title_from END AS made_of, count(*) AS items "
            f"FROM ({ids}) LEFT JOIN facts USING (item) GROUP BY made_of ORDER BY items DESC, made_of"
        ).fetchall()
    )


def _statement(items: ItemSource, relation: str, keep_year: bool) -> str:
    pattern = f"'{_TITLE_WITH_YEAR}'"
    return f"""
        CREATE TABLE all_facts AS SELECT item,
            CASE WHEN regexp_matches(title, {pattern}) THEN regexp_extract(title, {pattern}, 1) ELSE title END AS title,
            title_from,
            coalesce({_year("year")}, try_cast(regexp_extract(title, {pattern}, 2) AS INTEGER)) AS year,
            {"year" if keep_year else "NULL"} AS told_year,
            coalesce(list_filter(list_transform(categories, lambda word: trim(word)),
                lambda word: word <> ''), []) AS categories,
            coalesce(trim(description), '') AS description
        FROM (SELECT ("{items.item.replace('"', '""')}")::VARCHAR AS item,
            nullif(trim(regexp_replace(({items.title})::VARCHAR, '\\s+', ' ', 'g')), '') AS title,
            ({items.title_from})::VARCHAR AS title_from, ({items.year})::VARCHAR AS year,
            ({items.categories})::VARCHAR[] AS categories, ({items.description})::VARCHAR AS description
            FROM {relation})"""


def _year(text: str) -> str:
    """Return SQL for the year that a text spells, as a number or within a date, NULL where it spells none."""
    dated = f"try_cast(regexp_extract({text}, {literal(_DATE)}, 1) AS INTEGER)"
    return f"coalesce({number(text, 'INTEGER')}, {dated})"


def _no_id(connection: Any, items: ItemSource, row: int) -> BadValueError:
    title = value_at(connection, items.file, items.item, row)
    assert title is None or not title.strip()
    return BadValueError(
        f"{items.file.path}: {items.file.place(row)}: column '{items.item}': no value",
        hint="Correct the file, or leave such rows out with --bad-rows reject.",
    )
