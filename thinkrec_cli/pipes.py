"""References that come through a pipe, and what is passed on."""

import os
import re
import select
import stat
import sys
from collections.abc import Sequence

from core.errors import PipedInputError
from thinkrec_cli import console

SECONDS_OF_PATIENCE = 2.0

# kind/name@version, kind/name, or the beginning of a key
_REFERENCE = re.compile(
    r"[a-z][a-z0-9_-]*/[a-z0-9][a-z0-9._-]*(@[0-9]+)?|[0-9a-f]{6,64}(\.[0-9a-f]+)?"
)


def read_piped_references() -> list[str]:
    """Read references from standard input if it is a pipe or a file.

    Raises: PipedInputError if something else than references comes.
    """
    if not _stdin_is_piped():
        return []
    _wait_aloud()
    text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    return parse_references(text)


def parse_references(text: str) -> list[str]:
    """Split text into references. Raises: PipedInputError for a word that is none."""
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


def _stdin_is_piped() -> bool:
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something in memory
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _wait_aloud() -> None:
    """Wait for the first byte or the end of standard input; after a while say what is awaited."""
    ready, _, _ = select.select([sys.stdin], [], [], SECONDS_OF_PATIENCE)
    if not ready:
        console.say("waiting for references on standard input (add </dev/null to read none)")
