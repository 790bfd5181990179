"""`thinkrec remove`: take artifacts away."""

from typing import Annotated

import typer

from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.session import Session
from thinkrec_cli.words import byte_size

DETAILS = """
Versions go for good, with their files unless another name has them; their numbers are not given
again. It is refused while something else was made from one of them, unless that is named, too.
Without --yes it only says what it would remove.
"""
EXAMPLES = (
    "thinkrec remove scores/films-test@2",
    "thinkrec remove experts/sasrec-2 model/sasrec-2 --yes",
)


@with_session
def command(
    session: Session,
    references: Annotated[
        list[str], typer.Argument(metavar="REF...", help="Artifacts.", show_default=False)
    ],
    really: Annotated[bool, typer.Option("--yes", "-y", help="Remove, not only list.")] = False,
) -> None:
    """Take artifacts away."""
    departures = session.store_there.remove(*references, dry_run=not really)
    total = sum(departure.bytes for departure in departures)
    if session.as_json:
        console.out_json(
            {
                "removed": really,
                "bytes": total,
                "artifacts": [
                    {"reference": d.reference, "bytes": d.bytes, "what": d.what} for d in departures
                ],
            }
        )
    else:
        for departure in departures:
            console.out(f"{departure.reference}  {byte_size(departure.bytes)}  {departure.what}")
    if really:
        session.export_catalog()
    count = f"{len(departures)} artifact{'s' if len(departures) != 1 else ''}"
    done = "removed" if really else "to remove; with --yes it is done"
    session.say(f"{count}, {byte_size(total)} {done}")
