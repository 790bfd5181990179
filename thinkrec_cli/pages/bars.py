"""Bars made of characters."""

from rich.text import Text

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, cells: int, style: str) -> Text:
    """Return a bar of a share between 0 and 1, exact to an eighth of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * cells * 8)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Text(filled, style=style).append("░" * (cells - len(filled)), style="dim")


def two_sided_bar(share: float, cells: int) -> Text:
    """Return a bar around a middle: shares below 0 go left in red, above it right in green."""
    full = min(round(abs(share) * cells), cells)
    if share < 0:
        return Text(" " * (cells - full) + "█" * full, "red").append("│", "dim").append(" " * cells)
    return Text(" " * cells).append("│", "dim").append("█" * full + " " * (cells - full), "green")
