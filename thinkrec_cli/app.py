"""The `thinkrec` program: global options, late loaded commands, one error boundary."""

import importlib
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from thinkrec_cli import console, version
from thinkrec_cli.boundary import error_boundary, install_signal_handlers, report_bug
from thinkrec_cli.commands import COMMANDS
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


def load_command(name: str) -> Any:
    """Import the file of a command and return the command, ready to be invoked."""
    module = importlib.import_module(f"thinkrec_cli.commands.{name.replace('-', '_')}")
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    details = getattr(module, "DETAILS", "").strip()
    alone.command(
        name,
        help=f"{COMMANDS[name].text}\n\n{details}",
        epilog=_examples(getattr(module, "EXAMPLES", ())),
        rich_help_panel=COMMANDS[name].panel,
    )(module.command)
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=LateGroup,
    name="thinkrec",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Commands pipe: thinkrec ingest ml-100k | thinkrec encode --encoder mf | thinkrec cluster -k 3",
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
        bool, typer.Option(
            "--version",
            help="Print the version and stop.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    """Recommendation by a language model that thinks about a person's history and says why.

    Every command makes one artifact in the store and prints its reference; the next command
    takes the latest fitting artifact, the one you name, or the one that comes through a pipe.
    """
    ctx.obj = Switches(store=store, as_json=as_json, quiet=quiet, verbose=verbose)


def main() -> None:
    """Run the program and leave with its exit code."""
    install_signal_handlers()
    try:
        typer.main.get_command(app)(prog_name="thinkrec")
    except Exception as problem:
        traceback.print_exc()
        report_bug(problem)
        sys.exit(1)


def _examples(lines: tuple[str, ...]) -> str | None:
    return "Examples:\n\n" + "\n\n".join(lines) if lines else None
