"""Dropout for LoRA inputs on a CPU, at a quarter of the random numbers.

torch draws one number per element, on one thread: at two LoRAs a layer this took half of a forward pass. Here each
64-bit draw decides four elements by 16 bits each, so the rate is exact to 1/65536. Draws come from torch's own
generator: the seed of the step fixes them.
"""

import torch
from torch import Tensor, nn

_LANES = 4
_LEVELS = 1 << 16


def lane_mask(x: Tensor, p: float) -> Tensor:
    """Return a tensor like x of zeros with probability p and of 1 / (1 - p) elsewhere."""
    threshold = round(p * _LEVELS) - _LEVELS // 2  # on signed 16-bit lanes
    draws = torch.empty(-(-x.numel() // _LANES), dtype=torch.int64).random_(-(2**63), None)
    lanes = draws.view(torch.int16)[: x.numel()].view(x.shape)
    scale = 1 / (1 - (threshold + _LEVELS // 2) / _LEVELS)
    return (lanes >= threshold).to(x.dtype).mul_(scale)


class LaneDropout(nn.Module):
    """Zero each element with probability p and scale the others by 1 / (1 - p), in training only."""

    def __init__(self, p: float) -> None:
        """Take the probability, 0 <= p < 1."""
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return x with elements dropped, of the same shape."""
        if not self.training or self.p == 0:
            return x
        return x * lane_mask(x, self.p)


def install(model: nn.Module) -> None:
    """Put LaneDropout in the place of PEFT's dropout on LoRA inputs; a CPU model only."""
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Dropout) and "lora_dropout" in path:
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, LaneDropout(module.p))
