"""The one place that turns failures into words and exit codes."""

import atexit
import errno
import io
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from types import FrameType, TracebackType
from typing import TextIO

import typer

from artifacts.errors import StoreError
from core.errors import DeviceMemoryError, DiskFullError, MissingFileError, ThinkRecError
from thinkrec_cli import console
from thinkrec_cli.pipes import FAILED, mark_output

EXIT_BROKEN_PIPE = 141  # what a shell reports for SIGPIPE
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


_log = logging.getLogger(__name__)
_RIGHTS = (errno.EACCES, errno.EPERM, errno.EROFS)
_FREE_SPACE = "Free some space (thinkrec gc --yes removes leftovers); nothing done is lost."
_NO_ROOM = {
    errno.ENOSPC: ("no space left on the device", _FREE_SPACE),
    errno.EDQUOT: ("no space left on the device", _FREE_SPACE),
    errno.EFBIG: (
        "a file may not grow as large as it has to",
        "Raise the limit (ulimit -f), or let --store DIR name a disk that takes larger files; nothing done is lost.",
    ),
}
"""Number of an error of the system -> what it means, and what to do."""
_SIGNALS: list[int] = []
"""Signals this process got, in order."""


class _Messages(io.TextIOWrapper):
    """stderr: what cannot be written there is dropped, for it must not change how a command ends.

    That its reader has left is told as of stdout: nobody is there any more.
    """

    def write(self, text: str) -> int:
        """Write a text, or drop it. Raises: BrokenPipeError."""
        with _dropped_where_refused():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held, or hold it longer. Raises: BrokenPipeError."""
        with _dropped_where_refused():
            super().flush()


@contextmanager
def _dropped_where_refused() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:  # a full disk, say: there is no other place to tell it
        pass


def ready_streams() -> None:
    """Give closed standard streams the null device, before any file of ours gets their number.

    And let results be written whatever letters are in them: what stdout cannot spell it escapes, as stderr does. Of
    what stderr cannot take, nobody is told.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open to the end
            setattr(sys, name, null)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # One that we opened takes everything, and Python would close it once nothing holds it.
    if isinstance(given := sys.stderr, io.TextIOWrapper) and given is sys.__stderr__:
        sys.stderr = _Messages(
            given.buffer,
            encoding=given.encoding,
            errors=given.errors,
            line_buffering=given.line_buffering,
            write_through=given.write_through,
        )
        atexit.register(_write_or_drop, sys.stderr)  # else Python tries again, and exits with 120


def install() -> None:
    """Let Ctrl-C and SIGTERM unwind the program alike, and let bugs ask to be reported."""
    signal.signal(signal.SIGINT, _unwind)
    sys.excepthook = report_bug
    sys.unraisablehook = _try_again
    signal.signal(signal.SIGTERM, _unwind)


def was_stopped() -> bool:
    """Whether a signal came: DuckDB turns the interruption into an error of its own."""
    return bool(_SIGNALS)


def leave_if_stopped() -> None:
    """After a signal leave at once: everything is unwound, and a thread in DuckDB cannot be joined."""
    if _SIGNALS:
        write_or_drop()
        os._exit(_exit_code(_SIGNALS[-1]))


def write_or_drop() -> None:
    """Write what the streams still hold; what one cannot take, it must not try again at exit."""
    for stream in (sys.stdout, sys.stderr):
        _write_or_drop(stream)


def _write_or_drop(stream: TextIO) -> None:
    try:
        stream.flush()
        stream.buffer.flush()  # which does not hide what our stderr does
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def error_boundary() -> Iterator[None]:
    """Turn failures that a user can repair into two lines and an exit code; the rest are bugs."""
    try:
        yield
        sys.stdout.flush()  # a reader that went away is noticed here, not at interpreter exit
    except (ThinkRecError, StoreError) as problem:
        raise _told(problem) from problem
    except KeyboardInterrupt as interrupt:
        number = _SIGNALS[-1] if _SIGNALS else signal.SIGINT
        raise _stopped(interrupt, by_signal=number) from interrupt
    except BrokenPipeError as problem:
        write_or_drop()
        raise typer.Exit(EXIT_BROKEN_PIPE) from problem
    except SystemExit as end:
        # So do typer, and rich where it prints the help, leave when the reader has left.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        write_or_drop()
        raise typer.Exit(EXIT_BROKEN_PIPE) from end
    except Exception as problem:
        if was_stopped():
            raise _stopped(problem, by_signal=_SIGNALS[-1]) from problem
        if friendly := _friendly(problem):
            # For --verbose.
            _log.info("%s came from here:", type(problem).__name__, exc_info=problem)
            raise _told(friendly) from problem
        raise


