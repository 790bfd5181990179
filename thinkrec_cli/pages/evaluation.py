"""The page of an evaluation: one row per scorer."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thinkrec_cli import console
from thinkrec_cli.pages.metrics import Figure, nested, read_metrics

if TYPE_CHECKING:
    from artifacts.store import Artifact
    from thinkrec_cli.session import Session
    from thinkrec_cli.stage_command import Done

HEADINGS = {
    "auc": "AUC",
    "uauc": "UAUC",
    "ndcg@5": "NDCG@5",
    "map@5": "MAP@5",
    "log_loss": "log loss",
}
LESS_IS_BETTER = {"log_loss", "brier", "ece"}


def evaluation_json(done: "Done") -> dict[str, Any]:
    """Return scorer -> metric -> value."""
    return nested(read_metrics(done.outcome.artifact))


def show_evaluation(session: "Session", done: "Done") -> None:
    """Show the table of an evaluation."""
    render_evaluation(console.page(), done.outcome.artifact)


def render_evaluation(target: Console, artifact: "Artifact") -> None:
    """Write one row per scorer over all rows, the other metrics and slices below."""
    figures = read_metrics(artifact)
    overall = [f for f in figures if f.slice == "all"]
    table = Table(title=None, header_style="bold", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("scorer", no_wrap=True)
    for heading in HEADINGS.values():
        table.add_column(heading, justify="right")
    values = {(f.scorer, f.metric): f for f in overall}
    for scorer in dict.fromkeys(f.scorer for f in overall):
        if any((scorer, metric) in values for metric in HEADINGS):
            cells = [_cell(values, scorer, metric) for metric in HEADINGS]
            table.add_row(Text(scorer), *cells)
    target.print(table)
    for line in [*_reason_lines(overall), *_user_lines(overall)]:
        target.print(Text(line, style="dim"), soft_wrap=True)


def _cell(values: dict[tuple[str, str], Figure], scorer: str, metric: str) -> Text:
    figure = values.get((scorer, metric))
    if figure is None or figure.value is None:
        return Text("-", style="dim")
    known = [f.value for (_, m), f in values.items() if m == metric and f.value is not None]
    best = min(known) if metric in LESS_IS_BETTER else max(known)
    text = Text(f"{figure.value:.4f}", style="bold green" if figure.value == best else "")
    if figure.low is not None and figure.high is not None:
        text.append(f" {figure.low:.3f}-{figure.high:.3f}", style="dim")
    return text


def _reason_lines(figures: list[Figure]) -> list[str]:
    """Word the metrics that have no column: those of reasons."""
    others = [f for f in figures if f.metric not in HEADINGS and f.value is not None]
    scorers = dict.fromkeys(f.scorer for f in others)
    lines = []
    for scorer in scorers:
        words = [f"{f.metric} {f.value:.4f}" for f in others if f.scorer == scorer]
        lines.append(f"{scorer}: {', '.join(words)}")
    return lines


def _user_lines(figures: list[Figure]) -> list[str]:
    """Say how many users the metrics per user leave out."""
    lines = {}
    for figure in figures:
        if figure.users_left_out and figure.metric in HEADINGS:
            name = HEADINGS[figure.metric]
            counted = f"{figure.users:,} users, {figure.users_left_out:,} left out"
            lines[figure.metric, counted] = f"{name}: {counted} (too few rows, or one label only)"
    return list(lines.values())
