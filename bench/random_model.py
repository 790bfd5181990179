"""Write a Llama of any shape with random weights: how fast a size is does not depend on what it has learned.

    python -m bench.random_model FOLDER [--layers 32 --width 4096 --feed-forward 14336 --heads 32 --key-heads 8]
    THINKREC_BENCH_BASE=FOLDER python -m bench --only scoring training [--device cuda]

Shape and defaults are those of Llama 3 8B, but for the vocabulary, which is that of the small model whose tokenizer it
gets: head and embeddings are smaller than the original's. Weights are bfloat16, two bytes each in memory and on disk.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from core.llm.identity import base_folder

TOKENIZER = "smollm2-135m-instruct"


def write(folder: Path, shape: dict[str, int]) -> None:
    """Write a model folder, the same weights for the same shape."""
    tokenizer = AutoTokenizer.from_pretrained(base_folder(TOKENIZER), local_files_only=True)
    config = LlamaConfig(
        **shape,
        vocab_size=len(tokenizer),
        max_position_embeddings=8192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)  # else twice the memory
    try:
        model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the model."""
    parser = argparse.ArgumentParser(prog="python -m bench.random_model", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--feed-forward", type=int, default=14_336)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--key-heads", type=int, default=8)
    given = parser.parse_args(arguments)
    shape = {
        "num_hidden_layers": given.layers,
        "hidden_size": given.width,
        "intermediate_size": given.feed_forward,
        "num_attention_heads": given.heads,
        "num_key_value_heads": given.key_heads,
    }
    write(given.folder, shape)


if __name__ == "__main__":
    main()
