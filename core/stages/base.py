"""What a stage is, and the one way to run it: resolve inputs, look for a hit, compute, publish.

A stage declares its inputs, settings and output kind; `run_stage` does everything that all stages share. A stage's
module must be cheap to import: torch, duckdb, numpy and the like are imported inside `make`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from artifacts.errors import ArtifactNotFound, CorruptArtifact, StoreError
from artifacts.store import Artifact, Draft, Store
from core.config.base import Config
from core.errors import ConfigError, ThinkRecError
from core.memory import give_back_gpu
from core.progress import Progress, Silent
from core.stages.ancestry import ancestor, dataset_of, is_made_from, require_same_dataset
from core.stages.names import fitting_name

C = TypeVar("C", bound=Config)


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of a stage: an artifact of one of these kinds."""

    kinds: tuple[str, ...]
    text: str
    """Help of the command-line option."""
    required: bool = True
    many: bool = False
    through: str | None = None
    """Default: the ancestor of this kind of another input (by name), not the latest of all."""
    latest: bool = True
    """Whether an optional input that nobody names is the latest that fits; else it is left out."""
    fits: Callable[[Artifact], bool] = lambda artifact: True
    """Which artifacts of these kinds are taken unasked, from a pipe or as the latest."""
    by_option: bool = False
    """Whether only its own option names it: what is piped or listed is never meant for it."""
    wanted: Callable[[Any], bool] = lambda config: True
    """Whether these settings use the input, required or not; if not, it is left out and does not change the key."""
    unless: str | None = None
    """Another input that takes its place: where that is named, this one is left out."""


@dataclass(kw_only=True)
class Context:
    """What every stage of one command shares."""

    store: Store
    progress: Progress = field(default_factory=Silent)
    force: bool = False
    """Make a new version even where the same work was done before."""

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open a store, and make it if it is not there. Raises: StoreError if it cannot be used."""
        from core.stages.kinds import KINDS
        from core.version import version

        return cls(store=Store.open(root, KINDS, version()))


@dataclass(kw_only=True)
class Work(Generic[C]):
    """What `make` gets: settings, opened inputs, the draft to fill, a folder that survives a kill."""

    config: C
    inputs: Mapping[str, Sequence[Artifact]]
    draft: Draft
    run_folder: Path
    """Mutable folder of this very piece of work: checkpoints and journals live here until it is published."""
    context: Context
    resources: Mapping[str, str] = field(default_factory=dict)
    """What the stage's `resources` gave for the key."""

    @property
    def progress(self) -> Progress:
        """Where to report."""
        return self.context.progress

    def input(self, name: str) -> Artifact:
        """Return the one artifact given for a required input."""
        return self.inputs[name][0]

    def optional(self, name: str) -> Artifact | None:
        """Return the artifact given for an optional input, or None."""
        given = self.inputs.get(name) or ()
        return given[0] if given else None


@dataclass(frozen=True, kw_only=True)
class Stage(Generic[C]):
    """The declaration of one command that makes an artifact."""

    command: str
    kind: str
    config: type[C]
    make: Callable[[Work[C]], None]
    inputs: Mapping[str, Input] = field(default_factory=dict)
    name: Callable[[C, Mapping[str, Sequence[Artifact]]], str] = lambda config, inputs: "default"
    """Default name of the artifact, [a-z0-9._-]."""
    crosses: bool = False
    """Whether a scorer may be asked about another data set than it was trained on."""
    resources: Callable[[C], Mapping[str, str]] = lambda config: {}
    """What else the result depends on: name -> digest (files of the user, the base model)."""
    require: Callable[[C, Artifact], None] = lambda config, found: None
    """Looks at what an earlier run made, before it counts as this one's. Raises where these settings ask for more."""


@dataclass(frozen=True, kw_only=True)
class Unnamed:
    """References given without saying for which input."""

    piped: Sequence[str] = ()
    """From the command before in a pipe: each serves the inputs of its kind that it fits."""
    listed: Sequence[str] = ()
    """Typed by the user: each serves the inputs of its kind. None is passed over, the stage says if it does not fit."""
    latest: bool = True
    """Whether an optional input that nobody names may be the latest of the store; a recipe must not depend on it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What running a stage gave."""

    artifact: Artifact
    hit: bool
    """True if the artifact was there already and nothing was computed."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A stage with everything settled that its key depends on."""

    stage: Stage[Any]
    config: Config
    inputs: Mapping[str, Sequence[Artifact]]
    name: str
    resources: Mapping[str, str]
    key: str


