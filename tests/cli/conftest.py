"""The real program in real processes, on a small table of ratings."""

import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from thinkrec_cli.app import load_command

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(store: Path, **more: str) -> dict[str, str]:
    """Return an environment in which `thinkrec` uses a store, finds no terminal and buffers as usual."""
    unfit = ("COLUMNS", "THINKREC_STORE", "PYTHONUNBUFFERED", "FORCE_COLOR", "TTY_COMPATIBLE")
    kept = {k: v for k, v in os.environ.items() if k not in unfit}
    scripts = str(Path(sys.executable).parent)
    path = f"{scripts}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "THINKREC_STORE": str(store), "NO_COLOR": "1", "PATH": path, **more}


def commands_of(lines: str) -> list[list[str]]:
    """Return the words of every `thinkrec` command in lines for a shell, without what the shell keeps for itself."""
    found = []
    for line in lines.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|&;"):
                found.append(command)
                command = []
            else:
                command.append(word)
    # Where a redirection begins, the words of the program end.
    ends = [next((n for n, w in enumerate(c) if w[0] in "<>"), len(c)) for c in found]
    commands = [c[:end] for c, end in zip(found, ends, strict=True)]
    return [words for words in commands if words[:1] == ["thinkrec"]]


def check_command(words: list[str]) -> dict[str, Any]:
    """Return the parameters of a command as the program reads them, and run nothing. Raises: typer's usage errors."""
    _, name, *arguments = words
    with load_command(name).make_context(name, arguments) as context:
        parameters: dict[str, Any] = context.params
        return parameters


def write_ratings(folder: Path, *, users: int = 12, items: int = 15, rows: int = 240) -> None:
    """Write ratings.csv and movies.csv: every user likes the items of one genre."""
    draw = random.Random(0)
    genres = ["Comedy", "Drama", "Horror"]
    pairs = [(u, i) for u in range(users) for i in range(items)]
    lines = ["user,item,rating,timestamp"]
    for position, (user, item) in enumerate(draw.sample(pairs, min(rows, len(pairs)))):
        liked = draw.random() < (0.9 if item % 3 == user % 3 else 0.2)
        lines.append(f"u{user},i{item},{5 if liked else 2},{1_000_000_000 + 60 * position}")
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    titles = [f"i{i},Film {i},{genres[i % 3]}" for i in range(items)]
    (folder / "movies.csv").write_text("\n".join(["item,title,categories", *titles]) + "\n")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Folder of a store that is not there yet."""
    return tmp_path / "store"


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Folder with ratings.csv and movies.csv."""
    write_ratings(tmp_path)
    return tmp_path


@pytest.fixture
def thinkrec(store: Path, ratings: Path) -> Run:
    """Run `thinkrec ARGUMENTS` in the folder of the ratings; nothing on standard input."""

    return partial(run_thinkrec, ratings, store)


def run_thinkrec(
    folder: Path, store: Path, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run `thinkrec ARGUMENTS` in a folder on a store, with more variables; nothing on standard input."""
    return subprocess.run(
        [sys.executable, "-m", "thinkrec_cli", *arguments],
        cwd=folder,
        env=environment(store, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def shell(store: Path, ratings: Path) -> Run:
    """Run a line in bash, with `thinkrec` on the path, in the folder of the ratings."""

    def run(line: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=ratings,
            env=environment(store, **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def ingested_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the ingested ratings, one for the whole test session: copy it."""
    folder = tmp_path_factory.mktemp("ingested")
    write_ratings(folder)
    make(folder, "ingest", "table", "--interactions", "ratings.csv", "--items", "movies.csv")
    return folder / "store"


def make(folder: Path, *arguments: str) -> None:
    """Run `thinkrec ARGUMENTS` in a folder, on the store there."""
    done = run_thinkrec(folder, folder / "store", *arguments)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def ingested(ingested_store: Path, store: Path) -> str:
    """Reference of the ingested ratings."""
    shutil.copytree(ingested_store, store)
    return "dataset/table@1"
