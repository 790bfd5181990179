"""Small BLEURT checkpoints of random weights, as the package bleurt-pytorch saves them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("the", "they", "like", "##s", "drama", "film", "##ing", "horror", "a", "good", ".", ","),
)
PAIRS = (
    ("They like drama.", "the film, a good drama"),
    ("a horror film", "They like a good film."),
    ("", "drama"),
    # Together longer than the model reads.
    ("they like horror film drama good a the they like horror film", "the " * 12),
)
"""(text, reference)"""
EMBEDDING_SIZES = {"bert": None, "rembert": 12}
WIDTH, INNER, WORDS, PLACES, LAYERS = 16, 24, 32, 24, 2


def write_checkpoint(folder: Path, *, embedding_size: int | None) -> Path:
    """Write a checkpoint: like BERT, or with narrow embeddings like RemBERT (BLEURT-20)."""
    folder.mkdir()
    config = {
        "architectures": ["BleurtForSequenceClassification"],
        "model_type": "bleurt",
        "vocab_size": WORDS,
        "embedding_size": embedding_size,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": INNER,
        "hidden_act": "gelu",
        "max_position_embeddings": PLACES,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "id2label": {"0": "LABEL_0"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    save_file(weights(embedding_size), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def weights(embedding_size: int | None) -> dict[str, Any]:
    """Return the weights by the names that the package gives them."""
    drawn = {
        name: np.random.default_rng(place).normal(0, 0.6, shape).astype(np.float32)
        for place, (name, shape) in enumerate(sorted(_shapes(embedding_size).items()))
    }
    return drawn | {"bleurt.embeddings.position_ids": np.arange(PLACES)[None]}


def _shapes(embedding_size: int | None) -> dict[str, tuple[int, ...]]:
    narrow = embedding_size or WIDTH
    shapes: dict[str, tuple[int, ...]] = {
        "bleurt.embeddings.word_embeddings.weight": (WORDS, narrow),
        "bleurt.embeddings.position_embeddings.weight": (PLACES, narrow),
        "bleurt.embeddings.token_type_embeddings.weight": (2, narrow),
        **_pair("bleurt.embeddings.LayerNorm", narrow),
        **_pair("bleurt.pooler.dense", WIDTH, WIDTH),
        **_pair("classifier", 1, WIDTH),
    }
    if embedding_size:
        shapes |= _pair("bleurt.encoder.embedding_projection", WIDTH, embedding_size)
    for layer in range(LAYERS):
        start = f"bleurt.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            shapes |= _pair(f"{start}.attention.self.{part}", WIDTH, WIDTH)
        shapes |= _pair(f"{start}.attention.output.dense", WIDTH, WIDTH)
        shapes |= _pair(f"{start}.attention.output.LayerNorm", WIDTH)
        shapes |= _pair(f"{start}.intermediate.dense", INNER, WIDTH)
        shapes |= _pair(f"{start}.output.dense", WIDTH, INNER)
        shapes |= _pair(f"{start}.output.LayerNorm", WIDTH)
    return shapes


def _pair(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
