"""The page of scores: the best items of one user; nothing for scores of a whole split."""

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from core.stages.names import printable
from thinkrec_cli import console
from thinkrec_cli.pages.bars import bar

if TYPE_CHECKING:
    from artifacts.store import Artifact
    from thinkrec_cli.session import Session
    from thinkrec_cli.stage_command import Done

MOST_ROWS = 50  # on the page
BAR_CELLS = 20


def ranking_json(done: "Done") -> dict[str, Any]:
    """Return the facts about the scores, with the ranked items where they are of one user."""
    from thinkrec_cli.stage_command import facts

    result = facts(done)
    if (rows := _ranking(done)) is not None:
        result["items"] = rows
    return result


def show_ranking(session: "Session", done: "Done") -> None:
    """Show the ranked items of one user."""
    rows = _ranking(done)
    if rows is None:
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("item")
    table.add_column("title", overflow="fold")
    table.add_column("likely to like it", no_wrap=True)
    for row in rows[:MOST_ROWS]:
        likely = bar(row["probability"], BAR_CELLS, "green").append(f" {row['probability']:.1%}")
        item, title = printable(row["item"]), printable(row["title"] or "")
        table.add_row(str(row["rank"]), Text(item), Text(title), likely)
    target = console.page(quiet=session.switches.quiet)
    target.print(table)
    if len(rows) > MOST_ROWS:
        target.print(Text(f"and {len(rows) - MOST_ROWS} more: --json shows all", "dim"))


def _ranking(done: "Done") -> list[dict[str, Any]] | None:
    """Return the best rows with titles if the scores are of one user who was asked for."""
    artifact = done.outcome.artifact
    if artifact.manifest.parameters.get("user") is None:
        return None
    import pyarrow.parquet as pq

    titles = _titles(done)
    rows = pq.read_table(
        artifact.file("scores.parquet"), columns=["rank", "item", "score", "probability"]
    ).to_pylist()
    rows.sort(key=lambda row: row["rank"])
    return [{**row, "title": titles.get(row["item"])} for row in rows]


def _titles(done: "Done") -> dict[str, str]:
    import pyarrow.parquet as pq

    from core.stages.ancestry import dataset_of

    dataset: Artifact | None = dataset_of(done.context.store, done.outcome.artifact)
    if dataset is None:
        return {}
    table = pq.read_table(dataset.file("items.parquet"), columns=["item", "title"])
    return dict(zip(table["item"].to_pylist(), table["title"].to_pylist(), strict=True))
