"""Which column of a stranger's table means what: by the user's word, else by common names."""

from collections.abc import Iterable, Iterator

from core.config.ingest import INTERACTION_ROLES, ITEM_ROLES, IngestConfig, split_column
from core.data.readers.files import (
    TableFile,
    column,
    missing_column,
    with_later,
    with_occurring,
)
from core.data.sql import identifier

_WHAT = {
    "user": "the user's id",
    "item": "the item's id",
    "rating": "the rating",
    "time": "the time",
    "title": "the title",
    "year": "the year",
    "categories": "the categories",
    "description": "the description",
}
_NAMES: dict[str, tuple[str, ...]] = {
    "user": ("user", "user_id", "userid", "uid", "reviewerid", "reviewer_id", "customer_id", "reader_id"),
    "item": (
        "item", "item_id", "itemid", "iid", "movie", "movie_id", "movieid", "product_id", "productid", "asin",
        "parent_asin", "business_id", "book_id", "bookid", "isbn", "gmap_id", "film_id", "filmid", "track_id",
        "song_id", "article_id", "game_id", "recipe_id",
    ),
    "rating": ("rating", "stars", "score", "overall", "rate", "label"),
    "time": (
        "time", "timestamp", "unix_time", "unixtime", "unixreviewtime", "datetime", "date", "ts", "created_at",
    ),
    "title": ("title", "name", "item_title", "movie_title", "product_title", "book_title"),
    "year": ("year", "release_year", "published_year"),
    "categories": ("categories", "category", "genres", "genre", "class", "tags"),
    "description": ("description", "summary", "overview", "desc", "about"),
}  # fmt: skip


_ITEMS_OWN_ID = ("id",)
"""What only a file of items calls their id: in a table of ratings it numbers the ratings."""


def optional(file: TableFile, config: IngestConfig, role: str) -> str | None:
    """Return the column of a role or None. Raises: MissingColumnError if the user named one that is not there."""
    wanted = getattr(config, f"{role}_column")
    return column(file, wanted, _NAMES[role], what=_WHAT[role], option=f"--{role}-column")


def required(file: TableFile, config: IngestConfig, role: str) -> str:
    """Return the column of a role. Raises: MissingColumnError naming the nearest column."""
    found = optional(file, config, role)
    if found is None:
        raise missing_column(file, _NAMES[role][0], what=_WHAT[role], option=f"--{role}-column")
    return found


def with_named(
    file: TableFile, config: IngestConfig, roles: Iterable[str], others: Iterable[str] = ()
) -> TableFile:
    """Add columns that the user names and that a JSON file has beyond its first objects.

    Args:
        roles: what the columns may be named for.
        others: more names.
    """
    named = (getattr(config, f"{role}_column") for role in roles)
    return with_occurring(file, [*(name for name in named if name is not None), *others])


def with_interactions(file: TableFile, config: IngestConfig) -> TableFile:
    """Add columns of interactions that a JSON file has beyond its first objects: named, or needed and not found yet."""
    split = split_column(config.split_by)
    file = with_named(file, config, INTERACTION_ROLES, [split] if split is not None else [])
    return with_occurring(file, _needed(file, config))


def _needed(file: TableFile, config: IngestConfig) -> Iterator[str]:
    """Yield the common names of what interactions must have where the file has none of them."""
    for role in INTERACTION_ROLES:
        if getattr(config, f"{role}_column") is None and by_common_name(file, role) is None:
            yield from _NAMES[role]


def interaction_columns(
    file: TableFile, config: IngestConfig, items: TableFile | None
) -> dict[str, str]:
    """Return role -> column of a file of interactions, whose items a file of items may describe.

    Raises: MissingColumnError naming the nearest column.
    """
    found = {role: required(file, config, role) for role in INTERACTION_ROLES}
    return found | {"item": item_in_both(file, config, items) or found["item"]}


def item_in_both(file: TableFile, config: IngestConfig, other: TableFile | None) -> str | None:
    """Return the column of a file that the first common name of the item's id calls which another file has, too.

    Reviews of Amazon tell a variant (`asin`) and its product (`parent_asin`), and the metadata products alone: which
    of them is the item is not for the order of the names to say.
    """
    if config.item_column is not None or other is None:
        return None
    there = {name.lower() for name in other.columns}
    names = tuple(name for name in _NAMES["item"] if name in there)
    return column(file, None, names, what=_WHAT["item"], option="--item-column")


def with_item_facts(file: TableFile, config: IngestConfig) -> TableFile:
    """Let a JSON file tell of items beyond its first objects what those do not tell, by any of the common names.

    Raises: MissingColumnError if the user named a column that is not there.
    """
    missing = [role for role in ITEM_ROLES if optional(file, config, role) is None]
    return with_later(file, [_NAMES[role] for role in missing])


def item_of(file: TableFile, config: IngestConfig, interactions: TableFile) -> str:
    """Return the column of the item's id in a file of items, which may call it otherwise than the interactions do.

    Raises: MissingColumnError if it is neither called so nor by a common name.
    """
    if (both := item_in_both(file, config, interactions)) is not None:
        return both
    wanted = config.item_column
    if wanted is None or wanted not in file.columns:
        names = (*_NAMES["item"], *_ITEMS_OWN_ID)
        guess = column(file, None, names, what=_WHAT["item"], option="--item-column")
        if guess is not None:
            return guess
    if wanted is not None and wanted not in file.columns:
        problem = missing_column(file, wanted, what=_WHAT["item"], option="--item-column")
        problem.hint = (
            f"Call the column '{wanted}' in this file, too: --item-column holds for both."
        )
        raise problem
    return required(file, config, "item")


def expression(file: TableFile, config: IngestConfig, role: str) -> str:
    """Return the column of a role as SQL, NULL where there is none."""
    found = optional(file, config, role)
    return identifier(found) if found else "NULL"


def by_common_name(file: TableFile, role: str) -> str | None:
    """Return the column that a common name calls the user, the item or another role, None if there is none."""
    return column(file, None, _NAMES[role], what=_WHAT[role], option="") if role in _NAMES else None
