"""How the declaration of a stage becomes a command: an option per setting, an option per input."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from core.config.base import Config, literal_choices
from core.stages.base import Context, Input, Outcome, Plan, Stage
from thinkrec_cli import console
from thinkrec_cli.options import as_list, begin_session, command_function, parameter, typed
from thinkrec_cli.session import Session

INPUT_PANEL = "Inputs (default: the latest that fits)"
RUN_PANEL = "Artifact"


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a stage's command did, for whoever presents it."""

    context: Context
    outcome: Outcome
    seconds: float
    piped: Sequence[str]
    """References that came through the pipe."""
    extras: Mapping[str, Any]
    """Values of the command's own parameters that are no settings."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Where a command differs from what its stage declares."""

    positional: str | None = None
    """Setting that is an argument rather than an option."""
    references: bool = False
    """Whether references may be given as arguments; each serves the inputs of its kind."""
    extras: tuple[inspect.Parameter, ...] = ()
    present: Callable[[Session, Done], None] | None = None
    """Shows the artifact to a person, before the reference is printed; not called with --json."""
    act: Callable[[Session, Done], None] | None = None
    """Does something more with the artifact."""
    instead: Callable[[Context, Mapping[str, Any], Sequence[str]], Outcome | None] | None = None
    """Given what was typed and piped, may answer with an artifact that is there, so that nothing is run."""
    as_json: Callable[[Done], Any] | None = None
    """What --json prints instead of the facts about the artifact."""


def stage_command(stage: Stage[Any], shape: Shape | None = None) -> Callable[..., None]:
    """Return the command function of a stage."""
    shape = shape or Shape()
    parameters = [
        *_setting_parameters(stage, shape),
        *shape.extras,
        *(_input_parameter(name, wanted) for name, wanted in stage.inputs.items()),
        *_RUN_PARAMETERS,
    ]

    def body(ctx: typer.Context, values: dict[str, Any]) -> None:
        session = begin_session(ctx, values)
        _run(ctx, session, stage, shape, values)

    return command_function(stage.command, parameters, body)


def _run(
    ctx: typer.Context, session: Session, stage: Stage[Any], shape: Shape, values: dict[str, Any]
) -> None:
    from core.stages.base import Unnamed, plan_stage, run_plan
    from thinkrec_cli.pipes import read_piped_references

    settings = typed(values, ctx, "set_")
    config = _read_config(stage, values["run_config"], settings)
    _say_idle(session, config, settings)
    references = {
        name: as_list(values[f"input_{name}"])
        for name in stage.inputs
        if values[f"input_{name}"] is not None
    }
    words = read_piped_references()
    named = as_list(values.get("references"))
    started = perf_counter()
    # What takes an artifact finds none in a store that a typing error would make.
    makes_store = not any(wanted.required for wanted in stage.inputs.values())
    with session.context(force=values["run_force"], new=makes_store) as context:
        # In full: what is passed on means to the next command what it meant here.
        piped = [context.store.resolve(word).reference for word in words]
        named = _resolve_named(context, stage, named)
        chosen = {**settings, **references, **_run_choices(values)}
        outcome = (
            shape.instead(context, {**chosen, **values}, [*piped, *named])
            if shape.instead and not chosen
            else None
        )
        if outcome is None:
            plan = plan_stage(
                context,
                stage,
                config,
                references=references,
                unnamed=Unnamed(piped=piped, listed=named),
                name=values["run_name"],
            )
            if session.verbose:
                _say_plan(session, config, plan.inputs, plan.key)
            else:
                _say_taken(session, context, plan, {*references}, {*piped, *named})
            outcome = run_plan(context, plan)
        extras = {p.name: values[p.name] for p in shape.extras}
        done = Done(
            context=context,
            outcome=outcome,
            seconds=perf_counter() - started,
            piped=piped,
            extras=extras,
        )
        _finish(session, shape, done)


