"""The scorers side by side: all rows, against the bias baseline, beside the paper, and by slice."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.baselines import CONSTANT
from core.evaluation.paper import BASE_MODEL
from core.evaluation.report.blocks import Cell, Column, Mark, Picture, Section, Table, row_of
from core.evaluation.report.forest import Bar, forest
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import (
    LESS_IS_BETTER,
    NONE,
    arrow_of,
    count,
    figure,
    metric_cell,
    name_of,
    span,
)
from core.evaluation.summary import AGAINST_BIAS

Line = Mapping[str, Any]
SLICE_METRICS = ("auc", "uauc")


class Lines:
    """Rows of the metrics table by scorer, slice and metric."""

    def __init__(self, material: Material) -> None:
        """Take a report's material."""
        self._by_place = {(r["scorer"], r["slice"], r["metric"]): r for r in material.lines}
        self.scorers = material.scorers()
        self.metrics = list(
            dict.fromkeys(
                r["metric"] for r in material.lines if r["scorer"] in set(self.scorers[:1])
            )
        )
        self.slices = [
            name
            for name in dict.fromkeys(r["slice"] for r in material.lines)
            if name not in ("all", AGAINST_BIAS)
        ]

    def get(self, scorer: str, metric: str, slice_name: str = "all") -> Line | None:
        """Return one row, None where nothing was measured."""
        return self._by_place.get((scorer, slice_name, metric))

    def value(self, scorer: str, metric: str, slice_name: str = "all") -> float | None:
        """Return the value of one row, None where it is not defined."""
        line = self.get(scorer, metric, slice_name)
        return None if line is None else line["value"]

    def best(self, metric: str, slice_name: str = "all") -> float | None:
        """Return the best value of any scorer."""
        values = [self.value(scorer, metric, slice_name) for scorer in self.scorers]
        known = [value for value in values if value is not None]
        if not known:
            return None
        return min(known) if metric in LESS_IS_BETTER else max(known)

    def scores(self, scorer: str) -> str:
        """Return the reference of what was measured, empty for a baseline of the evaluation."""
        for metric in self.metrics:
            if line := self.get(scorer, metric):
                return line["scores"] or ""
        return ""


def verdict(lines: Lines, scorer: str, metric: str) -> Mark:
    """Return whether a scorer's interval of the difference to the bias lies off zero, and where."""
    line = lines.get(scorer, metric, AGAINST_BIAS)
    if line is None or line["low"] is None:
        return ""
    if line["low"] <= 0 <= line["high"]:
        return ""
    higher = line["low"] > 0
    return "better" if higher != (metric in LESS_IS_BETTER) else "worse"


def comparison_section(material: Material) -> Section:
    """Return the main part of the report."""
    lines = Lines(material)
    blocks: list[Any] = [overall_table(material, lines)]
    blocks += [forest_picture(material, lines)]
    if material.paper:
        blocks.append(paper_table(material, lines))
    if material.bias:
        blocks.append(difference_table(material, lines))
    if study := experts_table(material, lines):
        blocks.append(study)
    lead = [
        "All scorers answered the same rows. Below each value stands its 95 % interval, "
        f"by {count(material.samples)} bootstrap draws of users.",
    ]
    if not material.samples:
        lead = ["All scorers answered the same rows. No intervals were drawn."]
    if material.bias:
        lead.append(
            f"▲ and ▼ mark what is better or worse than {material.bias} by more than chance: the 95 % "
            "interval of the paired difference leaves out zero."
        )
    return Section(name="comparison", title="Comparison", lead=lead, blocks=blocks)


def scorer_cell(lines: Lines, scorer: str) -> Cell:
    """Return the name of a scorer over what was measured of it."""
    origin = lines.scores(scorer)
    return Cell(text=scorer, note=origin or "baseline, computed by this evaluation", code=True)


def overall_table(material: Material, lines: Lines) -> Table:
    """Return scorers as rows and metrics as columns."""
    rows = []
    for scorer in lines.scorers:
        cells = [scorer_cell(lines, scorer)]
        for metric in lines.metrics:
            mark = verdict(lines, scorer, metric)
            value = lines.value(scorer, metric)
            cells.append(
                metric_cell(
                    lines.get(scorer, metric),
                    strong=value is not None and value == lines.best(metric),
                    mark=mark,
                    why=f"{mark} than {material.bias}" if mark else "",
                )
            )
        rows.append(cells)
    columns = [Column(text="scorer", note="scores", number=False)]
    columns += [Column(text=name_of(m), note=arrow_of(m)) for m in lines.metrics]
    return Table(
        title="All rows",
        name="overall",
        columns=columns,
        rows=rows,
        notes=_user_notes(lines),
    )


def _user_notes(lines: Lines) -> list[str]:
    """Say over how many users the metrics per user are means."""
    notes: dict[tuple[int, int], list[str]] = {}
    for metric in lines.metrics:
        line = next((one for s in lines.scorers if (one := lines.get(s, metric))), None)
        if line and line["users_left_out"]:
            notes.setdefault((line["users"], line["users_left_out"]), []).append(name_of(metric))
    return [
        f"{', '.join(names)}: {count(users)} users count, {count(left)} are left out "
        f"({'they have one label only' if 'UAUC' in names else 'they have one row only'})."
        for (users, left), names in notes.items()
    ]


