"""A model of a size that nobody can train here is still a base that all commands open."""

import torch

from bench.random_model import main
from core.llm.load import load_base


def test_a_random_model_of_any_shape_is_a_base(tmp_path):
    shape = [
        "--layers",
        "3",
        "--width",
        "32",
        "--feed-forward",
        "48",
        "--heads",
        "4",
        "--key-heads",
        "2",
    ]
    for folder in ("one", "other"):
        main([str(tmp_path / folder), *shape])
    base = load_base(str(tmp_path / "one"), dtype="float32", device="cpu")
    config = base.model.config
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (3, 32, 48)
    assert (config.num_attention_heads, config.num_key_value_heads) == (4, 2)
    assert len(base.tokenizer) == config.vocab_size
    assert torch.get_default_dtype() == torch.float32
    again = load_base(str(tmp_path / "other"), dtype="float32", device="cpu")
    assert again.digest == base.digest
