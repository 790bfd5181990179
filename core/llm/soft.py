"""A soft prompt: input embeddings that are trained, in place of words."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FILE = "soft_prompt.safetensors"
"""Beside the weights of the adapter that it was trained with."""


class SoftPrompt(nn.Module):
    """N input embeddings of the language model. Source: Prompt4NR's hybrid templates; Lester et al. 2021."""

    def __init__(self, weight: Tensor) -> None:
        """Take (N, width) embeddings."""
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone().float())

    @classmethod
    def drawn(cls, count: int, embed: nn.Embedding, seed: int) -> "SoftPrompt":
        """Start from the embeddings of `count` words drawn by seed: their size is what the model is used to.

        Some models scale what stands in their table, so it is asked for as the layers get it.
        """
        generator = torch.Generator().manual_seed(seed)
        words = torch.randint(len(embed.weight), (count,), generator=generator)
        return cls(embed(words.to(embed.weight.device)))

    def forward(self, index: Tensor) -> Tensor:
        """Return (n, width) embeddings at (n,) positions of the soft prompt."""
        return self.weight[index]

    def save(self, folder: Path) -> None:
        """Write into the folder of an adapter."""
        save_file({"weight": self.weight.detach().cpu().contiguous()}, folder / FILE)

    @classmethod
    def open(cls, folder: Path) -> "SoftPrompt | None":
        """Read the frozen soft prompt of an adapter, None if it has none."""
        if not (folder / FILE).exists():
            return None
        made = cls(load_file(folder / FILE)["weight"])
        made.weight.requires_grad = False
        return made
