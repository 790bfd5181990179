"""The report of an evaluation: everything its scores' lineage has to say, gathered and written."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.errors import ArtifactNotFound, CorruptArtifact
from artifacts.store import Artifact, Store
from core.config.eval import EvalConfig
from core.stages.ancestry import ancestor, is_made_from
from core.stages.base import Work
from core.stages.eval import scores_measured
from core.stages.files import output_folder
from core.stages.lineage import command_line, lineage, origin
from core.stages.paper import papers_rows
from core.stages.scorers import fusion_facts

if TYPE_CHECKING:
    from core.evaluation.report.material import Course, Gate, Material, Told
    from core.evaluation.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the eval stage found."""

    lines: Sequence[Mapping[str, Any]]
    """Rows of metrics.parquet."""
    comparisons: Sequence[Mapping[str, Any]]
    """Rows of comparisons.parquet."""
    scorers: "Mapping[str, Scores]"
    """Scorer -> scores on the rows that were measured."""
    made_by: Mapping[str, Artifact | None]
    """Scorer -> artifact that scored, for those that are artifacts."""
    references: Mapping[str, str]
    """Scorer -> reference of its scores."""
    bias: str | None
    """Scorer that is the honest counts, None where train has one label only."""
    against: str | None
    """Scorer that the others are compared with."""
    frozen: bool
    """Whether the scores were asked with frozen histories."""
    over_seeds: Sequence[Mapping[str, Any]] = ()
    """Rows of over_seeds.parquet."""
    explained_rows_differ: bool = False
    """Whether the explanations are of different rows."""


def write_report(work: Work[EvalConfig], measured: Measured) -> list[str]:
    """Write report.html and report.md into the draft.

    Returns: references of the explanations shown as examples: those given, then others of the store
        over the same data set by a scorer that is measured.
    """
    from core.evaluation.report.page import compose
    from core.evaluation.report.render import to_html, to_markdown

    material = gather(work, measured)
    report = compose(material)
    for name, content in (("report.html", to_html(report)), ("report.md", to_markdown(report))):
        (work.draft.folder / name).write_text(content, encoding="utf-8")
    return list(dict.fromkeys(told.reference for told in material.examples))


def gather(work: Work[EvalConfig], measured: Measured) -> "Material":
    """Return everything the report shows."""
    from core.evaluation.calibration import calibration_curve
    from core.evaluation.report.material import EncoderCourse, Groups, Material

    store, config, dataset = work.context.store, work.config, work.input("dataset")
    given = [*scores_measured(work.inputs), *work.inputs["explanations"]]
    examples = _examples(work, measured)
    shown = [store.resolve(told.reference) for told in examples]
    line = lineage(store, [dataset, *given, *shown])
    inputs = {name: [a.reference for a in artifacts] for name, artifacts in work.inputs.items()}
    return Material(
        dataset=origin(store, dataset),
        facts=dataset.manifest.summary,
        command=command_line(
            "evaluation", config.parameters(), inputs, ["bleurt"] if config.bleurt else []
        ),
        machine=_machine(),
        program_version=store.program_version,
        seed=config.seed,
        samples=config.bootstrap_samples,
        lines=measured.lines,
        comparisons=measured.comparisons,
        over_seeds=measured.over_seeds,
        bias=measured.bias,
        against=measured.against,
        frozen=measured.frozen,
        calibration={
            name: calibration_curve(scores.scored_rows())
            for name, scores in measured.scorers.items()
        },
        paper=papers_rows(
            store,
            dataset,
            measured.made_by,
            measured.references,
            splits={line["split"] for line in measured.lines if line["metric"] == "auc"},
        ),
        origins=[origin(store, one) for one in line],
        courses=[c for one in line if (c := _course(one))],
        encoders=[
            EncoderCourse(reference=a.reference, epochs=_rows(a, "epochs.parquet"))
            for a in line
            if a.kind == "encoder"
        ],
        groups=[
            Groups(
                reference=a.reference,
                facts=json.loads(a.file("summary.json").read_text()),
                picture=a.file("picture.svg").read_text(encoding="utf-8"),
            )
            for a in line
            if a.kind == "groups"
        ],
        gates=_gates(store, dataset, measured),
        examples=examples,
        explained_rows_differ=measured.explained_rows_differ,
    )


def _rows(artifact: Artifact, path: str) -> list[dict[str, Any]]:
    from core.data.tables import read_rows

    return read_rows(artifact.file(path))


def _course(artifact: Artifact) -> "Course | None":
    """Return the course of a training, None where there was none."""
    from core.evaluation.report.material import Course

    if artifact.kind not in ("adapter", "experts", "model"):
        return None
    # A model without a projector has no such tables.
    if not (artifact.folder / "steps.parquet").exists():
        return None
    return Course(
        reference=artifact.reference,
        steps=_rows(artifact, "steps.parquet"),
        validations=_rows(artifact, "validations.parquet"),
        thrown_away=_thrown_away(artifact) if artifact.kind == "model" else "",
    )


