"""From collaborative vectors to input embeddings of the language model."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


class Projector(nn.Module):
    """Linear(d1, 10 d1) - ReLU - Linear(10 d1, d_LLM), one for users and one for items. Source: equation (3)."""

    def __init__(self, dim: int, width: int) -> None:
        """Make projectors from collaborative size `dim` to hidden size `width`."""
        super().__init__()
        self.user = self._make(dim, width)
        self.item = self._make(dim, width)

    @staticmethod
    def _make(dim: int, width: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(dim, 10 * dim), nn.ReLU(), nn.Linear(10 * dim, width))

    def match_scale(self, embed: nn.Embedding) -> None:
        """Scale the last layers by the standard deviation of the model's embeddings, so that vectors start small."""
        with torch.no_grad():
            # Some models scale what stands in their table.
            words = torch.arange(min(100, len(embed.weight)), device=embed.weight.device)
            scale = embed(words).float().norm() / embed.weight[words].float().norm()
            spread = float(embed.weight.float().std() * scale)
            for part in (self.user, self.item):
                last = part[2]
                assert isinstance(last, nn.Linear)
                last.weight.mul_(spread)
                last.bias.zero_()

    def save(self, path: Path) -> None:
        """Write the weights as safetensors."""
        save_file({k: v.contiguous() for k, v in self.state_dict().items()}, path)

    @classmethod
    def open(cls, path: Path) -> "Projector":
        """Read weights written by save."""
        state = load_file(path)
        wide, dim = state["user.0.weight"].shape
        projector = cls(dim, state["user.2.weight"].shape[0])
        assert wide == 10 * dim
        projector.load_state_dict(state)
        return projector
