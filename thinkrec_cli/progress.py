"""How far long work is: bars on a terminal, now and then a plain line elsewhere."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from core.progress import Progress, Silent
from thinkrec_cli import console

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

SECONDS_BETWEEN_LINES = 10.0
SHARE_BETWEEN_LINES = 0.1
SECONDS_WORTH_A_SUMMARY = 1.0


def make_progress(*, quiet: bool) -> Progress:
    """Return what suits stderr: bars on a terminal, plain lines elsewhere, nothing if quiet."""
    if quiet:
        return Silent()
    if console.errors().is_terminal:
        return BarProgress()
    return LineProgress()


@dataclass(kw_only=True)
class Meter:
    """Counts one piece of work and words how far it is."""

    title: str
    total: int | None
    unit: str
    started: float
    """Reading of the monotonic clock."""
    done: int = 0
    """Units, those of an earlier run among them."""
    before: int = 0
    """Units that an earlier run did: they took none of the seconds."""
    figures: dict[str, float | str] = field(default_factory=dict)

    def count(self, amount: int, figures: dict[str, float | str]) -> None:
        """Take in an advance."""
        self.done += amount
        self.figures.update(figures)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return max(monotonic() - self.started, 1e-9)

    @property
    def rate(self) -> float:
        """Units per second, of those done now."""
        return (self.done - self.before) / self.seconds

    def figures_text(self) -> str:
        """Return the figures as `loss 0.61  auc 0.74`."""
        return "  ".join(f"{name} {_number(value)}" for name, value in self.figures.items())

    def line(self) -> str:
        """Return one line for a log."""
        parts = [f"{self.done:,}" + (f"/{self.total:,}" if self.total else "") + f" {self.unit}"]
        if self.total:
            parts[0] += f" ({self.done / self.total:.0%})"
        parts.append(f"{_number(self.rate)}/s")
        if self.total and self.rate and self.done < self.total:
            parts.append(f"{duration((self.total - self.done) / self.rate)} left")
        return f"{self.title}: {', '.join(parts)}" + self._tail()

    def summary(self) -> str:
        """Return one line for when it is over."""
        now = self.done - self.before
        count = f"{now:,} {self.unit} in {duration(self.seconds)} ({_number(self.rate)}/s)"
        return f"{self.title}: {count}" + self._tail()

    def _tail(self) -> str:
        return f"  {self.figures_text()}" if self.figures else ""


class LineProgress:
    """Progress for a log file: a line every 10 seconds or 10 percent, whichever is later."""

    def __init__(self) -> None:
        self._open = 0

    def say(self, line: str) -> None:
        """Write the line."""
        console.say(line)

    @contextmanager
    def bar(
        self, title: str, total: int | None, unit: str, *, done: int = 0
    ) -> Iterator["_LineBar"]:
        """Yield a bar that writes lines."""
        bar = _LineBar(_meter(title, total, unit, done))
        self._open += 1
        try:
            yield bar
        finally:
            self._open -= 1
        _summarise(bar.meter, outermost=self._open == 0)


class _LineBar:
    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._said_at = meter.started
        self._said_done = meter.done

    def advance(self, amount: int = 1, **figures: float | str) -> None:
        """Count, and write a line if the last one is old enough."""
        self.meter.count(amount, figures)
        now = monotonic()
        share = SHARE_BETWEEN_LINES * (self.meter.total or 0)
        finished = self.meter.total is not None and self.meter.done >= self.meter.total
        if finished or now - self._said_at < SECONDS_BETWEEN_LINES:
            return
        if self.meter.done - self._said_done < share and now - self._said_at < 60:
            return
        self._said_at, self._said_done = now, self.meter.done
        console.say(self.meter.line())


class BarProgress:
    """Progress on a terminal: live bars, each replaced by one line when it is done."""

    def __init__(self) -> None:
        self._live: RichProgress | None = None
        self._open = 0

    def say(self, line: str) -> None:
        """Write the line above the bars."""
        console.say(line)  # rich keeps a live display below what is printed to its console

    @contextmanager
    def bar(
        self, title: str, total: int | None, unit: str, *, done: int = 0
    ) -> Iterator["_RichBar"]:
        """Yield a bar that is drawn while its context is open."""
        live = self._live or _rich_progress()
        if self._live is None:
            self._live = live
            live.start()
        self._open += 1
        shown = title if len(title) <= 32 else title[:31] + "…"
        bar = _RichBar(_meter(title, total, unit, done), live)
        bar.task = live.add_task(shown, total=total, completed=done, unit=unit, figures="")
        try:
            yield bar
        finally:
            self._open -= 1
            live.remove_task(bar.task)
            if self._open == 0:
                live.stop()
                self._live = None
        _summarise(bar.meter, outermost=self._open == 0)


class _RichBar:
    def __init__(self, meter: Meter, live: "RichProgress") -> None:
        self.meter, self._live = meter, live
        self.task: Any = None

    def advance(self, amount: int = 1, **figures: float | str) -> None:
        """Count and redraw."""
        self.meter.count(amount, figures)
        self._live.update(self.task, advance=amount, figures=self.meter.figures_text())


def duration(seconds: float) -> str:
    """Return seconds as a person says them: 8.2 s, 4:05 min, 1:02:03 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


def _meter(title: str, total: int | None, unit: str, done: int) -> Meter:
    return Meter(title=title, total=total, unit=unit, started=monotonic(), done=done, before=done)


def _summarise(meter: Meter, *, outermost: bool) -> None:
    if outermost and meter.seconds >= SECONDS_WORTH_A_SUMMARY:
        console.say(meter.summary())


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or 1000 <= abs(value) < math.inf:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _rich_progress() -> "RichProgress":
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Amount(ProgressColumn):
        """Count, total, unit and rate."""

        def render(self, task: Task) -> Text:
            """Draw `120/1,000 rows  34.1/s`."""
            total = f"/{task.total:,.0f}" if task.total else ""
            rate = f"  {_number(task.speed)}/s" if task.speed else ""
            return Text(f"{task.completed:,.0f}{total} {task.fields['unit']}{rate}")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        Amount(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}", style="cyan", markup=False),
        console=console.errors(),
        transient=True,
        speed_estimate_period=60.0,
    )
