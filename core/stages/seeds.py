"""A recipe with several seeds: what depends on the seed is done with each, and every evaluation measures all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.errors import RecipeError
from core.stages.recipe import Recipe, Step

_GATHERS = "evaluation"
"""Kind of the steps that stay one. Their own seed draws users: all that they compare is measured on the same draws."""


def with_seeds(recipe: Recipe, seeds: Sequence[int]) -> Recipe:
    """Return the recipe with these seeds in place of its own.

    With one seed all steps stay as they are but for it. With several, a step that its seed changes, and whatever needs
    such a step, stands once per seed: `sasrec` becomes `sasrec.seed-0`, `sasrec.seed-1`, and both make versions of the
    same artifact. An evaluation takes all of them where it takes many, and those of the first seed where it takes one.
    A step that sets a seed itself keeps it, and so does an evaluation.

    Raises: RecipeError for a seed that is given twice, and where it would change no step; ConfigError for a number
        that is no seed.
    """
    for seed in seeds:
        if seeds.count(seed) > 1:
            raise RecipeError(f"seed {seed} is given twice", hint="Give every seed once.")
    _require_effect(recipe)
    copies: dict[str, list[str]] = {}
    steps: list[Step] = []
    for step in recipe.steps:
        needed = recipe.depends_on(step)
        varied = step.stage.kind != _GATHERS and (
            _is_changed(step) or any(len(copies[one]) > 1 for one in needed)
        )
        made = (
            [_with_seed(step, seed, place, copies) for place, seed in enumerate(seeds)]
            if varied
            else [_gathering(step, copies)]
        )
        if len(made) > 1:
            made = [
                replace(one, id=f"{step.id}.seed-{seed}", copy_of=step.id)
                for one, seed in zip(made, seeds, strict=True)
            ]
        copies[step.id] = [one.id for one in made]
        steps += made
    return replace(recipe, steps=tuple(steps))


def _require_effect(recipe: Recipe) -> None:
    """Refuse seeds that would change nothing: the run would be the same without them. Raises: RecipeError."""
    steps = [step for step in recipe.steps if step.stage.kind != _GATHERS]
    if any(_is_changed(step) for step in steps):
        return
    if own := [step.id for step in steps if "seed" in step.config.parameters()]:
        raise RecipeError(
            f"{recipe.name}: --seed changes no step: {', '.join(own)} set their own",
            hint=f"Change it there: --set {own[0]}.seed=..., or for every step: --set '*.seed=...'",
        )
    raise RecipeError(f"{recipe.name}: no step depends on a seed", hint="Run it without --seed.")


def _with_seed(step: Step, seed: int, place: int, copies: Mapping[str, Sequence[str]]) -> Step:
    """Return a step with a seed, and with what was made with that seed."""

    def own(origin: str) -> str:
        made = copies.get(origin, [origin])
        return made[place] if len(made) > 1 else made[0]

    changed = {"seed": seed} if _is_changed(step) else {}
    return replace(
        step,
        config=replace(step.config, **changed),
        inputs={name: tuple(map(own, origins)) for name, origins in step.inputs.items()},
        after=tuple(map(own, step.after)),
    )


def _is_changed(step: Step) -> bool:
    """Return whether another seed changes what a step makes."""
    return "seed" in step.config.parameters() and "seed" not in step.own


def _gathering(step: Step, copies: Mapping[str, Sequence[str]]) -> Step:
    """Return a step that no seed changes, with all that its inputs became."""
    inputs = {}
    for name, origins in step.inputs.items():
        made = [one for origin in origins for one in copies.get(origin, [origin])]
        inputs[name] = tuple(made if step.stage.inputs[name].many else made[:1])
    after = tuple(one for origin in step.after for one in copies.get(origin, [origin]))
    return replace(step, inputs=inputs, after=after)
