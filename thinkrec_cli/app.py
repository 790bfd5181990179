"""The `thinkrec` program: global options, late loaded commands, one error boundary."""

import importlib
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from core.errors import ConfigError
from core.version import version
from thinkrec_cli import console
from thinkrec_cli.boundary import (
    error_boundary,
    install,
    leave_if_stopped,
    print_usage_error,
    ready_streams,
)
from thinkrec_cli.commands import COMMANDS
from thinkrec_cli.pipes import FAILED, clear_mark, mark_output
from thinkrec_cli.session import Switches


class LateGroup(TyperGroup):
    """A group that knows all its commands by name and loads the one that is called."""

    def __init__(self, **settings: Any) -> None:
        """Fill the group with the names and one-line texts of all commands."""
        super().__init__(**settings)
        for name, line in COMMANDS.items():
            self.commands[name] = TyperCommand(
                name, help=line.text, rich_help_panel=line.panel, add_help_option=False
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Find the command that is called and load its file."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load_command(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Run a command inside the error boundary."""
        with error_boundary():
            return super().invoke(ctx)


class StrictCommand(TyperCommand):
    """A command that refuses an option given twice that takes one value: the parser would keep the last, unseen."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the words of the command line. Raises: UsageError."""
        *_, order = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(order).items():
            collects = not isinstance(option, TyperOption) or option.multiple or option.is_flag
            if times > 1 and not collects:
                ctx.fail(f"{option.opts[0]} takes one value and is given {times} times")
        return super().parse_args(ctx, args)


def load_command(name: str) -> Any:
    """Import the file of a command and return the command, ready to be invoked."""
    module = importlib.import_module(f"thinkrec_cli.commands.{name.replace('-', '_')}")
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    details = _flowing(module.DETAILS)
    alone.command(
        name,
        cls=StrictCommand,
        help=f"{COMMANDS[name].text}\n\n{details}",
        epilog=_examples(module.EXAMPLES),
        context_settings=HELP_FLAGS,
        rich_help_panel=COMMANDS[name].panel,
    )(module.command)
    return typer.main.get_command(alone)


HELP_FLAGS = {"help_option_names": ["--help", "-h"]}
ABOUT = (
    "Recommendation by a language model that thinks about a person's history and says why.\n\n"
    "Every command makes one artifact in the store and prints its reference; the next command "
    "takes the latest fitting artifact, the one you name, or the one that comes through a pipe."
)

app = typer.Typer(
    help=ABOUT,
    context_settings=HELP_FLAGS,
    cls=LateGroup,
    name="thinkrec",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Commands pipe: thinkrec ingest ml-100k | thinkrec encode | thinkrec cluster -k 3",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.out(f"thinkrec {version()}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="DIR",
            envvar="THINKREC_STORE",
            help="Folder of all artifacts; .thinkrec in the working folder if not given.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say everything, also what libraries say.")
    ] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and stop.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    """Keep the options for the command that follows."""
    ctx.obj = Switches(store=store, as_json=as_json, quiet=quiet, verbose=verbose)


def main() -> None:
    """Run the program and leave with its exit code."""
    ready_streams()
    install()
    if code := _run():
        mark_output(FAILED)  # wrong usage, too, has to stop what comes after it in a pipe
    else:
        clear_mark()
    leave_if_stopped()
    sys.exit(code)


def _run() -> int:
    """Run what the command line says; returns the exit code."""
    command = typer.main.get_command(app)
    try:
        with error_boundary():  # that of the group does not see --help, --version and wrong usage
            _require_text(sys.argv[1:])
            _require_store(sys.argv[1:])
            try:
                return command(prog_name="thinkrec", standalone_mode=False) or 0
            except typer.TyperException as problem:
                print_usage_error(problem)
                return getattr(problem, "exit_code", 2)
    except typer.Exit as end:
        return end.exit_code


def _require_text(words: Sequence[str]) -> None:
    """Raises: ConfigError for a word that is not text: it could be no key, no name and no path in a query."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"the word {word!a} of the command is not UTF-8",
                hint="Write it in UTF-8; a file that is called so needs another name.",
            ) from None


def _require_store(words: Sequence[str]) -> None:
    """Raises: ConfigError for `--store ""`, as of a variable of the shell that is not set.

    As a path, which is what the parser makes of it, it is the working folder. An empty THINKREC_STORE is not set.
    """
    if "--store=" in words or ("--store", "") in pairwise(words):
        raise ConfigError("--store is an empty text", hint="Give a folder, or leave it out.")


def _examples(lines: tuple[str, ...]) -> str:
    return "Examples:\n\n" + "\n\n".join(line.replace("[", r"\[") for line in lines)


def _flowing(text: str) -> str:
    """Join the lines of every paragraph; the terminal's width breaks them anew."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))
