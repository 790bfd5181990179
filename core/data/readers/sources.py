"""The readers by name of their source."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from core.config.ingest import IngestConfig
from core.data.readers import amazon, movielens, recbole, table, yelp
from core.data.readers.source import Source
from core.data.readers.streams import existing_file

_READERS: Mapping[str, ModuleType] = {
    "amazon": amazon,
    "ml-1m": movielens,
    "movielens": movielens,
    "recbole": recbole,
    "table": table,
    "yelp": yelp,
}


def source_files(config: IngestConfig) -> dict[str, Path]:
    """Return role -> file of a source: those that are named, or those of its folder. Raises: MissingFileError."""
    if config.interactions is not None:
        named = {"interactions": config.interactions, "items": config.items}
        return {role: existing_file(Path(path)) for role, path in named.items() if path is not None}
    found: dict[str, Path] = _reader(config).files(config)
    return found


def open_source(config: IngestConfig) -> Source:
    """Find the files and say what their columns mean.

    Raises: MissingFileError, EmptyFileError, EncodingError, MissingColumnError, BadValueError.
    """
    source: Source = _reader(config).read(config, source_files(config))
    return source


def _reader(config: IngestConfig) -> ModuleType:
    if config.source == "ml-100k":
        # Two editions of the same data: RecBole's files, and the original u.data.
        recbole_edition = any(Path(config.path or ".").glob("*.inter"))
        return recbole if recbole_edition else movielens
    return _READERS[config.source]
