"""Decoder layers of the Llama kind by hand, forwards and backwards, for a CPU.

The same numbers as transformers' own layer, in less time: attention block by block (core/llm/attention.py), LoRAs in
the number format of the base, products added in place, and a backward pass that keeps eight tensors of a layer
instead of every intermediate one. In a last layer, of which only the answer positions matter, the rest is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import silu

from core.llm.attention import Block, attend, attend_backward
from core.llm.linear import Adapted, gated

_KINDS = ("LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer")
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all layers of a batch share."""

    cosine: Tensor
    """(T, 1, half a head) of the rotary embedding."""
    sine: Tensor
    query_cosine: Tensor
    """The same times the scale of the scores: it costs nothing more there."""
    query_sine: Tensor
    blocks: Sequence[Block]


def rotary_context(rotary: tuple[Tensor, Tensor], scale: float, blocks: Sequence[Block]) -> Context:
    """Take (1, T, head size) cosines and sines, whose halves are alike, and the scale of all layers' scores."""
    cosine, sine = (x[0, :, None, : x.shape[-1] // 2].contiguous() for x in rotary)
    return Context(
        cosine=cosine,
        sine=sine,
        query_cosine=cosine * scale,
        query_sine=sine * scale,
        blocks=blocks,
    )


def fits(layer: Any, device: torch.device) -> bool:
    """Return whether a transformers layer is of the build that FusedLayer repeats, and runs where it pays."""
    if type(layer).__name__ not in _KINDS or device.type != "cpu":
        return False
    return (
        type(layer.mlp.act_fn).__name__ in ("SiLU", "SiLUActivation")
        and all(Adapted.fits(getattr(layer.self_attn, name)) for name in _ATTENTION)
        and all(Adapted.fits(getattr(layer.mlp, name)) for name in _FEED_FORWARD)
    )


class FusedLayer:
    """Runs one decoder layer. Holds no state of a batch; weights are those of the layer, in place."""

    def __init__(self, layer: Any) -> None:
        """Take a layer that fits."""
        attention, feed = layer.self_attn, layer.mlp
        self.q, self.k, self.v, self.o = (Adapted(getattr(attention, n)) for n in _ATTENTION)
        self.gate, self.up, self.down = (Adapted(getattr(feed, n)) for n in _FEED_FORWARD)
        self.head = int(attention.head_dim)
        self.scale = float(attention.scaling)
        self.first_norm, self.second_norm = (
            _Norm(layer.input_layernorm),
            _Norm(layer.post_attention_layernorm),
        )

    @property
    def linears(self) -> tuple[Adapted, ...]:
        """All linear layers, in a fixed order."""
        return self.q, self.k, self.v, self.o, self.gate, self.up, self.down

    def __call__(self, x: Tensor, context: Context, rows: Tensor | None = None) -> Tensor:
        """Return the layer's output.

        Args:
            x: (T, width) hidden states; without gradients they may be wider numbers than the weights, float32 beside
                bfloat16, and stay so; what the layer adds is then added in place.
            rows: (P,) the only rows wanted of a last layer; None for all.
        Returns: (T, width), or (P, width) with rows.
        """
        parameters = [p for linear in self.linears for p in linear.parameters]
        if torch.is_grad_enabled() and any(t.requires_grad for t in (x, *parameters)):
            out: Tensor = _Layer.apply(self, context, rows, x, *parameters)  # type: ignore[no-untyped-call]
            return out
        return self.forward(x, context, rows, keep=False).out

    def forward(
        self, x: Tensor, context: Context, rows: Tensor | None, *, keep: bool = True
    ) -> "_Kept":
        """Run the layer, and keep what its backward pass needs, if there is to be one."""
        factors: list[Tensor | None] = []

        def run(
            linear: Adapted,
            given: Tensor,
            asked: Tensor | None = None,
            plus: Tensor | None = None,
        ) -> Tensor:
            factors.append(linear.draw_factor(given, asked))
            return linear.forward(given, factors[-1], plus)

        normed = self.first_norm(x)
        query = self._heads(run(self.q, normed))
        query = _rotate(query, context.query_cosine, context.query_sine)
        key = self._heads(run(self.k, normed))
        key = _rotate(key, context.cosine, context.sine).transpose(0, 1).contiguous()
        value = self._heads(run(self.v, normed)).transpose(0, 1).contiguous()
        attended = attend(query, key, value, context.blocks)
        flat = _rows(attended.flatten(1), rows)
        middle = run(self.o, flat, rows, plus=_rows(x, rows))
        normed = self.second_norm(middle)
        product = None if keep else gated(self.gate, self.up, normed)
        if product is not None:
            return _Kept(out=run(self.down, product, rows, plus=middle))
        gate, up = run(self.gate, normed, rows), run(self.up, normed, rows)
        out = run(self.down, silu(gate).mul_(up), rows, plus=middle)
        tensors = (query, key, value, attended, middle, gate, up)
        return _Kept(out=out, tensors=tensors, factors=factors)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(len(x), -1, self.head)


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What a layer gives, and what its backward pass needs of the way there."""

    out: Tensor
    tensors: tuple[Tensor, ...] = ()
    """Query, key, value, what was attended, the states in the middle, gate and up."""
    factors: Sequence[Tensor | None] = ()
    """What each linear layer drew for this batch."""


class _Layer(torch.autograd.Function):
    """A layer as one step of autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        layer: FusedLayer,
        context: Context,
        rows: Tensor | None,
        x: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        kept = layer.forward(x, context, rows)
        ctx.save_for_backward(x, *kept.tensors)
        ctx.layer, ctx.context, ctx.rows, ctx.factors = layer, context, rows, kept.factors
        return kept.out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, query, key, value, attended, middle, gate, up = ctx.saved_tensors
        back = _Backward(ctx.layer, ctx.factors)
        d_middle = back.feed_forward(grads[0], middle, gate, up)
        d_attended = back.through(3, d_middle, lambda: _rows(attended.flatten(1), ctx.rows))
        if ctx.rows is not None:
            d_middle, d_attended = (
                _scatter(part, ctx.rows, len(x)) for part in (d_middle, d_attended)
            )
        d_attended = d_attended.view(attended.shape)
        d_heads = attend_backward(d_attended, attended, (query, key, value), ctx.context.blocks)
        d_x = back.attention(d_heads, x, ctx.context, wanted=ctx.needs_input_grad[3])
        if d_x is not None:
            d_x += d_middle
        return None, None, None, d_x, *(g for part in back.grads for g in part)


class _Backward:
    """The backward pass of a layer, and the gradients of LoRA weights it comes by."""

    def __init__(self, layer: FusedLayer, factors: Sequence[Tensor | None]) -> None:
        self._layer, self._factors = layer, factors
        self.grads: list[tuple[Tensor, ...]] = [()] * len(layer.linears)

    def through(
        self, index: int, grad: Tensor, x: Callable[[], Tensor], onto: Tensor | None = None
    ) -> Tensor:
        """Return the gradient of a linear layer's input, added to `onto`; x is made only if its LoRA trains."""
        linear = self._layer.linears[index]
        wanted = x() if linear.has_lora else None
        d_x, self.grads[index] = linear.backward(grad, wanted, self._factors[index], onto)
        return d_x

    def feed_forward(self, grad: Tensor, middle: Tensor, gate: Tensor, up: Tensor) -> Tensor:
        """Return the gradient of the hidden states between attention and feed-forward part."""
        norm = self._layer.second_norm
        active = silu(gate)
        d_product = self.through(6, grad, lambda: active * up)
        d_up = active.mul_(d_product)
        d_gate = torch.ops.aten.silu_backward(d_product.mul_(up), gate)
        d_normed = self.through(4, d_gate, lambda: norm(middle))
        d_normed = self.through(5, d_up, lambda: norm(middle), d_normed)
        return norm.backward(d_normed, middle).add_(grad)

    def attention(
        self, grads: tuple[Tensor, Tensor, Tensor], x: Tensor, context: Context, *, wanted: bool
    ) -> Tensor | None:
        """Return the gradient of the layer's input through the attention, None if nobody wants it."""
        layer = self._layer
        d_query, d_key, d_value = grads
        d_query = _rotate(d_query, context.query_cosine, -context.query_sine)
        d_key = _rotate(d_key.transpose(0, 1), context.cosine, -context.sine)
        d_value = d_value.transpose(0, 1)
        parts = (d_query, d_key, d_value)
        has_lora = any(layer.linears[index].has_lora for index in range(3))
        normed = layer.first_norm(x) if has_lora else x
        d_normed = None
        for index, part in enumerate(parts):
            if wanted or layer.linears[index].has_lora:
                d_normed = self.through(index, part.reshape(len(x), -1), lambda: normed, d_normed)
        return layer.first_norm.backward(d_normed, x) if wanted and d_normed is not None else None


class _Norm:
    """RMS norm, its weight frozen."""

    def __init__(self, module: Any) -> None:
        self._weight: Tensor = module.weight
        self._epsilon = float(module.variance_epsilon)

    def __call__(self, x: Tensor) -> Tensor:
        """Return (n, width) in the number format of the weight."""
        weight, wide = self._weight, x.float()
        # torch's rms_norm on a CPU is these steps and more of them, each over all of x.
        mean_square = vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        scaled: Tensor = wide * mean_square.add_(self._epsilon).rsqrt_()
        return scaled.mul_(weight.float()).to(weight.dtype)

    def backward(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of x, in its number format."""
        size = x.shape[-1]
        scaled = (grad * self._weight).float()
        wide = x.float()
        rate = wide.square().mean(-1, keepdim=True).add_(self._epsilon).rsqrt_()
        along = (scaled * wide).sum(-1, keepdim=True).mul_(rate**3 / size)
        return scaled.mul_(rate).addcmul_(wide, along, value=-1).to(x.dtype)


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each pair (n, n + half) of a head of (T, heads, size) by the angle of its position."""
    half = x.shape[-1] // 2
    low, high = x[..., :half], x[..., half:]
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    torch.mul(low, cosine, out=out[..., :half]).addcmul_(high, sine, value=-1)
    torch.mul(high, cosine, out=out[..., half:]).addcmul_(low, sine)
    return out


def _rows(x: Tensor, rows: Tensor | None) -> Tensor:
    return x if rows is None else x[rows]


def _scatter(part: Tensor, rows: Tensor, count: int) -> Tensor:
    whole = part.new_zeros(count, part.shape[1])
    return whole.index_add_(0, rows, part)
