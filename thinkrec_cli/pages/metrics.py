"""The figures of an evaluation, read from its table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artifacts.store import Artifact


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row of metrics.parquet."""

    scorer: str
    scores: str | None
    split: str
    slice: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    users: int
    users_left_out: int


def read_metrics(artifact: "Artifact") -> list[Figure]:
    """Return all figures in the order in which they were written."""
    import pyarrow.parquet as pq

    return [Figure(**row) for row in pq.read_table(artifact.file("metrics.parquet")).to_pylist()]


def nested(figures: list[Figure]) -> dict[str, Any]:
    """Return scorer -> metric -> value over all rows; other slices below `slices`."""
    result: dict[str, Any] = {}
    for figure in figures:
        place = result.setdefault(figure.scorer, {})
        if figure.slice != "all":
            place = place.setdefault("slices", {}).setdefault(figure.slice, {})
        place[figure.metric] = figure.value
        if figure.low is not None:
            place.setdefault("intervals", {})[figure.metric] = [figure.low, figure.high]
        place["rows"], place["users"] = figure.rows, max(figure.users, place.get("users", 0))
        if figure.users_left_out:
            place.setdefault("users_left_out", {})[figure.metric] = figure.users_left_out
    return result
