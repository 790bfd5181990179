"""Rows of a file that are not asked: those whose user or item the data do not have, and those that ask once more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.errors import EmptyFileError, ThinkRecError, UnknownItemError, UnknownUserError
from core.progress import Progress

_HOW = "--skip-unknown leaves such rows out."


@dataclass
class Unknown:
    """What becomes of them in one file: unknown ones are refused, or left out and counted."""

    path: str
    skip: bool = False
    left_out: int = 0
    repeated: int = 0
    """Rows whose pair stands in the file before."""

    @contextmanager
    def row(self, number: int) -> Iterator[None]:
        """Let what is wrong with a word of the file say in which row it stands, from 1.

        What comes after an unknown user or item in the block is not done, where they are left out.
        """
        try:
            yield
        except (UnknownUserError, UnknownItemError) as problem:
            if not self.skip:
                raise self._told(problem, number, f"{problem.hint} {_HOW}") from None
            self.left_out += 1
        except ThinkRecError as problem:
            raise self._told(problem, number, problem.hint) from None

    def require_some(self, count: int, what: str) -> None:
        """Raises: EmptyFileError if nothing is left of the file."""
        if self.left_out and not count:
            raise EmptyFileError(
                f"{self.path} holds no {what} that the data have: {_rows(self.left_out)} left out",
                hint="Compare its ids with those of the data: thinkrec sql 'from items limit 5'",
            )

    @property
    def beside(self) -> str:
        """What to add to a description of the others."""
        unknown = f", {self.left_out:,} unknown left out" if self.left_out else ""
        return unknown + (f", {self.repeated:,} repeated" if self.repeated else "")

    def tell(self, progress: Progress) -> None:
        """Say what was left out, if anything was."""
        if self.left_out:
            progress.say(
                f"{self.path}: {_rows(self.left_out)} left out, whose user or item is not in the data"
            )
        if self.repeated:
            progress.say(
                f"{self.path}: {_rows(self.repeated)} left out, whose pair stands in the file before"
            )

    def _told(self, problem: ThinkRecError, number: int, hint: str) -> ThinkRecError:
        return type(problem)(f"{self.path}: row {number}: {problem}", hint=hint)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
