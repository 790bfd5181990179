"""The figures of an evaluation, read from its table."""

from dataclasses import asdict, dataclass
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

    @property
    def family(self) -> str:
        """Name of the metric without the number of ranks: ndcg for ndcg@5."""
        return self.metric.partition("@")[0]


def read_metrics(artifact: "Artifact") -> list[Figure]:
    """Return all figures in the order in which they were written."""
    import pyarrow.parquet as pq

    return [Figure(**row) for row in pq.read_table(artifact.file("metrics.parquet")).to_pylist()]


def nested(artifact: "Artifact") -> dict[str, Any]:
    """Return scorer -> metric -> value, with intervals, slices and differences; see core.evaluation.summary."""
    from core.evaluation.summary import summarize

    figures = (asdict(figure) for figure in read_metrics(artifact))
    # Older evaluations have no comparisons.
    return summarize(figures, _rows(artifact, "comparisons.parquet"), read_over_seeds(artifact))


def read_over_seeds(artifact: "Artifact") -> list[dict[str, Any]]:
    """Return the rows of over_seeds.parquet; none where no scorers differ in their seeds alone."""
    return _rows(artifact, "over_seeds.parquet")


def _rows(artifact: "Artifact", path: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    file = artifact.folder / path
    return pq.read_table(file).to_pylist() if file.exists() else []
