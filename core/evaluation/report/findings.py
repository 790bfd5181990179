"""What the tables say, in sentences."""

from collections.abc import Iterator, Sequence

from core.evaluation.baselines import RECENT
from core.evaluation.report.lines import MAIN_METRICS, Lines, verdict
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import figure, name_of, span


def findings(material: Material) -> list[str]:
    """Return what the table says, in sentences."""
    lines = Lines(material)
    found = []
    for metric in MAIN_METRICS:
        figures = _figures(material, lines, metric)
        if best := max(figures, key=lambda one: one[0], default=None):
            found.append(f"Best {name_of(metric)}: {best[1]}")
    if not material.samples:
        return found  # nothing could be told from chance
    if RECENT in lines.scorers:
        found += _above(RECENT, f"the likes of the last ten rows ({RECENT})", lines)
    if material.bias:
        found += _above(material.bias, f"the honest counts ({material.bias})", lines)
    if material.against and material.against != material.bias:
        found += _above(material.against, material.against, lines)
    return found


def _figures(material: Material, lines: Lines, metric: str) -> Iterator[tuple[float, str]]:
    """Yield a value with the words that tell whose it is; scorers that differ in seeds alone have their mean.

    The best of several seeds would be above what another seed gives.
    """
    over_seeds = [r for r in material.over_seeds if (r["metric"], r["slice"]) == (metric, "all")]
    for row in over_seeds:
        spread = f"± {figure(row['sd'])}, mean of {len(row['scorers'])} seeds"
        yield row["mean"], f"{row['scorer']} with {figure(row['mean'])} ({spread})."
    several = {scorer for row in over_seeds for scorer in row["scorers"]}
    for scorer in lines.scorers:
        line = lines.get(scorer, metric)
        if scorer not in several and line is not None and line["value"] is not None:
            interval = span(line["low"], line["high"])
            told = f"{scorer} with {figure(line['value'])}"
            yield line["value"], f"{told} ({interval})." if interval else f"{told}."


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
