"""`thinkrec eval`: scores, explanations -> evaluation. Always beside a constant, recent likes and honest counts."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.store import Artifact, Store
from core.config.eval import EvalConfig
from core.errors import ConfigError, MismatchError
from core.stages.ancestry import ancestor, is_frozen, is_made_from
from core.stages.base import Input, Stage, Work

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.data.histories import Histories
    from core.evaluation.metrics import Figure, Measurement
    from core.evaluation.scores import Scores
    from core.stages.eval_report import Measured


def make(work: Work[EvalConfig]) -> None:
    """Measure scores and explanations; write one row per figure and per difference, and the report."""
    from core.data.dataset import Dataset
    from core.evaluation.baselines import CONSTANT
    from core.stages.eval_report import write_report
    from core.stages.replicas import over_seeds, replicas

    if work.config.bleurt and not work.inputs["explanations"]:
        raise ConfigError(
            "--bleurt measures reasons, and no explanation was named",
            hint="Name explanations, too: thinkrec explain --sample 200 makes some.",
        )
    scored, explained = scores_measured(work.inputs), work.inputs["explanations"]
    dataset = Dataset.open(work.input("dataset").folder)
    measured = _measure_scores(work, dataset)
    told, differ = _measure_explanations(work, dataset)
    store, lines = work.context.store, [*measured.lines, *told]
    of_names = dict(zip(scorer_names(store, scored), scored, strict=True))
    groups = replicas(store, of_names)
    # Reasons of other rows do not compare.
    seeds = list(over_seeds(groups, measured.lines if differ else lines, measured.against))
    measured = dataclasses.replace(
        measured, lines=lines, over_seeds=seeds, explained_rows_differ=differ
    )
    _write(work, "metrics.parquet", lines)
    _write(work, "comparisons.parquet", measured.comparisons)
    if seeds:
        _write(work, "over_seeds.parquet", seeds)
    examples = write_report(work, measured)
    overall = [line for line in lines if line["slice"] == "all" and line["metric"] == "auc"]
    work.draft.summary.update(
        seed=work.config.seed,
        frozen_history=measured.frozen,
        scores=[artifact.reference for artifact in scored],
        explanations=[artifact.reference for artifact in explained],
        examples=examples,
        rows=overall[0]["rows"],
        auc={line["scorer"]: line["value"] for line in overall if line["scorer"] != CONSTANT},
    )


def scores_measured(inputs: Mapping[str, Sequence[Artifact]]) -> list[Artifact]:
    """Return the scores that an evaluation of these inputs measures.

    Those given, each once, and first the one to compare with if it is another.
    """
    given = {artifact.object_id: artifact for artifact in inputs.get("scores", ())}
    against = (one for one in inputs.get("against", ()) if one.object_id not in given)
    return [*against, *given.values()]


def _write(work: Work[EvalConfig], path: str, lines: Sequence[Mapping[str, Any]]) -> None:
    from core.data.tables import write_table
    from core.stages.kinds import EVALUATION

    types = EVALUATION.payload(path).columns
    columns = {name: [line[name] for line in lines] for name in types}
    write_table(work.draft.folder / path, columns, types)


def scorer_names(store: Store, artifacts: Sequence[Artifact]) -> list[str]:
    """Return what each artifact's scorer is called: its reference, unless two have the same."""
    names = []
    for artifact in artifacts:
        parent = scorer_of(store, artifact)
        names.append(parent.reference if parent else artifact.reference)
    twice = {name for name in names if names.count(name) > 1}
    return [
        artifact.reference if name in twice else name
        for name, artifact in zip(names, artifacts, strict=True)
    ]


def scorer_of(store: Store, artifact: Artifact) -> Artifact | None:
    """Return what scored, or explained."""
    return next(map(store.by_object, artifact.manifest.inputs.get("scorer", ())), None)


def _measure_scores(work: Work[EvalConfig], dataset: "Dataset") -> "Measured":
    from core.evaluation.metrics import Drawing, measure_all
    from core.evaluation.slices import slices_of
    from core.stages.eval_report import Measured

    config = work.config
    frozen = _are_frozen(scores_measured(work.inputs))
    histories = _histories(dataset, frozen=frozen)
    scorers, references, bias = _scorers(work, dataset, histories)
    first = next(iter(scorers.values()))
    routes = {name: table.route for name, table in scorers.items() if table.route is not None}
    masks = slices_of(
        first,
        dataset,
        histories,
        groups=_groups(work),
        routes=routes,
    )
    if not config.slices:
        masks = {"all": masks["all"]}
    rows = {name: table.scored_rows() for name, table in scorers.items()}
    drawing = Drawing(samples=config.bootstrap_samples, seed=config.seed)
    lines: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    with work.progress.bar("measuring", len(masks), "slices") as bar:
        for slice_name, mask in masks.items():
            inside = {name: one.where(mask) for name, one in rows.items()}
            measured = measure_all(inside, cut_offs=config.k, drawing=drawing)
            place = {"split": _split(first, dataset), "slice": slice_name}
            for scorer in scorers:
                facts = {"scorer": scorer, "scores": references.get(scorer), **place}
                lines += _lines(facts, measured.figures(scorer))
            comparisons += [
                line | {"scores": references.get(line["scorer"])} | place
                for line in _comparisons(measured, references)
            ]
            bar.advance()
    given = scores_measured(work.inputs)
    made_by = [scorer_of(work.context.store, artifact) for artifact in given]
    names = scorer_names(work.context.store, given)
    against = work.optional("against")
    # The scores to compare with may have been given twice, under two names.
    by_content = {one.object_id: name for one, name in zip(given, names, strict=True)}
    return Measured(
        lines=lines,
        comparisons=comparisons,
        scorers=scorers,
        made_by=dict(zip(names, made_by, strict=True)),
        references=references,
        bias=bias,
        against=bias if against is None else by_content[against.object_id],
        frozen=frozen,
    )


