"""Plan a recipe against the store, and run it step by step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from artifacts.store import Artifact
from core.errors import RecipeError
from core.stages.base import Context, Outcome, Plan, Unnamed, plan_stage, run_plan
from core.stages.recipe import Recipe, Step

State = Literal["cached", "to run", "waits"]


@dataclass(frozen=True, kw_only=True)
class StepState:
    """What a step would do now."""

    step: Step
    state: State
    key: str | None = None
    """Known as soon as all inputs are there, and a base model that comes from the hub."""
    artifact: Artifact | None = None


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What a step gave."""

    step: Step
    outcome: Outcome
    seconds: float


def pair_to_try(outcomes: Sequence[StepOutcome]) -> tuple[str, str] | None:
    """Return user and item of the last test row that training knows both of; None without data or such a row."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    data = [done.outcome.artifact for done in outcomes if done.outcome.artifact.kind == "dataset"]
    if not data:
        return None
    file = pq.ParquetFile(data[0].file("interactions.parquet"))
    for group in reversed(range(file.num_row_groups)):
        rows = file.read_row_group(group, columns=["user", "item", "split", "warm"])
        fitting = rows.filter(pc.and_(pc.equal(rows["split"], "test"), rows["warm"]))
        if len(fitting):
            (row,) = fitting.slice(len(fitting) - 1).to_pylist()
            return row["user"], row["item"]
    return None


def plan_recipe(
    context: Context, recipe: Recipe, *, only: Sequence[str] = (), until: Sequence[str] = ()
) -> list[StepState]:
    """Look up what is there, without computing or downloading anything; see run_recipe for the arguments.

    Raises: RecipeError, or what a step raises whose reference, file or base model is not there, with its name.
    """
    made: dict[str, Artifact] = {}
    states = []
    steps, only = _chosen(recipe, only, until)
    for step in steps:
        waits = any(name not in made for name in recipe.depends_on(step))
        if waits or _has_to_download(step):
            with _named(recipe, step):
                _look_outside(context, recipe, step)
            states.append(StepState(step=step, state="waits" if waits else "to run"))
            continue
        with _named(recipe, step):
            plan = _plan_step(context, recipe, step, made)
            if only and step.id not in only:
                found: Artifact | None = _done_before(context, step, plan)
            else:
                found = None if context.force else context.store.find(step.stage.kind, plan.key)
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
    steps, only = _chosen(recipe, only, until)
    for step in steps:
        started = perf_counter()
        with _named(recipe, step):
            plan = _plan_step(context, recipe, step, made)
            if only and step.id not in only:
                found = _done_before(context, step, plan)
                made[step.id] = context.store.name_object(found, plan.name)
                continue
            starting(step)
            outcome = run_plan(context, plan)
        made[step.id] = outcome.artifact
        yield StepOutcome(step=step, outcome=outcome, seconds=perf_counter() - started)


@contextmanager
def _named(recipe: Recipe, step: Step) -> Iterator[None]:
    """Let what a step raises say of which step it is."""
    try:
        yield
    except Exception as problem:
        problem.add_note(f"in step '{step.id}' ({step.stage.command}) of recipe {recipe.name}")
        raise


def _look_outside(context: Context, recipe: Recipe, step: Step) -> None:
    """Look up what a step that cannot be planned yet takes from outside of the recipe, so that it does not fail late.

    Raises: ArtifactNotFound, AmbiguousReference, MissingFileError, ModelFolderError.
    """
    ids = {other.id for other in recipe.steps}
    for name, origins in step.inputs.items():
        for origin in origins:
            if origin not in ids and origin != "none":
                context.store.resolve(origin, kinds=step.stage.inputs[name].kinds)
    if not _has_to_download(step):
        step.stage.resources(step.config)


def _has_to_download(step: Step) -> bool:
    """Return whether the base model of a step is on the hub only: to tell the step's key it would be fetched."""
    settings = step.config.parameters()
    if settings.get("teacher", "local") != "local":
        return False  # its model stays where it is
    from core.llm.identity import is_hub_id

    spec = settings.get("base") or settings.get("model") or ""
    if not is_hub_id(spec):
        return False
    from huggingface_hub import try_to_load_from_cache

    return not isinstance(try_to_load_from_cache(spec, "config.json"), str)


def _chosen(
    recipe: Recipe, only: Sequence[str], until: Sequence[str]
) -> tuple[list[Step], list[str]]:
    """Return the steps asked for with all they need, and the ids of those to run alone.

    Raises: RecipeError for an unknown id, or both ways to choose.
    """
    if only and until:
        raise RecipeError(
            "--only and --until choose steps in two ways",
            hint="Use one of them: --only runs just that step, --until also what it needs.",
        )
    goals = [step_id for name in (only or until) for step_id in recipe.meant(name)]
    wanted = recipe.needed_for(goals or [step.id for step in recipe.steps])
    return [step for step in recipe.steps if step.id in wanted], goals if only else []


def _done_before(context: Context, step: Step, plan: Plan) -> Artifact:
    if found := context.store.find(step.stage.kind, plan.key):
        return found
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
    return plan_stage(
        context,
        step.stage,
        step.config,
        references=references,
        # Else the key would depend on what else was done in this store.
        unnamed=Unnamed(latest=False),
        name=step.artifact,
    )
