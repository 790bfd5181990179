"""Yelp Open Dataset: a folder (or two files) of JSON lines, one review or one business a line."""

from pathlib import Path

from core.config.ingest import INTERACTION_ROLES, IngestConfig
from core.data.readers import guesses
from core.data.readers.files import any_file, with_columns
from core.data.readers.source import ItemSource, Source
from core.data.readers.streams import existing_folder
from core.data.sql import identifier, listed
from core.errors import MissingFileError

_PREFIX = "yelp_academic_dataset_"
_NAMES = {"interactions": "review", "items": "business"}
_ENDS = (".json", ".json.gz")
_BUSINESS = ("business_id", "name", "city", "state", "categories")


def files(config: IngestConfig) -> dict[str, Path]:
    """Return role -> file. Raises: MissingFileError."""
    folder = existing_folder(Path(config.path or "."))
    found = {}
    for role, name in _NAMES.items():
        spellings = (folder / f"{prefix}{name}{end}" for prefix in (_PREFIX, "") for end in _ENDS)
        path = next((path for path in spellings if path.is_file()), None)
        if path is not None:
            found[role] = path
    if "interactions" not in found:
        raise MissingFileError(
            f"{folder} holds no {_PREFIX}review.json",
            hint="Give the folder that the Yelp Open Dataset was unpacked to, or --interactions F --items F.",
        )
    return found


def read(config: IngestConfig, found: dict[str, Path]) -> Source:
    """Describe the files: name and city of a business are its title and description.

    Raises: MissingColumnError, EmptyFileError, BadValueError.
    """
    reviews = guesses.with_interactions(any_file(found["interactions"]), config)
    items = None
    if "items" in found:
        file = any_file(found["items"])
        item = guesses.required(file, config, "item")
        # A key may be missing from the first lines.
        file = guesses.with_named(with_columns(file, _BUSINESS), config, ("title",))
        title = guesses.optional(file, config, "title")
        items = ItemSource(
            file=file,
            item=item,
            title=identifier(title or "name"),
            categories=listed("categories", "string_split(categories, ',')"),
            description="concat_ws(', ', nullif(trim(city), ''), nullif(trim(state), ''))",
        )
    columns = {role: guesses.required(reviews, config, role) for role in INTERACTION_ROLES}
    return Source(interactions=reviews, items=items, **columns)