def _thrown_away(model: Artifact) -> str:
    """Say why the projector that was trained is not part of a model, nothing if it is."""
    facts = fusion_facts(model)["projector"]
    if facts["kept"]:
        return ""
    gain, error = facts.get("valid_auc_gain"), facts.get("gain_standard_error")
    if gain is None or error is None:
        return "The projector was not kept: what it gains on valid cannot be told."
    return f"The projector was not kept: valid AUC gained {gain:.4f}, its standard error is {error:.4f}."


def _gates(store: Store, dataset: Artifact, measured: Measured) -> "dict[str, Gate]":
    return {
        scorer: gate_of(store, artifact)
        for scorer, artifact in measured.made_by.items()
        # To a scorer of another data set the users here are strangers.
        if artifact is not None
        and artifact.kind == "model"
        and is_made_from(store, artifact, dataset)
    }


def gate_of(store: Store, model: Artifact) -> "Gate":
    """Return how a model routed its users."""
    from core.evaluation.report.material import Gate

    rows = _rows(model, "weights.parquet")
    weighed = [row["weights"] for row in rows if row["weights"]]
    groups, adapter = ancestor(store, model, "groups"), ancestor(store, model, "adapter")
    return Gate(
        reference=model.reference,
        users=dict(sorted(Counter(row["route"] for row in rows).items())),
        weights=[sum(column) / len(weighed) for column in zip(*weighed, strict=True)],
        groups=groups.reference if groups else None,
        adapter=adapter.reference if adapter else None,
        facts=fusion_facts(model),
    )


def _examples(work: Work[EvalConfig], measured: Measured) -> "list[Told]":
    """Return explained pairs: of explanations given, then of others by the scorers measured."""
    given: dict[str, Artifact] = {}
    for artifact in work.inputs["explanations"]:
        given.setdefault(artifact.object_id, artifact)  # one object may have several names
    told = [one for artifact in given.values() for one in told_of(artifact)]
    told += _of_others(work, measured, set(given))
    # Where the history items' influence was measured there is more to see.
    told.sort(key=lambda one: not _has_influence(one.facts))
    return _various(told)[: work.config.examples]


def _of_others(work: Work[EvalConfig], measured: Measured, seen: set[str]) -> "Iterator[Told]":
    """Yield explained pairs of explanations that nobody named, newest first.

    One that is damaged, or that lacks what it was made from, is passed over: it is no part of what was asked for.
    """
    store, dataset = work.context.store, work.input("dataset")
    scorers = {a.object_id for a in measured.made_by.values() if a is not None}
    for artifact in reversed(store.artifacts("explanation")):
        by_one_measured = scorers.intersection(artifact.manifest.inputs.get("scorer", ()))
        if artifact.object_id in seen or not by_one_measured:
            continue
        seen.add(artifact.object_id)
        with suppress(ArtifactNotFound, CorruptArtifact):
            if is_made_from(store, artifact, dataset):
                lineage(store, [artifact])  # which the report tells
                yield from told_of(artifact)


def _various(told: "Sequence[Told]") -> "list[Told]":
    """Return explanations in an order in which answers and routes differ first; else the order stays."""
    seen: Counter[tuple[bool, str, str]] = Counter()
    turns = []
    for one in told:
        kind = (_has_influence(one.facts), one.facts["answer"], one.facts.get("route") or "")
        turns.append((not kind[0], seen[kind]))
        seen[kind] += 1
    return [told[place] for place in sorted(range(len(told)), key=lambda place: turns[place])]


def told_of(artifact: Artifact) -> "list[Told]":
    """Return the pairs that an explanation explains. Raises: CorruptArtifact."""
    from core.evaluation.report.material import Told

    file = artifact.file("explanation.json")
    try:
        facts = json.loads(file.read_bytes())
    except ValueError as problem:
        raise CorruptArtifact.of(
            artifact.reference,
            f"{artifact.reference}: explanation.json is damaged ({file}): {problem}",
        ) from problem
    pairs = facts.get("explanations", [facts])
    return [Told(reference=artifact.reference, facts=pair) for pair in pairs if "answer" in pair]


def _has_influence(facts: Mapping[str, Any]) -> bool:
    return any(entry["influence"] is not None for entry in facts.get("history") or ())


def _machine() -> str:
    """Return the kind of machine that measures, which needs no accelerator."""
    import os
    import platform

    return f"cpu, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def copy_report(evaluation: Artifact, folder: Path) -> list[Path]:
    """Copy an evaluation's report into a folder, made if there is none.

    Returns: the files written.
    Raises: ConfigError if the evaluation has no report, or the folder cannot be made.
    """
    import shutil

    from core.errors import ConfigError

    names = ("report.html", "report.md")
    if not all((evaluation.folder / name).exists() for name in names):
        raise ConfigError(
            f"{evaluation.reference} has no report: it was made before there were any",
            hint="Measure again with --force.",
        )
    output_folder(folder)
    # Contents only: what the store keeps is read-only, the copy is the user's.
    return [Path(shutil.copyfile(evaluation.file(name), folder / name)) for name in names]
