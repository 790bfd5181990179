"""RecBole's atomic files: NAME.inter and NAME.item, tab separated, the header says name:type."""

from dataclasses import replace
from pathlib import Path

from core.config.ingest import INTERACTION_ROLES, IngestConfig
from core.data.readers import guesses
from core.data.readers.files import TableFile, delimited_file, distinct
from core.data.readers.source import ItemSource, Source
from core.data.readers.streams import existing_folder
from core.data.sql import identifier
from core.errors import MissingFileError


def files(config: IngestConfig) -> dict[str, Path]:
    """Return role -> file. Raises: MissingFileError."""
    folder = existing_folder(Path(config.path or "."))
    found = sorted(folder.glob("*.inter"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise MissingFileError(
            f"{folder} must hold one .inter file; found: {names}",
            hint="Give a folder with one data set of RecBole's atomic files.",
        )
    items = found[0].with_suffix(".item")
    return {"interactions": found[0]} | ({"items": items} if items.is_file() else {})


def read(config: IngestConfig, found: dict[str, Path]) -> Source:
    """Describe the files. Raises: MissingColumnError."""
    encoding = config.encoding or "utf-8"
    interactions = _atomic_file(found["interactions"], encoding)
    items = None
    if "items" in found:
        file = _atomic_file(found["items"], encoding)
        items = ItemSource(
            file=file,
            item=guesses.required(file, config, "item"),
            title=guesses.expression(file, config, "title"),
            year=guesses.expression(file, config, "year"),
            categories=_sequence(guesses.optional(file, config, "categories")),
            description=guesses.expression(file, config, "description"),
        )
    columns = {role: guesses.required(interactions, config, role) for role in INTERACTION_ROLES}
    return Source(interactions=interactions, items=items, **columns)


def _atomic_file(path: Path, encoding: str) -> TableFile:
    """Describe an atomic file; `user_id:token` becomes the column `user_id`.

    Raises: BadValueError for two columns of one name.
    """
    file = delimited_file(path, delimiter="\t", quote="", encoding=encoding)
    bare = [name.split(":")[0] for name in file.columns]
    return replace(file, columns=distinct(path, bare, f"line {file.skip + 1}: "))


def _sequence(column: str | None) -> str:
    """Split a token sequence: RecBole separates by one space. `unknown` is MovieLens' word for no genre."""
    if column is None:
        return "[]::VARCHAR[]"
    return f"list_filter(string_split({identifier(column)}, ' '), lambda word: word <> 'unknown')"
