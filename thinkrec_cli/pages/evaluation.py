"""The page of an evaluation: one row per scorer."""

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thinkrec_cli import console
from thinkrec_cli.pages.metrics import Figure, nested, read_metrics, read_over_seeds

if TYPE_CHECKING:
    from artifacts.store import Artifact
    from thinkrec_cli.session import Session
    from thinkrec_cli.stage_command import Done

SCORE_FAMILIES = {
    "auc": "AUC",
    "uauc": "UAUC",
    "ndcg": "NDCG",
    "map": "MAP",
    "log_loss": "log loss",
}
REASON_FAMILIES = {
    "meteor": "METEOR",
    "bleurt": "BLEURT",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge_l": "ROUGE-L",
    "agreement": "agrees with score",
    "grounded": "grounded",
}
LESS_IS_BETTER = {"log_loss"}
NAME, FIGURE = 10, 7  # the narrowest columns of scorers and of figures
GAP = 2  # columns between two of the table's
BESIDE = 18 + GAP  # columns for a figure with its interval beside it
BELOW = 11 + GAP  # for an interval below its figure; in fewer, each end gets a line


def evaluation_json(done: "Done") -> dict[str, Any]:
    """Return scorer -> metric -> value."""
    return nested(done.outcome.artifact)


def show_evaluation(session: "Session", done: "Done") -> None:
    """Show the table of an evaluation."""
    page = console.page(quiet=session.switches.quiet)
    render_evaluation(page, done.outcome.artifact)
    show_report(page, done.outcome.artifact)


def show_report(target: Console, artifact: "Artifact") -> None:
    """Write where the report of an evaluation lies."""
    target.print(
        Text("report  ", "bold").append(str(artifact.file("report.html")), "cyan"), soft_wrap=True
    )


def render_evaluation(target: Console, artifact: "Artifact") -> None:
    """Write one row per scorer over all rows, its reasons, what seeds change, who was left out, and what is frozen."""
    overall = [figure for figure in read_metrics(artifact) if figure.slice == "all"]
    for families in (SCORE_FAMILIES, REASON_FAMILIES):
        chosen = [figure for figure in overall if figure.family in families]
        for metrics in _abreast({figure.metric for figure in chosen}, families, target.width):
            target.print(_table(chosen, metrics, families, target.width))
    if seeds := [row for row in read_over_seeds(artifact) if row["slice"] == "all"]:
        for metrics in _abreast({row["metric"] for row in seeds}, SCORE_FAMILIES, target.width):
            target.print(_seeds_table(seeds, metrics))
    frozen = artifact.manifest.summary.get("frozen_history")
    said = ["histories are frozen before each user's first row of the split"] if frozen else []
    for line in [*_user_lines(overall), *said]:
        target.print(Text(line, style="dim"), soft_wrap=True)


def _abreast(found: set[str], families: dict[str, str], width: int) -> Iterator[list[str]]:
    """Yield the metrics of each table, as many as a terminal of a width has room for."""
    metrics = _in_order(found, families)
    while metrics:
        ends = accumulate(max(FIGURE, len(_heading(m, families))) + GAP for m in metrics)
        fitting = sum(NAME + GAP + end <= width + GAP for end in ends)
        yield metrics[: max(1, fitting)]
        metrics = metrics[max(1, fitting) :]


def _table(
    figures: list[Figure], metrics: list[str], families: dict[str, str], width: int
) -> Table:
    """Return scorers as rows and metrics as columns, for a terminal of a width."""
    scorers = list(dict.fromkeys(figure.scorer for figure in figures))
    room = (width - max(len(scorer) for scorer in scorers)) // len(metrics)
    table = Table(header_style="bold", box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    # Figures are shown in full, names may go on below.
    table.add_column("scorer", overflow="fold", min_width=NAME)
    for metric in metrics:
        table.add_column(_heading(metric, families), justify="right", no_wrap=True)
    values = {(figure.scorer, figure.metric): figure for figure in figures}
    for scorer in scorers:
        table.add_row(Text(scorer), *(_cell(values, scorer, metric, room) for metric in metrics))
    return table


def _seeds_table(rows: list[dict[str, Any]], shown: list[str]) -> Table:
    """Return groups of scorers that differ in their seeds alone as rows, means and standard deviations as columns."""
    table = Table(header_style="bold", box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    table.add_column("over seeds", overflow="fold", min_width=NAME)
    for metric in shown:
        table.add_column(_heading(metric, SCORE_FAMILIES), justify="right", no_wrap=True)
    figures = {(row["scorer"], row["metric"]): row for row in rows}
    for scorer, members in {row["scorer"]: row["scorers"] for row in rows}.items():
        cells = (_spread(figures.get((scorer, metric))) for metric in shown)
        table.add_row(Text(f"{scorer} x {len(members)}"), *cells)
    return table


def _spread(row: dict[str, Any] | None) -> Text:
    if row is None:
        return Text("-", style="dim")
    return Text(f"{row['mean']:.4f}\n").append(f"±{row['sd']:.4f}", style="dim")


def _in_order(metrics: set[str], families: dict[str, str]) -> list[str]:
    """Return the metrics of some families, in the order of the families."""
    order = {family: place for place, family in enumerate(families)}
    parts = ((metric, *metric.partition("@")) for metric in metrics)
    placed = [(order[family], int(k or 0), name) for name, family, _, k in parts if family in order]
    return [name for _, _, name in sorted(placed)]


def _heading(metric: str, families: dict[str, str]) -> str:
    family, at, rank = metric.partition("@")
    return families[family] + at + rank


def _cell(values: dict[tuple[str, str], Figure], scorer: str, metric: str, room: int) -> Text:
    figure = values.get((scorer, metric))
    if figure is None or figure.value is None:
        return Text("-", style="dim")
    known = [f.value for (_, m), f in values.items() if m == metric and f.value is not None]
    best = min(known) if metric in LESS_IS_BETTER else max(known)
    text = Text(f"{figure.value:.4f}", style="bold green" if figure.value == best else "")
    if figure.low is not None and figure.high is not None:
        text.append(" " if room >= BESIDE else "\n")
        dash = "-" if room >= BELOW else "-\n"
        text.append(f"{figure.low:.3f}{dash}{figure.high:.3f}", style="dim not bold")
    return text


def _user_lines(figures: list[Figure]) -> list[str]:
    """Say how many users the metrics per user leave out."""
    metrics: dict[str, list[str]] = {}
    for figure in figures:
        if figure.users_left_out and figure.family in SCORE_FAMILIES:
            why = "one label only" if figure.family == "uauc" else "one row only"
            counted = f"{figure.users:,} users, {figure.users_left_out:,} left out ({why})"
            metrics.setdefault(counted, []).append(_heading(figure.metric, SCORE_FAMILIES))
    return [f"{', '.join(dict.fromkeys(names))}: {counted}" for counted, names in metrics.items()]
