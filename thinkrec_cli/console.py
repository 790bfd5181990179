"""The two streams: results on stdout, everything else on stderr."""

import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from thinkrec_cli.words import visible

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 120  # a table in a log file: wide enough for six columns of figures


class _Teller(logging.Handler):
    """Says to a person what the store and the domain log, where no progress can be reached."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        tell = warn if record.levelno >= logging.WARNING else say
        tell(record.getMessage())


@lru_cache(maxsize=1)
def errors() -> "Console":
    """Return the console on stderr."""
    from thinkrec_cli.styled import StyledConsole

    return StyledConsole(stderr=True, width=_width(sys.stderr))


@lru_cache(maxsize=1)
def results() -> "Console":
    """Return the console on stdout."""
    from thinkrec_cli.styled import StyledConsole

    return StyledConsole(width=_width(sys.stdout))


def page(*, quiet: bool) -> "Console":
    """Return where a page for people goes: stdout if it is a terminal, else stderr unless quiet."""
    from thinkrec_cli.styled import StyledConsole

    if sys.stdout.isatty():
        return results()
    return StyledConsole(quiet=True) if quiet else errors()


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
    out(as_json(value))


def as_json(value: Any) -> str:
    """Spell a JSON value on one line; in ASCII where stdout does not take every letter as it is."""
    exact = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not exact, default=str, allow_nan=False)


def say(line: str) -> None:
    """Tell a person something that is no result."""
    _tell((line, "dim"))


def warn(line: str) -> None:
    """Tell a person something to care about."""
    _tell(("warning: ", "bold yellow"), (line, ""))


def print_error(problem: str, *, hint: str, notes: list[str] | None = None) -> None:
    """Write a failure: one line of problem, one of remedy; markup in them is plain text."""
    _tell(("error: ", "bold red"), (problem.strip(), ""))
    for note in notes or []:
        _tell(("note: ", "bold"), (note.strip(), ""))
    _tell(("hint: ", "bold cyan"), (hint.strip(), ""))


def _tell(*texts: tuple[str, str]) -> None:
    """Write a line of texts, each with its style, to stderr: ids and paths of others are among them."""
    parts = [(visible(text), style) for text, style in texts]
    if not _may_have_styles(sys.stderr):
        # In one piece: rich writes a line once more if an interrupt comes between writing and forgetting it.
        sys.stderr.write("".join(text for text, _ in parts) + "\n")
        return
    from rich.text import Text

    errors().print(Text.assemble(*parts), soft_wrap=True)


def _may_have_styles(stream: Any) -> bool:
    """Whether a stream is a terminal or its reader wants the styles of one; if so, rich decides."""
    return stream.isatty() or any(
        os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE")
    )


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


def _width(stream: Any) -> int | None:
    if os.environ.get("COLUMNS", "").isdigit() or stream.isatty():
        return None  # rich finds out
    return WIDTH_WITHOUT_TERMINAL
