"""How long work reports where it stands, without knowing the terminal."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One running piece of work."""

    def advance(self, amount: int = 1, **figures: float | str) -> None:
        """Move on by `amount` units; figures (loss=0.61) are shown beside rate and time left."""


class Progress(Protocol):
    """Where a stage reports to."""

    def bar(
        self, title: str, total: int | None, unit: str, *, done: int = 0
    ) -> AbstractContextManager[Bar]:
        """Open a bar over `total` units (None if unknown), of which an earlier run did `done`.

        Rate and time left are reckoned from what is done from now on.
        """

    def say(self, line: str) -> None:
        """Report one line of plain text."""


class _SilentBar:
    def advance(self, amount: int = 1, **figures: float | str) -> None:
        """Do nothing."""


class Silent:
    """Progress for callers from Python who want none."""

    @contextmanager
    def bar(self, title: str, total: int | None, unit: str, *, done: int = 0) -> Iterator[Bar]:
        """Yield a bar that shows nothing."""
        yield _SilentBar()

    def say(self, line: str) -> None:
        """Show nothing."""
