"""What an artifact of a kind must contain: its payload files and, for tables, their columns.

The store is generic: a program declares its kinds once and hands them to `Store`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

PayloadFormat = Literal["parquet", "safetensors", "json", "text", "folder"]


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One file (or folder of files) of an artifact."""

    path: str
    """Path inside the artifact, for instance `interactions.parquet`."""
    format: PayloadFormat
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Parquet only: column name -> DuckDB type, all required, none besides them allowed."""
    view: str | None = None
    """Parquet only: name of the SQL view that unites this table over artifacts (plus `<view>_all`
    for every version).
    """
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of artifact, with the schema version that is part of every key."""

    name: str
    schema_version: int
    payloads: tuple[Payload, ...]
    about: str

    def payload(self, path: str) -> Payload:
        """Return the declaration of one payload file. Raises: KeyError if the kind has none of that
        path.
        """
        for payload in self.payloads:
            if payload.path == path:
                return payload
        raise KeyError(path)


class Kinds:
    """All kinds a program knows, by name."""

    def __init__(self, *kinds: Kind, views: Mapping[str, str] | None = None) -> None:
        """Take the kinds, and named SQL views over the payload views (name -> select statement)."""
        self._kinds = {kind.name: kind for kind in kinds}
        self.views: Mapping[str, str] = views or {}

    def __getitem__(self, name: str) -> Kind:
        return self._kinds[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def names(self) -> list[str]:
        """Names of all kinds, in the order of declaration."""
        return list(self._kinds)
