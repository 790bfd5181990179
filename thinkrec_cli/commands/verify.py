"""`thinkrec verify`: is every file what was published?"""

from typing import Annotated

import typer

from artifacts.errors import CorruptArtifact
from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.progress import make_progress
from thinkrec_cli.session import Session

DETAILS = """
Reads every byte again. Prints what is damaged, one line each, and fails if anything is.
"""
EXAMPLES = ("thinkrec verify", "thinkrec verify model/thinkrec")


@with_session
def command(
    session: Session,
    references: Annotated[
        list[str] | None,
        typer.Argument(metavar="[REF]...", help="Artifacts; all if none.", show_default=False),
    ] = None,
) -> None:
    """Check files against their checksums."""
    from thinkrec_cli.pipes import read_piped_references

    wanted = references or read_piped_references() or None
    store = session.store_there
    chosen = store.artifacts() if wanted is None else [store.resolve(r) for r in wanted]
    objects = {a.object_id: a for a in chosen}
    total = sum(f["bytes"] for a in objects.values() for f in a.manifest.files.values())
    progress = make_progress(quiet=session.switches.quiet)
    with progress.bar("verify", total, "bytes") as bar:
        problems = store.verify(wanted, on_file=lambda path, size: bar.advance(size))
    if session.as_json:
        console.out_json(
            [{"reference": p.reference, "path": p.path, "what": p.what} for p in problems]
        )
    else:
        for problem in problems:
            console.out(str(problem))
    if problems:
        damaged = {p.reference for p in problems}
        # What cannot be read at all is not among the artifacts that were chosen.
        every = damaged.union(artifact.reference for artifact in chosen)
        raise CorruptArtifact(
            f"{len(damaged)} of {len(every)} artifact{'s' if len(every) != 1 else ''} damaged",
            hint="Make them again with --force, then thinkrec remove takes the damaged ones away; "
            "what was made from them may be wrong, too.",
        )
    artifacts = f"{len(chosen)} artifact{'s' if len(chosen) != 1 else ''}"
    session.say(f"{artifacts}, {total:,} bytes: all as published")
