"""Drawing with SVG elements: scales, axes and text. Colours are classes, so that a page's theme sets them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

SERIES = 8
"""Colours there are; used again after that."""


NARROWEST = 640.0
"""Pixels to which a wider drawing may shrink; a narrower screen scrolls."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A line from values to places in a drawing."""

    low: float
    high: float
    start: float
    """Place of `low`."""
    end: float
    """Place of `high`."""

    def place(self, value: float) -> float:
        """Return where a value lies."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers from at most `low` to at least `high`, about so many."""
    if high - low < 1e-9:  # also what differs in the last bit: ticks are rounded
        low, high = low - 0.05, high + 0.05
    raw = (high - low) / max(wanted - 1, 1)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def label(value: float, marks: Sequence[float]) -> str:
    """Return a tick's text with as many decimals as its neighbours need."""
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    decimals = next((d for d in range(6) if abs(round(step, d) - step) < 1e-9), 6)
    return f"{value:,.{decimals}f}".replace("-", "−")


def shortened(name: str, longest: int) -> str:
    """Cut a name in the middle: versions and seeds stand at its end."""
    if len(name) <= longest:
        return name
    end = longest // 2
    return f"{name[: longest - end - 1]}…{name[-end:]}"


def element(tag: str, content: str = "", /, **attributes: object) -> str:
    """Return an element; names lose a trailing underscore and get dashes, numbers one decimal."""
    shown = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{shown}>{content}</{tag}>" if content else f"<{tag}{shown}/>"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return escape(str(value), quote=True)


def text(words: str, x: float, y: float, *, anchor: str = "start", class_: str = "tick") -> str:
    """Return a text, escaped."""
    return element("text", escape(words), x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str) -> str:
    """Return a line through points."""
    steps = " ".join(
        f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(points)
    )
    return element("path", d=steps, class_=class_)


def dot(x: float, y: float, radius: float, class_: str, told: str) -> str:
    """Return a dot that says what it is when the pointer rests on it."""
    return element("circle", element("title", escape(told)), cx=x, cy=y, r=radius, class_=class_)


def drawing(
    width: float,
    height: float,
    content: Sequence[str],
    told: str,
    *,
    narrowest: float = NARROWEST,
) -> str:
    """Return the whole drawing, as wide as the page lets it be.

    Args:
        width: in pixels, as the heights.
        content: elements.
        told: what it shows, for those who cannot see it.
        narrowest: pixels to which it may shrink and still be read.
    """
    return element(
        "svg",
        "".join(content),
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=told,
        style=f"max-width:{width:.0f}px;min-width:{min(width, narrowest):.0f}px",
    )


def series_class(index: int) -> str:
    """Return the class of the colour of the n-th line."""
    return f"s{index % SERIES + 1}"
