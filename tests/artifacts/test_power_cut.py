"""A commit stands on nothing that a power cut could take away.

What a publish does to the disk is recorded and replayed against a strict model: content of a file, and entries of a
folder, are safe only after an fsync of that file or folder. No fsync may be left out.
"""

from pathlib import Path

import pytest

from artifacts import faults
from artifacts.store import Store
from tests.artifacts.support import open_store, publish_note, work

Step = tuple[str, ...]


def record(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[Step]:
    """Publish a first and a second note into a new store. Returns: the changes to the disk, in order."""
    steps: list[Step] = []

    def step(what: str, *, grows: bool = True) -> None:
        verb, rest = what.split(" ", 1)
        steps.append((verb, *rest.split(" to ")))

    with monkeypatch.context() as patch:
        patch.setattr(faults, "step", step)
        store = open_store(root)
        publish_watched(store, steps, 1)
        publish_watched(store, steps, 2)
        steps.append(("told", store.name_object(store.resolve("note/a@1"), "b").reference))
    return steps


def publish_watched(store: Store, steps: list[Step], number: int) -> None:
    """Publish a note, and note what the block itself writes."""
    with store.publish(name="a", **work(store, "note", number=number)) as draft:
        (draft.folder / "note.json").write_text("{}")
        (draft.folder / "text").mkdir()
        (draft.folder / "text" / "note.txt").write_text("x")
        written = sorted(draft.folder.rglob("*"))
        steps.extend(("make" if path.is_dir() else "create", str(path)) for path in written)
    steps.append(("told", draft.artifact.reference if draft.artifact else ""))


def unsafe(steps: list[Step], root: Path) -> list[str]:
    """List what a power cut could take from under a commit, when linked and when told to the user."""
    content: set[str] = set()
    entries: set[str] = set()
    found = []
    objects, refs = str(root / "objects"), str(root / "refs")

    def look(when: str, *, also: str) -> None:
        exposed = {p for p in content | entries if p.startswith((objects, also))}
        found.extend(f"{when}: {path}" for path in sorted(exposed))
        found.extend(f"{when}: {path}" for path in {root, *root.parents} if str(path) in entries)

    for verb, path, *target in steps:
        parent = str(Path(path).parent)
        if verb == "make":
            entries.add(parent)
        elif verb == "create":
            content.add(path)
            entries.add(parent)
        elif verb == "sync":
            content.discard(path)
            entries.discard(path)
        elif verb == "move":
            content = {p.replace(path, target[0], 1) for p in content}
            entries = {p.replace(path, target[0], 1) for p in entries}
            entries.add(str(Path(target[0]).parent))
        elif verb == "link":
            drafts = [p for p in content if "/commit-" in p or "/format.json" in p]
            found.extend(f"{path} is linked before its content is safe: {p}" for p in drafts)
            if path.startswith(refs):
                look(f"at the link of {path}", also=objects)
            entries.add(parent)
        elif verb == "told":
            look(f"when {path} is told", also=refs)
    return found


def test_a_commit_stands_on_nothing_that_a_power_cut_could_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "deep" / "store"
    assert unsafe(record(monkeypatch, root), root) == []


def test_each_fsync_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "deep" / "store"
    steps = record(monkeypatch, root)
    spare = []
    for number, step in enumerate(steps):
        if step[0] == "sync" and not unsafe(steps[:number] + steps[number + 1 :], root):
            spare.append(step[1])
    # Spare are only those for private folders, which nobody misses after a power cut, and those of
    # the root where a later one comes before the commit.
    assert all(Path(path) == root or Path(path).is_relative_to(root / "staging") for path in spare)
    assert len(spare) < len([step for step in steps if step[0] == "sync"]) / 2


def test_the_model_sees_the_published_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = record(monkeypatch, tmp_path)
    assert [step[0] for step in steps].count("link") == 1 + 3  # the format, and three commits
    publish_note(open_store(tmp_path), "c", 3)
