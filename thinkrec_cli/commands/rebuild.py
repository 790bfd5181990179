"""`thinkrec rebuild`: make the catalog anew."""

from artifacts.errors import StoreError
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
    warning = session.store_there.rebuild()
    count = len(session.store.artifacts())
    if session.as_json:
        console.out_json({"artifacts": count, "warning": warning})
    if warning:
        damaged = "thinkrec verify" in warning  # the copy is there, some views of it fail
        raise StoreError(
            f"the index is made anew, the catalog is not{' whole' if damaged else ''}: {warning}",
            hint="See what is damaged, and what to do, with: thinkrec verify."
            if damaged
            else "Free some space or move the store, then run it again.",
        )
    session.say(f"catalog of {count} artifacts made anew")
