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
    """Spell a path for a function that would take *, ? and [ as patterns."""
    return literal(_PATTERN.sub(r"[\1]", str(path)))


def parquet_scan(files: Path | str | Iterable[Path | str], *options: str) -> str:
    """Spell the reading of Parquet files whose paths mean nothing but themselves.

    DuckDB takes a folder `user=anna` on the way to one for a column `user`.

    Args:
        files: one or several; the rows of several come one after the other.
        options: more arguments of read_parquet.
    """
    paths = [files] if isinstance(files, (Path, str)) else files
    listed = ", ".join(path_literal(path) for path in paths)
    return f"read_parquet({', '.join([f'[{listed}]', *options, 'hive_partitioning = false'])})"
