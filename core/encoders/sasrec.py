"""SASRec: self-attention over a user's last rows; the state after the newest is his vector.

Score of (history, i) = e_u . e_i + b_u + b_i + b, with e_u the state where the history ends. Trained
pointwise with BCE on the label of every train row, all positions of a history at once. With
`history_labels` a history row is the sum of its item's vector and a vector for liked or not liked.

How kind a user is, b_u says once and for all; without `user_bias` the state has to say it (w . e_u in place of b_u) and
says something else after every row. On ML-1M that ranks strangers better and a user's own items worse: valid AUC .752
instead of .736, UAUC .646 instead of .689.

Source: Kang and McAuley, Self-Attentive Sequential Recommendation, 2018.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.config.encode import EncodeConfig
from core.data.dataset import Dataset, IntArray
from core.data.histories import Histories
from core.encoders.base import Logits, Vectors
from core.encoders.neural import NeuralEncoder, as_logits, as_vectors
from core.encoders.sequences import Pieces, TrainSequences

PIECE = 4096
"""Histories run through the blocks at once when scoring; bounds memory."""
INITIAL_SCALE = 0.02
"""Standard deviation of embeddings at the start, as in BERT."""


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each with its norm before it."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        """Take width, number of heads and dropout."""
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm, self.forward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.inner, self.outer = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Take (p, length, dim) states and (p, 1, length, length) flags of who sees whom."""
        pieces, length, dim = states.shape

        def split(values: Tensor) -> Tensor:
            return values.view(pieces, length, self.heads, dim // self.heads).transpose(1, 2)

        normed = self.attention_norm(states)
        drop = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            split(self.query(normed)),
            split(self.key(states)),
            split(self.value(states)),
            attn_mask=mask,
            dropout_p=drop,
        )
        states = states + mixed.transpose(1, 2).reshape(pieces, length, dim)
        inner = functional.relu(self.inner(self.forward_norm(states)))
        return states + functional.dropout(self.outer(inner), drop, self.training)


