"""Options that commands share, and how they become parameters of a Typer command."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from thinkrec_cli.session import Session, Switches

COMMON_PANEL = "Common options"


def parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Return a keyword parameter for a command's signature."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


def _common(text: str, *flags: str, **more: Any) -> Any:
    return typer.Option(*flags, help=text, rich_help_panel=COMMON_PANEL, **more)


# Named with common_ so that no setting of a stage can collide with them.
COMMON_PARAMETERS = (
    parameter(
        "common_store",
        Annotated[
            Path | None,
            _common(
                "Folder of all artifacts; .thinkrec if not given.",
                "--store",
                metavar="DIR",
                envvar="THINKREC_STORE",
            ),
        ],
        None,
    ),
    parameter(
        "common_json", Annotated[bool, _common("Print the result as JSON.", "--json")], False
    ),
    parameter(
        "common_quiet",
        Annotated[bool, _common("No progress, only errors.", "--quiet", "-q")],
        False,
    ),
    parameter(
        "common_verbose",
        Annotated[bool, _common("Say everything, also what libraries say.", "--verbose", "-v")],
        False,
    ),
)


def begin_session(ctx: typer.Context, values: dict[str, Any]) -> Session:
    """Take the common options out of a command's values and start its session."""
    later = Switches(
        # The environment variable must not win over `thinkrec --store DIR command`.
        store=values.pop("common_store") if given(ctx, "common_store") else None,
        as_json=values.pop("common_json"),
        quiet=values.pop("common_quiet"),
        verbose=values.pop("common_verbose"),
    )
    values.pop("common_store", None)
    return Session.begin(ctx, later)


def given(ctx: typer.Context, name: str) -> bool:
    """Whether the user typed this parameter, rather than getting its default."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def command_function(
    name: str,
    parameters: list[inspect.Parameter],
    body: Callable[[typer.Context, dict[str, Any]], None],
) -> Callable[..., None]:
    """Return a function of these parameters and the common ones, for Typer to make a command of."""

    def command(ctx: typer.Context, **values: Any) -> None:
        body(ctx, values)

    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    command.__name__ = name
    command.__annotations__ = {}
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [context, *parameters, *COMMON_PARAMETERS]
    )
    return command


def with_session(function: Callable[..., None]) -> Callable[..., None]:
    """Turn `function(session, ...)` into a command that takes the common options too."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    def body(ctx: typer.Context, values: dict[str, Any]) -> None:
        session = begin_session(ctx, values)
        function(session, **values)

    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    return command_function(function.__name__, keywords, body)


def as_list(value: Any) -> list[str]:
    """Return what an option gave as a list: nothing, one word, or several."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def typed(values: Mapping[str, Any], ctx: typer.Context, prefix: str) -> dict[str, Any]:
    """Return the values that were typed and whose name begins with the prefix, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix) and given(ctx, name)
    }
