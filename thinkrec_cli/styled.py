"""rich's console as this program uses it, in a file of its own: importing rich takes longer than many a command."""

import errno
import os

from rich.console import Console


class StyledConsole(Console):
    """A console that marks no words by itself and does not hide that its reader left."""

    def __init__(self, *, width: int | None = None, stderr: bool = False, quiet: bool = False):
        """Write to stdout or stderr; without a width, take the terminal's."""
        super().__init__(width=width, stderr=stderr, quiet=quiet, highlight=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Tell the error boundary that the reader left, where rich would exit with 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
