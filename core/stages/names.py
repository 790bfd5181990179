"""Words of others, in names of artifacts and on pages: ids and titles hold any letters."""

import hashlib
import re

_LONGEST = 48
_LONGEST_NAME = 64
"""What the store takes."""


def slug(text: str) -> str:
    """Return a text in the letters that names may have; where that changes it, a short digest keeps names apart."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:_LONGEST].strip("-._")
    if plain == text:
        return plain
    return f"{plain or 'x'}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def fitting_name(name: str) -> str:
    """Cut a name put together from others to what the store takes; a digest keeps names apart."""
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: _LONGEST_NAME - 7].rstrip('-._')}-{digest}"


def printable(text: str) -> str:
    """Return words of others as a terminal may show them, by the rule that prompts have."""
    from core.text import plain

    return plain.printable(text)
