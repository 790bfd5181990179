"""The study of experts: models side by side by number of experts and by grouping."""

from core.evaluation.report.blocks import Block, Cell, Column, Picture, Table, row_of
from core.evaluation.report.chart import Line, chart
from core.evaluation.report.lines import MAIN_METRICS, Lines, scorer_cell
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import NONE, metric_cell, name_of


def experts_study(material: Material, lines: Lines) -> list[Block]:
    """Return the study as a picture and a table; nothing unless models differ in experts or groups."""
    different = {(gate.facts.get("experts"), gate.groups) for gate in material.gates.values()}
    if len(different) < 2:
        return []
    table = _table(material, lines)
    if len({experts for experts, _ in different}) < 2:
        return [table]
    drawings = "".join(_chart(material, lines, metric) for metric in MAIN_METRICS)
    picture = Picture(
        title="AUC and UAUC over the number of experts",
        svg=drawings,
        in_table="experts",
        notes=["Bars are 95 % intervals. Models of one number and one grouping are averaged."],
    )
    return [picture, table]


def _chart(material: Material, lines: Lines, metric: str) -> str:
    """Return one metric over the number of experts, a line for each way of grouping."""
    by_grouping: dict[str, dict[int, list[str]]] = {}
    for scorer, gate in material.gates.items():
        by_number = by_grouping.setdefault(_grouping(material, gate.groups), {})
        by_number.setdefault(int(gate.facts.get("experts", 0)), []).append(scorer)
    drawn = []
    for index, (grouping, by_number) in enumerate(sorted(by_grouping.items())):
        points, ranges = [], []
        for number, scorers in sorted(by_number.items()):
            found = [line for s in scorers if (line := lines.get(s, metric))]
            values = [line["value"] for line in found if line["value"] is not None]
            if values:
                points.append((float(number), sum(values) / len(values)))
            if len(found) == 1 and found[0]["low"] is not None:
                ranges.append((float(number), found[0]["low"], found[0]["high"]))
        drawn.append(
            Line(name=f"grouped by {grouping}", points=points, series=index, ranges=ranges)
        )
    return chart(name_of(metric), drawn, along="experts")


def _grouping(material: Material, reference: str | None) -> str:
    facts = next((g.facts for g in material.groups if g.reference == reference), {})
    return f"{facts.get('encoder', 'unknown')}, {facts.get('method', 'unknown')}"


def _table(material: Material, lines: Lines) -> Table:
    """Return the study of experts: models side by side by number of experts and by grouping."""
    facts = {groups.reference: groups.facts for groups in material.groups}
    rows = []
    gates = sorted(material.gates.items(), key=lambda one: one[1].facts.get("experts", 0))
    for scorer, gate in gates:
        grouping = facts.get(gate.groups or "", {})
        distance = grouping.get("cohens_d")
        rows.append(
            [
                scorer_cell(lines, scorer),
                *row_of(gate.facts.get("experts", NONE), grouping.get("encoder", NONE)),
                Cell(text=NONE if distance is None else f"{distance:.2f}", value=distance),
                *(metric_cell(lines.get(scorer, metric)) for metric in lines.metrics[:4]),
            ]
        )
    columns = [
        Column(text="scorer", note="scores", number=False),
        Column(text="experts"),
        Column(text="grouped by", number=False),
        Column(text="Cohen's d"),
        *(Column(text=name_of(m)) for m in lines.metrics[:4]),
    ]
    return Table(title="Experts and groupings", name="experts", columns=columns, rows=rows)
