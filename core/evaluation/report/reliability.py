"""Calibration: how often rows of a probability are liked."""

from collections.abc import Mapping, Sequence

from core.evaluation.calibration import CalibrationBin
from core.evaluation.report import svg
from core.evaluation.report.blocks import Cell, Column, Picture, Section, Table
from core.evaluation.report.lines import Lines
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import count, figure

SIDE, LEFT, TOP, BOTTOM, GAP = 190.0, 40.0, 44.0, 46.0, 22.0
_LONGEST_NAME = 32
"""Characters that fit above a panel."""
_LARGEST = 11.0
"""Radius of the dot of a bin that holds all rows, in pixels."""


def calibration_section(material: Material) -> Section | None:
    """Return the calibration plots of all scorers."""
    if not material.calibration:
        return None
    lines = Lines(material)
    errors = {scorer: lines.value(scorer, "ece") for scorer in material.calibration}
    picture = Picture(
        title="How often what is called likely is liked",
        svg=_panels(material.calibration, errors),
        table=_table(material.calibration, lines),
        notes=["Ten bins of equal width; the area of a dot is the share of rows in its bin."],
    )
    lead = [
        "A scorer's probabilities can be taken at their word where its dots lie on the diagonal: above it "
        "more rows are liked than it says, below it fewer.",
    ]
    return Section(name="calibration", title="Calibration", lead=lead, blocks=[picture])


def _panels(
    curves: Mapping[str, Sequence[CalibrationBin]], errors: Mapping[str, float | None]
) -> str:
    return "".join(_panel(scorer, bins, errors[scorer]) for scorer, bins in curves.items())


def _panel(scorer: str, bins: Sequence[CalibrationBin], error: float | None) -> str:
    x_scale = svg.Scale(low=0, high=1, start=LEFT, end=LEFT + SIDE)
    y_scale = svg.Scale(low=0, high=1, start=TOP + SIDE, end=TOP)
    content = [
        svg.text(svg.shortened(scorer, _LONGEST_NAME), 0, 15, class_="panel"),
        svg.text(f"ECE {figure(error)}", 0, 32),
        svg.line(LEFT, TOP + SIDE, LEFT + SIDE, TOP, "chance"),
    ]
    for mark in (0.0, 0.5, 1.0):
        x, y = x_scale.place(mark), y_scale.place(mark)
        content += [
            svg.line(LEFT, y, LEFT + SIDE, y, "grid"),
            svg.line(x, TOP, x, TOP + SIDE, "grid"),
            svg.text(f"{mark:g}", LEFT - 8, y + 4, anchor="end"),
            svg.text(f"{mark:g}", x, TOP + SIDE + 17, anchor="middle"),
        ]
    content.append(svg.text("probability", LEFT + SIDE, TOP + SIDE + 35, anchor="end"))
    rows = sum(one.rows for one in bins)
    places = [(x_scale.place(one.probability), y_scale.place(one.like_rate)) for one in bins]
    colour = svg.series_class(0)
    content.append(svg.path(places, f"line {colour}"))
    for one, (x, y) in zip(bins, places, strict=True):
        told = (
            f"{count(one.rows)} rows: said {one.probability:.3f}, {one.like_rate:.3f} of them liked"
        )
        radius = max(2.5, _LARGEST * (one.rows / rows) ** 0.5)
        content.append(svg.dot(x, y, radius, f"bubble {colour}", told))
    told = f"Calibration of {scorer}: expected calibration error {figure(error)}"
    return svg.drawing(LEFT + SIDE + GAP, TOP + SIDE + BOTTOM, content, told)


def _table(curves: Mapping[str, Sequence[CalibrationBin]], lines: Lines) -> Table:
    rows = [
        [
            Cell(text=scorer, note=lines.scores(scorer), code=True),
            Cell(text=count(one.rows)),
            Cell(text=figure(one.probability), value=one.probability),
            Cell(text=figure(one.like_rate), value=one.like_rate),
        ]
        for scorer, bins in curves.items()
        for one in bins
    ]
    columns = [Column(text="scorer", note="scores", number=False), Column(text="rows")]
    columns += [Column(text="probability", note="mean"), Column(text="liked", note="share")]
    return Table(title="", columns=columns, rows=rows)
