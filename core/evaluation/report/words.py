"""Reasons: how good they are, and some of them."""

from typing import Any

from core.config.training import chance_of
from core.evaluation.report.blocks import Cell, Column, Example, HistoryItem, Section, Table
from core.evaluation.report.material import Material, Told
from core.evaluation.report.numbers import count, figure, metric_cell, name_of

METRICS = (
    "agreement",
    "grounded",
    "distinct_1",
    "distinct_2",
    "meteor",
    "bleurt",
    "rouge_l",
    "bleu",
    "chrf",
)
SHOWN = 12
"""Most history items shown: the last ones."""


def reasons_section(material: Material) -> Section | None:
    """Return the metrics of reasons, None if no explanation was measured."""
    by_place: dict[tuple[str, str], dict[str, Any]] = {}
    for row in material.lines:
        if row["metric"] in METRICS:
            by_place.setdefault((row["scorer"], row["scores"]), {})[row["metric"]] = row
    if not by_place:
        return None
    metrics = [m for m in METRICS if any(m in found for found in by_place.values())]
    rows = []
    for (scorer, origin), found in by_place.items():
        cells = [Cell(text=scorer, note=origin, code=True)]
        cells.append(Cell(text=count(max(line["rows"] for line in found.values()))))
        rows.append([*cells, *(_cell(metric, found.get(metric)) for metric in metrics)])
    columns = [Column(text="scorer", note="explanations", number=False), Column(text="reasons")]
    columns += [Column(text=name_of(metric)) for metric in metrics]
    notes = [
        "agrees with score: the first word is the answer that the score gives; by construction always where the "
        "score is Yes minus No, as the word is the likelier of the two. grounded: of the reasons that name counts, "
        "shares or titles the part whose are all in the prompt. METEOR, ROUGE-L (0 to 1), BLEURT (about 0 to 1), BLEU "
        "and chrF (0 to 100) compare with the teacher's reason of the same row. distinct-n: share of different "
        "n-grams; it falls with the number of reasons, so compare equal numbers.",
        *_different_rows(material),
        *_paper_notes(material),
    ]
    table = Table(title="", name="reason-metrics", columns=columns, rows=rows, notes=notes)
    return Section(name="reasons", title="Reasons", lead=[], blocks=[table])


def _cell(metric: str, line: dict[str, Any] | None) -> Cell:
    """Return a figure; of the reasons that are grounded or not, also how many make claims at all."""
    told = metric == "grounded" and line is not None
    return metric_cell(line, second_note=f"of {count(line['rows'])}" if told and line else "")


def _different_rows(material: Material) -> list[str]:
    if not material.explained_rows_differ:
        return []
    return ["The explanations are of different rows, so their figures do not compare."]


def _paper_notes(material: Material) -> list[str]:
    """Return the paper's figures for reasons of the methods at hand; its references are another teacher's."""
    notes = []
    for metric in ("meteor", "bleurt"):
        known = {
            r.method: r.reasons[metric] for r in material.paper.values() if metric in r.reasons
        }
        if known:
            listed = ", ".join(f"{method} {figure(value)}" for method, value in known.items())
            name = name_of(metric)
            notes.append(f"{name} in the paper, against the reasons of its own teacher: {listed}.")
    return notes


def examples_section(material: Material) -> Section | None:
    """Return explained pairs."""
    if not material.examples:
        return None
    blocks = [example_of(told) for told in material.examples]
    moved = any(item.influence is not None for example in blocks for item in example.history)
    lead = "What the model answered and why."
    if moved:
        lead = "What the model answered, why, and how far each item of the history moved the score."
    return Section(name="examples", title="Explained examples", lead=[lead], blocks=[*blocks])


def example_of(told: Told) -> Example:
    """Return one explanation as it is shown."""
    facts = told.facts
    weights = list(facts.get("weights") or ())
    return Example(
        title=facts.get("title") or facts["item"],
        user=facts.get("user") or "a history from a file",
        answer=facts["answer"],
        chance=f"{facts['probability']:.1%}",
        chance_of=chance_of(facts.get("relevance")),
        reason=facts.get("reason") or "",
        unread=list(facts.get("unread") or ()),
        reference=facts.get("reference") or "",
        evidence=list(facts.get("evidence") or ()),
        route=facts.get("route") or "",
        # A user without a vector has weights of zero: nothing was weighed.
        weights=weights if any(weights) else [],
        history=_history(facts.get("history") or ()),
        source=told.reference,
    )


def _history(entries: Any) -> list[HistoryItem]:
    shown = list(entries)[-SHOWN:]
    strongest = max((abs(e["influence"]) for e in shown if e["influence"] is not None), default=0.0)
    return [
        HistoryItem(
            title=entry["title"]
            + ("" if entry.get("shown", True) else " (not shown to the model)"),
            liked=bool(entry["label"]),
            influence=entry["influence"],
            share=(entry["influence"] or 0.0) / strongest if strongest else 0.0,
        )
        for entry in shown
    ]
