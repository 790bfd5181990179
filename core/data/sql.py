"""Spelling names, texts and files inside SQL, where no bound parameter is allowed."""

import re
from collections.abc import Iterable
from pathlib import Path

_PATTERN = re.compile(r"([*?\[])")
WHOLE = {
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
}
"""DuckDB's types of whole numbers."""


def literal(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a quoted SQL name."""
    return '"' + name.replace('"', '""') + '"'


def listed(text: str, otherwise: str) -> str:
    """Return SQL for the texts of a JSON list that a text holds, or for `otherwise` where it holds none."""
    texts = f"from_json({text}, '[\"VARCHAR\"]')"
    return f"CASE WHEN {text} LIKE '[%' AND json_valid({text}) THEN {texts} ELSE {otherwise} END"


def number(text: str, kind: str) -> str:
    """Return SQL for a number that a text spells, NULL where it spells none: to DuckDB 1_5 would be 15."""
    return f"CASE WHEN NOT contains({text}, '_') THEN try_cast({text} AS {kind}) END"


def number_of(name: str, kind: str) -> str:
    """Return SQL for a column, of a DuckDB type, as a number."""
    return number(name, "DOUBLE") if kind == "VARCHAR" else f"try_cast({name} AS DOUBLE)"


def scan(reader: str, files: Path | str | Iterable[Path | str], *options: str) -> str:
    """Spell the reading of files whose paths mean nothing but themselves.

    DuckDB takes *, ? and [ in a path for patterns, a ~ before it for a home, and a folder `user=anna` on the way for a
    column `user`.

    Args:
        reader: read_parquet, read_csv or read_json.
        files: one or several; the rows of several come one after the other.
        options: more arguments of the reader.
    """
    paths = [files] if isinstance(files, (Path, str)) else files
    listed = ", ".join(literal(_PATTERN.sub(r"[\1]", str(Path(path).absolute()))) for path in paths)
    return f"{reader}({', '.join([f'[{listed}]', *options, 'hive_partitioning = false'])})"
