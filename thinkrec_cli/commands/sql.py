"""`thinkrec sql`: query everything."""

import csv
import json
import math
import sys
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table

DETAILS = """
Tables: artifacts, lineage, parameters, summary, resources, files. Views over what artifacts hold,
latest versions: interactions, items, users, keywords, traces, user_vectors, weights, scores,
explanations, metrics and more; `show tables` names them all, and each has a twin `..._all` with
every version.
"""
EXAMPLES = (
    'thinkrec sql "select scorer, metric, value from metrics"',
    'thinkrec sql --csv "from scored_items order by score desc limit 20" > best.csv',
    "thinkrec sql - < query.sql",
)


@with_session
def command(
    session: Session,
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="A SELECT in DuckDB's SQL; - reads it from stdin."),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the result as CSV.")] = False,
) -> None:
    """Query everything with SQL."""
    text = sys.stdin.read() if query == "-" else query
    columns, rows = _query(session, text)
    if session.as_json:
        _write_json(columns, rows)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_csv_cell(value) for value in row] for row in rows)
    elif sys.stdout.isatty():
        console.results().print(_table(columns, rows))
        session.say(f"{len(rows):,} row{'s' if len(rows) != 1 else ''}")
    else:
        _write_aligned(columns, rows)


def _query(session: Session, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run the query beside the main thread, which DuckDB would keep from hearing Ctrl-C."""
    found: Queue[Any] = Queue()

    def work() -> None:
        try:
            found.put(session.store.query(text))
        except Exception as problem:  # noqa: BLE001 - raised below, where it can be told
            found.put(problem)

    Thread(target=work, daemon=True).start()
    while True:
        try:
            result = found.get(timeout=0.2)
        except Empty:
            continue
        if isinstance(result, Exception):
            raise result
        columns, rows = result
        return columns, rows


def _write_json(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Write a list of objects, one per line, so that neither people nor memory suffer."""
    sys.stdout.write("[")
    for number, row in enumerate(rows):
        item = {c: _json_value(v) for c, v in zip(columns, row, strict=True)}
        spelled = json.dumps(item, ensure_ascii=False, default=str, allow_nan=False)
        sys.stdout.write((",\n " if number else "") + spelled)
    sys.stdout.write("]\n")


def _json_value(value: Any) -> Any:
    """Spell what JSON cannot: numbers that are none become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (list, tuple)):
        return [_json_value(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _json_value(v) for k, v in value.items()}
    return value


def _csv_cell(value: Any) -> Any:
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(_json_value(value), ensure_ascii=False, default=str)
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_cell(v) for v in value)}]"
    return " ".join(str(value).splitlines())


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _table(columns: list[str], rows: list[tuple[Any, ...]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for position, column in enumerate(columns):
        numeric = any(_is_number(row[position]) for row in rows[:100])
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def _write_aligned(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    cells = [columns, *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[position]) for row in cells) for position in range(len(columns))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.out(line.rstrip())