def report_bug(
    kind: type[BaseException], problem: BaseException, trace: TracebackType | None
) -> None:
    """Write the traceback, and say under it whose fault it is; for sys.excepthook."""
    mark_output(FAILED)
    traceback.print_exception(kind, problem, trace)
    console.print_error(
        f"this is a bug in thinkrec ({kind.__name__})",
        hint="Please report it with the lines above and the command you ran.",
    )
    write_or_drop()


def print_usage_error(problem: typer.TyperException) -> None:
    """Tell wrong usage as every other failure: a problem and a remedy."""
    context = getattr(problem, "ctx", None)
    if type(problem).__name__ == "NoArgsIsHelpError":
        return  # the help was printed
    said = problem.format_message().replace("Value error, ", "")  # pydantic's word before ours
    hint = f"See {context.command_path if context else 'thinkrec'} --help."
    # Typer's own suggestion stands behind the problem: it belongs into the hint.
    if near := re.fullmatch(r"(.*?) \(?((?:Possible options: |Did you mean ).*?)\)?", said):
        said, hint = (
            near[1],
            f"{near[2].removesuffix('.')}{'' if near[2][-1] == '?' else '.'} {hint}",
        )
    if context and context.command_path.endswith(" ingest"):
        hint = _file_hint(said) or hint
    console.print_error(said, hint=hint)


def _file_hint(said: str) -> str | None:
    """Return what to type where `ingest` was given a file as it is; None where it was none."""
    words = re.search(r"'(\S+)' is not one of|extra arguments? ?(?:\(s\) )?\((\S+)\)", said)
    name = words and (words[1] or words[2])
    return f"thinkrec ingest table --interactions {name}" if name and Path(name).is_file() else None


def _stopped(problem: BaseException, *, by_signal: int) -> typer.Exit:
    word = "terminated" if by_signal == signal.SIGTERM else "interrupted"
    console.say("; ".join([word, *getattr(problem, "__notes__", ())]))
    write_or_drop()
    return typer.Exit(_exit_code(by_signal))


def _exit_code(number: int) -> int:
    return EXIT_TERMINATED if number == signal.SIGTERM else EXIT_INTERRUPTED


def _told(problem: ThinkRecError | StoreError) -> typer.Exit:
    notes = getattr(problem, "__notes__", [])
    console.print_error(str(problem), hint=problem.hint, notes=notes)
    write_or_drop()
    return typer.Exit(problem.exit_code)


def _friendly(problem: Exception) -> ThinkRecError | None:
    """Return the error to tell for a failure of the machine, or None if it is our bug."""
    friendly: ThinkRecError | None = None
    # Libraries wrap the operating system's error (DuckDB: IOException, safetensors: its own),
    # so the text is asked too.
    number = getattr(problem, "errno", None)
    told = (n for n in _NO_ROOM if n == number or os.strerror(n) in str(problem))
    if (reason := next(told, None)) is not None:
        what, hint = _NO_ROOM[reason]
        where = getattr(problem, "filename", None) or problem
        friendly = DiskFullError(f"{what}: {where}", hint=hint)
    elif isinstance(problem, OSError) and problem.errno is not None:
        where = f": {problem.filename}" if problem.filename else ""
        friendly = MissingFileError(
            f"{problem.strerror}{where}",
            hint="Give yourself the right to use it; --store DIR names another store."
            if problem.errno in _RIGHTS
            else "See to that, then run the same again: nothing done is lost. --verbose shows what asked for it.",
        )
    elif type(problem).__name__ == "OutOfMemoryError":  # torch's, which is not imported for that
        friendly = DeviceMemoryError.of(
            problem,
            hint="Lower --batch-size, take a smaller model, or compute with --device cpu.",
        )
    if friendly is not None:
        for note in getattr(problem, "__notes__", []):
            friendly.add_note(note)
    return friendly


def _unwind(number: int, frame: FrameType | None) -> None:
    _SIGNALS.append(number)
    raise KeyboardInterrupt


def _try_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal again that came while Python could not unwind: in a callback of its own it drops exceptions."""
    if not (isinstance(lost.exc_value, KeyboardInterrupt) and _SIGNALS):
        sys.__unraisablehook__(lost)
        return
    sender = Timer(0.02, os.kill, (os.getpid(), _SIGNALS.pop()))
    sender.daemon = True
    sender.start()
