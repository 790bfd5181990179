"""A chart of lines over steps or epochs."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.evaluation.report import svg

WIDTH, HEIGHT = 345.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 34.0, 42.0
_LEGEND_ROW = 18.0
_DOTS_UP_TO = 40
"""Lines of more points are drawn without dots."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]
    series: int
    """Which colour."""
    dashed: bool = False
    faint: bool = False
    """Behind the others and not in the legend: what they are the means of."""
    named: bool = True
    """Whether the legend lists it."""
    dots: bool = True
    best: float | None = None
    """Place along x of the point that was kept."""
    ranges: Sequence[tuple[float, float, float]] = ()
    """x, low and high of the intervals there are."""


def chart(title: str, lines: Sequence[Line], *, along: str) -> str:
    """Return the lines with axes and a legend; empty if no line has a point.

    Args:
        title: what is drawn upwards.
        lines: in the order of the legend.
        along: name of the x axis.
    """
    drawn = [line for line in lines if line.points]
    if not drawn:
        return ""
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points]
    ys += [y for line in drawn for _, low, high in line.ranges for y in (low, high)]
    upward, last = svg.ticks(min(ys), max(ys)), max([1.0, *xs])
    across = [mark for mark in svg.ticks(0, last) if mark <= last]
    bottom = HEIGHT - BOTTOM
    x_scale = svg.Scale(low=0, high=last, start=LEFT, end=WIDTH - RIGHT)
    y_scale = svg.Scale(low=upward[0], high=upward[-1], start=bottom, end=TOP)
    content = [svg.text(title, 0, 16, class_="panel")]
    for mark in upward:
        y = y_scale.place(mark)
        content += [
            svg.line(LEFT, y, WIDTH - RIGHT, y, "grid"),
            svg.text(svg.label(mark, upward), LEFT - 8, y + 4, anchor="end"),
        ]
    for mark in across:
        content.append(
            svg.text(svg.label(mark, across), x_scale.place(mark), bottom + 18, anchor="middle")
        )
    content.append(svg.text(along, WIDTH - RIGHT, HEIGHT - 6, anchor="end"))
    for line in sorted(drawn, key=lambda one: not one.faint):
        content += _line(line, x_scale, y_scale)
    named = [line for line in drawn if line.named and not line.faint]
    content += _legend(named)
    height = HEIGHT + _LEGEND_ROW * len(named)
    told = _told([line for line in drawn if not line.faint])
    return svg.drawing(WIDTH, height, content, f"{title} over {along}: {told}")


def _line(line: Line, x_scale: svg.Scale, y_scale: svg.Scale) -> list[str]:
    colour = svg.series_class(line.series)
    places = [(x_scale.place(x), y_scale.place(y)) for x, y in line.points]
    shape = " faint" if line.faint else " dashed" if line.dashed else ""
    content = [svg.path(places, f"line {colour}{shape}")]
    for x, low, high in line.ranges:
        at = x_scale.place(x)
        ends = (y_scale.place(low), y_scale.place(high))
        content.append(svg.line(at, ends[0], at, ends[1], f"range thin {colour}"))
    if line.faint or not line.dots:
        return content
    for (x, y), (step, value) in zip(places, line.points, strict=True):
        kept = line.best is not None and step == line.best
        if kept or len(places) <= _DOTS_UP_TO:
            told = f"{line.name} at {step:g}: {value:.4f}{' (kept)' if kept else ''}"
            content.append(svg.dot(x, y, 5.0 if kept else 2.5, f"dot {colour}", told))
    return content


def _legend(lines: Sequence[Line]) -> list[str]:
    content = []
    for row, line in enumerate(lines):
        y = HEIGHT + _LEGEND_ROW * (row + 0.5)
        colour = svg.series_class(line.series)
        dashed = " dashed" if line.dashed else ""
        content += [
            svg.line(LEFT, y, LEFT + 26, y, f"line {colour}{dashed}"),
            svg.text(line.name, LEFT + 34, y + 4, class_="name"),
        ]
    return content


def _told(lines: Sequence[Line]) -> str:
    return ", ".join(
        f"{line.name} from {line.points[0][1]:.4f} to {line.points[-1][1]:.4f}" for line in lines
    )
