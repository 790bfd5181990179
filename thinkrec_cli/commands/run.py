"""`thinkrec run`: a whole pipeline from a recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import RecipeError
from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.pipes import pass_on
from thinkrec_cli.session import Session

if TYPE_CHECKING:
    from core.stages.recipe import Recipe
    from core.stages.recipe_run import StepOutcome

DETAILS = """
Checks the whole recipe first, says which steps are cached, then runs the others. After a failure,
Ctrl-C or a kill the same command continues where it stopped; with --force it begins anew, and without it
it goes on with what was made. RECIPE is a file, or the name of a recipe
that comes with the program: quickstart, your-ratings, ml-1m/table and the others that --list names.
With several seeds the report tells how far every figure depends on them.
"""
EXAMPLES = (
    "thinkrec run quickstart",
    "thinkrec run quickstart --dry-run",
    "thinkrec run quickstart --set global.train_rows=500 --until global-scores",
    "thinkrec run quickstart --until evaluation --seed 0 --seed 1",
)


def _print_recipes(session: Session) -> None:
    from core.stages.recipe import load_recipe, shipped_recipes

    found = {name: load_recipe(path).about for name, path in shipped_recipes().items()}
    if session.as_json:
        console.out_json([{"name": name, "about": about} for name, about in found.items()])
        return
    width = max(map(len, found))
    for name, about in found.items():
        console.out(f"{name:{width}}  {about}")


@with_session
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    session: Session,
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECIPE", help="A TOML file of steps, or a name.", show_default=False
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="STEP.KEY=VALUE", help="Change a setting; repeatable."),
    ] = None,
    until: Annotated[
        list[str] | None,
        typer.Option("--until", metavar="STEP", help="Only what this step needs; repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="STEP", help="Only this step; others must be done."),
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seed",
            min=0,
            max=2**32 - 1,
            help="Seed of the steps that set none themselves; repeatable: what it changes is done with each, and "
            "evaluations measure all.",
        ),
    ] = None,
    listing: Annotated[
        bool,
        typer.Option("--list", help="List the recipes that come with the program and stop."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do the steps again if done.")] = False,
) -> None:
    """Run a whole pipeline from a recipe."""
    from core.stages.overrides import idle_changes
    from core.stages.recipe import load_recipe
    from core.stages.recipe_run import plan_recipe, run_recipe
    from thinkrec_cli.pages import pipeline

    if listing:
        _print_recipes(session)
        return
    if recipe is None:
        raise RecipeError("no recipe was named", hint="thinkrec run --list says which there are.")
    pipe = load_recipe(recipe, changes or ())
    if idle := idle_changes(changes or (), pipe.steps):
        session.say(f"without effect here: {', '.join(idle)}")
    if seeds:
        from core.stages.seeds import with_seeds

        pipe = with_seeds(pipe, seeds)
    if dry_run:
        with session.looking(force=force) as context:
            states = plan_recipe(context, pipe, only=only or (), until=until or ())
        if session.as_json:
            console.out_json(pipeline.plan_json(states))
        else:
            pipeline.show_plan(console.results(), pipe, states)
        return
    with session.context(force=force) as context:
        states = plan_recipe(context, pipe, only=only or (), until=until or ())
        if not session.switches.quiet:
            pipeline.show_plan(console.errors(), pipe, states)
        outcomes = []
        for done in run_recipe(
            context,
            pipe,
            only=only or (),
            until=until or (),
            starting=lambda step: session.say(f"── {step.id} ({step.stage.command})"),
        ):
            outcomes.append(done)
            if force:  # the next time it would be made once more, and all that comes from it
                session.goes_on = "the same command without --force goes on with what was made"
            _tell(session, done)
    _finish(session, pipe, outcomes)


def _tell(session: Session, done: "StepOutcome") -> None:
    """Report a finished step, and show it to other programs already."""
    from thinkrec_cli.progress import duration

    state = "cached" if done.outcome.hit else f"made in {duration(done.seconds)}"
    artifact = done.outcome.artifact
    latest = session.store.latest(artifact) if done.outcome.hit else artifact
    newer = "" if latest.object_id == artifact.object_id else f" (the latest is {latest.reference})"
    session.say(f"   {artifact.reference} {state}{newer}")
    if not session.as_json:
        pass_on([done.outcome.artifact.reference])
    if not done.outcome.hit:
        session.export_catalog()


def _finish(session: Session, pipe: "Recipe", outcomes: "list[StepOutcome]") -> None:
    from thinkrec_cli.pages import pipeline

    if session.as_json:
        console.out_json(pipeline.outcomes_json(outcomes))
        return
    if not session.switches.quiet:
        pipeline.show_end(console.errors(), session.store, pipe, outcomes)
