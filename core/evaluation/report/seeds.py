"""Scorers that differ in their seeds alone: mean and spread of their figures, and of differences seed by seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from core.evaluation.report.blocks import Cell, Column, Table
from core.evaluation.report.lines import Lines
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import NONE, arrow_of, figure, name_of, span


def seeds_tables(material: Material, lines: Lines) -> Iterator[Table]:
    """Yield a table of figures over all rows, and one of differences; none where there are no such scorers."""
    found = [line for line in material.over_seeds if line["slice"] == "all"]
    if not found:
        return
    yield Table(
        title="Over seeds",
        name="over-seeds",
        columns=_columns(lines),
        rows=_rows(found, lines, _figure),
        notes=[
            "Mean, standard deviation, and least to most: how far a figure depends on the seed. The intervals above "
            "tell how far it depends on which users were asked."
        ],
    )
    compared = [line for line in found if line["other"]]
    if compared:
        other = compared[0]["other"]
        has_seeds = other in {line["scorer"] for line in found}
        pairs = (
            "each of two scorers with the same seed" if has_seeds else f"each minus the one {other}"
        )
        yield Table(
            title=f"Over seeds, minus {other}",
            name="over-seeds-minus",
            columns=_columns(lines),
            rows=_rows(compared, lines, _difference),
            notes=[f"Mean and standard deviation of the differences, {pairs}."],
        )


def _columns(lines: Lines) -> list[Column]:
    head = Column(text="scorer", note="trained with other seeds, else alike", number=False)
    return [head, *(Column(text=name_of(m), note=arrow_of(m)) for m in lines.metrics)]


def _rows(
    found: Sequence[Mapping[str, Any]], lines: Lines, cell: Callable[[Mapping[str, Any]], Cell]
) -> list[list[Cell]]:
    by_place = {(line["scorer"], line["metric"]): line for line in found}
    return [
        [
            Cell(text=scorer, note=", ".join(members), code=True),
            *(
                cell(line) if (line := by_place.get((scorer, metric))) else Cell(text=NONE)
                for metric in lines.metrics
            ),
        ]
        for scorer, members in {line["scorer"]: line["scorers"] for line in found}.items()
    ]


def _figure(line: Mapping[str, Any]) -> Cell:
    return Cell(
        text=figure(line["mean"]),
        note=f"± {figure(line['sd'])}",
        second_note=span(line["least"], line["most"]),
        value=line["mean"],
    )


def _difference(line: Mapping[str, Any]) -> Cell:
    return Cell(
        text=figure(line["difference"], signed=True),
        note=f"± {figure(line['difference_sd'])}",
        value=line["difference"],
    )
