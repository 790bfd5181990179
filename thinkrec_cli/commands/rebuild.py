"""`thinkrec rebuild`: make the catalog anew."""

from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.session import Session

DETAILS = """
The files are the truth; index and catalog.duckdb are made from them and can be thrown away at any
time.
"""
EXAMPLES = ("thinkrec rebuild",)


@with_session
def command(session: Session) -> None:
    """Make the catalog anew from the files."""
    warning = session.store.rebuild()
    count = len(session.store.artifacts())
    if session.as_json:
        console.out_json({"artifacts": count, "warning": warning})
    if warning:
        console.warn(warning)
    session.say(f"catalog of {count} artifacts made anew")
