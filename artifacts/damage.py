"""Which artifact is to blame where DuckDB cannot read a payload."""

import re
from collections.abc import Iterable

from artifacts.errors import CorruptArtifact
from artifacts.index import Index
from artifacts.manifest import Artifact

_PAYLOAD = re.compile(r"/objects/[^/]+/(?P<object>[0-9a-f.]+)/(?P<path>[^\"')]+)[\"')]")
_UNREADABLE = "a file of an artifact cannot be read"


def damage_of(index: Index, problem: Exception) -> CorruptArtifact | None:
    """Return the damage behind an error of DuckDB, or None if it is not about a payload."""
    import duckdb

    text = str(problem)
    line = text.splitlines()[0] if text else ""
    named = _PAYLOAD.search(text)
    found = index.by_object.get(named["object"]) if named else None
    if named and found and named["path"] in found[-1].manifest.files:
        artifact, path = found[-1], named["path"]
        try:
            artifact.file(path)
        except CorruptArtifact as damage:
            return damage
        return CorruptArtifact.of(
            artifact.reference,
            f"{artifact.reference}: {path} cannot be read ({artifact.folder / path}): {line}",
        )
    # What the reader of Parquet files finds wrong within the last bytes of one comes without a name.
    if type(problem) is duckdb.Error or _UNREADABLE in text:
        return _unnamed(text if _UNREADABLE in text else f"{_UNREADABLE}: {line}")
    return None


def damage_of_view(payloads: Iterable[tuple[Artifact, str]], problem: Exception) -> CorruptArtifact:
    """Return the damage behind a view over payload files that cannot be made: the columns of one are others.

    Args:
        payloads: artifacts of the view, and the path of their file.
    """
    for artifact, path in payloads:
        try:
            artifact.file(path)
        except CorruptArtifact as damage:
            return damage
    return _unnamed(f"{_UNREADABLE}: {str(problem).splitlines()[0]}")


def _unnamed(text: str) -> CorruptArtifact:
    return CorruptArtifact(
        text, hint="Find it with: thinkrec verify; then make its artifact again with --force."
    )
