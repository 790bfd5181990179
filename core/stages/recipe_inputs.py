"""Where the inputs of a recipe's steps come from: named by the step, from an earlier step, or through another input."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.config.score import ScoreConfig
from core.errors import RecipeError
from core.stages.base import Input, Stage
from core.stages.overrides import unknown

if TYPE_CHECKING:
    from core.stages.recipe import Step


def settle_inputs(recipe: str, steps: "Sequence[Step]") -> "list[Step]":
    """Return the steps with every input checked, and the ones nobody named settled from the earlier steps.

    Raises: RecipeError.
    """
    by_id = {step.id: step for step in steps}
    settled = []
    for position, step in enumerate(steps):
        where = f"{recipe} [step.{step.id}]"
        for other in step.after:
            if other not in by_id:
                raise unknown(where, "step", other, by_id)
        inputs = dict(step.inputs)
        # Those that come through another input are settled after it.
        for name, wanted in sorted(
            step.stage.inputs.items(), key=lambda one: one[1].through is not None
        ):
            if name in inputs:
                _check_number(f"{where}: {name}", wanted, inputs[name])
                for origin in inputs[name]:
                    _check_origin(f"{where}: {name}", wanted, origin, by_id)
            elif wanted.unless and step.inputs.get(wanted.unless, ("none",)) != ("none",):
                continue  # left out by the stage itself
            elif _through(step.stage, wanted, inputs) != ("none",):
                continue  # the ancestor of that input: found when it is there
            elif (wanted.required or wanted.latest) and not wanted.wanted(step.config):
                continue  # not used by these settings
            else:
                inputs[name] = _implied(where, name, wanted, steps[:position])
        settled.append(replace(step, inputs=inputs))
    return [
        _asked_here(recipe, step, settled, position) if step.stage.crosses else step
        for position, step in enumerate(settled)
    ]


def _through(
    stage: Stage[Any], wanted: Input, inputs: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Return the origins through which an input is found, be it at the end of a chain of such inputs."""
    while wanted.through:
        if wanted.through in inputs:
            return inputs[wanted.through]
        wanted = stage.inputs[wanted.through]
    return ("none",)


def _asked_here(recipe: str, step: "Step", steps: "Sequence[Step]", position: int) -> "Step":
    """Return a step that asks a scorer, with what earlier steps make for it where nothing behind the scorer does.

    A scorer may be asked about other data than its own, so what it was made from is not all that could be meant: who
    makes a data set, and names a scorer of the store, asks the one about the other. To a stage that does not cross,
    nothing fits but what its input was made from.
    """
    by_id = {one.id: one for one in steps}
    inputs = dict(step.inputs)
    for name, wanted in step.stage.inputs.items():
        through = _through(step.stage, wanted, inputs)
        asked = (wanted.required or wanted.latest) and wanted.wanted(step.config)
        if name in inputs or through == ("none",) or not asked:
            continue
        behind = _behind(through, by_id)
        home = inputs.get("dataset") or [one for one in behind if _kind(one, by_id) == "dataset"]
        is_served = any(_kind(one, by_id) in wanted.kinds for one in through)
        if is_served or any(_fits(one, wanted, home, by_id) for one in behind):
            continue  # found when it is there
        if fitting := [one for one in steps[:position] if _fits(one.id, wanted, home, by_id)]:
            inputs[name] = _implied(f"{recipe} [step.{step.id}]", name, wanted, fitting)
    return replace(step, inputs=inputs)


def _fits(origin: str, wanted: Input, home: Iterable[str], by_id: "Mapping[str, Step]") -> bool:
    """Return whether an origin is of a kind that an input takes, and not a step known to work on other data."""
    if _kind(origin, by_id) not in wanted.kinds:
        return False
    return not home or origin not in by_id or not _behind([origin], by_id).isdisjoint(home)


def _behind(origins: Iterable[str], by_id: "Mapping[str, Step]") -> set[str]:
    """Return origins, and those of all that the steps among them are made from."""
    found: set[str] = set()
    queue = list(origins)
    while queue:
        origin = queue.pop()
        if origin not in found and origin != "none":
            found.add(origin)
            if origin in by_id:
                queue += [one for several in by_id[origin].inputs.values() for one in several]
    return found


