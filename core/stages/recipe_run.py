"""Plan a recipe against the store, and run it step by step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from artifacts.store import Artifact
from core.errors import RecipeError
from core.stages.base import Context, Outcome, Plan, ancestor, plan_stage, run_plan
from core.stages.recipe import Recipe, Step

State = Literal["cached", "to run", "waits"]


@dataclass(frozen=True, kw_only=True)
class StepState:
    """What a step would do now."""

    step: Step
    state: State
    key: str | None = None
    """Known as soon as all inputs are there."""
    artifact: Artifact | None = None


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What a step gave."""

    step: Step
    outcome: Outcome
    seconds: float


def plan_recipe(
    context: Context, recipe: Recipe, *, only: Sequence[str] = (), until: Sequence[str] = ()
) -> list[StepState]:
    """Look up what is there, without computing anything; see run_recipe for the arguments."""
    made: dict[str, Artifact] = {}
    states = []
    for step in _chosen(recipe, only, until):
        if any(name not in made for name in recipe.depends_on(step)):
            states.append(StepState(step=step, state="waits"))
            continue
        plan = _plan_step(context, recipe, step, made)
        again = context.force and (not only or step.id in only)
        found = None if again else context.store.find(step.stage.kind, plan.key)
        if found:
            made[step.id] = found
        state: State = "cached" if found else "to run"
        states.append(StepState(step=step, state=state, key=plan.key, artifact=found))
    return states


def run_recipe(
    context: Context,
    recipe: Recipe,
    *,
    only: Sequence[str] = (),
    until: Sequence[str] = (),
    starting: Callable[[Step], None] = lambda step: None,
) -> Iterator[StepOutcome]:
    """Run the steps in order and yield what each gave; work that was done before is not done again.

    Args:
        only: steps to run; what they need must have been made before.
        until: steps to reach; steps they do not need are left out.
        starting: called before a step.
    Raises: RecipeError, or whatever a step raises, with a note that names the step.
    """
    made: dict[str, Artifact] = {}
    for step in _chosen(recipe, only, until):
        started = perf_counter()
        try:
            plan = _plan_step(context, recipe, step, made)
            if only and step.id not in only:
                made[step.id] = _done_before(context, step, plan)
                continue
            starting(step)
            outcome = run_plan(context, plan)
        except Exception as problem:
            problem.add_note(f"in step '{step.id}' ({step.stage.command}) of recipe {recipe.name}")
            raise
        made[step.id] = outcome.artifact
        yield StepOutcome(step=step, outcome=outcome, seconds=perf_counter() - started)


def _chosen(recipe: Recipe, only: Sequence[str], until: Sequence[str]) -> list[Step]:
    """Return the steps asked for and all they need. Raises: RecipeError for an unknown id, or both ways to choose."""
    if only and until:
        raise RecipeError(
            "--only and --until choose steps in two ways",
            hint="Use one of them: --only runs just that step, --until also what it needs.",
        )
    goals = only or until
    if not goals:
        return list(recipe.steps)
    wanted = set().union(*(recipe.needed_for(goal) for goal in goals))
    return [step for step in recipe.steps if step.id in wanted]


def _done_before(context: Context, step: Step, plan: Plan) -> Artifact:
    if found := context.store.find(step.stage.kind, plan.key):
        return context.store.name_object(found, plan.name)
    raise RecipeError(
        f"step '{step.id}' was not run yet, and the steps you chose need it",
        hint=f"Add --only {step.id}, or leave --only out.",
    )


def _plan_step(context: Context, recipe: Recipe, step: Step, made: Mapping[str, Artifact]) -> Plan:
    ids = {other.id for other in recipe.steps}
    references = {
        name: [made[origin].reference if origin in ids else origin for origin in origins]
        for name, origins in step.inputs.items()
    }
    references |= _from_ancestors(context, step, references)
    return plan_stage(context, step.stage, step.config, references=references, name=step.artifact)


def _from_ancestors(
    context: Context, step: Step, references: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Settle optional inputs that come from an ancestor of another input: that one, or none.

    Without this the stage would take the latest that lies in the store, and the step's key would
    depend on what else was done there.
    """
    found = {}
    for name, wanted in step.stage.inputs.items():
        if wanted.required or not wanted.through or name in references:
            continue
        child = next(iter(references.get(wanted.through, ())), "none")
        parent = None
        if child != "none":
            parent = ancestor(
                context.store, context.store.resolve(child), wanted.kinds[0], wanted.fits
            )
        found[name] = [parent.reference if parent else "none"]
    return found
