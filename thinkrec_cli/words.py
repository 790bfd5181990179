"""Numbers as people say them, words of others as a terminal may show them."""

from datetime import datetime


def visible(text: str) -> str:
    """Return a text as one line without characters that a terminal would obey rather than show."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)


def byte_size(count: int) -> str:
    """Return bytes with a unit: 1.4 MB."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def moment(iso: str) -> str:
    """Return a moment given in UTC as the local time of day."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S")
