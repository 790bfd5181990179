"""Linear layers with or without low-rank additions, forwards and backwards by hand, base weights frozen.

One description covers a plain layer, a LoRA that trains (its dropout included), and a mixture of LoRAs with weights
per token. PEFT computes the LoRA in float32 around casts; here it runs in the number format of the base, and only its
master weights and their gradients are float32.
"""

from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear

from core.fusion.mixture import MixtureLinear
from core.llm.device import has_bfloat16
from core.llm.dropout import lane_mask

_MKLDNN = torch.ops.mkldnn


class Adapted:
    """One linear layer: y = n W^T + b + ((n * mask) A^T * gates) B^T, where only A and B may train."""

    def __init__(self, module: Any) -> None:
        """Take a torch linear layer, PEFT's LoRA around one, or a mixture layer."""
        self._module = module
        self._mixture = module if isinstance(module, MixtureLinear) else None
        self._lora = module if hasattr(module, "lora_A") else None
        plain = module.base_layer if self._lora is not None else getattr(module, "base", module)
        self._weight: Tensor = plain.weight
        self._bias: Tensor | None = plain.bias

    @staticmethod
    def fits(module: Any) -> bool:
        """Return whether a layer is one that this class can describe."""
        if isinstance(module, MixtureLinear):
            return module.rule == "exact"
        if type(module) is torch.nn.Linear:
            return True
        return (
            hasattr(module, "lora_A")
            and type(module.base_layer) is torch.nn.Linear
            and list(module.lora_A) == ["default"]
            and not module.merged
            and not module.use_dora["default"]
            and module.lora_A["default"].bias is None
        )

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """A (r, in) and B (out, r) of a LoRA, or nothing."""
        if self._lora is None:
            return ()
        return self._lora.lora_A["default"].weight, self._lora.lora_B["default"].weight

    def draw_factor(self, x: Tensor, rows: Tensor | None = None) -> Tensor | None:
        """Return what this batch multiplies with: dropout's mask of a LoRA's input, or the gates of a mixture.

        The backward pass needs the same again, when the gates of the batch are gone. None without either.

        Args:
            x: (n, in) what forward will get.
            rows: (n,) which tokens of the batch these are; all if None.
        """
        if self._mixture is not None:
            spread = self._mixture.spread()
            return spread if rows is None or len(spread) == 1 else spread[rows]
        drop = self._lora.lora_dropout["default"] if self._lora is not None else None
        if drop is None or not drop.training or not getattr(drop, "p", 0):
            return None
        return lane_mask(x, drop.p)

    def forward(self, x: Tensor, factor: Tensor | None, plus: Tensor | None = None) -> Tensor:
        """Return (T, out) for (T, in) and what draw_factor gave for it.

        Args:
            plus: (T, out) what to add. It is left as it is, unless its numbers are wider than those of x: then it is
                added to, and comes out.
        """
        is_wider = plus is not None and plus.dtype != x.dtype
        if plus is None or is_wider:
            out = linear(x, self._weight, self._bias)
        elif _joins(x):
            out = _product_and(x, plus, self._weight, self._bias, "add")
        else:
            out = linear(x, self._weight, self._bias).add_(plus)
        if self._mixture is not None:
            assert factor is not None
            self._mixture.add_to(out, x, factor)
        elif self._lora is not None:
            down, up = self._factors(x.dtype)
            dropped = x if factor is None else x * factor
            out.addmm_(dropped @ down.T, up.T)
        return plus.add_(out) if plus is not None and is_wider else out

    def backward(
        self, grad: Tensor, x: Tensor | None, factor: Tensor | None, onto: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the gradients of x and of the parameters.

        Args:
            grad: (T, out) of what forward returned.
            x: (T, in) as forward got it; needed with a LoRA only.
            factor: as forward got it.
            onto: (T, in) gradient of x from elsewhere, which this one is added to, in place.
        """
        d_x = grad @ self._weight if onto is None else onto.addmm_(grad, self._weight)
        if self._mixture is not None:
            assert factor is not None
            self._mixture.add_backward_to(d_x, grad, factor)
        if self._lora is None:
            return d_x, ()
        assert x is not None
        down, up = self._factors(grad.dtype)
        dropped = x if factor is None else x * factor
        d_low = grad @ up
        d_down, d_up = d_low.T @ dropped, grad.T @ (dropped @ down.T)
        if factor is None:
            d_x.addmm_(d_low, down)
        else:
            d_x.addcmul_(d_low @ down, factor)
        scale = self._lora.scaling["default"]
        a, b = self.parameters
        return d_x, (d_down.to(a.dtype), d_up.to(b.dtype).mul_(scale))

    @property
    def has_lora(self) -> bool:
        """Whether backward needs the input."""
        return self._lora is not None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is added to the base weight."""
        return self._lora is None and self._mixture is None

    def _factors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return A, and B with the LoRA's scale in it, in the number format of the base."""
        assert self._lora is not None
        a, b = self.parameters
        return a.to(dtype), (b * self._lora.scaling["default"]).to(dtype)


def gated(gate: Adapted, up: Adapted, x: Tensor) -> Tensor | None:
    """Return silu(x G^T) * (x U^T) of two plain layers in two calls that keep nothing, None where they cannot."""
    if not (_joins(x) and gate.is_plain and up.is_plain):
        return None
    active = _active_product(x, gate._weight, gate._bias)
    return _product_and(x, active, up._weight, up._bias, "mul")


def _active_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return silu(x W^T + b)."""
    found: Tensor = _MKLDNN._linear_pointwise(x, weight, bias, "swish", [], "")
    return found


def _product_and(
    x: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None, how: Literal["add", "mul"]
) -> Tensor:
    """Return x W^T + b, added to other or multiplied with it."""
    found: Tensor = _MKLDNN._linear_pointwise.binary(x, other, weight, bias, how)
    return found


def _joins(x: Tensor) -> bool:
    """Return whether a product can be joined with what follows it, element by element, while it is in the cache.

    oneDNN does so, and torch's compiler calls it by the same operators. They know no gradients. In float32 torch
    multiplies by another library.
    """
    return x.dtype == torch.bfloat16 and _has_joined_products()


@lru_cache(maxsize=1)
def _has_joined_products() -> bool:
    """Try the operators once: torch promises nothing about them, and its builds for other processors may lack them."""
    if not has_bfloat16():
        return False
    ones = torch.ones(8, 8, dtype=torch.bfloat16)
    try:
        with torch.no_grad():
            eight = _active_product(ones, ones, None)
            found = (
                _product_and(ones, eight, ones, None, "mul"),
                _product_and(ones, eight, ones, None, "add"),
            )
    except (AttributeError, RuntimeError):
        return False
    return all(bool((one == wanted).all()) for one, wanted in zip(found, (64, 16), strict=True))
