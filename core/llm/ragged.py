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
class Rectangles:
    """A layout as two padded rectangles of tokens."""

    trunk_cells: Tensor
    """(trunks, longest trunk) int64 flat index per cell; padding cells point to the sequence's last token."""
    trunk_take: Tensor
    """(trunk tokens,) int64 cell of each trunk token in the flattened rectangle."""
    branch_cells: Tensor | None = None
    """(branches, longest branch), or None without branches."""
    branch_take: Tensor | None = None
    branch_trunk: Tensor | None = None
    """(branches,) int64 trunk of each branch."""
    branch_mask: Tensor | None = None
    """(branches, 1, longest branch, longest trunk + longest branch) bool: what each query may see."""

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Lay the tokens of a layout out."""
        device, count = layout.ids.device, len(layout.trunk_lengths)
        starts = layout.starts()
        trunk_cells, trunk_take = _rectangle(starts[:count], layout.trunk_lengths)
        arrays = {"trunk_cells": trunk_cells, "trunk_take": trunk_take}
        if len(layout.owners):
            cells, take = _rectangle(starts[count:], layout.branch_lengths)
            arrays |= {"branch_cells": cells, "branch_take": take, "branch_trunk": layout.owners}
            lengths = layout.trunk_lengths[layout.owners]
            arrays["branch_mask"] = _branch_mask(lengths, trunk_cells.shape[1], cells.shape[1])
        return cls(**{name: torch.from_numpy(array).to(device) for name, array in arrays.items()})


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
    flat_query, flat_key, flat_value = (x[0].transpose(0, 1) for x in (query, key, value))
    trunk_query, trunk_key, trunk_value = (
        x[places.trunk_cells].transpose(1, 2) for x in (flat_query, flat_key, flat_value)
    )
    out = _attend(trunk_query, trunk_key, trunk_value, scale)
    parts = [out.transpose(1, 2).flatten(0, 1)[places.trunk_take]]
    if places.branch_cells is not None:
        assert places.branch_trunk is not None
        assert places.branch_mask is not None
        branches = []
        for some in _few_at_once(places.branch_mask):
            own_query, own_key, own_value = (
                x[places.branch_cells[some]].transpose(1, 2)
                for x in (flat_query, flat_key, flat_value)
            )
            owner = places.branch_trunk[some]
            out = _attend(
                own_query,
                torch.cat([trunk_key[owner], own_key], 2),
                torch.cat([trunk_value[owner], own_value], 2),
                scale,
                places.branch_mask[some],
            )
            branches.append(out.transpose(1, 2).flatten(0, 1))
        parts.append(torch.cat(branches)[places.branch_take])
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


def _rectangle(starts: Any, lengths: Any) -> tuple[Any, Any]:
    """Return the flat index of each cell of a padded rectangle, and the cell of each token."""
    width = int(lengths.max())
    columns = np.arange(width)
    real = columns < lengths[:, None]
    # Padding is spread over the sequences: a GPU adds up the gradients of cells of one token one after the other.
    cells = starts[:, None] + np.minimum(columns, lengths[:, None] - 1)
    return cells, np.flatnonzero(real.ravel())


def _branch_mask(trunk_lengths: Any, trunk_width: int, branch_width: int) -> Any:
    sees_trunk = np.arange(trunk_width) < trunk_lengths[:, None]
    causal = np.tril(np.ones((branch_width, branch_width), dtype=bool))
    count = len(trunk_lengths)
    return np.concatenate(
        [
            np.broadcast_to(sees_trunk[:, None, None, :], (count, 1, branch_width, trunk_width)),
            np.broadcast_to(causal, (count, 1, branch_width, branch_width)),
        ],
        axis=3,
    )
