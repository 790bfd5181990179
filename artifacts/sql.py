"""Spelling values inside SQL text, where no bound parameter is allowed (views, table functions)."""

import re
from collections.abc import Iterable
from pathlib import Path

_PATTERN = re.compile(r"([*?\[])")


def literal(text: str) -> str:
    """Spell a string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Spell a name of a column, table or view."""
    return '"' + name.replace('"', '""') + '"'


def path_literal(path: Path | str) -> str:
    """Spell a path for read_parquet, which would take *, ? and [ as patterns."""
    return literal(_PATTERN.sub(r"[\1]", str(path)))


def path_list(paths: Iterable[str]) -> str:
    """Spell a list of paths."""
    return "[" + ", ".join(path_literal(path) for path in paths) + "]"
