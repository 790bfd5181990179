"""Batches without padding: sequences laid end to end, with prefixes that several continuations share.

Linear layers see one flat run of tokens, so none of their work is spent on padding, and a prefix shared by many
continuations (a history and its candidate items) goes through them once. Attention goes block by block on a CPU
(core/llm/attention.py); elsewhere, and for layers of an unusual build, it is laid out as two padded rectangles: a
causal one of trunks, and one of branches whose queries see their trunk's keys and, causally, their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from core.llm.attention import Block, branch_blocks, causal_blocks

ATTENTION = "thinkrec_ragged"
KEYS_AT_ONCE = 1 << 17
"""Keys that branches see at once: each has a copy of its trunk's, which for a model of 8B takes 2 GB of a layer."""
_ALIGNED = 8
"""Numbers that a row of a mask is a multiple of, where kernels of a GPU take it as it is."""
Ids = Sequence[int] | npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A sequence from position 0, and the continuations that share it."""

    ids: Ids
    branches: Sequence[Ids] = ()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where each token of a flat batch of T tokens belongs.

    Trunks come first, end to end, then branches, end to end.
    """

    ids: Tensor
    """(T,) int64 token ids."""
    positions: Tensor
    """(T,) int64 position of each token in its own sequence."""
    trunk_of_token: Tensor
    """(T,) int64 trunk each token belongs to: rows of per-user gates are gathered with it."""
    ends: Tensor
    """(trunks,) then (branches,) int64 flat index of the last token of each."""
    trunk_lengths: npt.NDArray[np.int64]
    """(trunks,) tokens of each trunk."""
    branch_lengths: npt.NDArray[np.int64]
    """(branches,) tokens of each branch."""
    owners: npt.NDArray[np.int64]
    """(branches,) trunk of each branch, ascending."""

    @property
    def tokens(self) -> int:
        """Number of tokens that go through the linear layers."""
        return len(self.ids)

    def starts(self) -> npt.NDArray[np.int64]:
        """(trunks,) then (branches,) flat index of the first token of each."""
        lengths = np.concatenate([self.trunk_lengths, self.branch_lengths])
        found: npt.NDArray[np.int64] = np.cumsum(lengths) - lengths
        return found

    def blocks(self, like: Tensor) -> list[Block]:
        """Return the blocks of queries that attention goes through, masks in the number format of `like`."""
        starts, count = self.starts(), len(self.trunk_lengths)
        found: list[Block] = []
        for trunk, length in enumerate(self.trunk_lengths.tolist()):
            found += causal_blocks(int(starts[trunk]), length, like)
        first = np.searchsorted(self.owners, np.arange(count + 1))
        for trunk in range(count):
            mine = slice(int(first[trunk]), int(first[trunk + 1]))
            if mine.stop > mine.start:
                begin = int(starts[trunk])
                span = slice(begin, begin + int(self.trunk_lengths[trunk]))
                lengths = self.branch_lengths[mine].tolist()
                found += branch_blocks(span, int(starts[count + mine.start]), lengths, like)
        return found

    @cached_property
    def rectangles(self) -> "Rectangles":
        """The same batch as padded rectangles, for the fused attention of a GPU."""
        return Rectangles.of(self)

    @classmethod
    def of(cls, trunks: Sequence[Trunk], *, device: torch.device | str = "cpu") -> Self:
        """Lay out trunks and their branches. Every trunk and branch must hold at least one token."""
        branches = [b for trunk in trunks for b in trunk.branches]
        owners = np.array(
            [t for t, trunk in enumerate(trunks) for _ in trunk.branches], dtype=np.int64
        )
        trunk_lengths = np.array([len(t.ids) for t in trunks], dtype=np.int64)
        branch_lengths = np.array([len(b) for b in branches], dtype=np.int64)
        lengths = np.concatenate([trunk_lengths, branch_lengths])
        starts = np.cumsum(lengths) - lengths
        offset = np.concatenate([np.zeros(len(trunks), np.int64), trunk_lengths[owners]])
        inside = np.arange(lengths.sum()) - np.repeat(starts, lengths)
        flat = np.concatenate(
            [np.asarray(s, dtype=np.int64) for s in [*(t.ids for t in trunks), *branches]]
        )
        owner_of_sequence = np.concatenate([np.arange(len(trunks)), owners])
        return cls(
            ids=torch.from_numpy(flat).to(device),
            positions=torch.from_numpy(inside + np.repeat(offset, lengths)).to(device),
            trunk_of_token=torch.from_numpy(np.repeat(owner_of_sequence, lengths)).to(device),
            ends=torch.from_numpy(starts + lengths - 1).to(device),
            trunk_lengths=trunk_lengths,
            branch_lengths=branch_lengths,
            owners=owners,
        )


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """Sequences that stand end to end in a flat batch, as rows of one padded rectangle."""

    tokens: slice
    """Where they stand in the flat batch."""
    rows: int
    width: int
    """Tokens of the longest, rounded up to what masks of a GPU's kernels want."""
    take: Tensor
    """(tokens,) int64 cell of each token in the flattened rectangle."""

    @classmethod
    def of(cls, start: int, lengths: npt.NDArray[np.int64], device: torch.device) -> Self:
        """Lay out sequences of these lengths that stand from `start` on."""
        width = -(-int(lengths.max()) // _ALIGNED) * _ALIGNED
        cells = np.flatnonzero((np.arange(width) < lengths[:, None]).ravel())
        take = torch.from_numpy(cells).to(device)
        return cls(
            tokens=slice(start, start + len(cells)), rows=len(lengths), width=width, take=take
        )

    def pad(self, flat: Tensor) -> Tensor:
        """Return (rows, heads, width, size) of (T, heads, size), zeros where no token is.

        Copied in, not gathered with an index for every cell: the gradient of that is a sum over sorted indices.
        """
        cells = flat.new_zeros(self.rows * self.width, *flat.shape[1:])
        filled = cells.index_copy(0, self.take, flat[self.tokens])
        return filled.view(self.rows, self.width, *flat.shape[1:]).transpose(1, 2)

    def flat(self, padded: Tensor) -> Tensor:
        """Return (tokens, heads, size) of (rows, heads, width, size)."""
        return padded.transpose(1, 2).flatten(0, 1).index_select(0, self.take)


@dataclass(kw_only=True)
class Rectangles:
    """A layout as padded rectangles of tokens."""

    trunks: Rectangle
    branches: Rectangle | None = None
    owners: Tensor | None = None
    """(branches,) int64 trunk of each branch."""
    trunk_lengths: Tensor | None = None
    """(branches,) int64 tokens of the trunk of each branch."""
    _mask: Tensor | None = None

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Lay the tokens of a layout out."""
        device = layout.ids.device
        trunks = Rectangle.of(0, layout.trunk_lengths, device)
        if not len(layout.owners):
            return cls(trunks=trunks)
        return cls(
            trunks=trunks,
            branches=Rectangle.of(trunks.tokens.stop, layout.branch_lengths, device),
            owners=torch.from_numpy(layout.owners).to(device),
            trunk_lengths=torch.from_numpy(layout.trunk_lengths[layout.owners]).to(device),
        )

    def mask(self, like: Tensor) -> Tensor:
        """Return (branches, 1, branch width, trunk width + branch width): what is added to a query's scores.

        Made once for all layers, where it is used: on the way to a GPU it would be as large as the batch's states.
        """
        if self._mask is None or self._mask.dtype != like.dtype:
            assert self.branches is not None
            assert self.trunk_lengths is not None
            count, width, device = self.branches.rows, self.branches.width, like.device
            place = torch.arange(self.trunks.width, device=device)
            unseen = (place >= self.trunk_lengths[:, None])[:, None].expand(-1, width, -1)
            later = torch.ones(width, width, dtype=torch.bool, device=device).triu(1)
            hidden = torch.cat([unseen, later.expand(count, -1, -1)], 2)[:, None]
            mask = torch.zeros(hidden.shape, dtype=like.dtype, device=device)
            self._mask = mask.masked_fill_(hidden, -torch.inf)
        return self._mask


def ragged_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attend inside a Layout; without one (generation with a cache) do what transformers' SDPA does.

    Args:
        module: the attention layer that calls.
        query: (1, heads, T, head size); key, value: (1, key heads, T, head size).
        attention_mask: unused with a layout.
        settings: `layout` and `scaling`, passed through the decoder layer.
    Returns: (1, T, heads, head size), and no weights.
    """
    layout: Layout | None = settings.pop("layout", None)
    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **settings
        )
        return plain
    places, scale = layout.rectangles, settings["scaling"]
    flat = [x[0].transpose(0, 1) for x in (query, key, value)]
    trunk_query, trunk_key, trunk_value = (places.trunks.pad(x) for x in flat)
    parts = [places.trunks.flat(_attend(trunk_query, trunk_key, trunk_value, scale))]
    if places.branches is not None:
        assert places.owners is not None
        own_query, own_key, own_value = (places.branches.pad(x) for x in flat)
        mask = places.mask(query)
        outs = []
        for some in _few_at_once(mask):
            owner = places.owners[some]
            out = _attend(
                own_query[some],
                torch.cat([trunk_key[owner], own_key[some]], 2),
                torch.cat([trunk_value[owner], own_value[some]], 2),
                scale,
                mask[some],
            )
            outs.append(out)
        parts.append(places.branches.flat(torch.cat(outs)))
    return torch.cat(parts)[None], None


def _attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None = None
) -> Tensor:
    """Attend causally, or as the mask says: (n, heads, Q, size) over (n, key heads, K, size)."""
    grouped = query.shape[1] != key.shape[1]
    if grouped and query.is_cuda and (mask is not None or query.dtype == torch.float32):
        # Of CUDA's fast kernels the one for masks and float32 knows no groups of heads, and the one for groups knows
        # neither: together they would fall back to the kernel that writes all scores down.
        each = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(each, dim=1) for x in (key, value))
        grouped = False
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
    )


def _few_at_once(mask: Tensor) -> list[slice]:
    """Return slices of the branches that together see at most KEYS_AT_ONCE keys, at least one branch each."""
    count, keys = mask.shape[0], mask.shape[-1]
    step = max(1, KEYS_AT_ONCE // keys)
    return [slice(start, start + step) for start in range(0, count, step)]


@lru_cache(maxsize=1)
def register() -> str:
    """Make the attention known to transformers; return its name."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, ragged_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    return ATTENTION
