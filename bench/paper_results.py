"""The page of results of the paper's table and studies, written from the evaluations in a store.

    python -m bench.paper_results --store DIR --markdown results/ml-1m-cpu.md TITLE=evaluation/NAME [...]

Every figure is read from an artifact, which the page names; nothing is computed here but shares of one
in another. What a reader should know besides comes from a file (--notes), so that writing the page again keeps it.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts.errors import ArtifactNotFound, StoreError
from artifacts.store import Artifact, Store
from bench.table import Facts
from core.data.dataset import SPLITS, Dataset
from core.data.tables import read_rows
from core.evaluation.baselines import BIAS
from core.evaluation.intervals import beyond_chance
from core.evaluation.paper import PaperRow
from core.stages.ancestry import dataset_of
from core.stages.eval import is_bias, scorer_of
from core.stages.kinds import KINDS
from core.stages.lineage import lineage, origin
from core.stages.paper import papers_rows

SHOWN = ("auc", "uauc", "ndcg@5", "map@5")
REASONS = ("meteor", "bleurt", "rouge_l", "bleu", "chrf", "distinct_2", "agreement", "grounded")
TRAINED = ("groups", "adapter", "experts", "model")
NONE = "-"


@dataclass(frozen=True)
class Table:
    """An evaluation, opened."""

    title: str
    evaluation: Artifact
    dataset: Artifact
    lines: Sequence[Mapping[str, Any]]
    """Rows of metrics.parquet."""
    gaps: Sequence[Mapping[str, Any]]
    """Rows of comparisons.parquet."""
    other: str | None
    """Scorer that the others are compared with: the one the evaluation named, else the counts."""
    is_named: bool
    """Whether the evaluation named it: a study, of which its share is told as well."""
    paper: Mapping[str, PaperRow]
    explained: Mapping[str, Artifact]
    """Scorer -> its explanations."""

    @classmethod
    def open(cls, store: Store, title: str, evaluation: Artifact) -> "Table":
        """Open an evaluation and find out what its scorers are."""
        lines = read_rows(evaluation.file("metrics.parquet"))
        scores = _measured(store, evaluation, lines, "auc")
        made_by = {name: scorer_of(store, one) for name, one in scores.items()}
        dataset = dataset_of(store, evaluation)
        assert dataset is not None
        scorers = [line["scorer"] for line in lines if line["metric"] == "auc"]
        counts = [name for name in scorers if name == BIAS or is_bias(made_by.get(name))]
        against = evaluation.manifest.inputs.get("against", ())
        of_against = [name for name, one in scores.items() if one.object_id in against]
        return cls(
            title=title,
            evaluation=evaluation,
            dataset=dataset,
            lines=lines,
            gaps=read_rows(evaluation.file("comparisons.parquet")),
            other=next(iter([*of_against, *counts]), None),
            is_named=bool(of_against),
            paper=papers_rows(
                store,
                dataset,
                made_by,
                {name: one.reference for name, one in scores.items()},
                splits={line["split"] for line in lines if line["metric"] == "auc"},
            ),
            explained=_measured(store, evaluation, lines, "agreement"),
        )

    def scorers(self) -> list[str]:
        """Return the scorers of rows in their order."""
        return list(dict.fromkeys(r["scorer"] for r in self.lines if r["metric"] == "auc"))

    def slices(self) -> list[str]:
        """Return the names of the slices."""
        return list(dict.fromkeys(r["slice"] for r in self.lines if r["metric"] == "auc"))

    def line(self, scorer: str, metric: str, part: str = "all") -> Mapping[str, Any] | None:
        """Return the row of a figure."""
        wanted = (scorer, metric, part)
        found = (r for r in self.lines if (r["scorer"], r["metric"], r["slice"]) == wanted)
        return next(found, None)

    def gap(self, scorer: str, metric: str) -> Mapping[str, Any] | None:
        """Return the row of the difference to the scorer that the others are compared with."""
        wanted = (scorer, self.other, metric, "all")
        keys = ("scorer", "other", "metric", "slice")
        return next((r for r in self.gaps if tuple(r[key] for key in keys) == wanted), None)


def _measured(
    store: Store, evaluation: Artifact, lines: Sequence[Mapping[str, Any]], metric: str
) -> dict[str, Artifact]:
    """Return what an evaluation calls a scorer -> the scores, or the explanation, that it measured by a metric.

    Names are the evaluation's own: what an artifact is called may have changed since.
    Raises: ArtifactNotFound if what a line names is gone, or is not what the evaluation was made from.
    """
    inputs = {one for ids in evaluation.manifest.inputs.values() for one in ids}
    known = {one.reference: one for one in store.artifacts() if one.object_id in inputs}
    found = {}
    for line in lines:
        if line["metric"] != metric or line["slice"] != "all" or line["scores"] is None:
            continue
        if line["scores"] not in known:
            raise ArtifactNotFound(
                f"{evaluation.reference} measured {line['scorer']} by {line['scores']}, which the store has no longer",
                hint="Evaluate again: thinkrec eval.",
            )
        found[line["scorer"]] = known[line["scores"]]
    return found


def page(store: Store, evaluations: Sequence[tuple[str, Artifact]]) -> Iterator[str]:
    """Yield the lines of the page's facts, tables and commands."""
    tables = [Table.open(store, title, evaluation) for title, evaluation in evaluations]
    behind = lineage(store, [table.evaluation for table in tables])
    yield from _facts(store, tables, behind)
    for table in tables:
        yield from _figures(table)
        yield from _over_seeds(table)
        yield from _groups(table)
        yield from _reasons(store, table)
    yield from _training(store, behind)
    yield from _commands(store, behind)


