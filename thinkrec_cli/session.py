"""What one run of the program shares: the store, common switches, progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from thinkrec_cli import console
from thinkrec_cli.boundary import was_stopped

if TYPE_CHECKING:
    from artifacts.errors import StoreError
    from artifacts.store import Store
    from core.stages.base import Context

DEFAULT_STORE = Path(".thinkrec")


@dataclass(frozen=True, kw_only=True)
class Switches:
    """Options that may stand before or after the command's name."""

    store: Path | None = None
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    def merged(self, later: "Switches") -> "Switches":
        """Return these with what was said again after the command's name."""
        return Switches(
            store=later.store or self.store,
            as_json=self.as_json or later.as_json,
            quiet=self.quiet or later.quiet,
            verbose=self.verbose or later.verbose,
        )


class Session:
    """One run of one command."""

    def __init__(self, switches: Switches) -> None:
        """Take the switches; the store is opened when it is first needed."""
        self.switches = switches
        self.goes_on = "the same command continues where it stopped"
        """What is told to whoever interrupts the work."""

    @classmethod
    def begin(cls, ctx: typer.Context, later: Switches) -> "Session":
        """Start from the options before the command's name (in ctx.obj) and those after it."""
        before = ctx.obj if isinstance(ctx.obj, Switches) else Switches()
        switches = before.merged(later)
        if switches.quiet and switches.verbose:
            switches = replace(switches, quiet=False)
        console.quieten_libraries(verbose=switches.verbose)
        return cls(switches)

    @property
    def as_json(self) -> bool:
        """Whether the result is wanted as JSON."""
        return self.switches.as_json

    @property
    def verbose(self) -> bool:
        """Whether the user wants to read everything."""
        return self.switches.verbose

    @cached_property
    def store(self) -> "Store":
        """The store, opened (and made if it is not there)."""
        return self._open(self.switches.store or DEFAULT_STORE)

    def _open(self, folder: Path) -> "Store":
        from artifacts.store import Store
        from core.stages.kinds import KINDS
        from core.version import version

        store = Store.open(folder, KINDS, version())
        store.say = self.say
        return store

    @property
    def root(self) -> Path:
        """Folder of the store, absolute, whether or not there is one."""
        return (self.switches.store or DEFAULT_STORE).absolute()

    @property
    def has_store(self) -> bool:
        """Whether there is a store to open, so that none has to be made."""
        return (self.root / "format.json").exists()

    @property
    def store_there(self) -> "Store":
        """The store, which has to be there: one that a typing error made would be empty, and nothing wrong with it.

        Raises: StoreError if there is none.
        """
        if not self.has_store:
            raise self.no_store()
        return self.store

    def no_store(self) -> "StoreError":
        """Return what to raise where a store has to be and is none."""
        from artifacts.errors import StoreError

        return StoreError(
            f"there is no store at {self.root}",
            hint="Check --store and the folder you are in; thinkrec ingest makes a store.",
        )

    @contextmanager
    def context(self, *, force: bool = False, new: bool = True) -> Iterator["Context"]:
        """Yield what stages need; when it closes, the catalog file shows what they made.

        Args:
            new: whether to make a store where there is none. Raises: StoreError, without it.
        """
        from core.stages.base import Context
        from thinkrec_cli.progress import make_progress

        store = self.store if new else self.store_there
        progress = make_progress(quiet=self.switches.quiet)
        try:
            yield Context(store=store, progress=progress, force=force)
        except (Exception, KeyboardInterrupt) as problem:
            if isinstance(problem, KeyboardInterrupt) or was_stopped():
                problem.add_note(self.goes_on)
            store.export_catalog()  # what the failure has to say is not drowned in warnings
            raise
        self.export_catalog()

    @contextmanager
    def looking(self, *, force: bool = False) -> Iterator["Context"]:
        """Yield what planning needs; it changes no store and makes none."""
        from core.stages.base import Context
        from thinkrec_cli.progress import make_progress

        progress = make_progress(quiet=self.switches.quiet)
        with TemporaryDirectory() as folder:
            store = self.store if self.has_store else self._open(Path(folder))
            yield Context(store=store, progress=progress, force=force)

    def export_catalog(self) -> None:
        """Bring catalog.duckdb up to date; whoever holds that file open only delays it."""
        if warning := self.store.export_catalog():
            console.warn(warning)

    def say(self, line: str) -> None:
        """Tell a person something, unless they asked for quiet."""
        if not self.switches.quiet:
            console.say(line)
