"""Which column of a stranger's table means what: by the user's word, else by common names."""

from core.config.ingest import IngestConfig
from core.data.readers.files import TableFile, column, missing_column
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


def item_of(file: TableFile, config: IngestConfig) -> str:
    """Return the column of the item's id in a file of items, which may call it otherwise than the interactions do.

    Raises: MissingColumnError if it is neither called so nor by a common name.
    """
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
