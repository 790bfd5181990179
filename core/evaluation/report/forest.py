"""Values with their intervals as dots on a scale, one row per scorer."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.evaluation.report import svg
from core.evaluation.report.numbers import figure, span

ROW, TOP, BOTTOM = 26.0, 34.0, 24.0
NAMES, PANEL, RIGHT = 230.0, 300.0, 10.0
NARROWEST = 360.0
_LONGEST_NAME = 34


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One scorer's value."""

    name: str
    value: float
    low: float | None
    high: float | None
    other: float | None = None
    """A figure to compare with, drawn hollow."""
    strong: bool = False


def forest(panels: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Return a drawing for each panel, each with a scale of its own; side by side where the page is wide enough.

    Args:
        panels: title and bars of each; all panels name the same scorers where they have them.
    """
    names = list(dict.fromkeys(bar.name for _, bars in panels for bar in bars))
    height = TOP + ROW * len(names) + BOTTOM
    drawings = []
    for title, bars in panels:
        content = [
            svg.text(
                svg.shortened(name, _LONGEST_NAME),
                NAMES - 14,
                TOP + ROW * (row + 0.5) + 4,
                anchor="end",
                class_="name",
            )
            for row, name in enumerate(names)
        ]
        content += _panel(title, bars, names, NAMES)
        told = f"{title}: " + ", ".join(f"{bar.name} {figure(bar.value)}" for bar in bars)
        drawings.append(
            svg.drawing(NAMES + PANEL + RIGHT, height, content, told, narrowest=NARROWEST)
        )
    return "".join(drawings)


def _panel(title: str, bars: Sequence[Bar], names: Sequence[str], left: float) -> list[str]:
    ends = [v for b in bars for v in (b.value, b.low, b.high, b.other) if v is not None]
    marks = svg.ticks(min([0.5, *ends]), max([0.5, *ends]), 5)
    scale = svg.Scale(low=marks[0], high=marks[-1], start=left, end=left + PANEL)
    bottom = TOP + ROW * len(names)
    content = [svg.text(title, left, 16, class_="panel")]
    for mark in marks:
        x = scale.place(mark)
        content += [
            svg.line(x, TOP - 6, x, bottom, "grid"),
            svg.text(svg.label(mark, marks), x, bottom + 16, anchor="middle"),
        ]
    content.append(svg.line(scale.place(0.5), TOP - 6, scale.place(0.5), bottom, "chance"))
    for bar in bars:
        content += _bar(bar, scale, TOP + ROW * (names.index(bar.name) + 0.5))
    return content


def _bar(bar: Bar, scale: svg.Scale, y: float) -> list[str]:
    content = []
    colour = "s1" if bar.strong else "plain"
    if bar.low is not None and bar.high is not None:
        content.append(
            svg.line(scale.place(bar.low), y, scale.place(bar.high), y, f"range {colour}")
        )
    told = f"{bar.name}: {figure(bar.value)} {span(bar.low, bar.high)}".strip()
    content.append(svg.dot(scale.place(bar.value), y, 4.5, f"dot {colour}", told))
    if bar.other is not None:
        x = scale.place(bar.other)
        points = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
        named = svg.element("title", f"paper: {figure(bar.other)}")
        content.append(svg.element("polygon", named, points=points, class_="paper"))
    return content
