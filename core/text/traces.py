"""A trace: a reason with the right answer for one row, and how it came about."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from core.text.cases import Case

Status = Literal["ok", "malformed", "refused", "gave_up"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a teacher gave for one row."""

    case: Case
    reason: str
    """Without the leading answer; empty unless status is ok."""
    tries: int
    """How often the teacher was asked; 1 where its first answer was right."""
    status: Status


def count_statuses(traces: Iterable[Trace]) -> dict[str, int]:
    """Count traces by status, all four named."""
    counts = Counter(trace.status for trace in traces)
    return {status: counts[status] for status in STATUSES}
