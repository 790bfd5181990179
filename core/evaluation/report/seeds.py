"""Scorers that differ in their seeds alone: mean and spread of their figures."""

from collections.abc import Iterator

from core.evaluation.report.blocks import Cell, Column, Table
from core.evaluation.report.lines import Lines
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import NONE, arrow_of, figure, name_of, span


def seeds_table(material: Material, lines: Lines) -> Iterator[Table]:
    """Yield one table where there are such scorers, over all rows."""
    found = [line for line in material.over_seeds if line["slice"] == "all"]
    by_place = {(line["scorer"], line["metric"]): line for line in found}
    if not found:
        return
    rows = []
    for scorer, members in {line["scorer"]: line["scorers"] for line in found}.items():
        cells = [Cell(text=scorer, note=", ".join(members), code=True)]
        for metric in lines.metrics:
            line = by_place.get((scorer, metric))
            cells.append(
                Cell(text=NONE)
                if line is None
                else Cell(
                    text=figure(line["mean"]),
                    note=f"± {figure(line['sd'])}",
                    second_note=span(line["least"], line["most"]),
                    value=line["mean"],
                )
            )
        rows.append(cells)
    yield Table(
        title="Over seeds",
        name="over-seeds",
        columns=[
            Column(text="scorer", note="trained with other seeds, else alike", number=False),
            *(Column(text=name_of(m), note=arrow_of(m)) for m in lines.metrics),
        ],
        rows=rows,
        notes=[
            "Mean, standard deviation, and least to most: how far a figure depends on the seed. The intervals above "
            "tell how far it depends on which users were asked."
        ],
    )
