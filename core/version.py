"""Which program this is: what an artifact says that made it."""

from pathlib import Path


def version() -> str:
    """Return the version of this program; from a checkout with its commit, for instance 0.2.0.dev0+g6eb9e90."""
    from importlib import metadata

    commit = commit_of(Path(__file__).parent.parent)
    return metadata.version("thinkrec") + (f"+g{commit[:7]}" if commit else "")


def commit_of(root: Path) -> str | None:
    """Return the commit that a working tree stands on, None if it is none. Git itself would take longer to start."""
    try:
        folder = root / ".git"
        if folder.is_file():  # a worktree
            folder = root / folder.read_text().removeprefix("gitdir: ").strip()
        head = (folder / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name, shared = head.removeprefix("ref: "), folder / "commondir"
        common = folder / shared.read_text().strip() if shared.exists() else folder
        if (common / name).exists():
            return (common / name).read_text().strip()
        packed = (line.split(" ") for line in (common / "packed-refs").read_text().splitlines())
        return next((words[0] for words in packed if words[1:] == [name]), None)
    except OSError:
        return None
