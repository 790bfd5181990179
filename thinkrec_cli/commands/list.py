"""`thinkrec list`: what is in the store."""

import sys
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from artifacts.errors import ArtifactNotFound
from core.config.base import suggestion
from core.errors import ConfigError
from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.session import Session
from thinkrec_cli.words import byte_size, moment

if TYPE_CHECKING:
    from artifacts.store import Artifact, Store

DETAILS = """
Newest last. A reference in the first column is what other commands take.
"""
EXAMPLES = ("thinkrec list", "thinkrec list scores --json")
COLUMNS = ("reference", "made", "rows", "size", "made from")
_GAP = 2


@with_session
def command(
    session: Session,
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="Only this kind.", show_default=False)
    ] = None,
    of_kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="The same as the argument.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Only the newest so many; 0 lists all.")] = 100,
) -> None:
    """List artifacts."""
    if kind and of_kind and kind != of_kind:
        raise ConfigError(
            f"two kinds were given: {kind} and --kind {of_kind}", hint="Give one, or none for all."
        )
    kind = kind or of_kind
    if kind is not None:
        _check_kind(kind)
    # Where there is nothing yet, to list it makes no store; where other things are, it is the wrong place.
    root = session.root
    if not session.has_store and root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise session.no_store()
    artifacts = session.store.artifacts(kind) if session.has_store else []
    shown = artifacts[-limit:] if limit > 0 else artifacts
    if session.as_json:
        console.out_json([_entry(session.store, a) for a in shown])
        return
    if not artifacts:
        of = f" of kind {kind}" if kind else ""
        session.say(f"no artifacts{of} in {session.root}; begin with: thinkrec ingest ml-100k")
        return
    _show(session.store, shown)
    if len(shown) < len(artifacts):
        session.say(f"and {len(artifacts) - len(shown):,} older ones: --limit 0 lists all")


def _check_kind(kind: str) -> None:
    from core.stages.kinds import KINDS

    if kind not in KINDS:
        near = suggestion(kind, KINDS.names())
        raise ArtifactNotFound(
            f"there is no kind '{kind}'",
            hint=f"Did you mean '{near}'?" if near else f"Kinds: {', '.join(KINDS.names())}.",
        )


def _entry(store: "Store", artifact: "Artifact") -> dict[str, Any]:
    manifest = artifact.manifest
    return {
        "reference": artifact.reference,
        "kind": artifact.kind,
        "name": artifact.name,
        "version": artifact.version,
        "key": artifact.key,
        "created": artifact.created,
        "rows": main_rows(artifact),
        "bytes": sum(file["bytes"] for file in manifest.files.values()),
        "inputs": [_reference(store, artifact, object_id) for object_id in manifest.objects_used()],
    }


def main_rows(artifact: "Artifact") -> int | None:
    """Return the rows of the artifact's largest table, or None if it has none."""
    return max((f["rows"] for f in artifact.manifest.files.values() if "rows" in f), default=None)


def _reference(store: "Store", child: "Artifact", object_id: str) -> str:
    try:
        return store.by_object(object_id, child=child).reference
    except ArtifactNotFound:  # removed; listing what is left is still wanted
        return object_id[:12]


def _show(store: "Store", artifacts: "list[Artifact]") -> None:
    lines = [_line(_entry(store, artifact)) for artifact in artifacts]
    if not sys.stdout.isatty():
        console.out_aligned(COLUMNS, [lines])
    elif _least_width([COLUMNS, *lines]) <= console.results().width:
        _print_table(lines)
    else:
        _print_blocks(lines)


def _least_width(lines: Sequence[Sequence[str]]) -> int:
    """Return the width of a table that cuts no reference: its last column may go on, between references, below."""
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    inputs = [word for line in lines[1:] for word in line[4].split(" ")]
    return sum(width + _GAP for width in widths) + max(map(len, [COLUMNS[4], *inputs]))


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", padding=(0, _GAP, 0, 0), pad_edge=False)
    for column in COLUMNS[:4]:
        side: Literal["left", "right"] = "right" if column in ("rows", "size") else "left"
        table.add_column(column, no_wrap=True, justify=side)
    table.add_column(COLUMNS[4])
    for reference, *facts, inputs in lines:
        table.add_row(Text(reference, "cyan"), *facts, Text(inputs, "dim"))
    console.results().print(table)


def _print_blocks(lines: Sequence[Sequence[str]]) -> None:
    """Print each artifact over several lines: a terminal that is too narrow for the table shows references whole."""
    from rich.text import Text

    screen = console.results()
    for reference, made, rows, size, inputs in lines:
        screen.print(Text(reference, "cyan"), soft_wrap=True)
        facts = ", ".join([made, *([f"{rows} rows"] if rows else []), size])
        for text, style in ((facts, ""), (f"from {inputs}" if inputs else "", "dim")):
            for part in wrap(
                text,
                screen.width,
                initial_indent="  ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            ):
                screen.print(Text(part, style), soft_wrap=True)


def _line(entry: dict[str, Any]) -> list[str]:
    return [
        entry["reference"],
        moment(entry["created"]),
        "" if entry["rows"] is None else f"{entry['rows']:,}",
        byte_size(entry["bytes"]),
        " ".join(entry["inputs"]),
    ]
