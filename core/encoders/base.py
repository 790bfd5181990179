"""What every collaborative encoder can do, whatever it is inside."""

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.config.encode import EncodeConfig
from core.data.dataset import IntArray
from core.encoders.course import Training
from core.progress import Progress

Logits = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """A collaborative model over one data set: scores rows and pairs, gives vectors.

    It is built from (config, dataset, histories); `fit` or `load` fills it.
    """

    config: EncodeConfig

    @property
    def dim(self) -> int:
        """Width of the vectors; 0 if the model has none."""

    def fit(self, run_folder: Path, progress: Progress) -> Training:
        """Train on train rows, stop by valid rows; checkpoints in run_folder make it resumable."""

    def score_rows(self, rows: IntArray) -> Logits:
        """Return (n,) logits of rows of the data set, each asked with its own history."""

    def score_pairs(self, users: IntArray, items: IntArray) -> Logits:
        """Return (n,) logits of pairs asked now, with all that the users did so far."""

    def user_vectors(self) -> Vectors:
        """Return (U, dim) what train says of users; meaningless for those without train rows."""

    def item_vectors(self) -> Vectors:
        """Return (I, dim) vectors of items; meaningless for those without train rows."""

    def save(self, folder: Path) -> None:
        """Write weights.safetensors."""

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises: MismatchError if it belongs to other data."""
