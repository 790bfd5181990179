"""The scorers side by side: all rows, beside the paper, and against each other."""

from typing import Any

from core.evaluation.baselines import BIAS, RECENT
from core.evaluation.paper import BASE_MODEL
from core.evaluation.report.blocks import Cell, Column, Picture, Section, Table
from core.evaluation.report.differences import difference_table, pair_tables
from core.evaluation.report.forest import Bar, forest
from core.evaluation.report.lines import MAIN_METRICS, Line, Lines, scorer_cell, verdict
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import NONE, arrow_of, count, figure, metric_cell, name_of
from core.evaluation.report.seeds import seeds_tables
from core.evaluation.report.study import experts_study


def comparison_section(material: Material) -> Section:
    """Return the main part of the report."""
    lines = Lines(material)
    blocks: list[Any] = [overall_table(material, lines), *seeds_tables(material, lines)]
    blocks += [forest_picture(material, lines)]
    if material.paper:
        blocks.append(paper_table(material, lines))
    if material.against:
        blocks.append(difference_table(lines, material.against))
    blocks += pair_tables(lines, material.over_seeds)
    blocks += experts_study(material, lines)
    lead = [
        "All scorers answered the same rows. Below each value stands its 95 % interval, "
        f"by {count(material.samples)} bootstrap draws of users.",
    ]
    if not material.samples:
        lead = ["All scorers answered the same rows. No intervals were drawn."]
    if material.against and material.samples:
        lead.append(
            f"▲ and ▼ mark what is better or worse than {material.against} by more than chance: the 95 % "
            "interval of the paired difference leaves out zero, and p is below .05. It is not corrected for the number "
            "of comparisons: of twenty that differ by nothing, one is marked."
        )
    return Section(name="comparison", title="Comparison", lead=lead, blocks=blocks)


def overall_table(material: Material, lines: Lines) -> Table:
    """Return scorers as rows and metrics as columns."""
    rows = []
    for scorer in lines.scorers:
        cells = [scorer_cell(lines, scorer)]
        for metric in lines.metrics:
            mark = verdict(lines.gap(scorer, material.against, metric))
            value = lines.value(scorer, metric)
            cells.append(
                metric_cell(
                    lines.get(scorer, metric),
                    strong=value is not None and value == lines.best(metric),
                    mark=mark,
                    why=f"{mark} than {material.against}" if mark else "",
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
        notes=[*_user_notes(lines), *_recent_notes(lines, material), *_bias_notes(material)],
    )


def _user_notes(lines: Lines) -> list[str]:
    """Say over how many users the metrics per user are means."""
    notes: dict[tuple[int, int, str], list[str]] = {}
    for metric in lines.metrics:
        line = next((one for s in lines.scorers if (one := lines.get(s, metric))), None)
        if line and line["users_left_out"]:
            why = "they have one label only" if metric == "uauc" else "they have one row only"
            place = (line["users"], line["users_left_out"], why)
            notes.setdefault(place, []).append(name_of(metric))
    return [
        f"{', '.join(names)}: {count(users)} users count, {count(left)} are left out ({why})."
        for (users, left, why), names in notes.items()
    ]


def _recent_notes(lines: Lines, material: Material) -> list[str]:
    if RECENT not in lines.scorers:  # earlier versions did not measure it
        return []
    if material.frozen:
        return [
            f"{RECENT}: how many of the last ten rows before the user's first row of the split were liked. Histories "
            "are frozen, so that is one value for all rows of a user, and its UAUC is 0.5. A scorer above 0.5 in UAUC "
            "tells items apart."
        ]
    return [
        f"{RECENT}: how many of the last ten rows before the one asked were liked, whatever the item. A language model "
        "that has its figures counts the answers in its prompt and tells no items apart. Such scores tend to a UAUC "
        "below 0.5, even where a user's likes come in random order: what was liked already is missing among the rest."
    ]


def _bias_notes(material: Material) -> list[str]:
    if material.bias:
        return []
    return [
        f"{BIAS}, the honest counts, is not measured: train has one label only, so they learn nothing."
    ]


def forest_picture(material: Material, lines: Lines) -> Picture:
    """Return AUC and UAUC with intervals as dots on two scales."""
    panels = []
    for metric in MAIN_METRICS:
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


def paper_table(material: Material, lines: Lines) -> Table:
    """Return our figures beside the paper's, for scorers whose method the paper has."""
    metrics = ("auc", "uauc", "ndcg@5", "map@5")
    rows = []
    for scorer, paper in material.paper.items():
        cells = [
            Cell(text=scorer, note=lines.scores(scorer), code=True),
            Cell(text=paper.method, note=paper.where, second_note=paper.caution),
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