def _say_taken(
    session: Session, context: Context, plan: Plan, inputs: set[str], given: set[str]
) -> None:
    """Say what was taken unasked where it could have been another.

    Args:
        inputs: names of the inputs that the user named.
        given: references that he typed or piped without saying for which input.
    """
    store = context.store
    for name, wanted in plan.stage.inputs.items():
        taken = plan.inputs[name]
        if name in inputs or not wanted.required or not taken or taken[0].reference in given:
            continue
        if wanted.through and plan.inputs.get(wanted.through):
            latest = store.latest(taken[0])
            if latest.version > taken[0].version:
                through = plan.inputs[wanted.through][0]
                # An encoder cannot be asked about another data set.
                asked = hasattr(plan.config, "same_users") and through.kind != "encoder"
                session.say(
                    f"{name}: {taken[0].reference}, to which the {wanted.through} belongs; there is {latest.reference}"
                    + (
                        f": --{wanted.through} {through.reference} --{name} {latest.name} --same-users"
                        if asked
                        else ""
                    )
                )
            continue
        if len({(a.kind, a.name) for a in store.artifacts() if a.kind in wanted.kinds}) > 1:
            session.say(f"{name}: {taken[0].reference}, the latest that fits, for none was named")


def _say_idle(session: Session, config: Config, settings: Mapping[str, Any]) -> None:
    """Say which of the settings that were typed the others leave without effect."""
    idle = [
        _flags(field, type(settings[field.name]))[0].split("/")[0]
        for field in fields(config)
        if field.name in settings and config.is_idle(field.name)
    ]
    if idle:
        session.say(f"without effect here: {', '.join(sorted(idle))}")


