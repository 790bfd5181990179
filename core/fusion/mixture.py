"""A linear layer that adds several LoRAs, each row of a batch with weights of its own.

The global LoRA and all experts are stacked once. A batch may mix rows of any users: the weights come in from outside
with the batch, and no adapter is added, merged or switched for anybody.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.fusion.adapters import LoraWeights, is_shared, require_same_layers

FusionRule = Literal["exact", "peft-linear"]


class Gates:
    """The weights of the batch that is running, shared by all layers of one model."""

    def __init__(self) -> None:
        """Start without a batch."""
        self._rows: Tensor | None = None
        self._spread: dict[int, Tensor] = {}

    @contextmanager
    def use(self, rows: Tensor) -> Iterator[None]:
        """Run a batch with (T, columns) weights per token, or (1, columns) for all tokens alike."""
        self._rows = rows
        try:
            yield
        finally:
            self._rows = None
            self._spread.clear()

    @property
    def rows(self) -> Tensor:
        """The weights of the batch that is running. Raises: RuntimeError if none is."""
        if self._rows is None:
            raise RuntimeError("a mixture layer runs only inside Gates.use(...)")
        return self._rows

    def spread(self, rank: int) -> Tensor:
        """Return (T, columns * rank): each weight as often as its adapter has dimensions; made once a batch."""
        found = self._spread.get(rank)
        if found is None:
            found = self._spread[rank] = self.rows.repeat_interleave(rank, dim=-1)
        return found


class MixtureLinear(nn.Module):
    """y = x W^T + sum over columns g of w_g * s * (x A_g^T) B_g^T, with w per row."""

    stack_a: Tensor
    stack_b: Tensor
    scale: Tensor

    def __init__(
        self,
        base: nn.Linear,
        path: str,
        adapters: Sequence[LoraWeights],
        gates: Gates,
        rule: FusionRule,
    ) -> None:
        """Stack the factors of one layer.

        Args:
            base: the frozen layer.
            path: its module path.
            adapters: one per column of the gates.
            gates: where the weights of the running batch are found.
            rule: exact is the sum above. peft-linear is what PEFT's add_weighted_adapter calls "linear": A and B are
                averaged apart with square roots of the weights, so cross terms B_g A_h come in.
        """
        super().__init__()
        self.base = base
        self.rule = rule
        self._gates = gates
        self._columns = len(adapters)
        scale = torch.tensor([adapter.scaling for adapter in adapters])
        a = torch.stack([adapter.pairs[path].a for adapter in adapters])
        b = torch.stack([adapter.pairs[path].b.T for adapter in adapters])
        if rule == "exact":
            b = b * scale[:, None, None]
        like = base.weight
        self.register_buffer("stack_a", a.flatten(0, 1).to(like))  # (columns * r, in)
        self.register_buffer("stack_b", b.flatten(0, 1).to(like))  # (columns * r, out)
        self.register_buffer("scale", scale.to(like))

    def forward(self, x: Tensor) -> Tensor:
        """Return (1, T, out) for (1, T, in), with the weights of the running batch."""
        out: Tensor = self.base(x)
        if self.rule == "exact":
            return out + (x @ self.stack_a.T) * self.spread() @ self.stack_b
        low = (x @ self.stack_a.T).view(*x.shape[:-1], self._columns, -1)  # (1, T, columns, r)
        root = (self._gates.rows.to(x.dtype) * self.scale).sqrt()[..., None]
        mixed = (low * root).sum(-2, keepdim=True) * root
        return out + mixed.flatten(-2) @ self.stack_b

    def add_to(self, out: Tensor, x: Tensor, spread: Tensor) -> None:
        """Add the weighted LoRAs of (T, in) x to (T, out), in place; rule exact only.

        Args:
            spread: weights as spread() gives them.
        """
        low = x @ self.stack_a.T
        low *= spread
        out.addmm_(low, self.stack_b)

    def add_backward_to(self, d_x: Tensor, grad: Tensor, spread: Tensor) -> None:
        """Add the gradient through the weighted LoRAs to that of x, in place; rule exact only."""
        d_low = grad @ self.stack_b.T
        d_low *= spread
        d_x.addmm_(d_low, self.stack_a)

    def spread(self) -> Tensor:
        """Return the (T, columns * r) weights of the running batch, each as often as an adapter has dimensions."""
        return self._gates.spread(len(self.stack_a) // self._columns).to(self.stack_a.dtype)


def merge_adapter(model: Any, adapter: LoraWeights) -> None:
    """Add one adapter to the weights of a base model, in place."""
    for path in adapter.pairs:
        _add(model.get_submodule(path), adapter.delta(path))


def install_mixture(model: Any, adapters: Sequence[LoraWeights], rule: FusionRule) -> Gates:
    """Put mixture layers into a base model, in place.

    Layers in which all adapters agree (those below the last 8) are merged once: weights sum to 1, so the sum of equal
    deltas is that delta. Not so for peft-linear, whose cross terms scale even equal factors.

    Args:
        adapters: column 0 is the global adapter, 1.. the experts.
    Returns: the gates to set for each batch.
    Raises: MismatchError if the adapters adapt different layers.
    """
    require_same_layers(adapters)
    gates = Gates()
    for path in adapters[0].pairs:
        layer = model.get_submodule(path)
        if rule == "exact" and is_shared(adapters, path):
            _add(layer, adapters[0].delta(path))
        else:
            parent, _, name = path.rpartition(".")
            setattr(
                model.get_submodule(parent), name, MixtureLinear(layer, path, adapters, gates, rule)
            )
    return gates


def _add(layer: nn.Linear, delta: Tensor) -> None:
    with torch.no_grad():
        summed = layer.weight.float() + delta.to(layer.weight.device)
        layer.weight.copy_(summed.to(layer.weight.dtype))
