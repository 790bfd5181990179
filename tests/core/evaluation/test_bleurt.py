"""BLEURT against the package whose checkpoints it reads, and folders that are none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from core.errors import ModelFolderError
from core.evaluation import bleurt
from core.evaluation.bleurt import bleurts
from core.progress import Silent
from tests.core.evaluation.checkpoints import EMBEDDING_SIZES, PAIRS, write_checkpoint

GOLDEN = json.loads(Path(__file__).with_name("bleurt_golden.json").read_text())


def scores(folder: Path) -> list[float]:
    return list(bleurts(PAIRS, folder, Silent()))


@pytest.mark.parametrize("name", EMBEDDING_SIZES)
def test_scores_are_those_of_bleurt_pytorch(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / name, embedding_size=EMBEDDING_SIZES[name])
    assert scores(folder) == pytest.approx(GOLDEN[name], abs=1e-5)
    assert len({round(value, 3) for value in GOLDEN[name]}) == len(PAIRS)


def test_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint(tmp_path / "it", embedding_size=12)
    together = scores(folder)
    monkeypatch.setattr(bleurt, "_BATCH", 1)
    assert scores(folder) == pytest.approx(together, abs=1e-5)


def plain(folder: Path, labels: int) -> Path:
    """Write a BERT that was trained to regress, without any BLEURT names."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=32,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=24,
        num_labels=labels,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    source = write_checkpoint(folder.with_name("source"), embedding_size=None)
    shutil.copy(source / "vocab.txt", folder)
    BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


def test_any_regression_model_of_transformers_will_do(tmp_path: Path) -> None:
    found = scores(plain(tmp_path / "it", labels=1))
    assert np.isfinite(found).all()
    assert len(set(found)) == len(PAIRS)


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="gives 2 numbers"):
        scores(plain(tmp_path / "it", labels=2))


def test_folders_that_are_no_checkpoint_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFolderError, match=r"no config\.json") as raised:
        scores(tmp_path / "empty")
    assert "BLEURT-20" in str(raised.value.hint)
    folder = write_checkpoint(tmp_path / "it", embedding_size=12)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match="cannot be opened as a BLEURT model"):
        scores(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        scores(folder)


def test_weights_of_another_shape_of_model_are_missed(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "it", embedding_size=None)
    config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 3}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelFolderError, match="lacks 16 weights"):
        scores(folder)


def test_a_sentence_piece_vocabulary_names_the_packages_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_checkpoint(tmp_path / "it", embedding_size=12)
    (folder / "spm.model").write_bytes(b"")
    monkeypatch.setattr(bleurt, "_is_there", lambda module: module != "google.protobuf")
    with pytest.raises(ModelFolderError, match="needs protobuf to be read") as raised:
        scores(folder)
    assert "thinkrec[bleurt]" in str(raised.value.hint)
