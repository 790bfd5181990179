"""What a checkout holds is what git knows: a forgotten file is there for whoever wrote it, and for nobody else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("thinkrec_cli", "core", "artifacts", "recipes", "tests", "bench", "docs")


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="no checkout"
)
def test_every_file_of_the_project_is_known_to_git():
    # In a hook git's variables name another index than that of the checkout.
    outside = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--others", "--exclude-standard", *FOLDERS],
        env=outside,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "", "add them: git add"
