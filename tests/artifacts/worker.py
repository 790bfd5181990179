"""What tests do with a store in another process: python -m tests.artifacts.worker ACTION ROOT ...

Exits with 28 (ENOSPC) where the disk was full.
"""

import errno
import sys
import time
from pathlib import Path

from tests.artifacts.support import open_store, publish_note, work


def publish(root: str, name: str, number: str) -> None:
    """Publish a note, unless the work is done."""
    store = open_store(Path(root))
    arguments = work(store, "note", number=int(number))
    found = store.find("note", arguments["key"])
    artifact = store.name_object(found, name) if found else publish_note(store, name, int(number))
    sys.stdout.write(f"{artifact.reference}\n")


def force(root: str, name: str, number: str) -> None:
    """Publish a note whatever is there."""
    publish_note(open_store(Path(root)), name, int(number))


def many(root: str, who: str, count: str) -> None:
    """Publish notes, every second one under a name that all share, then export the catalog."""
    for step in range(int(count)):
        store = open_store(Path(root))
        name = "shared" if step % 2 else f"worker-{who}"
        artifact = publish_note(store, name, int(who) * 1000 + step)
        sys.stdout.write(f"{artifact.reference} {artifact.key}\n")
    if warning := store.export_catalog():
        sys.exit(warning)


def once(root: str, number: str, log: str) -> None:
    """Do work that takes a while, unless it is done or somebody else is doing it."""
    store = open_store(Path(root))
    arguments = work(store, "note", number=int(number))
    with store.run_folder("note", arguments["key"]) as folder:
        found = store.find("note", arguments["key"])
        if not found:
            with Path(log).open("a") as file:
                file.write("computed\n")
            (folder / "checkpoint").write_text("1")
            time.sleep(0.3)
            found = publish_note(store, "once", int(number))
            store.discard_run_folder(folder)
    sys.stdout.write(f"{found.reference}\n")


def frozen(root: str) -> None:
    """Say so in the midst of a publish, and stop there until a line comes."""
    store = open_store(Path(root))
    with store.publish(name="frozen", **work(store, "note", number=7)) as draft:
        (draft.folder / "note.json").write_text("{}")
        sys.stdout.write("half way\n")
        sys.stdout.flush()
        sys.stdin.readline()
        (draft.folder / "text").mkdir()
        (draft.folder / "text" / "note.txt").write_text("done")


def export(root: str) -> None:
    """Export the catalog."""
    if warning := open_store(Path(root)).export_catalog():
        sys.stdout.write(f"{warning}\n")


def gc(root: str) -> None:
    """Collect garbage."""
    open_store(Path(root)).gc()


def remove(root: str, reference: str) -> None:
    """Remove a version."""
    open_store(Path(root)).remove(reference)


def rebuild(root: str) -> None:
    """Rebuild index and catalog."""
    open_store(Path(root)).rebuild()


def second_name(root: str, reference: str, name: str) -> None:
    """Give an artifact another name."""
    store = open_store(Path(root))
    store.name_object(store.resolve(reference), name)


ACTIONS = (publish, force, many, once, frozen, export, gc, remove, rebuild, second_name)

if __name__ == "__main__":
    try:
        next(a for a in ACTIONS if a.__name__ == sys.argv[1])(*sys.argv[2:])
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        sys.exit(errno.ENOSPC)