def _run_choices(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said of how to run: a config file, a name, --force."""
    return {k: values[k] for k in ("run_config", "run_name", "run_force") if values.get(k)}


def _resolve_named(context: Context, stage: Stage[Any], named: Sequence[str]) -> list[str]:
    """Return references given as arguments in full. Raises: ArtifactNotFound if one serves no input."""
    kinds = list(dict.fromkeys(kind for wanted in stage.inputs.values() for kind in wanted.kinds))
    return [context.store.resolve(reference, kinds=kinds).reference for reference in named]


def _finish(session: Session, shape: Shape, done: Done) -> None:
    """Do and show what belongs to the artifact, and print its reference last."""
    from thinkrec_cli.pipes import pass_on

    artifact = done.outcome.artifact
    if done.outcome.hit:
        session.say(f"cached: {artifact.reference} was made before")
        latest = session.store.latest(artifact)
        if latest.object_id != artifact.object_id:
            session.say(
                f"the latest is {latest.reference}: say {artifact.reference} to use this one"
            )
    if shape.act:
        shape.act(session, done)
    if session.as_json:
        console.out_json(shape.as_json(done) if shape.as_json else facts(done))
        return
    if shape.present:
        shape.present(session, done)
    pass_on([*done.piped, artifact.reference])


def facts(done: Done) -> dict[str, Any]:
    """Return what is known of an artifact that was just made or found."""
    artifact = done.outcome.artifact
    return {
        "reference": artifact.reference,
        "kind": artifact.kind,
        "name": artifact.name,
        "version": artifact.version,
        "key": artifact.key,
        "hit": done.outcome.hit,
        "seconds": round(done.seconds, 3),
        "folder": str(artifact.folder),
        "summary": dict(artifact.summary),
    }


def _say_plan(
    session: Session, config: Config, inputs: Mapping[str, Sequence[Any]], key: str
) -> None:
    for name, artifacts in inputs.items():
        session.say(f"{name}: {', '.join(a.reference for a in artifacts) or 'none'}")
    for field in fields(config):
        session.say(f"{field.name} = {getattr(config, field.name)!r}")
    session.say(f"key: {key}")


def _read_config(stage: Stage[Any], file: Path | None, typed_values: dict[str, Any]) -> Config:
    """Merge the settings of a TOML file with those typed, which win."""
    from thinkrec_cli.settings_file import read_settings

    settings = read_settings(file, stage) if file else {}
    settings |= typed_values
    where = f"thinkrec {stage.command}" if file is None else f"{file}"
    config: Config = stage.config.from_mapping(settings, where=where)
    return config


_RUN_PARAMETERS = (
    parameter(
        "run_name",
        Annotated[
            str | None,
            typer.Option("--name", help="Name of the artifact.", rich_help_panel=RUN_PANEL),
        ],
        None,
    ),
    parameter(
        "run_force",
        Annotated[
            bool,
            typer.Option(
                "--force",
                help="Do the work again even if it was done; makes a new version.",
                rich_help_panel=RUN_PANEL,
            ),
        ],
        False,
    ),
    parameter(
        "run_config",
        Annotated[
            Path | None,
            typer.Option(
                "--config",
                metavar="FILE",
                help="Settings from a TOML file; what you type wins.",
                rich_help_panel=RUN_PANEL,
            ),
        ],
        None,
    ),
)


def _input_parameter(name: str, wanted: Input) -> inspect.Parameter:
    unasked = wanted.latest or wanted.through is not None
    optional = " 'none' leaves it out." if unasked else " Left out unless it is named."
    optional = "" if wanted.required else optional
    repeat = " May be given several times." if wanted.many else ""
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        metavar="REF",
        help=_plain(wanted.text.rstrip(".") + "." + repeat + optional),
        rich_help_panel=INPUT_PANEL,
    )
    kind = list[str] | None if wanted.many else str | None
    return parameter(f"input_{name}", Annotated[kind, option], None)


def _setting_parameters(stage: Stage[Any], shape: Shape) -> list[inspect.Parameter]:
    """Return one parameter per setting; those of the stage's own class come first."""
    hints = get_type_hints(stage.config)
    declared = {
        field.name: _declaring_class(stage.config, field.name) for field in fields(stage.config)
    }
    parameters = []
    if shape.references:
        parameters.append(_references_parameter())
    for field in sorted(fields(stage.config), key=lambda f: declared[f.name] is not stage.config):
        kind, default = _option_type(hints[field.name]), _default(field)
        text = _sentence(field.metadata["text"], literal_choices(hints[field.name]))
        name = f"set_{field.name}"
        if field.name == shape.positional:
            argument = typer.Argument(help=text, metavar=field.name.upper(), show_default=False)
            parameters.insert(0, parameter(name, Annotated[kind, argument], default))
            continue
        shown = {"help": text, "show_default": default != "", "rich_help_panel": None}
        if declared[field.name] is not stage.config:
            shown["rich_help_panel"] = (
                f"{declared[field.name].__name__.removesuffix('Config')} options"
            )
        option = typer.Option(*_flags(field, kind), **shown)
        parameters.append(parameter(name, Annotated[kind, option], default))
    return parameters


def _references_parameter() -> inspect.Parameter:
    argument = typer.Argument(metavar="[REF]...", help="Artifacts to work on.", show_default=False)
    return parameter("references", Annotated[list[str] | None, argument], None)


def _flags(field: Field[Any], kind: Any) -> list[str]:
    """Return the spellings of a setting's option."""
    long = f"--{field.name.replace('_', '-')}"
    flag = field.metadata.get("flag")
    spellings = flag.replace(",", " ").split() if flag else [long]
    if kind in (bool, bool | None):
        return [
            f"{s}/--no-{s[2:]}" if s.startswith("--") and "/" not in s else s for s in spellings
        ]
    return list(spellings)


def _default(field: Field[Any]) -> Any:
    default = field.default
    if default is MISSING:
        default = field.default_factory() if field.default_factory is not MISSING else None
    return list(default) if isinstance(default, tuple) else default


def _option_type(annotation: Any) -> Any:
    """Return the type Typer reads a setting as: a scalar, a Literal, or a list of them.

    Raises: TypeError for a type that no command line can spell; that is a mistake in the Config.
    """
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        # `int | str` (a number or a word such as "auto") is read as a word and converted below.
        return _option_type(parts[0] if len(parts) == 1 else str) | None
    if get_origin(annotation) in (list, tuple):
        return list[get_args(annotation)[0]] | None  # type: ignore[misc]
    if get_origin(annotation) is Literal or annotation in (bool, int, float, str, Path):
        return annotation
    raise TypeError(f"a setting of type {annotation} cannot be an option")


def _declaring_class(config: type[Config], name: str) -> type:
    """Return the class in which a setting was first declared."""
    return next(base for base in reversed(config.__mro__) if name in inspect.get_annotations(base))


def _sentence(text: str, choices: Sequence[Any]) -> str:
    """Return a help text as a sentence, whether or not it was written as one."""
    first = text.split(maxsplit=1)[0].strip(",:;")
    if first not in {*choices, "auto", "cpu"} and first.islower():
        text = text[0].upper() + text[1:]
    return _plain(text if text.endswith((".", ")", "]", "?")) else f"{text}.")


def _plain(text: str) -> str:
    """Keep rich from reading brackets in a help text as markup."""
    return text.replace("[", r"\[")
