"""The study of experts: models side by side by number of experts and by grouping."""

from collections.abc import Mapping

from core.evaluation.report.blocks import Block, Cell, Column, Picture, Table, row_of
from core.evaluation.report.chart import Line, chart
from core.evaluation.report.lines import MAIN_METRICS, Lines, scorer_cell
from core.evaluation.report.material import Gate, Material
from core.evaluation.report.numbers import NONE, metric_cell, name_of


def experts_study(material: Material, lines: Lines) -> list[Block]:
    """Return the study as a picture and a table; nothing unless models of one adapter differ in experts or groups."""
    studied = _studied(material)
    if not studied:
        return []
    table = _table(material, studied, lines)
    drawings = "".join(_chart(material, studied, lines, metric) for metric in MAIN_METRICS)
    if not drawings:
        return [table]
    picture = Picture(
        title="AUC and UAUC over the number of experts",
        svg=drawings,
        in_table="experts",
        notes=["Bars are 95 % intervals. Models of one number and one grouping are averaged."],
    )
    return [picture, table]


def _studied(material: Material) -> dict[str, Gate]:
    """Return the models with experts whose adapter has other experts, too."""
    known = {s: gate for s, gate in material.gates.items() if gate.facts.get("experts")}
    ways: dict[str | None, set[tuple[int, str | None]]] = {}
    for gate in known.values():
        ways.setdefault(gate.adapter, set()).add((gate.facts["experts"], gate.groups))
    return {s: gate for s, gate in known.items() if len(ways[gate.adapter]) > 1}


def _chart(material: Material, studied: Mapping[str, Gate], lines: Lines, metric: str) -> str:
    """Return one metric over the number of experts, a line for each adapter and way of grouping."""
    by_way: dict[str, dict[int, list[str]]] = {}
    adapters = {gate.adapter for gate in studied.values()}
    for scorer, gate in studied.items():
        way = f"grouped by {_grouping(material, gate.groups)}"
        way += f", {gate.adapter}" if len(adapters) > 1 else ""
        by_way.setdefault(way, {}).setdefault(gate.facts["experts"], []).append(scorer)
    drawn = []
    for index, (way, by_number) in enumerate(sorted(by_way.items())):
        if len(by_number) < 2:
            continue
        points, ranges = [], []
        for number, scorers in sorted(by_number.items()):
            found = [line for s in scorers if (line := lines.get(s, metric))]
            values = [line["value"] for line in found if line["value"] is not None]
            if values:
                points.append((float(number), sum(values) / len(values)))
            if len(found) == 1 and found[0]["low"] is not None:
                ranges.append((float(number), found[0]["low"], found[0]["high"]))
        drawn.append(Line(name=way, points=points, series=index, ranges=ranges))
    return chart(name_of(metric), drawn, along="experts")


def _grouping(material: Material, reference: str | None) -> str:
    facts = next((g.facts for g in material.groups if g.reference == reference), {})
    return f"{facts.get('encoder', 'unknown')}, {facts.get('method', 'unknown')}"


def _table(material: Material, studied: Mapping[str, Gate], lines: Lines) -> Table:
    """Return the study of experts: models side by side by number of experts and by grouping."""
    facts = {groups.reference: groups.facts for groups in material.groups}
    rows = []
    gates = sorted(studied.items(), key=lambda one: one[1].facts.get("experts", 0))
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
