"""Causal attention over a flat batch of sequences of different lengths, in blocks of queries, for a CPU.

A block of queries is two matrix products and a softmax forwards and five products backwards, small enough to stay in
the cache; keys that a block cannot see are not computed, no work is spent on padding, and query heads that share a
key head are stacked as rows, so nothing is repeated for them. torch's fused kernel takes longer than that where the
CPU multiplies bfloat16 vector by vector, and less where it has tiles (AMX), so there it runs forwards, block by block
as well. Its backward pass is slower than the one here on both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from core.llm.device import has_tiles

BLOCK_QUERIES = 128
"""Queries at a time: scores of three stacked heads against 300 keys then fill a fifth of a MiB."""
TILED_QUERIES, TILED_BRANCH_QUERIES = 512, 256
"""The same with tiles, where products are so fast that the calls count: most prompts are one block then, and
branches, which do not see each other, are taken by fewer."""


def _tiled(like: Tensor) -> bool:
    return like.dtype == torch.bfloat16 and like.device.type == "cpu" and has_tiles()


@dataclass(frozen=True, kw_only=True)
class Block:
    """A run of queries and the keys they see: all of `keys`, then some of `own`."""

    queries: slice
    keys: slice
    """Keys that every query sees."""
    own: slice
    """Keys after them, of which the mask says who sees what."""
    mask: Tensor
    """(queries, own) 0 or -inf, in the number format of the scores."""
    is_causal: bool
    """Whether the mask is the plain one: of `own` every query sees what stands up to itself."""

    @property
    def before(self) -> int:
        """Number of keys that every query sees."""
        return int(self.keys.stop) - int(self.keys.start)

    @cached_property
    def whole_mask(self) -> Tensor:
        """(queries, keys and own) the mask for all keys, made once for all layers."""
        seen = self.mask.new_zeros(len(self.mask), self.before)
        return torch.cat([seen, self.mask], 1)


def causal_blocks(start: int, length: int, like: Tensor) -> list[Block]:
    """Return the blocks of a sequence of `length` tokens that begins at `start` of the flat batch."""
    blocks, size = [], TILED_QUERIES if _tiled(like) else BLOCK_QUERIES
    for first in range(start, start + length, size):
        own = slice(first, min(first + size, start + length))
        mask = _causal(own.stop - own.start, like)
        keys = slice(start, first)
        blocks.append(Block(queries=own, keys=keys, own=own, mask=mask, is_causal=True))
    return blocks


def branch_blocks(trunk: slice, start: int, lengths: Sequence[int], like: Tensor) -> list[Block]:
    """Return the blocks of branches that stand end to end from `start` on and continue a trunk.

    Each sees the trunk, and causally itself; as many as fit a block are asked together.
    """
    blocks, at, size = [], 0, TILED_BRANCH_QUERIES if _tiled(like) else BLOCK_QUERIES
    while at < len(lengths):
        count, total = 1, lengths[at]
        while at + count < len(lengths) and total + lengths[at + count] <= size:
            total += lengths[at + count]
            count += 1
        owner = torch.repeat_interleave(
            torch.arange(count), torch.tensor(lengths[at : at + count])
        ).to(like.device)
        others = owner[:, None] != owner
        mask = _causal(total, like).masked_fill(others, -torch.inf)
        own = slice(start, start + total)
        blocks.append(Block(queries=own, keys=trunk, own=own, mask=mask, is_causal=count == 1))
        at, start = at + count, start + total
    return blocks


def attend(query: Tensor, key: Tensor, value: Tensor, blocks: Sequence[Block]) -> Tensor:
    """Attend block by block.

    Args:
        query: (T, heads, size), already scaled.
        key, value: (key heads, T, size).
    Returns: (T, heads, size).
    """
    out = torch.empty_like(query, memory_format=torch.contiguous_format)
    tiled = _tiled(query)
    for block in blocks:
        seen_key, seen_value = _seen(key, block), _seen(value, block)
        if tiled:
            _attend_at_once(out, query, seen_key, seen_value, block)
        else:
            attended = _probabilities(query, seen_key, block) @ seen_value
            _put(out, attended, block)
    return out


def _attend_at_once(
    out: Tensor, query: Tensor, seen_key: Tensor, seen_value: Tensor, block: Block
) -> None:
    """Write what torch's fused kernel gives for a block."""
    causal = not block.before and block.is_causal
    attended = scaled_dot_product_attention(
        query[block.queries].transpose(0, 1)[None],
        seen_key[None],
        seen_value[None],
        attn_mask=None if causal else block.whole_mask,
        is_causal=causal,
        scale=1.0,
        enable_gqa=True,
    )
    out[block.queries] = attended[0].transpose(0, 1)


