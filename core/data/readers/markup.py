"""Text taken from web pages, made plain: entities decoded, tags taken out, white space made single blanks."""

import html
import re
from typing import Any

DECODER = "decode_entities"
"""Name of the SQL function that register_decoder makes."""
# Only what ends in a semicolon: `AT&T` and `R&copy` are what somebody wrote.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
# A letter must follow: `I <3 you` and `a < b` are no tags.
_TAG = "'</?[a-zA-Z][^<>]*>|<!--.*?-->'"
_BREAK = "'(?i)</?(br|p|div|li|ul|ol|h[1-6]|tr|td|table)\\b[^<>]*>'"
_OPEN_TAG = "'<[a-zA-Z]+\\s+[a-zA-Z-]+\\s*='"


def register_decoder(connection: Any) -> None:
    """Give a DuckDB connection the function that decodes HTML entities in a text."""
    connection.create_function(DECODER, decode_entities, ["VARCHAR"], "VARCHAR")


def decode_entities(text: str) -> str:
    """Return the text with `&amp;`, `&#39;`, `&eacute;` and their like as characters; a hard blank becomes a blank."""
    return _ENTITY.sub(lambda found: html.unescape(found.group()), text).replace("\xa0", " ")


def decoded(text: str) -> str:
    """Return SQL that decodes entities of a text expression."""
    # Python is called only for texts that hold an entity.
    return f"(CASE WHEN contains({text}, '&') THEN {DECODER}({text}) ELSE {text} END)"


def plain(text: str) -> str:
    """Return SQL for the text without markup, NULL where nothing is left of it."""
    parted = f"regexp_replace({decoded(text)}, {_BREAK}, ' ', 'g')"
    bare = f"regexp_replace({parted}, {_TAG}, '', 'gs')"
    return f"nullif(trim(regexp_replace({bare}, '\\s+', ' ', 'g')), '')"


def whole(text: str) -> str:
    """Return SQL for the text without markup, NULL where it is blank or a cut-off piece of a page.

    Such a piece has a `<span`, a tag that is not closed, the end of a tag (`" />`) or a script (`getTime`).
    """
    rest = plain(text)
    return (
        f"(CASE WHEN regexp_matches({decoded(text)}, '(?i)<span') OR contains({text}, 'getTime') "
        f"OR regexp_matches({rest}, {_OPEN_TAG}) OR regexp_matches({rest}, '[\"'']\\s*/?>') "
        f"THEN NULL ELSE {rest} END)"
    )
