"""LightGCN: vectors smoothed over the graph of who liked what in train.

The vectors of layer k + 1 are the normalised sums of the neighbours' vectors of layer k; a user's or item's vector is
the mean over layers 0 .. `layers`. Edges are the liked train rows. As in `mf` biases are added to the product, and the
loss is BCE on every train row, because labels here are likes and dislikes rather than clicks.

Source: He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation, 2020.
"""

import numpy as np
import numpy.typing as npt
import torch

from core.encoders.mf import FactorEncoder, FactorModule


class GraphModule(FactorModule):
    """Vectors, biases and the graph; the graph is not a weight and is rebuilt from the data."""

    graph: torch.Tensor
    layers: int

    def vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (U, dim) and (I, dim) smoothed vectors."""
        layer = torch.cat([self.user, self.item])
        total = layer
        for _ in range(self.layers):
            layer = torch.sparse.mm(self.graph, layer)
            total = total + layer
        smoothed = total / (self.layers + 1)
        return smoothed[: len(self.user)], smoothed[len(self.user) :]


class LightGcnEncoder(FactorEncoder):
    """Encoder `lightgcn`."""

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
    """Return the sparse (U + I, U + I) adjacency with entry 1 / sqrt(degree(a) * degree(b)) per edge.

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
    places = torch.from_numpy(np.stack([np.append(user, item), np.append(item, user)]))
    values = torch.from_numpy(np.append(weight, weight)).float()
    size = (users + items, users + items)
    return torch.sparse_coo_tensor(places, values, size, check_invariants=True).coalesce()
