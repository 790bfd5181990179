"""The pages of a recipe: its plan before, its results after."""

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.stages.names import printable
from thinkrec_cli.pages.evaluation import render_evaluation, show_report
from thinkrec_cli.pages.explain import read_explanation, render_explanation
from thinkrec_cli.progress import duration
from thinkrec_cli.words import byte_size

if TYPE_CHECKING:
    from artifacts.store import Store
    from core.stages.recipe import Recipe
    from core.stages.recipe_run import StepOutcome, StepState

STATE_STYLES = {"cached": "green", "to run": "yellow", "waits": "dim"}


def show_plan(target: Console, recipe: "Recipe", states: "Sequence[StepState]") -> None:
    """Write the steps in order, and which of them are there already."""
    if recipe.about:
        target.print(Text(recipe.about, "bold"), soft_wrap=True)
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("step", "command", "state", "key", "inputs"):
        table.add_column(column, no_wrap=column != "inputs", overflow="fold")
    for state in states:
        step = state.step
        inputs = [o for origins in step.inputs.values() for o in origins if o != "none"]
        table.add_row(
            step.id,
            step.stage.command,
            Text(state.state, STATE_STYLES[state.state]),
            Text((state.key or "")[:12], "dim"),
            Text(" ".join(dict.fromkeys(inputs)), "dim"),
        )
    target.print(table)
    counts = {name: sum(s.state == name for s in states) for name in STATE_STYLES}
    target.print(
        Text(
            f"{counts['cached']} cached, {counts['to run']} to run, "
            f"{counts['waits']} wait for their inputs",
            "dim",
        )
    )


def show_end(
    target: Console, store: "Store", recipe: "Recipe", outcomes: "Sequence[StepOutcome]"
) -> None:
    """Write tables of evaluations, pages of explanations, the size of the store, what to try."""
    for done in outcomes:
        if done.outcome.artifact.kind == "evaluation":
            target.print()
            render_evaluation(target, done.outcome.artifact)
            show_report(target, done.outcome.artifact)
    for done in outcomes:
        if done.outcome.artifact.kind == "explanation":
            render_explanation(target, read_explanation(done.outcome.artifact))
    seconds = sum(done.seconds for done in outcomes)
    cached = sum(done.outcome.hit for done in outcomes)
    target.print(
        Text(
            f"{len(outcomes)} {'step' if len(outcomes) == 1 else 'steps'} in {duration(seconds)}, {cached} cached; "
            f"store {store.root}: {byte_size(store.usage())}"
        ),
        soft_wrap=True,
    )
    # What to try next needs all of it.
    whole = len(outcomes) == len(recipe.steps)
    for position, line in enumerate(_suggestions(recipe, outcomes) if whole else ()):
        lead = "next  " if position == 0 else "      "
        target.print(Text(lead, "bold").append(line, "cyan"), soft_wrap=True)


def _suggestions(recipe: "Recipe", outcomes: "Sequence[StepOutcome]") -> list[str]:
    """Return what to try next, with ids of the data in place of the words USER and ITEM."""
    from core.stages.recipe_run import pair_to_try

    pair = pair_to_try(outcomes) if any("USER" in line for line in recipe.next) else None
    if pair is None:
        return list(recipe.next)
    ids = dict(zip(("USER", "ITEM"), (shlex.quote(printable(one)) for one in pair), strict=True))
    return [re.sub(r"\b(USER|ITEM)\b", lambda word: ids[word[0]], line) for line in recipe.next]


def plan_json(states: "Sequence[StepState]") -> list[dict[str, Any]]:
    """Return the plan for programs."""
    return [
        {
            "step": state.step.id,
            "command": state.step.stage.command,
            "state": state.state,
            "key": state.key,
            "reference": state.artifact.reference if state.artifact else None,
        }
        for state in states
    ]


def outcomes_json(outcomes: "Sequence[StepOutcome]") -> list[dict[str, Any]]:
    """Return what every step gave, for programs."""
    return [
        {
            "step": done.step.id,
            "command": done.step.stage.command,
            "reference": done.outcome.artifact.reference,
            "hit": done.outcome.hit,
            "seconds": round(done.seconds, 3),
        }
        for done in outcomes
    ]
