"""Spelling values inside SQL text, where a bound parameter is not allowed (views, table functions)."""

import re
from collections.abc import Iterable
from pathlib import Path


def literal(text: str) -> str:
    """Spell a string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Spell a name of a column, table or view."""
    return '"' + name.replace('"', '""') + '"'


def path_literal(path: Path) -> str:
    """Spell a path for read_parquet, which would take *, ? and [ as patterns."""
    return literal(re.sub(r"([*?\[])", r"[\1]", str(path)))


def path_list(paths: Iterable[Path]) -> str:
    """Spell a list of paths."""
    return "[" + ", ".join(path_literal(path) for path in paths) + "]"
