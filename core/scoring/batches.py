"""Group prompts that share their beginning, and pack groups into batches of about one size."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.llm.ragged import Trunk
from core.text.prompts import Prompt, Slot


@dataclass(frozen=True)
class Group:
    """Rows of one user and one history: a shared trunk, or one row by itself."""

    rows: list[int]
    """Positions of the prompts asked for, in the order of the trunk's branches."""
    trunk: Trunk
    slots: list[Sequence[Slot]]
    """Slots of the trunk, then of each branch, counted from its own start."""

    @property
    def tokens(self) -> int:
        """Tokens that go through the model."""
        return len(self.trunk.ids) + sum(len(branch) for branch in self.trunk.branches)


def group_prompts(
    prompts: Sequence[Prompt], owners: Sequence[Hashable], max_tokens: int
) -> list[Group]:
    """Put prompts with equal owner and equal prefix ids together.

    Args:
        prompts: what to score.
        owners: what else must be equal for a prefix to be shared: who the gates' weights belong to.
        max_tokens: a larger group is cut, and its prefix computed once per part.
    """
    found: dict[tuple[Hashable, bytes, tuple[Slot, ...]], list[int]] = {}
    for row, (prompt, owner) in enumerate(zip(prompts, owners, strict=True)):
        key = (
            owner,
            np.asarray(prompt.ids[: prompt.prefix], dtype=np.int64).tobytes(),
            tuple(slot for slot in prompt.slots if slot.position < prompt.prefix),
        )
        found.setdefault(key, []).append(row)
    groups = []
    for rows in found.values():
        groups += [_group(prompts, part) for part in _parts(prompts, rows, max_tokens)]
    return groups


def pack(groups: Sequence[Group], max_tokens: int) -> Iterator[list[Group]]:
    """Yield batches of groups of similar length, each of at most `max_tokens` tokens (a lone group may be larger)."""
    batch: list[Group] = []
    size = 0
    for group in sorted(groups, key=lambda g: (len(g.trunk.ids), g.tokens, g.rows[0])):
        if batch and size + group.tokens > max_tokens:
            yield batch
            batch, size = [], 0
        batch.append(group)
        size += group.tokens
    if batch:
        yield batch


def _group(prompts: Sequence[Prompt], rows: list[int]) -> Group:
    if len(rows) == 1:
        prompt = prompts[rows[0]]
        return Group(rows, Trunk(ids=prompt.ids), [prompt.slots])
    first = prompts[rows[0]]
    prefix = first.prefix
    slots: list[Sequence[Slot]] = [[s for s in first.slots if s.position < prefix]]
    for row in rows:
        own = [s for s in prompts[row].slots if s.position >= prefix]
        slots.append([Slot(s.position - prefix, s.kind, s.index) for s in own])
    branches = [prompts[row].ids[prefix:] for row in rows]
    return Group(rows, Trunk(ids=first.ids[:prefix], branches=branches), slots)


def _parts(prompts: Sequence[Prompt], rows: list[int], max_tokens: int) -> Iterator[list[int]]:
    """Cut the rows of one prefix so that prefix and branches fit the budget."""
    prefix = prompts[rows[0]].prefix
    part: list[int] = []
    size = prefix
    for row in rows:
        own = len(prompts[row].ids) - prefix
        if part and size + own > max_tokens:
            yield part
            part, size = [], prefix
        part.append(row)
        size += own
    yield part
