"""Recipes: a pipeline declared in one TOML file, checked as a whole before anything runs.

A recipe names steps; a step names a command, settings of it, and where its inputs come from:

    [step.data]
    command = "ingest"
    source = "ml-100k"

    [step.groups]
    command = "cluster"
    encoder = "sasrec"      # another step, or a reference such as "encoder/mf@2"

An input nobody names comes from the one earlier step that makes a fitting artifact. Keys make a
recipe resumable: a step whose work was done before is a hit, whoever did it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from artifacts.errors import StoreError
from artifacts.keys import check_name
from core.config.base import Config, with_underscores
from core.config.toml import read_toml
from core.errors import RecipeError
from core.stages.base import Stage
from core.stages.commands import STAGE_COMMANDS, load_stage
from core.stages.overrides import apply_override, unknown
from core.stages.recipe_inputs import settle_inputs

_SHIPPED = Path(__file__).parents[2] / "recipes"
_TOP_KEYS = {"name", "about", "settings", "step", "next"}
_STEP_KEYS = {"command", "artifact", "after"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a recipe with its settings and the origin of its inputs."""

    id: str
    stage: Stage[Any]
    config: Config
    inputs: Mapping[str, tuple[str, ...]]
    """Input name -> step ids, references or "none"; a missing one takes the stage's default."""
    after: tuple[str, ...] = ()
    artifact: str | None = None
    """Name of the artifact; the stage's own if None."""
    own: frozenset[str] = frozenset()
    """Settings that the step itself has, which those of [settings] do not change."""
    copy_of: str | None = None
    """Id in the file, where the step is one of several that differ in their seeds."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A checked pipeline; the steps stand in an order in which they can run."""

    name: str
    about: str
    steps: tuple[Step, ...]
    next: tuple[str, ...] = ()
    """Commands to suggest when all is done."""

    def meant(self, step_id: str) -> list[str]:
        """Return the steps that an id means: one, or all copies of one. Raises: RecipeError if there is none."""
        found = [step.id for step in self.steps if step_id in (step.id, step.copy_of)]
        if not found:
            raise unknown("recipe", "step", step_id, [step.id for step in self.steps])
        return found

    def needed_for(self, step_ids: Iterable[str]) -> set[str]:
        """Return steps and all they depend on."""
        by_id = {step.id: step for step in self.steps}
        found: set[str] = set()
        queue = list(step_ids)
        while queue:
            current = queue.pop()
            if current not in found:
                found.add(current)
                queue += self.depends_on(by_id[current])
        return found

    def depends_on(self, step: Step) -> list[str]:
        """Return the ids of the steps that must be done before a step."""
        return _depends_on(step, self.steps)


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with the program, by the names that stand for them: quickstart, ml-1m/table."""
    return {
        path.relative_to(_SHIPPED).with_suffix("").as_posix(): path
        for path in sorted(_SHIPPED.rglob("*.toml"))
    }


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: the TOML file; where there is none, the name of a recipe that comes with the program.
        overrides: settings to change, each `step.key=value` with a TOML value (or a bare word).
    Raises: MissingFileError, EncodingError, RecipeError, UnknownKeyError, ConfigError.
    """
    if not path.is_file():
        path = shipped_recipes().get(path.as_posix(), path)
    if path.is_dir():
        raise RecipeError(f"{path} is a folder, not a recipe", hint=_recipes_beside(path / "x"))
    content = read_toml(path, what="recipe", missing=_recipes_beside(path), broken=RecipeError)
    for override in overrides:
        apply_override(content, override)
    return read_recipe(content, where=path.name)


def read_recipe(content: Mapping[str, Any], *, where: str) -> Recipe:
    """Check a recipe that was read from TOML; see load_recipe."""
    for key in content:
        if key not in _TOP_KEYS:
            raise unknown(where, "key", key, _TOP_KEYS)
    tables = content.get("step") or {}
    if (
        not isinstance(tables, dict)
        or not all(isinstance(t, dict) for t in tables.values())
        or not tables
    ):
        raise RecipeError(
            f"{where} has no steps", hint='Give at least one: [step.data], command = "ingest".'
        )
    settings, suggested = content.get("settings", {}), content.get("next", [])
    if not isinstance(settings, dict):
        raise RecipeError(
            f"{where}: settings = {settings!r} is no table",
            hint="Write [settings], and below it one setting a line: seed = 0.",
        )
    if not isinstance(suggested, list) or not all(isinstance(line, str) for line in suggested):
        raise RecipeError(
            f"{where}: next = {suggested!r} is no list of commands",
            hint='Put them into brackets: next = ["thinkrec list"].',
        )
    shared = _shared_settings(where, settings, tables)
    steps = [
        _read_step(f"{where} [step.{step_id}]", step_id, table, shared)
        for step_id, table in tables.items()
    ]
    steps = settle_inputs(where, steps)
    return Recipe(
        name=str(content.get("name", where)),
        about=str(content.get("about", "")),
        steps=tuple(_in_order(where, steps)),
        next=tuple(suggested),
    )


