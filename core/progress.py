"""How long work reports where it stands, without knowing the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """One running piece of work."""

    def advance(self, amount: int = 1, **figures: float | str) -> None:
        """Move on by `amount` units; figures (loss=0.61) are shown beside the rate and the time left."""


class Progress(Protocol):
    """Where a stage reports to."""

    def bar(self, title: str, total: int | None, unit: str) -> "BarContext":
        """Open a bar over `total` units (None if unknown)."""

    def say(self, line: str) -> None:
        """Report one line of plain text."""


class BarContext(Protocol):
    """A context manager that yields a Bar."""

    def __enter__(self) -> Bar: ...

    def __exit__(self, *exc: object) -> bool | None: ...


class _SilentBar:
    def advance(self, amount: int = 1, **figures: float | str) -> None:
        """Do nothing."""


class Silent:
    """Progress for callers from Python who want none."""

    @contextmanager
    def bar(self, title: str, total: int | None, unit: str) -> Iterator[Bar]:
        """Yield a bar that shows nothing."""
        yield _SilentBar()

    def say(self, line: str) -> None:
        """Show nothing."""