def _facts(store: Store, tables: Sequence[Table], behind: Sequence[Artifact]) -> Iterator[str]:
    origins = [origin(store, artifact) for artifact in behind]
    machines = dict.fromkeys(
        one.manifest.summary["machine"] for one in behind if one.manifest.summary.get("machine")
    )
    seeds = sorted({str(one.seed) for one in origins if one.seed is not None})
    versions = sorted({one.program_version for one in origins})
    yield f"- command: {Facts.of_run('bench.paper_results').command}"
    yield f"- models trained and asked on: {'; '.join(machines) or 'no machine is noted'}"
    for dataset in dict.fromkeys(table.dataset.reference for table in tables):
        yield f"- data: {dataset}, {_splits(store.resolve(dataset))}"
    yield f"- seed: {', '.join(seeds)}; program: {', '.join(versions)}"
    yield ""


def _splits(dataset: Artifact) -> str:
    data = Dataset.open(dataset.folder)
    counts = " / ".join(f"{len(data.rows(split)):,}" for split in SPLITS)
    return f"{counts} rows of {' / '.join(SPLITS)}"


def _figures(table: Table) -> Iterator[str]:
    first = table.scorers()[0]
    auc, uauc = table.line(first, "auc"), table.line(first, "uauc")
    assert auc is not None
    assert uauc is not None
    of_all = ""
    if auc["split"] in SPLITS:
        whole = len(Dataset.open(table.dataset.folder).rows(auc["split"]))
        of_all = f" of {whole:,}" if whole != auc["rows"] else ""
    users = uauc["users"] + uauc["users_left_out"]
    yield f"## {table.title}"
    yield ""
    yield (
        f"From {table.evaluation.reference}: {auc['rows']:,}{of_all} {auc['split']} rows of "
        f"{table.dataset.reference}, {users:,} users, of whom {uauc['users']:,} have both labels and count for UAUC."
    )
    if auc["low"] is not None:
        yield "Intervals: 95 %, bootstrap over users."
    if table.other:
        yield f"Minus: AUC minus that of {table.other}, on the same draws; * where that is more than chance."
    if table.is_named:
        yield f"Share: of the AUC and NDCG@5 of {table.other}."
    if table.paper:
        yield "Paper: AUC / UAUC / NDCG@5 / MAP@5 of the method that ours is, on the whole test split."
    yield ""
    head = ["scorer", "AUC", "UAUC", "NDCG@5", "MAP@5", "log loss"]
    head += ["minus"] if table.other else []
    head += ["share"] if table.is_named else []
    head += ["paper"] if table.paper else []
    yield from _head(head)
    for scorer in table.scorers():
        cells = [scorer, *(_figure(table.line(scorer, metric)) for metric in (*SHOWN, "log_loss"))]
        cells += [_gap(table.gap(scorer, "auc"))] if table.other else []
        if table.is_named:
            cells.append(" / ".join(_share(table, scorer, metric) for metric in ("auc", "ndcg@5")))
        cells += [_paper(table.paper.get(scorer))] if table.paper else []
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _over_seeds(table: Table) -> Iterator[str]:
    """Show mean, standard deviation and range of scorers that differ in their seeds alone, where there are such."""
    file = table.evaluation.folder / "over_seeds.parquet"
    found = read_rows(file) if file.exists() else []
    overall = {(r["scorer"], r["metric"]): r for r in found if r["slice"] == "all"}
    if not overall:
        return
    other = next((row["other"] for row in overall.values() if row["other"]), None)
    yield "Over seeds: mean ± standard deviation, least to most."
    if other:
        has_seeds = other in {row["scorer"] for row in overall.values()}
        those = f"{other}, of the same seed each" if has_seeds else f"the one {other}"
        yield f"Minus: AUC and UAUC minus those of {those}."
    yield ""
    head = ["scorer", "seeds", "AUC", "UAUC", "NDCG@5", "MAP@5", "log loss"]
    yield from _head(head + (["minus"] if other else []))
    for scorer, runs in {row["scorer"]: len(row["scorers"]) for row in overall.values()}.items():
        cells = [_spread(overall.get((scorer, metric))) for metric in (*SHOWN, "log_loss")]
        if other:
            gaps = (overall.get((scorer, metric)) for metric in ("auc", "uauc"))
            cells.append(" / ".join(_spread_gap(row) for row in gaps))
        yield "| " + " | ".join([scorer, str(runs), *cells]) + " |"
    yield ""