def _are_frozen(given: Sequence[Artifact]) -> bool:
    """Return whether the histories of the scores were frozen. Raises: MismatchError if those of some alone were."""
    # What another program scored says nothing of histories.
    asked = [one for one in given if one.manifest.inputs.get("scorer")]
    frozen = [one.reference for one in asked if is_frozen(one)]
    if frozen and len(frozen) < len(asked):
        raise MismatchError(
            f"{', '.join(frozen)} {'was' if len(frozen) == 1 else 'were'} asked with frozen histories and the other "
            "scores with rolling ones: figures of different questions do not compare",
            hint="Score all with --frozen-history, or all without.",
        )
    return bool(frozen)


def _histories(dataset: "Dataset", *, frozen: bool) -> "Histories":
    """Return the histories that the rows were asked with; train rows keep theirs, from which the counts are learned."""
    from core.data.histories import Histories

    histories = Histories.of(dataset)
    if frozen:
        for split in ("valid", "test"):
            histories = histories.frozen(dataset.rows(split))
    return histories


def _comparisons(
    measured: "Measurement", references: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the difference of every ordered pair of scorers in every metric."""
    for scorer, other in itertools.permutations(measured.prepared, 2):
        for metric, measure in measured.prepared[scorer].items():
            gap = measured.difference(scorer, other, metric)
            yield {
                "scorer": scorer,
                "other": other,
                "other_scores": references.get(other),
                "metric": metric,
                "difference": measured.gap(scorer, other, metric),
                "low": gap.low if gap else None,
                "high": gap.high if gap else None,
                "p": gap.p_value if gap else None,
                "rows": len(measured.rows),
                "users": measure.users,
            }


def _scorers(
    work: Work[EvalConfig], dataset: "Dataset", histories: "Histories"
) -> tuple[dict[str, "Scores"], dict[str, str], str | None]:
    """Return scorer -> scores on the same rows, scorer -> reference, and which one is the bias.

    None is where train has one label only, of which counts learn nothing.
    """
    import numpy as np

    from core.evaluation import baselines
    from core.evaluation.scores import on_same_rows, read_scores

    store, given = work.context.store, scores_measured(work.inputs)
    by_reference = {a.reference: read_scores(a.file("scores.parquet"), a.reference) for a in given}
    aligned = on_same_rows(by_reference, work.config.on_different_rows)
    first = next(iter(aligned.values()))
    scorers = {
        baselines.CONSTANT: baselines.constant_scores(first, dataset),
        baselines.RECENT: baselines.recent_scores(first, dataset, histories),
    }
    names = dict(zip(scorer_names(store, given), given, strict=True))
    counts = [name for name, artifact in names.items() if is_bias(scorer_of(store, artifact))]
    if not counts and len(np.unique(dataset.label[dataset.rows("train")])) < 2:
        work.progress.say(f"without the counts ({baselines.BIAS}): train has one label only")
    elif not counts:
        scorers[baselines.BIAS] = baselines.bias_scores(first, dataset, histories, work.progress)
        counts = [baselines.BIAS]
    scorers |= {name: aligned[artifact.reference] for name, artifact in names.items()}
    references = {name: artifact.reference for name, artifact in names.items()}
    return scorers, references, next(iter(counts), None)


def is_bias(scorer: Artifact | None) -> bool:
    """Return whether a scorer is the honest counts."""
    return (
        scorer is not None
        and scorer.kind == "encoder"
        and scorer.manifest.parameters.get("encoder") == "bias"
    )


def _groups(work: Work[EvalConfig]) -> dict[str, dict[str, int]]:
    """Return reference -> user -> group of the groups that the scores were made with.

    Of a scorer from another data set there are none: its users are others, whatever their ids.
    """
    from core.data.tables import read_table

    store, home, found = work.context.store, work.input("dataset"), {}
    for artifact in scores_measured(work.inputs):
        groups = ancestor(store, artifact, "groups")
        if groups and is_made_from(store, groups, home):
            table = read_table(groups.file("groups.parquet"), ["user", "group"])
            own = dict(zip(table["user"], table["group"].tolist(), strict=True))
            found[groups.reference] = own
    return found


def _split(scores: "Scores", dataset: "Dataset") -> str:
    """Return the split that all rows are of; `mixed` for several."""
    import numpy as np

    from core.data.dataset import SPLITS

    found = np.unique(dataset.split[scores.row])
    return SPLITS[found[0]] if len(found) == 1 else "mixed"


def _measure_explanations(
    work: Work[EvalConfig], dataset: "Dataset"
) -> tuple[list[dict[str, Any]], bool]:
    """Return rows of the metrics table for reasons, and whether explanations are of different rows."""
    from core.evaluation.metrics import Drawing
    from core.evaluation.reasons import measure_reasons
    from core.resources import fetch

    config, given = work.config, work.inputs["explanations"]
    lines: list[dict[str, Any]] = []
    explained = set()
    drawing = Drawing(samples=config.bootstrap_samples, seed=config.seed)
    for scorer, artifact in zip(scorer_names(work.context.store, given), given, strict=True):
        reasons, split = _read_reasons(artifact, dataset)
        explained.add(reasons.pairs)
        wanted = config.meteor and any(reasons.reference)
        figures = measure_reasons(
            reasons,
            wordnet=fetch("wordnet", work.progress) if wanted else None,
            bleurt=Path(config.bleurt) if config.bleurt else None,
            drawing=drawing,
            progress=work.progress,
        )
        facts = {"scorer": scorer, "scores": artifact.reference, "split": split, "slice": "all"}
        lines += _lines(facts, figures)
    differ = len(explained) > 1
    if differ:
        work.progress.say(
            "the explanations are of different rows, so the figures of their reasons do not compare"
        )
    return lines, differ


def _read_reasons(artifact: Artifact, dataset: "Dataset") -> tuple[Any, str]:
    """Return the reasons of an explanation, and the split of their rows."""
    import numpy as np

    from core.data.dataset import SPLITS
    from core.data.tables import read_rows
    from core.evaluation.reasons import Reasons

    rows = read_rows(artifact.file("explanations.parquet"))
    reasons = Reasons(
        pairs=frozenset((row["row"], row["user"], row["item"]) for row in rows),
        user=[row["user"] for row in rows],
        answer=[row["answer"] for row in rows],
        probability=np.array([row["probability"] for row in rows], dtype=np.float64),
        reason=[row["reason"] or "" for row in rows],
        reference=[row["reference"] for row in rows],
        grounded=_grounded(artifact, len(rows)),
    )
    splits = {None if r["row"] is None else SPLITS[dataset.split[r["row"]]] for r in rows}
    only = splits.pop() if len(splits) == 1 else "mixed"
    return reasons, only or "pairs"


def _grounded(artifact: Artifact, pairs: int) -> list[bool | None] | None:
    """Return whether all claims of each reason are in its prompt, None for one that makes none.

    Returns: None for explanations that do not say, which earlier versions made.
    """
    from core.stages.eval_report import told_of

    told = [one.facts for one in told_of(artifact) if "claims" in one.facts]
    found = [None if not facts["claims"] else not facts["unread"] for facts in told]
    return found if len(found) == pairs else None


def _lines(facts: Mapping[str, Any], figures: Mapping[str, "Figure"]) -> list[dict[str, Any]]:
    """Return rows of the metrics table."""
    return [
        {
            **facts,
            "metric": metric,
            "value": figure.value,
            "low": figure.interval.low if figure.interval else None,
            "high": figure.interval.high if figure.interval else None,
            "rows": figure.rows,
            "users": figure.users,
            "users_left_out": figure.users_left_out,
        }
        for metric, figure in figures.items()
    ]


def _name(config: EvalConfig, inputs: Mapping[str, Sequence[Artifact]]) -> str:
    scores = inputs["scores"]
    return scores[0].name if len(scores) == 1 else "comparison"


def _has_labels(scores: Artifact) -> bool:
    """Whether some rows scored are of the data set: items picked for users are not, pairs of a file may be."""
    manifest = scores.manifest
    if manifest.parameters.get("user") or manifest.resources.keys() & {"users", "history"}:
        return False
    return "pairs" not in manifest.resources or bool(scores.summary.get("labelled"))


def _resources(config: EvalConfig) -> dict[str, str]:
    from core.stages.files import folder_files_digest

    return {"bleurt": folder_files_digest(config.bleurt)} if config.bleurt else {}


STAGE = Stage(
    command="eval",
    kind="evaluation",
    config=EvalConfig,
    inputs={
        "scores": Input(
            kinds=("scores",),
            text="Scores to measure, all on the same rows.",
            many=True,
            fits=_has_labels,
        ),
        "against": Input(
            kinds=("scores",),
            text="Scores that the report compares all others with, instead of the counts; measured, too.",
            required=False,
            latest=False,
            by_option=True,  # what is piped or listed is measured, not compared with
        ),
        "explanations": Input(
            kinds=("explanation",),
            text="Explanations whose reasons are measured, too.",
            required=False,
            many=True,
            latest=False,
        ),
        "dataset": Input(kinds=("dataset",), text="Data set of the scores.", through="scores"),
    },
    name=_name,
    resources=_resources,
    make=make,
)
