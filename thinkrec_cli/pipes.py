"""References that come through a pipe, and what is passed on.

In `a | b | c` all three start at once, and the shell runs `b` and `c` even where `a` fails; they would then take the
latest artifacts there are and go on with the wrong data. So a command marks the pipe it writes to, by the size of the
pipe's buffer: that is the one thing that both ends see and that is no output. A command that ends well takes its mark
away, so whoever was killed before leaves one, too. Linux only; elsewhere there is no mark.
"""

import contextlib
import fcntl
import os
import re
import select
import stat
import sys
from collections.abc import Sequence
from typing import Any

from core.errors import PipedInputError
from thinkrec_cli import console

SECONDS_OF_PATIENCE = 2.0

# In pages; a pipe has 16, or 1 or 2 where a user has very many pipes.
AT_WORK = 8
FAILED = 4
_UNMARKED = (16, 2)  # the latter where that user may not have more again

# kind/name@version, kind/name, or the beginning of a key
_REFERENCE = re.compile(
    r"[a-z][a-z0-9_-]*/[a-z0-9][a-z0-9._-]*(@[0-9]+)?|[0-9a-f]{6,64}(\.[0-9a-f]+)?"
)


def read_piped_references() -> list[str]:
    """Read references from standard input if it is a pipe or a file.

    Raises: PipedInputError if something else than references comes, or the command before failed.
    """
    mode = _mode(sys.stdin)
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return []
    _wait_aloud()
    text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    _check_predecessor()
    found = parse_references(text)
    if not found and stat.S_ISFIFO(mode):
        console.warn("nothing came through the pipe; inputs are the latest that fit")
    return found


def parse_references(text: str) -> list[str]:
    """Split piped text into references. Raises: PipedInputError for a word that is none."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for word in line.split():
            if not _REFERENCE.fullmatch(word):
                shown = line.strip() if len(line.strip()) <= 60 else line.strip()[:59] + "…"
                raise PipedInputError(
                    f"standard input, line {number}: '{shown}' is not a reference",
                    hint="Pipe references such as dataset/ml-100k@1, or add </dev/null.",
                )
            found.append(word)
    return found


def pass_on(references: Sequence[str]) -> None:
    """Write references to stdout, one per line."""
    for reference in references:
        console.out(reference)
    sys.stdout.flush()


def mark_output(pages: int) -> None:
    """Tell the command that reads from this one, if there is one, how it stands."""
    if stat.S_ISFIFO(_mode(sys.stdout)) and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # output lies in the pipe that would no longer fit
            fcntl.fcntl(sys.stdout.fileno(), fcntl.F_SETPIPE_SZ, pages * _page_bytes())


def clear_mark() -> None:
    """Tell the command that reads from this one that all went well."""
    for pages in _UNMARKED:
        if _mark(sys.stdout) in (AT_WORK, FAILED):
            mark_output(pages)


def _check_predecessor() -> None:
    """At the end of standard input look how the command before ended. Raises: PipedInputError."""
    mark = _mark(sys.stdin)
    if mark == FAILED:
        raise PipedInputError(
            "the command before this one in the pipe failed, so nothing was done",
            hint="Correct what it says and run the line again; what is done is cached.",
        )
    if mark == AT_WORK:
        raise PipedInputError(
            "the command before this one in the pipe was killed, so nothing was done",
            hint="Run the line again; what is done is cached. Out of memory is the usual cause.",
        )


def _mark(stream: Any) -> int | None:
    if not (stat.S_ISFIFO(_mode(stream)) and hasattr(fcntl, "F_GETPIPE_SZ")):
        return None
    return fcntl.fcntl(stream.fileno(), fcntl.F_GETPIPE_SZ) // _page_bytes()


def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE")


def _mode(stream: Any) -> int:
    """Return the file mode of a stream; 0 if it is closed or something in memory."""
    try:
        return os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return 0


def _wait_aloud() -> None:
    """Wait for the first byte or the end of standard input; say so unless a command is at work."""
    ready, _, _ = select.select([sys.stdin], [], [], SECONDS_OF_PATIENCE)
    if not ready and _mark(sys.stdin) != AT_WORK:
        console.say("waiting for references on standard input (add </dev/null to read none)")