def _groups(table: Table) -> Iterator[str]:
    """Show AUC and UAUC for each group of users, where the evaluation parts its rows by group."""
    parts = [name for name in table.slices() if name.startswith("group=")]
    if not parts:
        return
    rows = {part: table.line(table.scorers()[0], "auc", part) for part in parts}
    yield "By group of users, AUC / UAUC:"
    yield ""
    yield from _head(
        ["scorer", *(f"{part} ({row['rows']:,} rows)" for part, row in rows.items() if row)]
    )
    for scorer in table.scorers():
        cells = [
            " / ".join(_value(table.line(scorer, metric, part)) for metric in ("auc", "uauc"))
            for part in parts
        ]
        yield "| " + " | ".join([scorer, *cells]) + " |"
    yield ""


def _reasons(store: Store, table: Table) -> Iterator[str]:
    told = [r["scorer"] for r in table.lines if r["metric"] == "agreement" and r["slice"] == "all"]
    if not told:
        return
    teachers = {
        artifact.reference
        for explanation in table.explained.values()
        for artifact in lineage(store, [explanation])
        if artifact.kind == "traces"
    }
    yield f"Reasons against those of {', '.join(sorted(teachers)) or 'no teacher'}. Agreement: whether"
    yield "the first word is the answer that the score gives, by construction always where the score is Yes minus No."
    if table.paper:
        yield "Paper: METEOR / BLEURT, against the reasons of another teacher."
    yield ""
    yield from _head(["scorer", *REASONS, "rows", *(["paper"] if table.paper else [])])
    for scorer in told:
        agreement = table.line(scorer, "agreement")
        assert agreement is not None
        cells = [scorer, *(_figure(table.line(scorer, metric)) for metric in REASONS)]
        cells.append(f"{agreement['rows']:,}")
        if table.paper:
            row = table.paper.get(scorer)
            cells.append(_reported(row.reasons, ("meteor", "bleurt")) if row else "")
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _training(store: Store, behind: Sequence[Artifact]) -> Iterator[str]:
    """Say what the trainings cost and what their stages found."""
    trained = [made for made in behind if made.kind in TRAINED]
    if not trained:
        return
    yield "## What training took and found"
    yield ""
    yield from _head(["artifact", "tokens/s", "steps, best", "valid AUC", "what else", "machine"])
    for made in trained:
        cells = [made.reference, *_trained(made), origin(store, made).machine]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _trained(made: Artifact) -> list[str]:
    """Return tokens/s, steps, valid AUC and what else of a training."""
    summary = made.manifest.summary
    if made.kind == "groups":
        sizes = ", ".join(f"{size:,}" for size in summary["sizes"])
        found = f"{summary['k']} groups of {sizes} users by {summary['encoder']}"
        found += f", Cohen's d {_number(summary['cohens_d'])}"
        return [NONE, NONE, NONE, found]
    if made.kind == "experts":
        parts = summary["training"].values()
        aucs = ", ".join(_number(part["valid_auc"]) for part in parts)
        speed = ", ".join(_known(part["tokens_per_second"]) for part in parts)
        steps = "; ".join(f"{part['steps']}, {_known(part['best_step'])}" for part in parts)
        kept = summary["experts"] - len(summary["training"])
        of_others = f", {kept} of them taken over" if kept else ""
        return [speed, steps, aucs, f"{summary['experts']} experts{of_others}"]
    if made.kind == "model":
        return _fused(summary)
    steps = f"{summary['steps']}, {_known(summary['best_step'])}"
    speed = _known(summary["tokens_per_second"])
    return [speed, steps, _number(summary["valid_auc"]), f"style {summary['style']}"]