def run_stage(
    context: Context,
    stage: Stage[C],
    config: C,
    *,
    references: Mapping[str, Sequence[str]] | None = None,
    unnamed: Unnamed | None = None,
    name: str | None = None,
) -> Outcome:
    """Run a stage, or return what an earlier run with the same settings and inputs made.

    Args:
        references: input name -> references given by the user ("none" leaves an optional input out).
        unnamed: references given without saying for which input.
        name: name of the artifact; default is the stage's own.
    Raises: ArtifactNotFound, AmbiguousReference, whatever `make` raises.
    """
    plan = plan_stage(
        context,
        stage,
        config,
        references=references or {},
        unnamed=unnamed,
        name=name,
    )
    return run_plan(context, plan)


def plan_stage(
    context: Context,
    stage: Stage[C],
    config: C,
    *,
    references: Mapping[str, Sequence[str]],
    unnamed: Unnamed | None = None,
    name: str | None = None,
) -> Plan:
    """Resolve inputs and compute the key, without computing anything else."""
    used = {n: i for n, i in stage.inputs.items() if references.get(n) or i.wanted(config)}
    found = resolve_inputs(
        context.store, replace(stage, inputs=used), references, unnamed or Unnamed()
    )
    inputs = {name: found.get(name, []) for name in stage.inputs}
    if not stage.crosses:
        require_same_dataset(context.store, *(a for given in inputs.values() for a in given))
    resources = dict(stage.resources(config))
    key = context.store.key(
        kind=stage.kind,
        parameters=config.parameters(),
        inputs={k: [a.object_id for a in v] for k, v in inputs.items()},
        resources=resources,
    )
    return Plan(
        stage=stage,
        config=config,
        inputs=inputs,
        name=name or fitting_name(stage.name(config, inputs)),
        resources=resources,
        key=key,
    )


def run_plan(context: Context, plan: Plan) -> Outcome:
    """Return the artifact of a plan, computing it if no artifact of that key is there.

    Raises: CorruptArtifact if a file of an input, or of the artifact found, is missing or cut short; what the stage's
        `require` raises, and what `make` does.
    """
    store, stage = context.store, plan.stage
    if outcome := _made_before(context, plan):
        return outcome
    for source in (a for given in plan.inputs.values() for a in given):
        source.check_files()
    with store.run_folder(stage.kind, plan.key) as run_folder:
        # Whoever held the folder before us may have done the very same work.
        if outcome := _made_before(context, plan):
            return outcome
        with store.publish(
            kind=stage.kind,
            name=plan.name,
            key=plan.key,
            parameters=plan.config.parameters(),
            inputs={k: [a.object_id for a in v] for k, v in plan.inputs.items()},
            resources=plan.resources,
        ) as draft:
            work = Work(
                config=plan.config,
                inputs=plan.inputs,
                draft=draft,
                run_folder=run_folder,
                context=context,
                resources=plan.resources,
            )
            try:
                stage.make(work)
            except (ThinkRecError, StoreError):
                raise
            except Exception as problem:
                _blame_damage(store, plan, problem)
                raise
            finally:
                give_back_gpu()
        store.discard_run_folder(run_folder)
    artifact = draft.artifact
    assert artifact is not None  # publish() sets it or raises
    return Outcome(artifact=artifact, hit=False)


def _blame_damage(store: Store, plan: Plan, problem: Exception) -> None:
    """Look for a damaged input behind an error that nobody foresaw. Raises: CorruptArtifact."""
    if getattr(problem, "errno", None):  # the machine says what is wrong
        return
    inputs = [artifact.reference for given in plan.inputs.values() for artifact in given]
    for damage in store.verify(inputs) if inputs else ():
        raise CorruptArtifact.of(
            damage.reference,
            str(damage),
        ) from problem


def _made_before(context: Context, plan: Plan) -> Outcome | None:
    if context.force or not (found := context.store.find(plan.stage.kind, plan.key)):
        return None
    found.check_files()
    plan.stage.require(plan.config, found)
    return Outcome(artifact=context.store.name_object(found, plan.name), hit=True)


def resolve_inputs(
    store: Store,
    stage: Stage[Any],
    references: Mapping[str, Sequence[str]],
    unnamed: Unnamed,
) -> dict[str, list[Artifact]]:
    """Find the artifact of every input: given by name, through the pipe, or the latest that fits the others.

    Inputs nobody named come from the same data set as those that were named, so that two data sets in one store
    never mix by accident.
    Raises: ArtifactNotFound, AmbiguousReference; ConfigError for several names where an input takes one.
    """
    chosen: dict[str, list[Artifact]] = {}
    from_pipe = [store.resolve(reference) for reference in unnamed.piped]
    from_list = [store.resolve(reference) for reference in unnamed.listed]
    for name, wanted in stage.inputs.items():
        if given := list(references.get(name, ())):
            chosen[name] = _named_input(store, name, wanted, given)
            if wanted.many and not wanted.by_option:
                known = {artifact.object_id for artifact in chosen[name]}
                more = [a for a in from_list if a.kind in wanted.kinds]
                chosen[name] += [a for a in more if a.object_id not in known]
        elif _is_served(wanted, chosen):
            chosen[name] = []
        elif not wanted.by_option and (
            fitting := [
                *(a for a in from_pipe if a.kind in wanted.kinds and wanted.fits(a)),
                *(a for a in from_list if a.kind in wanted.kinds),
            ]
        ):
            chosen[name] = fitting if wanted.many else fitting[-1:]
        elif (
            wanted.required
            and not (wanted.by_option or wanted.through or wanted.unless)
            and (unfit := [a for a in from_pipe if a.kind in wanted.kinds])
        ):
            # The stage refuses it and says why; nothing else is taken in its place unasked.
            chosen[name] = unfit[-1:]
    _require_use(from_list, chosen)
    # "train-experts a b" must not silently mix what belongs to different data.
    dataset = _dataset_of(store, chosen)
    for name, wanted in stage.inputs.items():
        if name not in chosen and wanted.unless and chosen.get(wanted.unless):
            chosen[name] = []
        if name not in chosen:
            chosen[name] = _default_input(store, stage, wanted, chosen, dataset, unnamed.latest)
            dataset = dataset or _dataset_of(store, chosen)
    return {name: chosen[name] for name in stage.inputs}


