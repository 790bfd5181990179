"""Names of artifacts made from words of others: ids of users and items hold any letters."""

import hashlib
import re

_LONGEST = 48


def slug(text: str) -> str:
    """Return a text in the letters that names may have; where that changes it, a short digest keeps names apart."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:_LONGEST].strip("-._")
    if plain == text:
        return plain
    return f"{plain or 'x'}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
