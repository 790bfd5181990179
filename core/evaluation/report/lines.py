"""The tables of an evaluation, looked up by what a report asks for."""

from collections.abc import Mapping
from typing import Any

from core.evaluation.intervals import beyond_chance
from core.evaluation.report.blocks import Cell, Mark
from core.evaluation.report.material import Material
from core.evaluation.report.numbers import LESS_IS_BETTER

Line = Mapping[str, Any]
MAIN_METRICS = ("auc", "uauc")


class Lines:
    """Rows of the metrics table by scorer, slice and metric."""

    def __init__(self, material: Material) -> None:
        """Take a report's material."""
        self._by_place = {(r["scorer"], r["slice"], r["metric"]): r for r in material.lines}
        self._gaps = {
            (r["scorer"], r["other"], r["metric"]): r
            for r in material.comparisons
            if r["slice"] == "all"
        }
        self.scorers = material.scorers()
        self.metrics = list(
            dict.fromkeys(
                r["metric"] for r in material.lines if r["scorer"] in set(self.scorers[:1])
            )
        )
        self.slices = [
            name for name in dict.fromkeys(r["slice"] for r in material.lines) if name != "all"
        ]

    def get(self, scorer: str, metric: str, slice_name: str = "all") -> Line | None:
        """Return one row, None where nothing was measured."""
        return self._by_place.get((scorer, slice_name, metric))

    def value(self, scorer: str, metric: str, slice_name: str = "all") -> float | None:
        """Return the value of one row, None where it is not defined."""
        line = self.get(scorer, metric, slice_name)
        return None if line is None else line["value"]

    def gap(self, scorer: str, other: str | None, metric: str) -> Line | None:
        """Return the paired difference of two scorers over all rows, None where there is none."""
        return None if other is None else self._gaps.get((scorer, other, metric))

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


def verdict(gap: Line | None) -> Mark:
    """Return whether a difference is more than chance, and on which side."""
    if gap is None or not beyond_chance(gap["low"], gap["high"], gap["p"]):
        return ""
    higher = gap["low"] > 0
    return "better" if higher != (gap["metric"] in LESS_IS_BETTER) else "worse"


def scorer_cell(lines: Lines, scorer: str) -> Cell:
    """Return the name of a scorer over what was measured of it."""
    origin = lines.scores(scorer)
    return Cell(text=scorer, note=origin or "baseline, computed by this evaluation", code=True)