def attend_backward(
    grad: Tensor,
    attended: Tensor,
    tensors: tuple[Tensor, Tensor, Tensor],
    blocks: Sequence[Block],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of query (T, heads, size), key and value (key heads, T, size).

    Args:
        grad: (T, heads, size) of what attend returned.
        attended: what attend returned.
        tensors: query, key and value as attend got them. Nothing else has to be kept.
    """
    query, key, value = tensors
    d_query = torch.empty_like(query, memory_format=torch.contiguous_format)
    d_key, d_value = torch.zeros_like(key), torch.zeros_like(value)
    # Row sums of P * dP without either: the flash identity.
    delta = (grad * attended).sum(-1, dtype=torch.float32).to(grad.dtype)[..., None]
    for block in blocks:
        seen_key, seen_value = _seen(key, block), _seen(value, block)
        q, g = _stacked(query, key, block), _stacked(grad, key, block)
        p = _probabilities(query, seen_key, block)
        _add_seen(d_value, p.transpose(1, 2) @ g, block)
        d_scores = (g @ seen_value.transpose(1, 2)).sub_(_stacked(delta, key, block)).mul_(p)
        _put(d_query, d_scores @ seen_key, block)
        _add_seen(d_key, d_scores.transpose(1, 2) @ q, block)
    return d_query, d_key, d_value


def _probabilities(query: Tensor, seen: Tensor, block: Block) -> Tensor:
    """Return (key heads, shared heads * queries, keys) attention weights."""
    stacked = _stacked(query, seen, block)
    scores = stacked @ seen.transpose(1, 2)
    count, own = block.mask.shape
    scores.view(len(seen), -1, count, scores.shape[2])[..., scores.shape[2] - own :] += block.mask
    return scores.softmax(-1)


def _stacked(x: Tensor, key: Tensor, block: Block) -> Tensor:
    """Return (key heads, shared heads * queries, size): the heads that share a key head as rows of one matrix."""
    part = x[block.queries]
    shaped = part.view(part.shape[0], key.shape[0], -1, part.shape[2])
    return shaped.permute(1, 2, 0, 3).reshape(key.shape[0], -1, part.shape[2])


def _seen(x: Tensor, block: Block) -> Tensor:
    if block.keys.stop == block.own.start:
        return x[:, block.keys.start : block.own.stop]
    return torch.cat([x[:, block.keys], x[:, block.own]], 1)


def _add_seen(total: Tensor, part: Tensor, block: Block) -> None:
    total[:, block.keys] += part[:, : block.before]
    total[:, block.own] += part[:, block.before :]


def _put(out: Tensor, rows: Tensor, block: Block) -> None:
    """Write (key heads, shared heads * queries, size) rows where the block's queries stand."""
    part = out[block.queries]
    shaped = rows.view(len(rows), -1, part.shape[0], part.shape[2]).permute(2, 0, 1, 3)
    part.view(shaped.shape).copy_(shaped)


def _causal(length: int, like: Tensor) -> Tensor:
    return torch.full((length, length), -torch.inf, dtype=like.dtype, device=like.device).triu_(1)