class SequenceModule(nn.Module):
    """From histories to the states after each of their rows."""

    def __init__(self, owner: "SasRecEncoder") -> None:
        """Take from the encoder its settings and where the biases start."""
        super().__init__()
        config, dim, items = owner.config, owner.dim, len(owner.dataset.items)
        there = torch.from_numpy(owner.trained_items()).float()
        self.item = nn.Parameter(torch.randn(items, dim) * INITIAL_SCALE * there[:, None])
        self.position = nn.Parameter(torch.randn(config.history_length, dim) * INITIAL_SCALE)
        self.label = nn.Parameter(torch.randn(2, dim) * INITIAL_SCALE)
        self.nothing = nn.Parameter(torch.zeros(dim))  # the user's vector where there is no history
        self.item_bias = nn.Parameter(owner.item_start)
        self.has_user_bias = config.user_bias
        if config.user_bias:
            self.user_bias = nn.Parameter(owner.user_start)
        else:
            self.kindness = nn.Parameter(torch.zeros(dim))  # w: how e_u alone moves the score
        self.bias = nn.Parameter(torch.tensor(owner.like_logit))
        self.blocks = nn.ModuleList(
            Block(dim, config.heads, config.dropout) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(dim)
        self.labels_shown, self.dropout = config.history_labels, config.dropout

    def forward(self, items: Tensor, labels: Tensor) -> Tensor:
        """Return (p, length, dim) states.

        Args:
            items: (p, length) item positions, -1 where there is no row.
            labels: (p, length) 1 liked, 0 not.
        """
        there = items >= 0
        states = functional.embedding(items.clamp(min=0), self.item) * self.item.shape[1] ** 0.5
        if self.labels_shown:
            states = states + functional.embedding(labels, self.label) * self.item.shape[1] ** 0.5
        states = functional.dropout(states + self.position, self.dropout, self.training)
        states = states * there[..., None]
        length = items.shape[1]
        own = torch.eye(length, dtype=torch.bool, device=items.device)
        causal = torch.ones_like(own).tril()
        # A missing row sees itself, or its softmax would be over nothing; nobody sees it.
        mask = ((causal & there[:, None, :]) | own)[:, None]
        for block in self.blocks:
            states = block(states, mask) * there[..., None]
        normed: Tensor = self.norm(states)
        return normed

    def logits(self, user: Tensor, items: Tensor) -> Tensor:
        """Return (n,) logits of (n, dim) user vectors with (n,) items, without the users' biases."""
        vectors = functional.embedding(items, self.item)
        if not self.has_user_bias:
            vectors = vectors + self.kindness
        return (user * vectors).sum(-1) + self.item_bias[items] + self.bias

    def bias_of(self, users: Tensor) -> Tensor:
        """Return (n,) biases of users, zero without user_bias."""
        if not self.has_user_bias:
            return torch.zeros(len(users), device=users.device)
        return self.user_bias[users]


class SasRecEncoder(NeuralEncoder):
    """Encoder `sasrec`."""

    module: SequenceModule

    def __init__(self, config: EncodeConfig, dataset: Dataset, histories: Histories) -> None:
        """Build the module and the train sequences."""
        super().__init__(config, dataset, histories)
        self._sequences = TrainSequences(dataset, config.history_length)

    def build(self) -> SequenceModule:
        """Make the module."""
        return SequenceModule(self)

    def batches(self, random: np.random.Generator) -> list[Pieces]:
        """Return pieces of train histories with the rows that follow them."""
        return self._sequences.batches(random, self.batch_rows)

    def states_of(self, batch: Pieces) -> Tensor:
        """Return (n, dim) user vectors of a batch's rows."""
        states = self._states(batch.history)
        user = states[self.tensor(np.maximum(batch.piece, 0)), self.tensor(batch.slot)]
        empty = self.tensor(batch.piece) < 0
        return torch.where(empty[:, None], self.module.nothing, user)

    def loss(self, batch: Pieces) -> Tensor:
        """Return summed BCE over the batch's rows."""
        return self.pointwise(batch, self.states_of(batch))

    def pointwise(self, batch: Pieces, user: Tensor) -> Tensor:
        """Return summed BCE on the labels of a batch's rows, from (n, dim) user vectors."""
        items = self.tensor(self.dataset.item[batch.row])
        bias = self.module.bias_of(self.tensor(self.dataset.user[batch.row]))
        return functional.binary_cross_entropy_with_logits(
            self.module.logits(user, items) + bias, self.labels(batch.row), reduction="sum"
        )

    @torch.no_grad()
    def score_rows(self, rows: IntArray) -> Logits:
        """See Encoder."""
        windows = self.histories.windows(rows, self.config.history_length)
        # Rows of one user in the same second share their history.
        unique, inverse = np.unique(windows, axis=0, return_inverse=True)
        score = self._score(self._ends(unique), inverse.reshape(-1), self.dataset.item[rows])
        return score + self._bias_of(self.dataset.user[rows])

    @torch.no_grad()
    def score_pairs(self, users: IntArray, items: IntArray) -> Logits:
        """See Encoder."""
        unique, inverse = np.unique(users, return_inverse=True)
        windows = self.histories.latest_windows(unique, self.config.history_length)
        return self._score(self._ends(windows), inverse, items) + self._bias_of(users)

    @torch.no_grad()
    def user_vectors(self) -> Vectors:
        """Return (U, dim) states after every user's last train rows."""
        rows, users = self.train_rows, len(self.dataset.users)
        train = Histories(self.dataset.user[rows], self.dataset.time[rows], users)
        windows = train.latest_windows(np.arange(users), self.config.history_length)
        there = windows >= 0
        return as_vectors(self._ends(np.where(there, rows[np.where(there, windows, 0)], -1)))

    @torch.no_grad()
    def item_vectors(self) -> Vectors:
        """See Encoder."""
        return as_vectors(self.module.item)

    def _states(self, history: npt.NDArray[np.int64]) -> Tensor:
        there, row = history >= 0, np.maximum(history, 0)
        items = np.where(there, self.dataset.item[row], -1)
        states: Tensor = self.module(self.tensor(items), self.tensor(self.dataset.label[row]))
        return states

    def _ends(self, windows: npt.NDArray[np.int64]) -> Tensor:
        """Return (n, dim) states after the last row of (n, length) windows."""
        ends = []
        for at in range(0, len(windows), PIECE):
            piece = windows[at : at + PIECE]
            empty = self.tensor(piece[:, -1]) < 0
            last = self._states(piece)[:, -1]
            ends.append(torch.where(empty[:, None], self.module.nothing, last))
        return torch.cat(ends) if ends else torch.zeros(0, self.dim, device=self.device)

    def _bias_of(self, users: IntArray) -> Logits:
        return as_logits(self.module.bias_of(self.tensor(users)))

    def _score(self, user: Tensor, owner: IntArray, items: IntArray) -> Logits:
        """Score (n,) items, item k with user vector owner[k]."""
        pieces = [
            as_logits(
                self.module.logits(
                    user[self.tensor(owner[at : at + (1 << 18)])],
                    self.tensor(items[at : at + (1 << 18)]),
                )
            )
            for at in range(0, len(items), 1 << 18)
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0)
