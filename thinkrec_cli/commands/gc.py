"""`thinkrec gc`: remove what nothing needs."""

from typing import Annotated

import typer

from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.session import Session
from thinkrec_cli.words import byte_size

DETAILS = """
Leftovers of processes that died, checkpoints of finished work, files without a name. Artifacts
are never removed, nor checkpoints of unfinished work. Without --yes it only says what it would
remove.
"""
EXAMPLES = ("thinkrec gc", "thinkrec gc --yes")


@with_session
def command(
    session: Session,
    really: Annotated[bool, typer.Option("--yes", "-y", help="Remove, not only list.")] = False,
) -> None:
    """Remove what nothing needs."""
    removals = session.store.gc(dry_run=not really)
    total = sum(removal.bytes for removal in removals)
    if session.as_json:
        console.out_json(
            {
                "removed": really,
                "bytes": total,
                "paths": [{"path": str(r.path), "bytes": r.bytes, "why": r.why} for r in removals],
            }
        )
        return
    for removal in removals:
        console.out(f"{removal.path}  {byte_size(removal.bytes)}  {removal.why}")
    done = "removed" if really else "to remove"
    tail = "" if really or not removals else "; thinkrec gc --yes removes it"
    session.say(f"{byte_size(total)} in {len(removals)} places {done}{tail}")
