"""Batches without padding: sequences laid end to end, with prefixes that several continuations share.

Linear layers see one flat run of tokens, so none of their work is spent on padding, and a prefix shared by many
continuations (a history and its candidate items) goes through them once. Only attention, a few per cent of the
work, is laid out as padded rectangles: one causal rectangle of trunks, and one of branches whose queries see their
trunk's keys and, causally, their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from core.llm.attention import ragged_causal_attention

ATTENTION = "thinkrec_ragged"
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
    trunk_lengths: tuple[int, ...]
    """Tokens of each trunk."""
    trunk_cells: Tensor
    """(trunks, longest trunk) int64 flat index per cell; padding cells point to token 0."""
    trunk_take: Tensor
    """(trunk tokens,) int64 cell of each trunk token in the flattened rectangle."""
    branch_cells: Tensor | None
    """(branches, longest branch), or None without branches."""
    branch_take: Tensor | None
    branch_trunk: Tensor | None
    """(branches,) int64 trunk of each branch."""
    branch_mask: Tensor | None
    """(branches, 1, longest branch, longest trunk + longest branch) bool: what each query may see."""

    @property
    def trunks(self) -> int:
        """Number of trunks."""
        return len(self.trunk_cells)

    @property
    def tokens(self) -> int:
        """Number of tokens that go through the linear layers."""
        return len(self.ids)

    def starts(self) -> Tensor:
        """(trunks,) then (branches,) int64 flat index of the first token of each."""
        cells = [self.trunk_cells[:, 0]]
        if self.branch_cells is not None:
            cells.append(self.branch_cells[:, 0])
        return torch.cat(cells)

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
        starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        offset = np.concatenate([np.zeros(len(trunks), np.int64), trunk_lengths[owners]])
        inside = np.arange(lengths.sum()) - np.repeat(starts, lengths)
        flat = np.concatenate(
            [np.asarray(s, dtype=np.int64) for s in [*(t.ids for t in trunks), *branches]]
        )
        count = len(trunks)
        trunk_cells, trunk_take = _rectangle(starts[:count], trunk_lengths)
        made: dict[str, Any] = {"branch_cells": None, "branch_take": None, "branch_trunk": None}
        made["branch_mask"] = None
        if branches:
            cells, take = _rectangle(starts[count:], branch_lengths)
            made = {
                "branch_cells": torch.from_numpy(cells).to(device),
                "branch_take": torch.from_numpy(take).to(device),
                "branch_trunk": torch.from_numpy(owners).to(device),
                "branch_mask": torch.from_numpy(
                    _branch_mask(trunk_lengths[owners], trunk_cells.shape[1], cells.shape[1])
                ).to(device),
            }
        owner_of_sequence = np.concatenate([np.arange(count), owners])
        return cls(
            ids=torch.from_numpy(flat).to(device),
            positions=torch.from_numpy(inside + np.repeat(offset, lengths)).to(device),
            trunk_of_token=torch.from_numpy(np.repeat(owner_of_sequence, lengths)).to(device),
            ends=torch.from_numpy(starts + lengths - 1).to(device),
            trunk_lengths=tuple(trunk_lengths.tolist()),
            trunk_cells=torch.from_numpy(trunk_cells).to(device),
            trunk_take=torch.from_numpy(trunk_take).to(device),
            **made,
        )


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
    scale = settings["scaling"]
    if _trains_in_bfloat16_on_cpu(query) and layout.branch_cells is None:
        out = ragged_causal_attention(query[0], key[0], value[0], layout.trunk_lengths, scale)
        return out.transpose(0, 1)[None], None
    grouped = query.shape[1] != key.shape[1]
    flat_query, flat_key, flat_value = (x[0].transpose(0, 1) for x in (query, key, value))
    trunk_query, trunk_key, trunk_value = (
        x[layout.trunk_cells].transpose(1, 2) for x in (flat_query, flat_key, flat_value)
    )
    out = scaled_dot_product_attention(
        trunk_query, trunk_key, trunk_value, is_causal=True, scale=scale, enable_gqa=grouped
    )
    parts = [out.transpose(1, 2).flatten(0, 1)[layout.trunk_take]]
    if layout.branch_cells is not None:
        branch_query, own_key, own_value = (
            x[layout.branch_cells].transpose(1, 2) for x in (flat_query, flat_key, flat_value)
        )
        out = scaled_dot_product_attention(
            branch_query,
            torch.cat([trunk_key[layout.branch_trunk], own_key], 2),
            torch.cat([trunk_value[layout.branch_trunk], own_value], 2),
            attn_mask=layout.branch_mask,
            scale=scale,
            enable_gqa=grouped,
        )
        parts.append(out.transpose(1, 2).flatten(0, 1)[layout.branch_take])
    return torch.cat(parts)[None], None


def _trains_in_bfloat16_on_cpu(query: Tensor) -> bool:
    return query.requires_grad and query.dtype == torch.bfloat16 and query.device.type == "cpu"


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
    cells = np.where(real, starts[:, None] + columns, 0)
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
