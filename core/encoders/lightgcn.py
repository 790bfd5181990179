"""LightGCN: vectors smoothed over the graph of who liked what in train.

The vectors of layer k + 1 are the normalised sums of the neighbours' vectors of layer k; a user's or item's vector is
the mean over layers 0 .. `layers`. Edges are the liked train rows. As in `mf` biases are added to the product, and the
loss is BCE on every train row, because labels here are likes and dislikes rather than clicks.

Source: He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation, 2020.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from core.encoders.mf import FactorEncoder, FactorModule


class _Neighbours(torch.autograd.Function):
    """graph @ layer, for a graph that equals its transpose: the backward pass is the same product.

    Autograd's own would transpose the graph at every step, and without compressed rows a product runs on one core.
    """

    @staticmethod
    def forward(ctx: Any, graph: torch.Tensor, layer: torch.Tensor) -> torch.Tensor:
        """Return (n, dim) sums over neighbours."""
        ctx.graph = graph
        return graph @ layer

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
        """Return the gradient of the layer."""
        return None, ctx.graph @ gradients[0].contiguous()


class GraphModule(FactorModule):
    """Vectors, biases and the graph; the graph is not a weight and is rebuilt from the data."""

    graph: torch.Tensor
    layers: int

    def vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (U, dim) and (I, dim) smoothed vectors."""
        layer = torch.cat([self.user, self.item])
        total = layer
        for _ in range(self.layers):
            layer = _Neighbours.apply(self.graph, layer)  # type: ignore[no-untyped-call]
            total = total + layer
        smoothed = total / (self.layers + 1)
        return smoothed[: len(self.user)], smoothed[len(self.user) :]


class LightGcnEncoder(FactorEncoder):
    """Encoder `lightgcn`."""

    most_steps = 64  # each step passes over the whole graph
    may_be_sparse = False  # through the graph a row moves the vectors of all

    def build(self) -> GraphModule:
        """Make the module and the graph."""
        module = GraphModule(self)
        module.layers = self.config.layers
        rows = self.train_rows[self.dataset.label[self.train_rows] == 1]
        graph = likes_graph(
            self.dataset.user[rows].astype(np.int64),
            self.dataset.item[rows].astype(np.int64),
            len(self.dataset.users),
            len(self.dataset.items),
        )
        module.register_buffer("graph", graph, persistent=False)
        return module


def likes_graph(
    user: npt.NDArray[np.int64], item: npt.NDArray[np.int64], users: int, items: int
) -> torch.Tensor:
    """Return the (U + I, U + I) adjacency in compressed rows, with entry 1 / sqrt(degree(a) * degree(b)) per edge.

    Args:
        user: (n,) user of each like; a pair that occurs twice is one edge.
        item: (n,) item of each like.
        users: number of users U.
        items: number of items I.
    """
    pairs = np.unique(user * items + item)
    user, item = pairs // items, pairs % items + users
    degree = np.bincount(np.concatenate([user, item]), minlength=users + items)
    weight = 1 / np.sqrt(degree[user] * degree[item])
    # In order already: pairs are sorted by user and then item, and each half has its own rows.
    back = np.lexsort((user, item))
    starts = np.concatenate([[0], np.cumsum(degree)])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            torch.from_numpy(starts),
            torch.from_numpy(np.concatenate([item, user[back]])),
            torch.from_numpy(np.concatenate([weight, weight[back]])).float(),
            (users + items, users + items),
            check_invariants=True,
        )
