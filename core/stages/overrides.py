"""What `run --set` changes in a recipe before it is read."""

import tomllib
from collections.abc import Mapping
from types import NoneType
from typing import Any, get_args, get_type_hints

from core.config.base import suggestion
from core.errors import RecipeError
from core.stages.commands import STAGE_COMMANDS, load_stage


def apply_override(content: dict[str, Any], override: str) -> None:
    """Change a recipe's content by one step.key=value. Raises: RecipeError if it names nothing that is there."""
    target, equals, raw = override.partition("=")
    step_id, dot, key = target.strip().partition(".")
    if not (equals and dot and key):
        raise RecipeError(
            f"'{override}' changes nothing",
            hint="Write it as step.key=value, e.g. sasrec.epochs=5, or settings.key=value for all steps.",
        )
    tables = content.get("step")
    if not isinstance(tables, dict):
        return  # there is nothing to change, and read_recipe refuses it
    table = tables.get(step_id)
    if table is None and step_id == "settings":
        table = content.setdefault("settings", {})
    if not isinstance(table, dict):
        raise unknown(f"--set {override}", "step", step_id, tables)
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw.strip()  # a bare word
    if not isinstance(value, str) and _is_text(table, key):
        value = raw.strip()  # an id or a date, which the shell took out of its quotes
    spelled = {existing.replace("-", "_"): existing for existing in table}
    table[spelled.get(key.replace("-", "_"), key)] = value


def _is_text(table: Mapping[str, Any], key: str) -> bool:
    """Return whether a setting of a step is a text and nothing else."""
    command = table.get("command")
    if command not in STAGE_COMMANDS:
        return False
    types = get_type_hints(load_stage(command).config)
    wanted = types.get(key.replace("-", "_"))
    return set(get_args(wanted) or (wanted,)) <= {str, NoneType}


def unknown(where: str, what: str, word: str, known: Any) -> RecipeError:
    """Return what to raise for a word that is none of those known."""
    near = suggestion(word, known)
    hint = f"Did you mean '{near}'?" if near else f"Known: {', '.join(sorted(known))}."
    return RecipeError(f"{where}: unknown {what} '{word}'", hint=hint)
