"""Matrix factorisation: one vector and one bias per user and item.

Score of (u, i) = e_u . e_i + b_u + b_i + b. A user or item without train rows keeps the zero vector
it starts with, so it is judged by the rest of the sum. Biases start at smoothed like-rates of train: early stopping
leaves them too few steps to get there by themselves (ML-1M, valid: AUC .736 -> .738, UAUC .688 -> .694).

Where a batch meets few of the users and items, gradients hold its rows alone and Adam moves nothing else; with full
gradients its moments and the penalty also move users and items that a batch lacks.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from core.data.dataset import IntArray
from core.encoders.base import Logits, Vectors
from core.encoders.neural import NeuralEncoder, as_logits, as_vectors

INITIAL_SCALE = 0.1
"""Standard deviation of a vector's initial length; small, so that biases are learned first."""
PIECE = 1 << 18
"""Pairs scored at once; bounds memory."""
SPARSE_FROM = 32
"""Users and items per row of a batch from which gradients are sparse: from there on they are faster on a CPU."""


class _Sums:
    """Sums of gradients, in memory that stays from step to step: fresh pages of a large table cost more than its sums.

    They hold until the next backward pass, which begins them anew: one forward and one backward pass for each step.
    """

    def __init__(self) -> None:
        self._kept: dict[str, torch.Tensor] = {}

    def of(self, name: str, count: int, places: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return (count, ...) sums of (n, ...) values by (n,) places."""
        kept = self._kept.get(name)
        if kept is None:
            kept = self._kept[name] = values.new_empty(count, *values.shape[1:])
        # Autograd keeps a tensor that nobody else holds, and copies any other: so it gets another on the same memory.
        return kept.zero_().index_add_(0, places, values).detach()


class _Pairs(torch.autograd.Function):
    """Products of the vectors of pairs, and their biases; the gradients are summed in one pass, without a sort."""

    @staticmethod
    def forward(ctx: Any, sums: _Sums, *tensors: torch.Tensor) -> torch.Tensor:
        """Return (n,) logits for (U, dim) and (I, dim) vectors, (U,) and (I,) biases, at (n,) places of each."""
        user, item, user_bias, item_bias, users, items = tensors
        of_users, of_items = user.index_select(0, users), item.index_select(0, items)
        ctx.save_for_backward(of_users, of_items, users, items)
        ctx.sums, ctx.counts = sums, (len(user), len(item))
        products = (of_users * of_items).sum(1)
        biases = user_bias.index_select(0, users), item_bias.index_select(0, items)
        return products.add_(biases[0]).add_(biases[1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of both sets of vectors, and of both sets of biases."""
        (of_rows,) = gradients
        of_users, of_items, users, items = ctx.saved_tensors
        many_users, many_items = ctx.counts
        # In place: nobody asks for these vectors again.
        for_users, for_items = (v.mul_(of_rows[:, None]) for v in (of_items, of_users))
        return (
            None,
            ctx.sums.of("user", many_users, users, for_users),
            ctx.sums.of("item", many_items, items, for_items),
            ctx.sums.of("user_bias", many_users, users, of_rows),
            ctx.sums.of("item_bias", many_items, items, of_rows),
            None,
            None,
        )


class FactorModule(torch.nn.Module):
    """Vectors and biases."""

    def __init__(self, owner: "FactorEncoder") -> None:
        """Take from the encoder who occurs in train, the width, and where the biases start."""
        super().__init__()
        self.sparse, self._sums = owner.sparse, _Sums()
        dim = owner.dim
        scale = INITIAL_SCALE / dim**0.5
        users = torch.from_numpy(owner.trained_users()).float()
        items = torch.from_numpy(owner.trained_items()).float()
        self.user = torch.nn.Parameter(torch.randn(len(users), dim) * scale * users[:, None])
        self.item = torch.nn.Parameter(torch.randn(len(items), dim) * scale * items[:, None])
        self.user_bias = torch.nn.Parameter(owner.user_start)
        self.item_bias = torch.nn.Parameter(owner.item_start)
        self.bias = torch.nn.Parameter(torch.tensor(owner.like_logit))

    def vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (U, dim) and (I, dim) vectors."""
        return self.user, self.item

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Return (n,) logits of pairs."""
        user, item = self.vectors()
        if not self.sparse:
            biases = self.user_bias, self.item_bias
            pairs: torch.Tensor = _Pairs.apply(self._sums, user, item, *biases, users, items)  # type: ignore[no-untyped-call]
            return pairs + self.bias
        of_users = functional.embedding(users, user, sparse=True)
        of_items = functional.embedding(items, item, sparse=True)
        products = (of_users * of_items).sum(-1)
        return products + self.user_bias[users] + self.item_bias[items] + self.bias


class FactorEncoder(NeuralEncoder):
    """Encoder `mf`."""

    module: FactorModule
    most_steps = 256
    may_be_sparse = True

    def build(self) -> FactorModule:
        """Make the module."""
        return FactorModule(self)

    @property
    def sparse(self) -> bool:
        """Whether gradients of vectors hold only the rows of a batch."""
        vectors = len(self.dataset.users) + len(self.dataset.items)
        return self.may_be_sparse and vectors > SPARSE_FROM * self.batch_rows

    @property
    def sparse_weights(self) -> list[torch.nn.Parameter]:
        """See NeuralEncoder."""
        return [self.module.user, self.module.item] if self.sparse else []

    def loss(self, batch: npt.NDArray[np.int64]) -> torch.Tensor:
        """Return summed BCE over train rows."""
        users, items = self.tensor(self.dataset.user[batch]), self.tensor(self.dataset.item[batch])
        return functional.binary_cross_entropy_with_logits(
            self.module(users, items), self.labels(batch), reduction="sum"
        )

    def score_rows(self, rows: IntArray) -> Logits:
        """See Encoder; the history does not matter to this model."""
        return self.score_pairs(self.dataset.user[rows], self.dataset.item[rows])

    @torch.no_grad()
    def score_pairs(self, users: IntArray, items: IntArray) -> Logits:
        """See Encoder."""
        pieces = [
            as_logits(
                self.module(
                    self.tensor(users[at : at + PIECE]), self.tensor(items[at : at + PIECE])
                )
            )
            for at in range(0, len(users), PIECE)
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0)

    @torch.no_grad()
    def user_vectors(self) -> Vectors:
        """See Encoder."""
        return as_vectors(self.module.vectors()[0])

    @torch.no_grad()
    def item_vectors(self) -> Vectors:
        """See Encoder."""
        return as_vectors(self.module.vectors()[1])
