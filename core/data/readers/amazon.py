"""Amazon Review Data (2018, 2023): reviews or ratings, and metadata of products, one JSON object a line.

The metadata was taken from web pages: texts hold entities and tags, many titles are cut-off pieces of a page, and
products occur several times. What is no title is replaced by brand and category, or by the id.
"""

from pathlib import Path

from core.config.ingest import IngestConfig
from core.data.readers import guesses
from core.data.readers.files import (
    TableFile,
    any_file,
    beginning,
    delimited_file,
    is_number,
    with_columns,
)
from core.data.readers.markup import plain, whole
from core.data.readers.source import ItemSource, Source
from core.data.readers.streams import existing_folder
from core.data.sql import identifier, listed
from core.errors import MissingFileError

_META = "meta_"
_JSON = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_RATINGS_ONLY = (".csv", ".csv.gz")
_PRODUCT = ("asin", "title", "brand", "category", "categories", "description")
# The data of 2023 have a flat list of categories, those of 2014 a list of lists, where those of 2018 have `category`.
_CATEGORIES = "(CASE WHEN trim(category, '[] ') <> '' THEN category ELSE categories END)"


def files(config: IngestConfig) -> dict[str, Path]:
    """Return role -> file; in a folder, metadata is the file named meta_*. Raises: MissingFileError."""
    folder = existing_folder(Path(config.path or "."))
    names = sorted(path for path in folder.iterdir() if path.name.endswith(_JSON + _RATINGS_ONLY))
    items = [path for path in names if path.name.startswith(_META)]
    reviews = [path for path in names if not path.name.startswith(_META)]
    if len(reviews) != 1 or len(items) > 1:
        listing = ", ".join(path.name for path in names) or "none"
        raise MissingFileError(
            f"{folder} must hold one file of reviews and one named {_META}*; found: {listing}",
            hint="Name the two files with --interactions F --items F.",
        )
    return {"interactions": reviews[0]} | ({"items": items[0]} if items else {})


def read(config: IngestConfig, found: dict[str, Path]) -> Source:
    """Describe the files. Raises: MissingColumnError, EmptyFileError, BadValueError."""
    reviews = guesses.with_interactions(_reviews(found["interactions"]), config)
    products = any_file(found["items"]) if "items" in found else None
    columns = guesses.interaction_columns(reviews, config, products)
    items = _items(config, products, reviews) if products is not None else None
    return Source(interactions=reviews, items=items, **columns)


def _reviews(path: Path) -> TableFile:
    if path.name.endswith(_RATINGS_ONLY) and not _names_columns(path):
        return delimited_file(path, columns=("item", "user", "rating", "time"))
    return any_file(path)


def _names_columns(path: Path) -> bool:
    """Return whether a file of ratings begins with a header: those of 2018 have none, those of 2023 have one."""
    separator, line = beginning(path, "utf-8")
    cells = line.split(separator or ",")
    return len(cells) > 2 and not is_number(cells[2].strip('" '))


def _items(config: IngestConfig, file: TableFile, reviews: TableFile) -> ItemSource:
    item = guesses.item_in_both(file, config, reviews) or guesses.required(file, config, "item")
    # A key may be missing from the first lines.
    file = guesses.with_named(with_columns(file, _PRODUCT), config, ("title",))
    own = whole(identifier(guesses.optional(file, config, "title") or "title"))
    categories = _texts(_CATEGORIES)
    # An author's name stands in a link to the author's page.
    brand = plain("regexp_replace(brand, '^Visit Amazon.s (.*) Page$', '\\1')")
    category = f"({categories})[-1]"
    return ItemSource(
        file=file,
        item=item,
        title=f"coalesce({own}, nullif(concat_ws(': ', {brand}, {category}), ''))",
        title_from=f"CASE WHEN {own} IS NOT NULL THEN 'own' WHEN {category} IS NULL THEN 'brand' "
        f"WHEN {brand} IS NULL THEN 'category' ELSE 'brand and category' END",
        categories=categories,
        description=f"array_to_string({_texts('description')}, ' ')",
    )


def _texts(text: str) -> str:
    """Return SQL for the plain texts of a JSON list, of lists in it, or of one text; blank ones are left out."""
    entries = (
        f"list_transform({listed(text, f'[{text}]')}, lambda entry: {listed('entry', '[entry]')})"
    )
    return (
        f"list_filter(list_transform(flatten({entries}), lambda text: {plain('text')}), "
        "lambda text: text IS NOT NULL)"
    )
