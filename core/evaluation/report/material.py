"""What a report is made from: rows of the metrics table, and what the lineage of the scores holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.evaluation.calibration import CalibrationBin
from core.evaluation.paper import PaperRow

Rows = Sequence[Mapping[str, Any]]
"""Rows of a table, nulls as None."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One artifact that the numbers come from."""

    reference: str
    key: str
    command: str
    """That makes it again."""
    inputs: tuple[str, ...]
    seed: int | None
    machine: str
    program_version: str
    finished: str


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a training went: the tables of an adapter, of experts or of a model's projector."""

    reference: str
    steps: Rows
    validations: Rows
    thrown_away: str = ""
    """Why nothing of it was kept, empty where something was."""


@dataclass(frozen=True, kw_only=True)
class EncoderCourse:
    """Epochs of an encoder."""

    reference: str
    epochs: Rows


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups of users."""

    reference: str
    facts: Mapping[str, Any]
    """The artifact's summary.json."""
    picture: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How the users of a fused model were routed."""

    reference: str
    users: Mapping[str, int]
    """Route -> users."""
    weights: Sequence[float]
    """Mean weight of each expert over users that have weights."""
    groups: str | None
    """Reference of the groups it was made from."""
    adapter: str | None
    """Reference of the global adapter it was made from."""
    facts: Mapping[str, Any]
    """The artifact's fusion.json."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """An explanation: what was said, and in which artifact it is kept."""

    reference: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Everything a report shows."""

    dataset: Origin
    facts: Mapping[str, Any]
    """Of the data set: its manifest's summary."""
    command: str
    """That made the evaluation."""
    machine: str
    program_version: str
    seed: int
    samples: int
    """Draws of the bootstrap."""
    lines: Rows
    """Rows of metrics.parquet."""
    comparisons: Rows
    """Rows of comparisons.parquet."""
    over_seeds: Rows = ()
    """Rows of over_seeds.parquet."""
    bias: str | None
    """Scorer that is the honest counts, None where train has one label only."""
    against: str | None
    """Scorer that the others are compared with."""
    frozen: bool
    """Whether the scores were asked with frozen histories."""
    calibration: Mapping[str, Sequence[CalibrationBin]]
    paper: Mapping[str, PaperRow] = field(default_factory=dict)
    """Scorer -> what the paper has for it; empty unless the data set is the paper's."""
    origins: Sequence[Origin] = ()
    """The whole lineage, inputs first."""
    courses: Sequence[Course] = ()
    encoders: Sequence[EncoderCourse] = ()
    groups: Sequence[Groups] = ()
    gates: Mapping[str, Gate] = field(default_factory=dict)
    """Scorer -> gate, for those that have experts."""
    examples: Sequence[Told] = ()
    explained_rows_differ: bool = False
    """Whether the explanations that were measured are of different rows."""

    def scorers(self) -> list[str]:
        """Return the scorers of rows (not of reasons) in the order of the table."""
        return list(dict.fromkeys(r["scorer"] for r in self.lines if r["metric"] == "auc"))