def _shared_settings(
    where: str, settings: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return [settings] with underscores; each must be a setting of at least one step."""
    known: set[str] = set()
    for table in tables.values():
        if table.get("command") in STAGE_COMMANDS:
            known |= {f.name for f in fields(load_stage(table["command"]).config)}
    shared = with_underscores(settings, where=f"{where} [settings]")
    for key in shared:
        if key not in known:
            raise unknown(f"{where} [settings]", "setting", key, known)
    return shared


def _read_step(
    where: str, step_id: str, table: Mapping[str, Any], shared: Mapping[str, Any]
) -> Step:
    command = table.get("command")
    if command not in STAGE_COMMANDS:
        if command is None:
            raise RecipeError(
                f"{where} has no command", hint=f"Use one of {', '.join(STAGE_COMMANDS)}."
            )
        raise unknown(where, "command", str(command), STAGE_COMMANDS)
    stage = load_stage(command)
    own = {f.name for f in fields(stage.config)}
    settings = {key: value for key, value in shared.items() if key in own}
    inputs: dict[str, tuple[str, ...]] = {}
    said = with_underscores(table, where=where)
    for key, value in said.items():
        if key in stage.inputs:
            inputs[key] = _origins(where, key, value)
        elif key in own:
            settings[key] = value
        elif key not in _STEP_KEYS:
            raise unknown(where, "key", key, own | set(stage.inputs) | _STEP_KEYS)
    return Step(
        id=step_id,
        stage=stage,
        config=stage.config.from_mapping(settings, where=where),
        inputs=inputs,
        after=_origins(where, "after", table.get("after", [])),
        artifact=_artifact_name(where, table.get("artifact")),
        own=frozenset(own & said.keys()),
    )


def _artifact_name(where: str, name: Any) -> str | None:
    """Return the name of a step's artifact if the store will take it. Raises: RecipeError."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise RecipeError(
            f"{where}: artifact = {name!r} is not a text in quotes",
            hint='Give a name: artifact = "films".',
        )
    try:
        return check_name(name)
    except StoreError as problem:
        raise RecipeError(f"{where}: artifact = {problem}", hint=problem.hint) from problem


def _origins(where: str, key: str, value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise RecipeError(
            f"{where}: {key} = {value!r} names no step",
            hint='Give a step ("data") or a list of steps.',
        )
    return tuple(values)


def _depends_on(step: Step, steps: Sequence[Step]) -> list[str]:
    ids = {other.id for other in steps}
    named = [origin for origins in step.inputs.values() for origin in origins]
    return [origin for origin in dict.fromkeys([*named, *step.after]) if origin in ids]


def _in_order(where: str, steps: Sequence[Step]) -> list[Step]:
    """Sort so that every step stands after those it needs, else in the order of the file."""
    ordered: list[Step] = []
    waiting = list(steps)
    while waiting:
        done = {step.id for step in ordered}
        ready = next((s for s in waiting if set(_depends_on(s, steps)) <= done), None)
        if ready is None:
            names = ", ".join(step.id for step in waiting)
            raise RecipeError(
                f"{where}: steps wait for each other: {names}",
                hint="Remove one of the inputs or `after` entries that close the circle.",
            )
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _recipes_beside(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path()
    there = sorted(str(p) for p in folder.glob("*.toml") if p.name != "pyproject.toml")
    beside = f"There is {', '.join(there[:5])}. " if there else ""
    shipped = shipped_recipes()
    near = get_close_matches(path.with_suffix("").as_posix(), shipped, n=3) or list(shipped)
    return f"{beside}Name a TOML file, or a recipe of the program: {', '.join(near)}."
