"""Any CSV, TSV, JSON lines or Parquet table, its columns named by the user or guessed."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from core.config.ingest import ITEM_ROLES, IngestConfig
from core.data.readers import guesses
from core.data.readers.files import TableFile, any_file, missing_column
from core.data.readers.source import ItemSource, Source
from core.data.sql import identifier, listed, literal
from core.errors import ConfigError, MissingColumnError

_IN_BRACES = re.compile(r"\{([^{}]+)\}")
"""A column in a title format."""


def read(config: IngestConfig, found: dict[str, Path]) -> Source:
    """Describe the files; without a file of items, titles are looked for beside the interactions.

    Raises: MissingColumnError, EmptyFileError, EncodingError, BadValueError, ConfigError.
    """
    files = {role: _file(config, path) for role, path in found.items()}
    _require_text(config, files.values())
    interactions = guesses.with_interactions(files["interactions"], config)
    columns = guesses.interaction_columns(interactions, config, files.get("items"))
    _require_different(interactions, columns)
    if "items" in files:
        items = _items(config, files["items"], interactions)
        return Source(interactions=interactions, items=items, **columns)
    items = _items(config, interactions, interactions)
    named = config.title_format or any(getattr(config, f"{role}_column") for role in ITEM_ROLES)
    if named or guesses.optional(interactions, config, "title") is not None:
        return Source(interactions=items.file, items=items, **columns)
    title = guesses.optional(items.file, config, "title")
    if title is None:
        return Source(interactions=interactions, items=None, **columns)
    told = f"{identifier(title)} IS NOT NULL"
    return Source(interactions=items.file, items=items, items_if=told, **columns)


def _require_text(config: IngestConfig, files: Collection[TableFile]) -> None:
    """Raises: ConfigError for a setting of text tables where there is none."""
    if any(file.form == "delimited" for file in files):
        return
    usual = {"delimiter": (None,), "quote": ('"',), "encoding": (None, "utf-8")}
    for name, values in usual.items():
        if getattr(config, name) not in values:
            raise ConfigError(
                f"{', '.join(str(file.path) for file in files)}: {name} means nothing to JSON and Parquet",
                hint=f"Leave --{name} out: it is for text tables.",
            )


def _require_different(file: TableFile, columns: Mapping[str, str]) -> None:
    """Raises: MissingColumnError where one column stands for two things, so that one of them is missing."""
    for role, name in columns.items():
        twice = [other for other, its in columns.items() if its == name and other != role]
        if twice:
            raise MissingColumnError(
                f"{file.path}: column '{name}' cannot be {role} and {twice[0]} at once",
                hint=f"Name the column of the other: --{role}-column or --{twice[0]}-column.",
            )


def _file(config: IngestConfig, path: Path) -> TableFile:
    return any_file(
        path, delimiter=config.delimiter, quote=config.quote, encoding=config.encoding or "utf-8"
    )


def _items(config: IngestConfig, file: TableFile, interactions: TableFile) -> ItemSource:
    file = guesses.with_named(
        file, config, ITEM_ROLES, _IN_BRACES.findall(config.title_format or "")
    )
    file = guesses.with_item_facts(file, config)
    return ItemSource(
        file=file,
        item=guesses.item_of(file, config, interactions),
        title=_title(file, config),
        year=guesses.expression(file, config, "year"),
        categories=_categories(
            file, guesses.optional(file, config, "categories"), config.categories_separator
        ),
        description=_description(file, guesses.optional(file, config, "description")),
    )


def _title(file: TableFile, config: IngestConfig) -> str:
    """Return SQL for the title: a column, or text with columns in braces; without a value there is no title."""
    if config.title_format is None:
        return guesses.expression(file, config, "title")
    parts = []
    for number, part in enumerate(_IN_BRACES.split(config.title_format)):
        if not number % 2:
            parts.append(literal(part))
        elif part in file.columns:
            parts.append(f"nullif(trim(({identifier(part)})::VARCHAR), '')")
        else:
            raise missing_column(file, part, what="the title", option="--title-format")
    return f"({' || '.join(parts)})"


def _description(file: TableFile, name: str | None) -> str:
    """Return SQL for the description; what is a list, of paragraphs perhaps, becomes one text."""
    if name is None:
        return "NULL"
    value = f"to_json({identifier(name)})" if name in file.lists else identifier(name)
    text = f"({value})::VARCHAR"
    written = f"coalesce({_texts_of_python(text)}, [{text}])"
    return f"array_to_string({listed(text, written)}, ' ')"


def _texts_of_python(text: str) -> str:
    """Return SQL for the texts of a list as Python writes it, NULL where a text is none, as "[sic]" is."""
    # What Python escapes, quotes and backslashes aside, is white space or cannot be seen.
    escapes = r"\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"
    texts = f"try_cast(regexp_replace({text}, '{escapes}', ' ', 'g') AS VARCHAR[])"
    some = f"list_filter({texts}, lambda part: part <> 'None')"
    return f"CASE WHEN regexp_matches({text}, '^\\[\\s*[''\"]') THEN {some} END"


def _categories(file: TableFile, name: str | None, separator: str | None) -> str:
    """Return SQL for a list: the column is one, or a list as JSON or Python writes it, or text with a separator.

    Of a list of objects the names count: [{"id": 18, "name": "Drama"}]. Lists in a list become one.
    """
    if name is None:
        return "[]::VARCHAR[]"
    if name in file.lists:
        return _named(_flat(f"from_json(to_json({identifier(name)}), '[\"VARCHAR\"]')"))
    text = f"({identifier(name)})::VARCHAR"
    found = _flat(listed(text, f"try_cast({text} AS VARCHAR[])"))
    if separator is not None:
        return f"string_split({text}, {literal(separator)})"
    return (
        f"CASE WHEN {text} LIKE '[%' AND try_cast({text} AS VARCHAR[]) IS NOT NULL THEN {_named(found)} "
        f"WHEN contains({text}, '|') THEN string_split({text}, '|') "
        f"WHEN contains({text}, ';') THEN string_split({text}, ';') "
        f"ELSE string_split({text}, ',') END"
    )


def _flat(texts: str) -> str:
    """Return SQL for a list of texts with those that are lists themselves replaced by what they hold."""
    inner = f"coalesce({listed('entry', 'try_cast(entry AS VARCHAR[])')}, [entry])"
    return f"flatten(list_transform({texts}, lambda entry: CASE WHEN entry LIKE '[%' THEN {inner} ELSE [entry] END))"


def _named(texts: str) -> str:
    """Return SQL for a list with objects replaced by their names."""
    begins = r"""[{,\s]["']?name["']?\s*:\s*"""
    spelled = literal(begins + r"""(?:"([^"]*)"|'([^']*)'|([^"',}\]]+))""")
    found = " || ".join(f"regexp_extract(entry, {spelled}, {group})" for group in (1, 2, 3))
    name = f"CASE WHEN json_valid(entry) THEN entry->>'$.name' ELSE {found} END"
    return f"list_transform({texts}, lambda entry: CASE WHEN entry LIKE '{{%' THEN {name} ELSE entry END)"
