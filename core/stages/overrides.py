"""What `run --set` changes in a recipe before it is read."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from core.config.base import suggestion
from core.errors import RecipeError
from core.stages.commands import STAGE_COMMANDS, load_stage

if TYPE_CHECKING:
    from core.stages.recipe import Step

EVERY = "*"
SHARED = "settings"


def apply_override(content: dict[str, Any], override: str) -> None:
    """Change a recipe's content by one step.key=value, settings.key=value, or *.key=value for every step that has it.

    Raises: RecipeError if it names nothing that is there, or changes nothing.
    """
    target, equals, raw = override.partition("=")
    step_id, dot, key = target.strip().partition(".")
    key = key.replace("-", "_")
    if not (equals and dot and key):
        raise RecipeError(
            f"'{override}' changes nothing",
            hint="Write it as step.key=value, e.g. sasrec.epochs=5, or *.key=value for every step that has it.",
        )
    tables = content.get("step")
    if not isinstance(tables, dict):
        return  # there is nothing to change, and read_recipe refuses it
    if step_id == EVERY:
        having = [table for table in tables.values() if key in _settings_of(table)]
        if not having:
            known = {name for table in tables.values() for name in _settings_of(table)}
            raise unknown(f"--set {override}", "setting", key, known)
        for table in having:
            _put(table, key, raw, is_text=_is_text(table, key))
        return
    table = tables.get(step_id)
    takers: list[Any] = [table]
    if table is None and step_id == SHARED:
        _require_effect(tables, key, override)
        table = content.setdefault(SHARED, {})
        takers = [step for step in tables.values() if key in _settings_of(step)]
    if not isinstance(table, dict):
        raise unknown(f"--set {override}", "step", step_id, tables)
    _put(table, key, raw, is_text=any(_is_text(taker, key) for taker in takers))


def idle_changes(overrides: Iterable[str], steps: "Sequence[Step]") -> list[str]:
    """Return which changes, as step.key, the other settings leave without effect in every step that has the setting.

    Args:
        overrides: as apply_override took them.
        steps: those of the recipe that was read afterwards.
    """
    idle = set()
    for override in overrides:
        target = override.partition("=")[0].strip()
        step_id, _, word = target.partition(".")
        key = word.replace("-", "_")
        named = [step for step in steps if step.id == step_id]
        meant = steps if step_id in (EVERY, SHARED) and not named else named
        having = [s for s in meant if key in {field.name for field in fields(s.config)}]
        shared = step_id == SHARED and not named
        if having and all(s.config.is_idle(key) or (shared and key in s.own) for s in having):
            idle.add(target)
    return sorted(idle)


def _require_effect(tables: Mapping[str, Any], key: str, override: str) -> None:
    """Refuse a shared setting that no step would take. Raises: RecipeError."""
    having = {name: table for name, table in tables.items() if key in _settings_of(table)}
    if having and all(key in {k.replace("-", "_") for k in table} for table in having.values()):
        raise RecipeError(
            f"--set {override} changes nothing: {', '.join(having)} have {key} of their own",
            hint=f"Change it there: --set {next(iter(having))}.{key}=..., or for every step: --set '*.{key}=...'",
        )


def _put(table: dict[str, Any], key: str, raw: str, *, is_text: bool) -> None:
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except (ValueError, RecursionError):  # TOML's own error among them
        value = raw.strip()  # a bare word
    if is_text and not isinstance(value, (str, list)):  # an input may be several
        value = raw.strip()  # an id or a date, which the shell took out of its quotes
    spelled = {existing.replace("-", "_"): existing for existing in table}
    table[spelled.get(key, key)] = value


def _settings_of(table: Any) -> Mapping[str, Any]:
    """Return the settings of a step's command with their types; none where the command is none."""
    command = table.get("command") if isinstance(table, dict) else None
    return get_type_hints(load_stage(command).config) if command in STAGE_COMMANDS else {}


def _is_text(table: Mapping[str, Any], key: str) -> bool:
    """Return whether what a step says there is a text and nothing else: a setting, an input, or its name."""
    command = table.get("command")
    if key == "artifact" or (command in STAGE_COMMANDS and key in load_stage(command).inputs):
        return True
    wanted = _settings_of(table).get(key)
    return wanted is not None and set(get_args(wanted) or (wanted,)) <= {str, NoneType}


def unknown(where: str, what: str, word: str, known: Any) -> RecipeError:
    """Return what to raise for a word that is none of those known."""
    near = suggestion(word, known)
    hint = f"Did you mean '{near}'?" if near else f"Known: {', '.join(sorted(known))}."
    return RecipeError(f"{where}: unknown {what} '{word}'", hint=hint)
