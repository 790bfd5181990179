"""An installed package holds all that the program reads, wherever it is started."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("thinkrec_cli", "core", "artifacts", "recipes")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return a folder with what the package's wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # building leaves files beside what it builds
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", folder]
    subprocess.run([*command, source], check=True, timeout=300)
    (wheel,) = folder.glob("thinkrec-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def files_of(root: Path) -> set[str]:
    """Return the files of the packages and of recipes that are no leftovers of Python."""
    return {
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_holds_every_file_of_the_packages(installed):
    assert files_of(installed) == files_of(ROOT)


def test_an_installed_program_runs_its_recipes_from_any_folder(installed, tmp_path):
    words = [sys.executable, "-m", "thinkrec_cli", "run", "quickstart", "--dry-run"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert "evaluation" in done.stdout
    where = "import core; print(core.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout.startswith(str(installed))