def forest_picture(material: Material, lines: Lines) -> Picture:
    """Return AUC and UAUC with intervals as dots on two scales."""
    panels = []
    for metric in SLICE_METRICS:
        bars = []
        for scorer in lines.scorers:
            line = lines.get(scorer, metric)
            if line is None or line["value"] is None:
                continue
            paper = material.paper.get(scorer)
            bars.append(
                Bar(
                    name=scorer,
                    value=line["value"],
                    low=line["low"],
                    high=line["high"],
                    other=paper.figures.get(metric) if paper else None,
                    strong=line["value"] == lines.best(metric),
                )
            )
        panels.append((name_of(metric), bars))
    notes = ["The dashed line is 0.5: as good as chance."]
    if material.paper:
        notes.append("A hollow diamond is the paper's figure for the same method.")
    return Picture(title="AUC and UAUC with 95 % intervals", svg=forest(panels), notes=notes)


def difference_table(material: Material, lines: Lines) -> Table:
    """Return the paired differences to the bias baseline."""
    rows = []
    for scorer in lines.scorers:
        if lines.get(scorer, "auc", AGAINST_BIAS) is None:
            continue
        cells = [scorer_cell(lines, scorer)]
        for metric in lines.metrics:
            mark = verdict(lines, scorer, metric)
            line = lines.get(scorer, metric, AGAINST_BIAS)
            why = f"{mark} than {material.bias}" if mark else ""
            cells.append(metric_cell(line, signed=True, mark=mark, why=why))
        rows.append(cells)
    columns = [Column(text="scorer", note="scores", number=False)]
    columns += [Column(text=name_of(m), note=arrow_of(m)) for m in lines.metrics]
    return Table(
        title=f"Minus {material.bias}",
        name="differences",
        columns=columns,
        rows=rows,
        notes=["Both scorers of a difference are measured on the same draws of users."],
    )


def paper_table(material: Material, lines: Lines) -> Table:
    """Return our figures beside the paper's, for scorers whose method the paper has."""
    metrics = ("auc", "uauc", "ndcg@5", "map@5")
    rows = []
    for scorer, paper in material.paper.items():
        cells = [
            Cell(text=scorer, note=lines.scores(scorer), code=True),
            Cell(text=paper.method, note=paper.where),
        ]
        for metric in metrics:
            line, theirs = lines.get(scorer, metric), paper.figures.get(metric)
            cells += [metric_cell(line), _theirs(line, theirs)]
        rows.append(cells)
    columns = [Column(text="scorer", note="scores", number=False)]
    columns += [Column(text="in the paper", number=False)]
    for metric in metrics:
        columns += [Column(text=name_of(metric), note="ours"), Column(text="", note="paper")]
    return Table(
        title="Beside the paper",
        name="paper",
        columns=columns,
        rows=rows,
        notes=[
            f"The paper's language models are {BASE_MODEL}; ours are what the artifact names. The paper "
            "gives no intervals: below its figure stands whether ours is above or below it by more than "
            "our own interval.",
            _sample_note(material, _rows(lines)),
        ],
    )


def _rows(lines: Lines) -> int:
    line = lines.get(lines.scorers[0], "auc")
    return int(line["rows"]) if line else 0


def _sample_note(material: Material, rows: int) -> str:
    """Say whether ours are the rows that the paper measured."""
    whole = (material.facts.get("splits") or {}).get("test")
    if whole == rows:
        return f"Both are measured on the whole test split, {count(rows)} rows."
    of_all = f"{count(rows)} of its {count(whole)} rows" if whole else f"{count(rows)} rows of it"
    return (
        f"The paper's rows are the whole test split, ours are {of_all}: where users have fewer rows, "
        "NDCG and MAP are means over shorter lists."
    )


def _theirs(line: Line | None, theirs: float | None) -> Cell:
    if theirs is None:
        return Cell(text=NONE)
    note = ""
    if line and line["low"] is not None:
        inside = line["low"] <= theirs <= line["high"]
        note = "within ours" if inside else "ours above" if line["low"] > theirs else "ours below"
    return Cell(text=figure(theirs), note=note, value=theirs)


def experts_table(material: Material, lines: Lines) -> Table | None:
    """Return the study of experts: models side by side by number of experts and by grouping."""
    different = {(gate.facts.get("experts"), gate.groups) for gate in material.gates.values()}
    if len(different) < 2:
        return None
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


def slices_section(material: Material) -> Section | None:
    """Return AUC and UAUC of every slice."""
    lines = Lines(material)
    if not lines.slices:
        return None
    tables = [slice_table(lines, metric) for metric in SLICE_METRICS]
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


def findings(material: Material) -> list[str]:
    """Return what the table says, in sentences."""
    lines = Lines(material)
    found = []
    for metric in SLICE_METRICS:
        values = {s: lines.value(s, metric) for s in lines.scorers}
        known = {s: value for s, value in values.items() if value is not None}
        if not known:
            continue
        best = max(known, key=lambda s: known[s])
        line = lines.get(best, metric)
        assert line is not None
        interval = span(line["low"], line["high"])
        told = f"Best {name_of(metric)}: {best} with {figure(known[best])}"
        found.append(f"{told} ({interval})." if interval else f"{told}.")
    if material.bias:
        found += _against_bias(material.bias, lines)
    return found


def _against_bias(bias: str, lines: Lines) -> list[str]:
    """Say who beats the honest counts, and who does not."""
    told = []
    for metric in SLICE_METRICS:
        others = [s for s in lines.scorers if lines.get(s, metric, AGAINST_BIAS)]
        above = [s for s in others if verdict(lines, s, metric) == "better"]
        if not others:
            continue
        who = _listed(above) if above else "No scorer"
        verb = "are" if len(above) > 1 else "is"
        told.append(
            f"{who} {verb} above the honest counts ({bias}) in {name_of(metric)} by more than chance."
        )
    return told


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
