"""Causal attention over ragged sequences for training in bfloat16 on a CPU.

torch's fused kernel is fast forwards but its backward pass does not use the CPU's matrix unit in bfloat16: at 8
sequences of 200 tokens it took three times as long as plain matrix products (bench/). So here each sequence is two
products and a softmax forwards, and five products backwards; nothing but inputs and outputs is kept in between, and
no work is spent on padding. Query heads that share a key head are stacked as rows, so nothing is repeated for them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


def ragged_causal_attention(
    query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], scale: float
) -> Tensor:
    """Attend causally inside each of several sequences that stand end to end.

    Args:
        query: (heads, T, size) bfloat16; key, value: (key heads, T, size).
        lengths: tokens of each sequence, summing to T.
        scale: factor on the products of queries and keys.
    Returns: (heads, T, size); differentiable.
    """
    out: Tensor = _RaggedCausal.apply(query, key, value, tuple(lengths), scale)  # type: ignore[no-untyped-call]
    return out


class _RaggedCausal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, lengths: Any, scale: float
    ) -> Tensor:
        out = torch.empty_like(query, memory_format=torch.contiguous_format)
        mask = _mask(max(lengths), query)
        for span in _spans(lengths):
            q, k, v = _stacked(query, key, span), key[:, span], value[:, span]
            attended = _probabilities(q, k, mask, scale) @ v
            out[:, span] = attended.view(out.shape[0], -1, out.shape[2])
        ctx.save_for_backward(query, key, value, out)
        ctx.lengths, ctx.scale = lengths, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        query, key, value, out = ctx.saved_tensors
        d_query, d_key, d_value = (
            torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)
        )
        mask = _mask(max(ctx.lengths), query)
        # Row sums of P * dP without either: the flash identity.
        delta = (grad.float() * out.float()).sum(-1, keepdim=True)
        for span in _spans(ctx.lengths):
            q, k, v = _stacked(query, key, span), key[:, span], value[:, span]
            g = _stacked(grad, key, span)
            p = _probabilities(q, k, mask, ctx.scale)
            d_value[:, span] = p.transpose(1, 2) @ g
            shift = _stacked(delta, key, span)
            d_scores = ((g @ v.transpose(1, 2)) - shift).mul_(p).mul_(ctx.scale).to(q.dtype)
            d_query[:, span] = (d_scores @ k).view(d_query.shape[0], -1, d_query.shape[2])
            d_key[:, span] = d_scores.transpose(1, 2) @ q
        return d_query, d_key, d_value, None, None


def _probabilities(q: Tensor, k: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Return (key heads, shared heads * length, length) attention weights."""
    length = k.shape[1]
    shared = q.shape[1] // length
    causal = mask[:length, :length].repeat(shared, 1)[None]
    return torch.baddbmm(causal, q, k.transpose(1, 2), alpha=scale).softmax(-1)


def _stacked(x: Tensor, key: Tensor, span: slice) -> Tensor:
    """Return (key heads, shared heads * length, size): the heads that share a key head as rows of one matrix."""
    part = x[:, span]
    return part.reshape(key.shape[0], -1, part.shape[2])


def _spans(lengths: Sequence[int]) -> Iterator[slice]:
    start = 0
    for length in lengths:
        yield slice(start, start + length)
        start += length


def _mask(longest: int, like: Tensor) -> Tensor:
    return torch.full((longest, longest), -torch.inf, dtype=like.dtype, device=like.device).triu_(1)
