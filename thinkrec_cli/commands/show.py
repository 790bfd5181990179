"""`thinkrec show`: one artifact in full."""

import json
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artifacts.errors import ArtifactNotFound
from thinkrec_cli import console
from thinkrec_cli.options import with_session
from thinkrec_cli.session import Session
from thinkrec_cli.words import byte_size, moment, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table
    from rich.tree import Tree

    from artifacts.store import Artifact, Store

DETAILS = """
REF is kind/name (the latest version), kind/name@version, or the beginning of a key. What it was made from is drawn
some steps deep; --json names all of it, and gives a list for several.
"""
DEPTH = 12
"""Steps of a tree: a whole pipeline is less deep, and a page should end."""
EXAMPLES = ("thinkrec show dataset/ml-100k", "thinkrec encode | thinkrec show")


@with_session
def command(
    session: Session,
    references: Annotated[
        list[str] | None, typer.Argument(metavar="REF...", help="Artifacts.", show_default=False)
    ] = None,
) -> None:
    """Show an artifact."""
    from thinkrec_cli.pipes import read_piped_references

    # Of what comes through a pipe only the last is meant: the others are on their way.
    wanted = references or read_piped_references()[-1:]
    if not wanted:
        raise ArtifactNotFound("no artifact was named", hint="thinkrec list says what there is.")
    store = session.store_there
    artifacts = [store.resolve(reference) for reference in wanted]
    if session.as_json:
        entries = [_entry(store, artifact) for artifact in artifacts]
        console.out_json(entries if len(entries) > 1 else entries[0])
        return
    for artifact in artifacts:
        _show(store, artifact)


def _entry(store: "Store", artifact: "Artifact") -> dict[str, Any]:
    manifest = json.loads(artifact.manifest.to_json())
    return {
        "reference": artifact.reference,
        "version": artifact.version,
        "folder": str(artifact.folder),
        **manifest,
        "ancestors": _related(store, artifact, up=True),
        "descendants": _related(store, artifact, up=False),
    }


def _related(store: "Store", artifact: "Artifact", *, up: bool) -> list[str]:
    found: dict[str, Artifact] = {}
    near, queue = _neighbours(store, up=up), deque([artifact])
    while queue:
        for other in near(queue.popleft()):
            if other.object_id not in found:
                found[other.object_id] = other
                queue.append(other)
    return [other.reference for other in found.values()]


def _neighbours(store: "Store", *, up: bool) -> "Callable[[Artifact], list[Artifact]]":
    """Return what tells the parents of an artifact, or its children; the store is read once for all."""
    if up:
        return lambda artifact: _parents(store, artifact)
    children: dict[str, list[Artifact]] = {}
    for artifact in store.artifacts():
        for object_id in dict.fromkeys(artifact.objects_used()):
            children.setdefault(object_id, []).append(artifact)
    return lambda artifact: children.get(artifact.object_id, [])


def _parents(store: "Store", artifact: "Artifact") -> "list[Artifact]":
    found = []
    for object_id in dict.fromkeys(artifact.objects_used()):
        try:
            found.append(store.by_object(object_id, child=artifact))
        except ArtifactNotFound:  # removed since
            continue
    return found


def _show(store: "Store", artifact: "Artifact") -> None:
    from rich.text import Text

    target, manifest = console.results(), artifact.manifest
    target.print(Text(artifact.reference, "bold cyan"))
    known = artifact.kind in store.kinds  # a later version of the program may have more kinds
    about = store.kinds[artifact.kind].about if known else "of a kind that this version lacks"
    made = f"made {moment(artifact.created)} by thinkrec {manifest.program_version}"
    target.print(Text(f"{about}; {made}"), soft_wrap=True)
    target.print(Text(f"key     {artifact.key}", "dim"), soft_wrap=True)
    target.print(Text(f"folder  {artifact.folder}", "dim"), soft_wrap=True)
    for title, values in (
        ("settings", manifest.parameters),
        ("facts", manifest.summary),
        ("resources", manifest.resources),
    ):
        if values:
            target.print(Text(f"\n{title}", "bold"))
            target.print(_pairs(values))
    target.print(Text("\nfiles", "bold"))
    target.print(_files(artifact))
    for title, up in (("made from", True), ("used by", False)):
        tree = _tree(store, artifact, up=up)
        if tree.children:
            target.print(Text(f"\n{title}", "bold"))
            target.print(tree)


def _pairs(values: dict[str, Any]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        spelled = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(Text(f"  {name}"), Text(visible(spelled)))
    return table


def _files(artifact: "Artifact") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), pad_edge=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    for path, file in artifact.manifest.files.items():
        rows = f"{file['rows']:,} rows" if "rows" in file else ""
        table.add_row(
            Text(f"  {path}"), byte_size(file["bytes"]), rows, Text(file["sha256"][:12], "dim")
        )
    return table


def _tree(store: "Store", artifact: "Artifact", *, up: bool) -> "Tree":
    from rich.text import Text
    from rich.tree import Tree

    near = _neighbours(store, up=up)

    def grow(tree: "Tree", node: "Artifact", depth: int) -> None:
        for other in near(node):
            again = other.object_id in seen
            seen.add(other.object_id)
            cut = depth == DEPTH and bool(near(other))
            branch = tree.add(Text(other.reference + (" …" if again or cut else ""), "cyan"))
            if not again and not cut:
                grow(branch, other, depth + 1)

    seen: set[str] = set()
    root = Tree(Text(artifact.reference, "dim"), guide_style="dim")
    grow(root, artifact, 1)
    return root