def _kind(origin: str, by_id: "Mapping[str, Step]") -> str:
    """Return the kind of what a step makes or a reference names."""
    return by_id[origin].stage.kind if origin in by_id else origin.partition("/")[0]


def _check_number(where: str, wanted: Input, origins: Sequence[str]) -> None:
    """Refuse what would silently be taken for something else: no origin, or more of them than are used."""
    if not origins:
        raise RecipeError(
            f"{where} = [] names nothing",
            hint="Leave the line out, or name a step"
            + (" or a reference." if wanted.required else ', a reference or "none".'),
        )
    if len(origins) > 1 and not wanted.many:
        raise RecipeError(
            f"{where} takes one, not {len(origins)}: {', '.join(origins)}",
            hint=f'Name one: "{origins[0]}".',
        )
    if len(origins) > 1 and "none" in origins:
        raise RecipeError(
            f'{where} names "none" among others', hint='Leave the others out, or the "none".'
        )


def _check_origin(where: str, wanted: Input, origin: str, by_id: "Mapping[str, Step]") -> None:
    kinds = " or ".join(wanted.kinds)
    if origin == "none" and not wanted.required:
        return
    if "/" in origin:
        kind, _, name = origin.partition("/")
        given = f"'{origin}'"
        if not name:
            raise RecipeError(
                f"{where}: {given} has no name", hint=f"Name an artifact: {kind}/NAME."
            )
    elif origin in by_id:
        kind = by_id[origin].stage.kind
        given = f"step '{origin}', which makes {kind},"
    else:
        raise unknown(where, "step", origin, by_id)
    if kind not in wanted.kinds:
        raise RecipeError(
            f"{where} takes {kinds}, not {given}", hint=f"Name a step that makes {kinds}."
        )


def _implied(where: str, name: str, wanted: Input, earlier: "Sequence[Step]") -> tuple[str, ...]:
    if not (wanted.required or wanted.latest):
        return ("none",)  # only where it is asked for
    makers = [step for step in earlier if step.stage.kind in wanted.kinds]
    # Without labels an evaluation would fail, as the last step of all.
    fitting = [step.id for step in makers if not _ranks(step)]
    if wanted.many and fitting:
        _check_labels(where, name, [step for step in makers if step.id in fitting])
        return tuple(fitting)
    if len(fitting) > 1:
        raise RecipeError(
            f"{where}: several steps could be its {name}: {', '.join(fitting)}",
            hint=f'Name one: {name} = "{fitting[-1]}"'
            + ("" if wanted.required else ', or "none".'),
        )
    if fitting:
        return (fitting[0],)
    if wanted.required:
        kinds = " or ".join(wanted.kinds)
        unfit = ", ".join(step.id for step in makers)
        raise RecipeError(
            f"{where} needs an input {name}, and no earlier step makes {kinds}"
            + (f" with labels (items picked for users: {unfit})" if unfit else ""),
            hint=f'Add such a step before it, or name one: {name} = "{wanted.kinds[0]}/NAME".',
        )
    return ("none",)  # never whatever happens to lie in the store


def _ranks(step: "Step") -> bool:
    """Return whether a step picks items for users, none of which has a label."""
    return isinstance(step.config, ScoreConfig) and step.config.ranks


def _check_labels(where: str, name: str, steps: "Sequence[Step]") -> None:
    """Refuse to guess whether pairs of a file are measured beside others: only those that are rows of the data can be.

    Raises: RecipeError.
    """
    of_file = [
        step.id for step in steps if isinstance(step.config, ScoreConfig) and step.config.pairs
    ]
    others = [step.id for step in steps if step.id not in of_file]
    if of_file and others:
        listed = ", ".join(f'"{one}"' for one in others)
        raise RecipeError(
            f"{where}: it is open whether {', '.join(of_file)}, of a file of pairs, can be measured beside "
            f"{', '.join(others)}",
            hint=f"Name what to measure: {name} = [{listed}].",
        )
