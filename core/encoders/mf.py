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


class _Products(torch.autograd.Function):
    """Products of the vectors of pairs; the gradients are summed in one pass, without a sort or another copy."""

    @staticmethod
    def forward(
        ctx: Any, user: torch.Tensor, item: torch.Tensor, users: torch.Tensor, items: torch.Tensor
    ) -> torch.Tensor:
        """Return (n,) products of (U, dim) and (I, dim) vectors at (n,) places."""
        of_users, of_items = user.index_select(0, users), item.index_select(0, items)
        ctx.save_for_backward(of_users, of_items, users, items)
        ctx.counts = len(user), len(item)
        return (of_users * of_items).sum(1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of both sets of vectors."""
        of_users, of_items, users, items = ctx.saved_tensors
        of_row = gradients[0][:, None]
        user = of_users.new_zeros(ctx.counts[0], of_users.shape[1])
        item = of_items.new_zeros(ctx.counts[1], of_items.shape[1])
        user.index_add_(0, users, of_items * of_row)
        item.index_add_(0, items, of_users * of_row)
        return user, item, None, None


class FactorModule(torch.nn.Module):
    """Vectors and biases."""

    def __init__(self, owner: "FactorEncoder") -> None:
        """Take from the encoder who occurs in train, the width, and where the biases start."""
        super().__init__()
        self.sparse = owner.sparse
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
        if self.sparse:
            of_users = functional.embedding(users, user, sparse=True)
            of_items = functional.embedding(items, item, sparse=True)
            products = (of_users * of_items).sum(-1)
        else:
            products = _Products.apply(user, item, users, items)  # type: ignore[no-untyped-call]
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
