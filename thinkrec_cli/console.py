"""The two streams: results on stdout, everything else on stderr."""

import errno
import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from rich.console import Console
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 120  # a table in a log file: wide enough for six columns of figures


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Tell the error boundary that the reader left, where rich would exit with 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class _Teller(logging.Handler):
    """Says to a person what the store and the domain log, where no progress can be reached."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        tell = warn if record.levelno >= logging.WARNING else say
        tell(record.getMessage())


@lru_cache(maxsize=1)
def errors() -> Console:
    """Return the console on stderr."""
    return _Console(stderr=True, width=_width(sys.stderr), highlight=False, emoji=False)


@lru_cache(maxsize=1)
def results() -> Console:
    """Return the console on stdout."""
    return _Console(width=_width(sys.stdout), highlight=False, emoji=False)


def page(*, quiet: bool) -> Console:
    """Return where a page for people goes: stdout if it is a terminal, else stderr unless quiet."""
    if sys.stdout.isatty():
        return results()
    return _Console(quiet=True) if quiet else errors()


def out(line: str) -> None:
    """Write one line of result."""
    sys.stdout.write(line + "\n")


def out_aligned(columns: Sequence[str], batches: Iterable[Sequence[Sequence[str]]]) -> None:
    """Write rows as lines that are aligned as far as rows are known: they need not all fit into memory.

    For programs and files: nothing is folded or cut, whatever the width.
    """
    widths = [0] * len(columns)
    todo: list[Sequence[str]] = [columns]
    for batch in batches:
        todo += batch
        widths = [max(width, *(len(row[n]) for row in todo)) for n, width in enumerate(widths)]
        for row in todo:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            out(line.rstrip())
        todo = []


def out_json(value: Any) -> None:
    """Write one JSON value as result."""
    out(json.dumps(value, ensure_ascii=False, indent=None, default=str, allow_nan=False))


def say(line: str) -> None:
    """Tell a person something that is no result."""
    _tell(Text(line, style="dim"))


def warn(line: str) -> None:
    """Tell a person something to care about."""
    _tell(Text.assemble(("warning: ", "bold yellow"), line))


def _tell(line: Text) -> None:
    console = errors()
    if console.is_terminal:
        console.print(line, soft_wrap=True)
    else:
        # In one piece: rich writes a line once more if an interrupt comes between writing and forgetting it.
        sys.stderr.write(line.plain + "\n")


def print_error(problem: str, *, hint: str, notes: list[str] | None = None) -> None:
    """Write a failure: one line of problem, one of remedy; markup in them is plain text."""
    console = errors()
    console.print(Text.assemble(("error: ", "bold red"), _one_line(problem)), soft_wrap=True)
    for note in notes or []:
        console.print(Text.assemble(("note: ", "bold"), _one_line(note)), soft_wrap=True)
    console.print(Text.assemble(("hint: ", "bold cyan"), _one_line(hint)), soft_wrap=True)


def quieten_libraries(*, verbose: bool) -> None:
    """Keep other people's progress bars and notices off the terminal unless the user wants all."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR,
        format="%(name)s: %(message)s",
        stream=sys.stderr,
    )
    for name in ("artifacts", "core"):
        own = logging.getLogger(name)
        own.setLevel(logging.INFO)
        own.propagate = False
        own.handlers = [_Teller()]
    if not verbose:
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _one_line(text: str) -> str:
    return " ".join(text.split("\n")).strip()


def _width(stream: Any) -> int | None:
    if os.environ.get("COLUMNS", "").isdigit() or stream.isatty():
        return None  # rich finds out
    return WIDTH_WITHOUT_TERMINAL
