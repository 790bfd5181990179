"""BLEURT: how near a text comes to a reference, as a trained regression model judges it.

Read with transformers' own classes, because the package bleurt-pytorch does not import with transformers 5. A
checkpoint converted by that package (model type `bleurt`) is BERT, or with an `embedding_size` RemBERT, under other
names of its weights; any other sequence classifier with one output is taken as it is.
"""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import ModelFolderError
from core.evaluation.rows import Floats
from core.llm.quiet import quiet_transformers
from core.progress import Progress

_HINT = (
    "Give a folder with a BLEURT checkpoint for PyTorch, for instance BLEURT-20 of the bleurt-pytorch package: "
    "config.json, weights and vocabulary."
)
_BATCH = 16
_LONGEST = 512
_SHAPE = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "pad_token_id",
)
"""Settings that a converted checkpoint shares with BERT and RemBERT."""
_SENTENCE_PIECE = "spm.model"


def bleurts(pairs: Sequence[tuple[str, str]], folder: Path, progress: Progress) -> Floats:
    """Return (n,) BLEURT of (text, reference) pairs; about 0 to 1, not bounded.

    Raises: ModelFolderError if the folder is no such model.
    """
    model, tokenizer = _open(folder)
    longest = min(_LONGEST, int(model.config.max_position_embeddings))
    values: list[float] = []
    with torch.inference_mode(), progress.bar("BLEURT", len(pairs), "reasons") as bar:
        for start in range(0, len(pairs), _BATCH):
            batch = pairs[start : start + _BATCH]
            read = tokenizer(
                [reference for _, reference in batch],
                [text for text, _ in batch],
                padding=True,
                truncation="longest_first",
                max_length=longest,
                return_tensors="pt",
            )
            values += model(**read).logits.flatten().tolist()
            bar.advance(len(batch))
    return np.array(values, dtype=np.float64)


def _open(folder: Path) -> tuple[Any, Any]:
    config = _read_config(folder)
    if (folder / _SENTENCE_PIECE).is_file():
        _require_sentence_piece(folder)
    with quiet_transformers():
        try:
            if config.get("model_type") == "bleurt":
                model, facts, tokenizer = _open_converted(folder, config)
            else:
                model, facts, tokenizer = _open_plain(folder)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as problem:
            told = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]
            raise ModelFolderError(
                f"{folder} cannot be opened as a BLEURT model: {told}", hint=_HINT
            ) from problem
    if missing := sorted(facts["missing_keys"]):
        raise ModelFolderError(
            f"{folder} lacks {len(missing)} weights of a BLEURT model, {missing[0]} first",
            hint=_HINT,
        )
    if model.config.num_labels != 1:
        raise ModelFolderError(
            f"{folder} gives {model.config.num_labels} numbers for a pair, BLEURT gives one",
            hint=_HINT,
        )
    return model.eval(), tokenizer


def _require_sentence_piece(folder: Path) -> None:
    """Raises: ModelFolderError if the vocabulary cannot be read with what is installed."""
    missing = [
        package
        for package, module in (("sentencepiece", "sentencepiece"), ("protobuf", "google.protobuf"))
        if not _is_there(module)
    ]
    if missing:
        raise ModelFolderError(
            f"the vocabulary {folder / _SENTENCE_PIECE} needs {' and '.join(missing)} to be read",
            hint="Install them: pip install 'thinkrec[bleurt]'",
        )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelFolderError(f"{folder} holds no config.json", hint=_HINT)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ModelFolderError(f"{path} cannot be read: {problem}", hint=_HINT) from problem
    return config if isinstance(config, dict) else {}


def _open_plain(folder: Path) -> tuple[Any, dict[str, Any], Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model, facts = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
    )
    return model, facts, tokenizer


def _open_converted(folder: Path, config: dict[str, Any]) -> tuple[Any, dict[str, Any], Any]:
    """Open a checkpoint of the bleurt-pytorch package."""
    import transformers

    settings = {name: config[name] for name in _SHAPE if name in config} | {"num_labels": 1}
    narrow = config.get("embedding_size")
    if narrow is None:
        kind: Any = transformers.BertForSequenceClassification
        shape: Any = transformers.BertConfig(**settings)
        renamed = {r"^bleurt\.": "bert."}
    else:
        kind = transformers.RemBertForSequenceClassification
        shape = transformers.RemBertConfig(**settings, input_embedding_size=narrow)
        renamed = {
            r"^bleurt\.encoder\.embedding_projection\.": "rembert.encoder.embedding_hidden_mapping_in.",
            r"^bleurt\.": "rembert.",
        }
    model, facts = kind.from_pretrained(
        folder,
        config=shape,
        key_mapping=renamed,
        local_files_only=True,
        output_loading_info=True,
        dtype=torch.float32,
    )
    reader: Any = (
        transformers.DebertaV2Tokenizer
        if (folder / _SENTENCE_PIECE).is_file()
        else transformers.BertTokenizer
    )
    return model, facts, reader.from_pretrained(folder, local_files_only=True)
