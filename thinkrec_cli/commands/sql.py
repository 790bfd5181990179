"""`thinkrec sql`: query everything."""

import csv
import json
import math
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from decimal import Decimal
from itertools import chain, islice
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artifacts.errors import BadQuery
from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.session import Session
from thinkrec_cli.words import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DETAILS = """
Tables: artifacts, lineage, parameters, summary, resources, files. Views over what artifacts hold,
latest versions: interactions, items, users, keywords, traces, user_vectors, weights, scores,
explanations, metrics and more; `show tables` names them all. Most have a twin `..._all` with every version.

A terminal gets the first 1,000 rows, each as a block of lines where the columns do not fit; --csv, --json, a pipe
and a file get all. Only --csv and --json have all digits of numbers; a decimal with more of them than programs that
read JSON keep is a text there.
"""
EXAMPLES = (
    'thinkrec sql "select scorer, metric, value from metrics"',
    'thinkrec sql --csv "from scored_items order by score desc limit 20" > best.csv',
    "thinkrec sql - < query.sql",
)
SHOWN_ROWS = 1000
"""Rows of a table in a terminal. DETAILS says it, too."""

Rows = Iterable[tuple[Any, ...]]


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
    text = _piped_query() if query == "-" else query
    with closing(_query(session, text)) as answer:
        columns = next(answer)
        # Begun here: a query that fails at once prints nothing.
        batches: Iterable[Rows] = chain([next(answer, [])], answer)
        rows = chain.from_iterable(batches)
        if session.as_json:
            _write_json(columns, rows)
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_csv_cell(value) for value in row] for row in rows)
        elif sys.stdout.isatty():
            _show(session, columns, rows)
        else:
            console.out_aligned(
                columns, ([[_cell(v) for v in row] for row in rows] for rows in batches)
            )


def _piped_query() -> str:
    """Read the query from standard input. Raises: BadQuery if it is not text."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")  # whatever the locale says
    except UnicodeDecodeError as problem:
        raise BadQuery(
            f"standard input: the query is not UTF-8: {problem.reason} at byte {problem.start}",
            hint="Save it as UTF-8.",
        ) from problem


def _query(session: Session, text: str) -> Generator[Any]:
    """Run a query beside the main thread, which DuckDB would keep from hearing Ctrl-C.

    Yields: names of the columns, then batches of rows, each computed when it is asked for.
    """
    asked: Queue[bool] = Queue()
    found: Queue[Any] = Queue()

    def work() -> None:
        try:
            with session.store_there.answer(text) as (columns, batches):
                found.put(columns)
                while asked.get():
                    found.put(next(batches, None))
        except Exception as problem:  # noqa: BLE001 - raised below, where it can be told
            found.put(problem)

    worker = Thread(target=work, daemon=True)
    worker.start()
    result = _wait(found)
    try:
        while result is not None:
            yield result
            asked.put(True)
            result = _wait(found)
    except GeneratorExit:  # the worker has nothing to do: it can be waited for
        pass
    asked.put(False)
    worker.join()


def _wait(found: "Queue[Any]") -> Any:
    while True:
        try:
            result = found.get(timeout=0.2)
        except Empty:
            continue
        if isinstance(result, Exception):
            raise result
        return result


def _show(session: Session, columns: list[str], rows: Rows) -> None:
    """Print a table in a terminal."""
    shown = list(islice(rows, SHOWN_ROWS + 1))
    page = console.results()
    table = _table(columns, shown[:SHOWN_ROWS])
    if page.measure(table, options=page.options.update(max_width=100_000)).maximum <= page.width:
        page.print(table)
    else:
        _show_below(page, columns, shown[:SHOWN_ROWS])
    if len(shown) > SHOWN_ROWS:
        session.say(f"the first {SHOWN_ROWS:,} rows; --csv and --json print all")
    else:
        session.say(f"{len(shown):,} row{'s' if len(shown) != 1 else ''}")


def _show_below(page: "Console", columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Print a row as a block, one line a column: what is too wide beside each other."""
    from rich.text import Text

    width = max(map(len, columns))
    for number, row in enumerate(rows):
        if number:
            page.print()
        for column, value in zip(columns, row, strict=True):
            name = Text(f"{column:{width}}  ", "bold")
            page.print(name.append(_cell(value), "not bold"), soft_wrap=True)


def _write_json(columns: list[str], rows: Rows) -> None:
    """Write a list of objects, one per line, so that neither people nor memory suffer.

    A column whose name came before gets a number: artifact_1 is the second view's in a join.
    """
    columns = _distinct(columns)
    sys.stdout.write("[")
    for number, row in enumerate(rows):
        item = {c: _json_value(v) for c, v in zip(columns, row, strict=True)}
        sys.stdout.write((",\n " if number else "") + console.as_json(item))
    sys.stdout.write("]\n")


def _distinct(columns: Sequence[str]) -> list[str]:
    found: list[str] = []
    for column in columns:
        name, number = column, 0
        while name in found or (number and name in columns):
            number += 1
            name = f"{column}_{number}"
        found.append(name)
    return found


def _json_value(value: Any) -> Any:
    """Spell what JSON cannot: numbers that are none become null; decimals become numbers if that loses no digit."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else str(value)
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
    return str(value).lower() if isinstance(value, bool) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.15g}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_cell(v) for v in value)}]"
    return visible(" ".join(str(value).splitlines()))


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
