"""An empty store."""

from pathlib import Path

import pytest

from artifacts.store import Store
from tests.artifacts.support import open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store with the kinds of support.py."""
    return open_store(tmp_path / "store")