def _fused(summary: Mapping[str, Any]) -> list[str]:
    projector = summary["projector"]
    found = "users: " + ", ".join(f"{n:,} {route}" for route, n in summary["routes"].items())
    if "steps" not in projector:
        return [NONE, NONE, NONE, f"{found}; no projector"]
    found += "; projector " + ("kept" if projector["kept"] else "thrown away")
    if projector.get("valid_auc_without") is not None:
        found += (
            f": valid AUC {_number(projector['valid_auc'])} with it, {_number(projector['valid_auc_without'])} "
            f"without, standard error of the gain {_number(projector['gain_standard_error'])}"
        )
    steps = f"{projector['steps']}, {_known(projector['best_step'])}"
    stays = projector["valid_auc"] if projector["kept"] else projector.get("valid_auc_without")
    return [_known(projector["tokens_per_second"]), steps, _number(stays), found]


def _commands(store: Store, behind: Sequence[Artifact]) -> Iterator[str]:
    yield "## Commands"
    yield ""
    yield "How each artifact behind these figures was made, after those it was made from. In another store versions may"
    yield "be others: leave `@N` out there. FOLDER and FILE are where the data lie."
    yield ""
    yield "```sh"
    for made in behind:
        yield f"{origin(store, made).command} --name {made.name}  # {made.reference}"
    yield "```"
    yield ""


def _head(columns: Sequence[str]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "| " + " | ".join(["---"] * len(columns)) + " |"


def _figure(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return NONE
    ends = "" if row["low"] is None else f" {row['low']:.3f}-{row['high']:.3f}"
    return f"{row['value']:.4f}{ends}"


def _spread(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return NONE
    return f"{row['mean']:.4f} ± {row['sd']:.4f}, {row['least']:.3f}-{row['most']:.3f}"


def _spread_gap(row: Mapping[str, Any] | None) -> str:
    if row is None or row["difference"] is None:
        return NONE
    return f"{row['difference']:+.4f} ± {row['difference_sd']:.4f}"


def _value(row: Mapping[str, Any] | None) -> str:
    return NONE if row is None else _number(row["value"])


def _gap(row: Mapping[str, Any] | None) -> str:
    if row is None or row["difference"] is None:
        return ""
    if row["low"] is None:
        return f"{row['difference']:+.4f}"
    mark = "*" if beyond_chance(row["low"], row["high"], row["p"]) else ""
    return f"{row['difference']:+.4f}{mark} {row['low']:+.3f} to {row['high']:+.3f}"


def _share(table: Table, scorer: str, metric: str) -> str:
    ours, other = table.line(scorer, metric), table.line(table.other or "", metric)
    if ours is None or other is None or ours["value"] is None or not other["value"]:
        return NONE
    return f"{ours['value'] / other['value']:.1%}"


def _paper(row: PaperRow | None) -> str:
    if row is None:
        return ""
    caution = f"; {row.caution}" if row.caution else ""
    return f"{_reported(row.figures, SHOWN)} ({row.method}{caution})"


def _reported(figures: Mapping[str, float], metrics: Sequence[str]) -> str:
    return " / ".join(_number(figures.get(metric)) for metric in metrics)


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4f}"


def _known(value: object) -> str:
    return NONE if value is None else str(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.paper_results", description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--heading", default="The paper's table on MovieLens-1M")
    parser.add_argument("--notes", type=Path, help="Markdown to put before the tables")
    parser.add_argument("evaluations", nargs="+", metavar="TITLE=REFERENCE")
    options = parser.parse_args(arguments)
    chosen = []
    try:
        store = Store.open(options.store, KINDS, program_version="bench")
        for word in options.evaluations:
            title, equals, reference = word.rpartition("=")
            if not equals:
                parser.error(f"{word}: want TITLE=REFERENCE, for instance Table=evaluation/table")
            chosen.append((title, store.resolve(reference, kinds=("evaluation",))))
        told = list(page(store, chosen))
    except StoreError as error:
        sys.exit(f"{error}\n{error.hint}")
    notes = options.notes.read_text(encoding="utf-8").strip() if options.notes else ""
    text = "\n".join([f"# {options.heading}", "", *([notes, ""] if notes else []), *told])
    options.markdown.write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
