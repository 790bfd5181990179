"""What the tables say, in sentences."""

from collections.abc import Sequence

from core.evaluation.report.lines import MAIN_METRICS, Lines, verdict
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import figure, name_of, span


def findings(material: Material) -> list[str]:
    """Return what the table says, in sentences."""
    lines = Lines(material)
    found = []
    for metric in MAIN_METRICS:
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
        found += _above(material.bias, f"the honest counts ({material.bias})", lines)
    if material.against and material.against != material.bias:
        found += _above(material.against, material.against, lines)
    return found


def _above(other: str, called: str, lines: Lines) -> list[str]:
    """Say who is above another scorer by more than chance, and that nobody is."""
    told = []
    for metric in MAIN_METRICS:
        gaps = {s: lines.gap(s, other, metric) for s in lines.scorers}
        others = [s for s, gap in gaps.items() if gap is not None and gap["low"] is not None]
        above = [s for s in others if verdict(gaps[s]) == "better"]
        if not others:
            continue
        who = _listed(above) if above else "No scorer"
        verb = "are" if len(above) > 1 else "is"
        told.append(f"{who} {verb} above {called} in {name_of(metric)} by more than chance.")
    return told


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