def _require_use(listed: Sequence[Artifact], chosen: Mapping[str, Sequence[Artifact]]) -> None:
    """Raises: ConfigError for an artifact that was typed and serves no input."""
    used = {artifact.object_id for given in chosen.values() for artifact in given}
    for artifact in listed:
        if artifact.object_id not in used:
            others = [
                a.reference for given in chosen.values() for a in given if a.kind == artifact.kind
            ]
            raise ConfigError(
                f"{artifact.reference} was named, and there is no place for it"
                + (f" beside {', '.join(others)}" if others else ""),
                hint="Leave one of them out." if others else "Leave it out.",
            )


def _is_served(wanted: Input, chosen: Mapping[str, Sequence[Artifact]]) -> bool:
    """Return whether what an input would be found through is of its kind itself, as an encoder that scores."""
    through = chosen.get(wanted.through, ()) if wanted.through else ()
    return any(artifact.kind in wanted.kinds for artifact in through)


def _dataset_of(store: Store, chosen: Mapping[str, Sequence[Artifact]]) -> Artifact | None:
    if chosen.get("dataset"):
        return chosen["dataset"][0]
    for artifacts in chosen.values():
        for artifact in artifacts:
            if dataset := dataset_of(store, artifact):
                return dataset
    return None


def _named_input(store: Store, name: str, wanted: Input, given: Sequence[str]) -> list[Artifact]:
    if given == ["none"] and not wanted.required:
        return []
    if len(given) > 1 and not wanted.many:
        raise ConfigError(
            f"{name} takes one artifact, and {len(given)} were named: {', '.join(given)}",
            hint="Name one of them.",
        )
    return [store.resolve(reference, kinds=wanted.kinds) for reference in given]


def _default_input(
    store: Store,
    stage: Stage[Any],
    wanted: Input,
    chosen: Mapping[str, Sequence[Artifact]],
    dataset: Artifact | None,
    latest: bool,
) -> list[Artifact]:
    if wanted.through and chosen.get(wanted.through):
        found = ancestor(store, chosen[wanted.through][0], wanted.kinds[0], wanted.fits)
        # What a scorer was made from belongs to its own data set, and not to another that it is asked about.
        if found and (dataset is None or is_made_from(store, found, dataset)):
            return [found]
    if "dataset" in wanted.kinds and dataset:
        return [dataset]
    if not (wanted.required or (wanted.latest and latest)):
        return []
    unfit: list[Artifact] = []
    orphans: list[Artifact] = []
    for artifact in reversed(store.artifacts()):
        if artifact.kind not in wanted.kinds:
            continue
        try:
            source = dataset_of(store, artifact)
        except ArtifactNotFound:  # nobody knows its data any more: it is for those who name it
            orphans.append(artifact)
            continue
        if dataset is None or (source and source.object_id == dataset.object_id):
            if wanted.fits(artifact):
                return [artifact]
            unfit.append(artifact)
    if not wanted.required:
        return []
    if unfit:
        return unfit[:1]  # the stage knows to say why it does not fit
    of = f" made from {dataset.reference}" if dataset else ""
    of += f" (an input of {orphans[0].reference} is missing)" if orphans else ""
    kinds = " or ".join(wanted.kinds)
    raise ArtifactNotFound(
        f"thinkrec {stage.command} needs an artifact of kind {kinds}, and the store {store.root} has none{of}",
        hint=f"Make one first ({_maker_hint(wanted.kinds)}), or list what there is: thinkrec list",
    )


def _maker_hint(kinds: Sequence[str]) -> str:
    from core.stages.commands import stage_of  # which reads the stages, and they this file

    makers = [stage for kind in kinds if (stage := stage_of(kind))]
    return " or ".join(f"thinkrec {stage.command}" for stage in makers)
