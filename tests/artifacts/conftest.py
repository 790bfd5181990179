"""An empty store, and a folder to crash in."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts.store import Store
from tests.artifacts.support import open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store with the kinds of support.py."""
    return open_store(tmp_path / "store")


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a kill tests the order of steps, whatever fsync costs."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)
