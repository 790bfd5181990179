"""What the torch encoders share: training rows, batches, vectors, files."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from core.config.encode import EncodeConfig
from core.data.dataset import Dataset, IntArray
from core.data.histories import Histories
from core.encoders.base import Logits, Vectors
from core.encoders.course import Training
from core.encoders.metric import valid_auc
from core.encoders.training import train
from core.encoders.weights import read_weights, require_shapes, write_weights
from core.errors import EmptySplitError
from core.llm.device import pick_device, start_gpu
from core.progress import Progress

BATCH = 1024
"""Rows per step if nobody says otherwise."""


class NeuralEncoder(ABC):
    """A torch module over one data set. Subclasses build `module`, score and give vectors."""

    module: torch.nn.Module
    most_steps: int | None = None
    """Steps of an epoch beyond which batches grow, for encoders whose step has a cost that rows do not share."""

    def __init__(self, config: EncodeConfig, dataset: Dataset, histories: Histories) -> None:
        """Build the module from config.seed; nothing is trained yet."""
        self.config = config.resolved()
        self.dataset, self.histories = dataset, histories
        self.train_rows = dataset.rows("train")
        self.device = pick_device(config.device)
        start_gpu(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.module = self.build().to(self.device)
        self.module.eval()

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """Make the module."""

    @abstractmethod
    def score_rows(self, rows: IntArray) -> Logits:
        """See Encoder."""

    @abstractmethod
    def loss(self, batch: Any) -> torch.Tensor:
        """Return the sum of the loss over a batch's rows."""

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.config.width

    @property
    def batch_rows(self) -> int:
        """Rows per step: as told, or a power of two with which an epoch has `most_steps` at most."""
        if self.config.batch_size is not None:
            return self.config.batch_size
        rows = -(-len(self.train_rows) // self.most_steps) if self.most_steps else 0
        return max(BATCH, 1 << max(rows - 1, 0).bit_length())

    @property
    def sparse_weights(self) -> list[torch.nn.Parameter]:
        """Weights whose gradients hold only the rows of a batch."""
        return []

    def fit(self, run_folder: Path, progress: Progress) -> Training:
        """See Encoder. Raises: EmptySplitError without train rows."""
        if not len(self.train_rows):
            raise EmptySplitError(
                "there are no train rows to learn from", hint="Choose another split in ingest."
            )
        return train(self, run_folder, progress)

    def batches(self, random: np.random.Generator) -> Sequence[Any]:
        """Return shuffled train rows in pieces of batch_size."""
        rows = random.permutation(self.train_rows)
        size = self.batch_rows
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def rows_in(self, batch: Any) -> int:
        """Return how many rows a batch trains."""
        return len(batch)

    def valid_auc(self) -> float | None:
        """Return the AUC over the valid rows."""
        return valid_auc(self.dataset, self.score_rows)

    def save(self, folder: Path) -> None:
        """See Encoder."""
        state = self.module.state_dict()
        write_weights(folder, {name: tensor.cpu().numpy() for name, tensor in state.items()})

    def load(self, folder: Path) -> None:
        """See Encoder."""
        weights = read_weights(folder)
        wanted = {name: tuple(tensor.shape) for name, tensor in self.module.state_dict().items()}
        require_shapes(weights, wanted, folder)
        self.module.load_state_dict({name: torch.from_numpy(a) for name, a in weights.items()})
        self.module.eval()

    def tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        """Move integers to the device as int64."""
        return torch.from_numpy(np.asarray(values).astype(np.int64)).to(self.device)

    def labels(self, rows: npt.NDArray[Any]) -> torch.Tensor:
        """Return (n,) float labels of rows on the device."""
        return self.tensor(self.dataset.label[rows]).float()

    @property
    def like_logit(self) -> float:
        """Logit of train's like-rate, with one pseudo-row of each label: where b starts."""
        label = self.dataset.label[self.train_rows]
        return float(np.log((label.sum() + 1) / (len(label) - label.sum() + 1)))

    @property
    def user_start(self) -> torch.Tensor:
        """Return (U,) where biases of users start."""
        return self._bias_start(self.dataset.user, len(self.dataset.users))

    @property
    def item_start(self) -> torch.Tensor:
        """Return (I,) where biases of items start."""
        return self._bias_start(self.dataset.item, len(self.dataset.items))

    def _bias_start(self, index: IntArray, size: int) -> torch.Tensor:
        """Return (size,) logits of smoothed train like-rates, less that of the overall rate."""
        prior = self.config.prior_rows
        if not prior:
            return torch.zeros(size)
        of, label = index[self.train_rows], self.dataset.label[self.train_rows]
        overall = 1 / (1 + np.exp(-self.like_logit))
        rate = (np.bincount(of, label, size) + prior * overall) / (
            np.bincount(of, minlength=size) + prior
        )
        return torch.from_numpy(np.log(rate / (1 - rate)) - self.like_logit).float()

    def trained_users(self) -> npt.NDArray[np.bool_]:
        """Return (U,) whether a user has train rows."""
        return seen_in_train(self.dataset.user[self.train_rows], len(self.dataset.users))

    def trained_items(self) -> npt.NDArray[np.bool_]:
        """Return (I,) whether an item has train rows."""
        return seen_in_train(self.dataset.item[self.train_rows], len(self.dataset.items))


def seen_in_train(index: IntArray, size: int) -> npt.NDArray[np.bool_]:
    """Return (size,) whether a position occurs in `index`."""
    return np.bincount(index, minlength=size) > 0


def as_vectors(tensor: torch.Tensor) -> Vectors:
    """Return a detached float32 copy as numpy."""
    vectors: Vectors = tensor.detach().cpu().float().numpy().copy()
    return vectors


def as_logits(tensor: torch.Tensor) -> Logits:
    """Return a detached float64 copy as numpy."""
    logits: Logits = tensor.detach().cpu().double().numpy().copy()
    return logits
