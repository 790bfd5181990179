"""What identifies a model folder, and where that is remembered."""

import json
from pathlib import Path

import pytest

from core.errors import ModelFolderError, ResourceFetchError
from core.llm.folder import folder_digest
from core.llm.identity import base_folder
from core.resources.cache import cache_root

NOBODY = "~nobody-of-this-name"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that is read as a model's is."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    return folder


def test_digests_are_remembered_for_everybody(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THINKREC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "plain").touch()  # with the rights that files get here
    digest = folder_digest(model)
    (memory,) = (tmp_path / "cache" / "digests").iterdir()
    assert memory.stat().st_mode == (tmp_path / "plain").stat().st_mode
    known = json.loads(memory.read_text())
    known["config.json"][3] = "as remembered"
    memory.write_text(json.dumps(known))
    assert folder_digest(model) != digest


def test_where_nothing_can_be_remembered_the_digest_is_the_same(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THINKREC_CACHE", str(tmp_path / "cache"))
    digest = folder_digest(model)
    (tmp_path / "file").touch()
    monkeypatch.setenv("THINKREC_CACHE", str(tmp_path / "file" / "cache"))
    assert folder_digest(model) == digest
    # A folder stands in the memory's place: what was written on the way there is removed.
    (memory,) = (tmp_path / "cache" / "digests").iterdir()
    memory.unlink()
    memory.mkdir()
    monkeypatch.setenv("THINKREC_CACHE", str(tmp_path / "cache"))
    assert folder_digest(model) == digest
    assert list(memory.parent.iterdir()) == [memory]


def test_a_home_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelFolderError, match="is not a folder") as told:
        base_folder(f"{NOBODY}/model")
    assert told.value.hint
    for name in ("THINKREC_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv("THINKREC_CACHE", raising=False)
        monkeypatch.setenv(name, f"{NOBODY}/cache")
        with pytest.raises(ResourceFetchError) as unknown:
            cache_root()
        assert "THINKREC_CACHE" in unknown.value.hint
