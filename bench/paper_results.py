"""The page of results of the paper's table and studies, written from the evaluations in a store.

    python -m bench.paper_results --store DIR --markdown results/ml-1m-cpu.md table=evaluation/NAME [experts=... ...]

Every figure is read from an artifact, which the page names; nothing is computed here but differences to the paper.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from artifacts.store import Artifact, Store
from bench.table import Facts
from core.data.tables import read_rows
from core.evaluation.paper import paper_row
from core.stages.base import dataset_of
from core.stages.eval_report import method_of_scorer
from core.stages.kinds import KINDS
from core.stages.lineage import lineage, origin

SHOWN = ("auc", "uauc", "ndcg@5", "map@5", "log_loss")
REASONS = ("meteor", "rouge_l", "bleu", "chrf", "distinct_2", "agreement")
TRAINED = ("adapter", "experts", "model")


def page(store: Store, evaluations: Sequence[tuple[str, Artifact]]) -> Iterator[str]:
    """Yield the lines of the page."""
    first = evaluations[0][1]
    dataset = dataset_of(store, first)
    assert dataset is not None
    facts = Facts.of_run("bench.paper_results")
    yield from (f"- {fact}" for fact in facts.lines()[:3])
    yield f"- data: {dataset.reference}, {_splits(dataset)}; seed {first.manifest.summary['seed']}"
    yield f"- program: {first.manifest.program_version}"
    yield ""
    for title, evaluation in evaluations:
        yield from _table(store, title, evaluation)
    yield from _training(store, evaluations)
    yield from _commands(store, [evaluation for _, evaluation in evaluations])


def _splits(dataset: Artifact) -> str:
    rows = read_rows(dataset.file("interactions.parquet"))
    counts = {s: sum(row["split"] == s for row in rows) for s in ("train", "valid", "test")}
    return " / ".join(f"{counts[s]:,}" for s in counts) + " rows of train / valid / test"


def _table(store: Store, title: str, evaluation: Artifact) -> Iterator[str]:
    lines = [r for r in read_rows(evaluation.file("metrics.parquet")) if r["slice"] == "all"]
    gaps = [
        r
        for r in read_rows(evaluation.file("comparisons.parquet"))
        if r["slice"] == "all" and r["metric"] == "auc"
    ]
    scorers = list(dict.fromkeys(r["scorer"] for r in lines if r["metric"] == "auc"))
    bias = next((s for s in scorers if s.startswith(("bias", "encoder/bias"))), None)
    rows = next(r["rows"] for r in lines if r["metric"] == "auc")
    users = next(r["users"] for r in lines if r["metric"] == "uauc")
    yield f"## {title}"
    yield ""
    yield f"From {evaluation.reference}: {rows:,} test rows; UAUC over {users} users."
    yield "Intervals: 95 %, bootstrap over users."
    yield f"Minus counts: AUC minus that of {bias}, paired; * where the interval leaves out zero."
    yield ""
    yield "| scorer | AUC | UAUC | NDCG@5 | MAP@5 | log loss | AUC minus counts | paper: AUC / UAUC |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for scorer in scorers:
        found = {r["metric"]: r for r in lines if r["scorer"] == scorer}
        gap = next((g for g in gaps if (g["scorer"], g["other"]) == (scorer, bias)), None)
        cells = [scorer, *(_figure(found.get(metric)) for metric in SHOWN), _gap(gap)]
        yield "| " + " | ".join([*cells, _paper(store, scorer)]) + " |"
    yield ""
    yield from _reasons(evaluation)


def _reasons(evaluation: Artifact) -> Iterator[str]:
    lines = [r for r in read_rows(evaluation.file("metrics.parquet")) if r["slice"] == "all"]
    told = list(dict.fromkeys(r["scorer"] for r in lines if r["metric"] == "agreement"))
    if not told:
        return
    yield "Reasons of held-out rows, against the teacher's:"
    yield ""
    yield "| scorer | " + " | ".join(REASONS) + " | rows |"
    yield "| --- " * (len(REASONS) + 2) + "|"
    for scorer in told:
        found = {r["metric"]: r for r in lines if r["scorer"] == scorer}
        cells = [scorer, *(_figure(found.get(metric)) for metric in REASONS)]
        yield "| " + " | ".join([*cells, str(found["agreement"]["rows"])]) + " |"
    yield ""


def _training(store: Store, evaluations: Sequence[tuple[str, Artifact]]) -> Iterator[str]:
    """Say what the trainings cost and what their stages found."""
    trained = [
        made
        for made in lineage(store, [evaluation for _, evaluation in evaluations])
        if made.kind in TRAINED
    ]
    if not trained:
        return
    yield "## What training took and found"
    yield ""
    yield "| artifact | tokens/s | steps, best | valid AUC | what else |"
    yield "| --- | --- | --- | --- | --- |"
    for made in trained:
        yield "| " + " | ".join(_trained(made)) + " |"
    yield ""


def _commands(store: Store, evaluations: Sequence[Artifact]) -> Iterator[str]:
    """List how every artifact behind the figures was made."""
    yield "## Commands"
    yield ""
    yield "Every artifact behind these figures, by the command that makes it again."
    yield ""
    yield "```sh"
    for made in lineage(store, evaluations):
        yield f"{origin(store, made).command} --name {made.name}  # {made.reference}"
    yield "```"
    yield ""


def _trained(made: Artifact) -> list[str]:
    summary = made.manifest.summary
    if made.kind == "experts":
        parts = summary["training"].values()
        aucs = ", ".join(_number(part["valid_auc"]) for part in parts)
        speed = ", ".join(str(part["tokens_per_second"]) for part in parts)
        steps = ", ".join(f"{part['steps']}, {part['best_step']}" for part in parts)
        return [made.reference, speed, steps, aucs, f"{summary['experts']} experts"]
    if made.kind == "model":
        projector = summary["projector"]
        routes = ", ".join(f"{n} {route}" for route, n in summary["routes"].items())
        found = f"users: {routes}; projector kept: {projector['kept']}"
        if projector.get("valid_auc_without") is not None:
            found += (
                f", valid AUC without it {_number(projector['valid_auc_without'])}, gain "
                f"{_number(projector['valid_auc_gain'])}, its standard error "
                f"{_number(projector['gain_standard_error'])}"
            )
        steps = f"{projector.get('steps', '-')}, {projector.get('best_step', '-')}"
        auc = _number(projector.get("valid_auc"))
        return [made.reference, str(projector.get("tokens_per_second", "-")), steps, auc, found]
    return [
        made.reference,
        str(summary["tokens_per_second"]),
        f"{summary['steps']}, {summary['best_step']}",
        _number(summary["valid_auc"]),
        f"style {summary['style']}; {summary['machine']}",
    ]


def _figure(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    ends = "" if row["low"] is None else f" {row['low']:.3f}-{row['high']:.3f}"
    return f"{row['value']:.4f}{ends}"


def _gap(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    mark = "*" if row["low"] > 0 or row["high"] < 0 else ""
    return f"{row['difference']:+.4f}{mark} {row['low']:+.3f} to {row['high']:+.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _paper(store: Store, scorer: str) -> str:
    if "/" not in scorer:
        return ""
    method = method_of_scorer(store, store.resolve(scorer))
    row = paper_row(method) if method else None
    if row is None:
        return ""
    figures = " / ".join(_number(row.figures.get(metric)) for metric in ("auc", "uauc"))
    return f"{figures} ({row.method})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--heading", default="The paper's table on MovieLens-1M, on two CPU cores")
    parser.add_argument("--intro", type=Path, help="text to put before the tables")
    parser.add_argument("evaluations", nargs="+", metavar="TITLE=REFERENCE")
    options = parser.parse_args(arguments)
    store = Store.open(options.store, KINDS, program_version="bench")
    chosen = []
    for word in options.evaluations:
        title, _, reference = word.rpartition("=")
        chosen.append((title, store.resolve(reference)))
    intro = options.intro.read_text() if options.intro else ""
    before = [intro.strip(), ""] if intro.strip() else []
    text = "\n".join([f"# {options.heading}", "", *before, *page(store, chosen)])
    options.markdown.write_text(text.rstrip() + "\n")


if __name__ == "__main__":
    main()
