"""Metrics and numbers as people read them."""

from collections.abc import Mapping
from typing import Any

from core.evaluation.report.blocks import Cell

NONE = "–"
_NARROW = 0.01
_NAMES = {
    "auc": "AUC",
    "uauc": "UAUC",
    "ndcg": "NDCG",
    "map": "MAP",
    "hr": "HR",
    "log_loss": "log loss",
    "brier": "Brier",
    "ece": "ECE",
    "agreement": "agrees with score",
    "grounded": "grounded",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "meteor": "METEOR",
    "bleurt": "BLEURT",
    "rouge_l": "ROUGE-L",
    "bleu": "BLEU",
    "chrf": "chrF",
}
LESS_IS_BETTER = frozenset({"log_loss", "brier", "ece"})


def name_of(metric: str) -> str:
    """Return what a metric is called: NDCG@5."""
    family, at, rank = metric.partition("@")
    return _NAMES.get(family, family) + at + rank


def arrow_of(metric: str) -> str:
    """Return which way is better."""
    return "lower is better" if metric in LESS_IS_BETTER else "higher is better"


def figure(value: float | None, *, signed: bool = False) -> str:
    """Return a metric's value: 0.7912, or with a sign +0.0123; four figures after the point."""
    if value is None:
        return NONE
    shown = f"{value:+.4f}" if signed else f"{value:.4f}"
    return shown.replace("-", "−")


def span(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """Return an interval, empty where there is none; a narrow one to as many digits as the value in it."""
    if low is None or high is None:
        return ""
    digits = 3 if high - low >= _NARROW else 4
    shape = f"+.{digits}f" if signed else f".{digits}f"
    return f"{low:{shape}} to {high:{shape}}".replace("-", "−")


def metric_cell(line: Mapping[str, Any] | None, **more: Any) -> Cell:
    """Return a row of the metrics table as a cell: the value over its interval."""
    if line is None:
        return Cell(text=NONE)
    return Cell(
        text=figure(line["value"]),
        note=span(line["low"], line["high"]),
        value=line["value"],
        **more,
    )


def count(number: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{number:,}"


def percent(share: float) -> str:
    """Return a share of one in percent."""
    return f"{100 * share:.1f} %"
