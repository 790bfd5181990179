"""Where everything lies below the root of a store, and what makes a folder a store.

    format.json                         {"format":1}; a higher number is refused
    objects/<kind>/<object id>/         an artifact: payload files and manifest.json; never changed
    refs/<kind>/<name>/00000007.json    the commit: version 7 of a name is this object
    refs/<kind>/<name>/00000006.removed a version taken away; its number is not used again
    staging/<random>/                   work in progress; its owner holds a lock on `owner`
    runs/<kind>-<key>/                  checkpoints and journals of work that is under way
    locks/                              lock files; `commit` also notes the time of the last commit
    index/gen-00000012.jsonl            derived: what refs and manifests say, in one file
    index/tables-<digest>/              derived: SQL tables of one generation
    index/exported.json                 derived: what catalog.duckdb was made from
    catalog.duckdb                      derived: a copy for other programs

An object id is the key of the work; where the same work was done again, the key, a dot and a random
suffix.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from artifacts import files
from artifacts.errors import StoreError, StoreTooNew

FORMAT = 1


@dataclass(frozen=True)
class Layout:
    """Paths below the root of a store."""

    root: Path

    @property
    def format_file(self) -> Path:
        """Says which version of the layout this is."""
        return self.root / "format.json"

    @property
    def objects(self) -> Path:
        """The artifacts."""
        return self.root / "objects"

    @property
    def refs(self) -> Path:
        """The commits."""
        return self.root / "refs"

    @property
    def staging(self) -> Path:
        """Work in progress."""
        return self.root / "staging"

    @property
    def runs(self) -> Path:
        """Checkpoints and journals."""
        return self.root / "runs"

    @property
    def index(self) -> Path:
        """Derived files."""
        return self.root / "index"

    @property
    def catalog(self) -> Path:
        """The exported catalog."""
        return self.root / "catalog.duckdb"

    def object_folder(self, kind: str, object_id: str) -> Path:
        """Folder of one artifact."""
        return self.objects / kind / object_id

    def run_folder(self, kind: str, key: str) -> Path:
        """Folder of one piece of work under way."""
        return self.runs / f"{kind}-{key}"

    def lock(self, name: str) -> Path:
        """A lock file."""
        return self.root / "locks" / name


def open_layout(root: Path) -> Layout:
    """Return the layout of a store, making an empty store where there is none.

    Raises: StoreTooNew, StoreError if the folder cannot be made, holds something else or has a path that is not UTF-8.
    """
    layout = Layout(Path(os.path.abspath(root)))  # noqa: PTH100 - resolve() would follow the links of a moved store
    _require_text(layout.root)
    try:
        content = layout.format_file.read_bytes()
    except FileNotFoundError:
        _make(layout)
        content = layout.format_file.read_bytes()
    except OSError as problem:
        raise StoreError(
            f"cannot read the store at {layout.root}: {problem.strerror}",
            hint="Check the path given as --store, and your rights to it.",
        ) from problem
    _check_format(layout, content)
    return layout


def _require_text(root: Path) -> None:
    """Raises: StoreError for a path that could not stand in a query."""
    try:
        str(root).encode()
    except UnicodeEncodeError:
        raise StoreError(
            f"the path of the store {str(root)!a} is not UTF-8",
            hint="Give that folder another name, or choose another one with --store.",
        ) from None


def _check_format(layout: Layout, content: bytes) -> None:
    try:
        number = int(json.loads(content)["format"])
    except (ValueError, KeyError, TypeError, OverflowError) as problem:
        raise StoreError(
            f"{layout.format_file} does not say which format the store has",
            hint=f'If this is a store of this program, write {{"format":{FORMAT}}} into that file.',
        ) from problem
    if number > FORMAT:
        raise StoreTooNew(
            f"the store at {layout.root} has format {number}, this program knows up to {FORMAT}",
            hint="Update the program, or use another store with --store.",
        )


def _make(layout: Layout) -> None:
    try:
        files.make_folder(layout.root)
        strangers = [
            e.name for e in os.scandir(layout.root) if not e.name.startswith("format.json")
        ]
    except OSError as problem:
        if files.is_full_disk(problem):
            raise
        raise StoreError(
            f"cannot make a store at {layout.root}: {problem.strerror}",
            hint="Choose another folder with --store.",
        ) from problem
    if strangers and not layout.format_file.exists():  # else another process has just made it
        raise StoreError(
            f"{layout.root} is not a store, and it is not empty (it holds {strangers[0]})",
            hint="Name a store, or a folder that does not exist yet, with --store.",
        )
    draft = layout.root / f"format.json.{os.urandom(4).hex()}"
    try:
        files.write_new(draft, json.dumps({"format": FORMAT}).encode() + b"\n")
        files.link(draft, layout.format_file)  # two processes may make the same store at once
        files.sync(layout.root)
    except OSError as problem:
        if layout.format_file.exists():
            return  # another process made it, and tidied up after us
        if files.is_full_disk(problem):
            raise
        raise StoreError(
            f"a store needs files with two names, which {layout.root} refuses: {problem.strerror}",
            hint="Put the store on a local disk with --store.",
        ) from problem
    finally:
        draft.unlink(missing_ok=True)
