"""The scorers on parts of the rows."""

from core.evaluation.baselines import CONSTANT
from core.evaluation.report.blocks import Cell, Column, Section, Table
from core.evaluation.report.lines import MAIN_METRICS, Lines
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import count, metric_cell, name_of


def slices_section(material: Material) -> Section | None:
    """Return AUC and UAUC of every slice."""
    lines = Lines(material)
    if not lines.slices:
        return None
    tables = [slice_table(lines, metric) for metric in MAIN_METRICS]
    lead = [
        "The same figures on parts of the rows: items and users known from training or not, "
        "length of the user's history, the user's group, the gate's route.",
    ]
    return Section(name="slices", title="Slices", lead=lead, blocks=list(tables))


def slice_table(lines: Lines, metric: str) -> Table:
    """Return slices as rows and scorers as columns, without the constant: it has 0.5 everywhere."""
    scorers = [scorer for scorer in lines.scorers if scorer != CONSTANT]
    rows = []
    for name in ("all", *lines.slices):
        known = [one for s in scorers if (one := lines.get(s, metric, name))]
        if not known:
            continue
        best = lines.best(metric, name)
        cells = [Cell(text=name.replace("=", " ")), Cell(text=count(known[0]["rows"]))]
        cells.append(Cell(text=count(known[0]["users"])))
        for scorer in scorers:
            value = lines.value(scorer, metric, name)
            strong = value is not None and value == best
            cells.append(metric_cell(lines.get(scorer, metric, name), strong=strong))
        rows.append(cells)
    columns = [
        Column(text="slice", number=False),
        Column(text="rows"),
        Column(text="users", note="that count"),
        *(Column(text=s, note=lines.scores(s)) for s in scorers),
    ]
    return Table(
        title=f"{name_of(metric)} by slice", name=f"slices-{metric}", columns=columns, rows=rows
    )
