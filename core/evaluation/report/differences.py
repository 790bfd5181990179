"""Paired differences: all scorers against one, and every scorer against every other."""

from collections.abc import Sequence

from core.evaluation.baselines import CONSTANT
from core.evaluation.report.blocks import Cell, Column, Table
from core.evaluation.report.lines import MAIN_METRICS, Line, Lines, scorer_cell, verdict
from core.evaluation.report.numbers import NONE, arrow_of, figure, name_of, span


def difference_table(lines: Lines, against: str) -> Table:
    """Return the paired differences of all scorers to one."""
    rows = [
        [
            scorer_cell(lines, scorer),
            *(difference_cell(lines.gap(scorer, against, metric)) for metric in lines.metrics),
        ]
        for scorer in lines.scorers
        if scorer != against
    ]
    columns = [Column(text="scorer", note="scores", number=False)]
    columns += [Column(text=name_of(m), note=arrow_of(m)) for m in lines.metrics]
    return Table(
        title=f"Minus {against}",
        name="differences",
        columns=columns,
        rows=rows,
        notes=["Both scorers of a difference are measured on the same draws of users."],
    )


def pair_tables(lines: Lines, over_seeds: Sequence[Line]) -> list[Table]:
    """Return the difference of every scorer to every other in the main metrics; none where there is one pair alone.

    The constant is left out: whoever is near it is near 0.5. Of scorers that differ in their seeds alone the first
    stands for all, or three seeds would make nine times the cells.

    Args:
        over_seeds: rows of the table over_seeds.
    """
    spared = {scorer for line in over_seeds for scorer in line["scorers"][1:]}
    scorers = [one for one in lines.scorers if one != CONSTANT and one not in spared]
    if len(scorers) < 3:
        return []
    return [_pair_table(lines, scorers, metric, bool(spared)) for metric in MAIN_METRICS]


def _pair_table(lines: Lines, scorers: Sequence[str], metric: str, are_first: bool) -> Table:
    rows = [
        [
            scorer_cell(lines, scorer),
            *(difference_cell(lines.gap(scorer, other, metric)) for other in scorers),
        ]
        for scorer in scorers
    ]
    columns = [Column(text="scorer", note="scores", number=False)]
    columns += [Column(text=other, note="subtracted") for other in scorers]
    notes = [
        "Paired bootstrap over users. p is two-sided and not corrected for the number of pairs; the other "
        "metrics, and all slices, are in the catalog: select * from comparisons."
    ]
    if are_first:
        notes.append("Of scorers that differ in their seeds alone, the first.")
    return Table(
        title=f"{name_of(metric)}: row minus column",
        name=f"pairs-{metric}",
        columns=columns,
        rows=rows,
        notes=notes,
    )


def difference_cell(gap: Line | None) -> Cell:
    """Return a paired difference: its value, its interval and its p."""
    if gap is None or gap["difference"] is None:
        return Cell(text=NONE)
    mark = verdict(gap)
    return Cell(
        text=figure(gap["difference"], signed=True),
        note=span(gap["low"], gap["high"], signed=True),
        second_note="" if gap["p"] is None else f"p {gap['p']:.3f}",
        value=gap["difference"],
        mark=mark,
        why=f"{mark} than {gap['other']}" if mark else "",
    )
