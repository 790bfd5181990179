"""`thinkrec gc`: remove what nothing needs."""

from typing import TYPE_CHECKING, Annotated

import typer

from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.session import Session
from thinkrec_cli.words import byte_size

if TYPE_CHECKING:
    from artifacts.fsck import Removal

DETAILS = """
Leftovers of processes that died, checkpoints of finished work, files without a name. Artifacts
are never removed (thinkrec remove does that), nor checkpoints of unfinished work, unless
--unfinished says how many days nobody has touched them. Without --yes it only says what it would
remove.
"""
EXAMPLES = ("thinkrec gc", "thinkrec gc --yes", "thinkrec gc --unfinished 30 --yes")


@with_session
def command(
    session: Session,
    really: Annotated[bool, typer.Option("--yes", "-y", help="Remove, not only list.")] = False,
    unfinished: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS",
            min=0,
            help="Also the checkpoints of unfinished work in which nothing was written for so many days.",
        ),
    ] = None,
) -> None:
    """Remove what nothing needs."""
    kept: list[Removal] = []
    removals = session.store_there.gc(
        dry_run=not really, unfinished_days=unfinished, on_kept=kept.append
    )
    total = sum(removal.bytes for removal in removals)
    if session.as_json:
        console.out_json(
            {
                "removed": really,
                "bytes": total,
                "paths": [{"path": str(r.path), "bytes": r.bytes, "why": r.why} for r in removals],
                "unfinished": [{"path": str(r.path), "bytes": r.bytes} for r in kept],
            }
        )
        return
    for removal in removals:
        console.out(f"{removal.path}  {byte_size(removal.bytes)}  {removal.why}")
    done = "removed" if really else "to remove"
    tail = "" if really or not removals else "; thinkrec gc --yes removes it"
    places = f"{len(removals)} place{'s' if len(removals) != 1 else ''}"
    session.say(f"{byte_size(total)} in {places} {done}{tail}")
    if kept:
        held = byte_size(sum(run.bytes for run in kept))
        session.say(
            f"{held} of unfinished work kept ({len(kept)}); thinkrec gc --unfinished DAYS takes what nobody touched "
            "for so long"
        )
