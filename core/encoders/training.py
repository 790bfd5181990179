"""The one training loop of all torch encoders: Adam, early stopping on valid AUC, exact resume.

Every epoch draws its shuffling and dropout from (seed, epoch) alone, so no random state has to be
kept and a run continued after a kill equals the uninterrupted one. The checkpoint is one safetensors
file, replaced atomically after each epoch: weights, the best weights, Adam's moments, and the course
of the run as JSON in its header.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from core.config.encode import EncodeConfig
from core.encoders.course import Epoch, Training
from core.errors import TrainingDivergedError
from core.files import sync
from core.memory import settle_memory
from core.progress import Bar, Progress

CHECKPOINT = "encoder-checkpoint.safetensors"


class Trainable(Protocol):
    """What the loop needs of an encoder."""

    config: EncodeConfig
    module: torch.nn.Module

    @property
    def sparse_weights(self) -> Sequence[torch.nn.Parameter]:
        """Return the weights whose gradients hold only the rows of a batch."""

    def batches(self, random: np.random.Generator) -> Sequence[Any]:
        """Return the batches of one epoch."""

    def loss(self, batch: Any) -> torch.Tensor:
        """Return the sum of the loss over a batch's rows."""

    def rows_in(self, batch: Any) -> int:
        """Return how many rows a batch trains."""

    def valid_auc(self) -> float | None:
        """Return the figure to stop by, None where it is not defined."""


def train(encoder: Trainable, run_folder: Path, progress: Progress) -> Training:
    """Train until valid AUC stops rising, and leave the best weights in the encoder.

    Without a valid AUC every epoch counts as better than the one before.

    Raises: TrainingDivergedError if a loss is not finite.
    """
    settle_memory()
    config = encoder.config.resolved()
    epochs = config.epochs or 1
    run = _Run(encoder, config)
    run.resume(run_folder / CHECKPOINT)
    title = f"encode {config.encoder}"
    done = len(run.course.epochs)
    with progress.bar(title, epochs, "epochs", done=done) as bar, torch.random.fork_rng(devices=[]):
        while len(run.course.epochs) < epochs and not run.finished:
            run.epoch(bar)
            run.save(run_folder / CHECKPOINT)
    encoder.module.load_state_dict(run.best)
    if run.course.epochs and run.course.valid_auc is None:
        progress.say(
            f"{title}: valid has no rows or one label only, so that no epoch is better than another: the last counts"
        )
    return run.course


class _Run:
    """The state of one training run."""

    def __init__(self, encoder: Trainable, config: EncodeConfig) -> None:
        self._encoder, self._config = encoder, config
        self._sparse = list(encoder.sparse_weights)
        lazy = {id(weight) for weight in self._sparse}
        weights = [w for w in encoder.module.parameters() if id(w) not in lazy]
        # Adam divides a gradient by its own size, so a decayed bias of an item that a batch lacks would move by the
        # whole learning rate whatever the penalty; biases and norms are therefore not decayed.
        matrices, vectors = (
            [w for w in weights if (w.dim() > 1) is many] for many in (True, False)
        )
        self._decay = config.weight_decay or 0.0
        rate = config.learning_rate or 0.0
        groups = [
            {"params": matrices, "weight_decay": self._decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            # Fused: one pass over the moments rather than eight, several times faster on a CPU.
            "adam.": torch.optim.Adam(
                [group for group in groups if group["params"]], lr=rate, fused=True
            )
        }
        if self._sparse:
            self._optimizers["sparse."] = torch.optim.SparseAdam(self._sparse, lr=rate)
        self.course = Training()
        self.best = _copy(encoder.module.state_dict())

    @property
    def finished(self) -> bool:
        return len(self.course.epochs) - self.course.best_epoch >= self._config.patience

    def epoch(self, bar: Bar) -> None:
        """Pass over train once, validate, remember the best."""
        started, number = time.monotonic(), len(self.course.epochs) + 1
        torch.manual_seed(_seed(self._config.seed, number))
        self._encoder.module.train()
        total, rows = 0.0, 0
        for batch in self._encoder.batches(np.random.default_rng([self._config.seed, number])):
            size = self._encoder.rows_in(batch)
            total += self._step(batch, size, number)
            rows += size
        self._encoder.module.eval()
        with torch.no_grad():
            auc = self._encoder.valid_auc()
        best = self.course.valid_auc
        self.course.epochs.append(
            Epoch(
                epoch=number,
                train_loss=total / max(rows, 1),
                valid_auc=auc,
                seconds=time.monotonic() - started,
            )
        )
        if auc is None or best is None or auc > best:
            self.course.best_epoch = number
            self.best = _copy(self._encoder.module.state_dict())
        shown = {} if auc is None else {"valid_auc": round(auc, 4)}
        bar.advance(1, loss=round(total / max(rows, 1), 4), **shown)

    def _step(self, batch: Any, size: int, number: int) -> float:
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss = self._encoder.loss(batch)
        (loss / size).backward()  # type: ignore[no-untyped-call]
        for weight in self._sparse:
            self._decay_touched(weight)
        for optimizer in self._optimizers.values():
            optimizer.step()
        # Read last: a GPU is waited for here. Weights that a bad step spoiled are never written.
        value = float(loss.detach())
        if not np.isfinite(value):
            raise TrainingDivergedError(
                f"{self._config.encoder}: the loss of a batch in epoch {number} is {value}",
                hint="Lower --learning-rate.",
            )
        return value

    @torch.no_grad()
    def _decay_touched(self, weight: torch.nn.Parameter) -> None:
        """Add the penalty's gradient, which sparse Adam knows nothing of, for the rows that the batch has."""
        assert weight.grad is not None
        weight.grad = weight.grad.coalesce()
        if self._decay:
            rows = weight.grad.indices()[0]
            weight.grad.values().add_(weight[rows], alpha=self._decay)

    def save(self, path: Path) -> None:
        """Replace the checkpoint."""
        now = self._encoder.module.state_dict()
        tensors = {f"now.{name}": value for name, value in now.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for prefix, optimizer in self._optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                for name, value in state.items():
                    tensors[f"{prefix}{index}.{name}"] = torch.as_tensor(value)
        course = {
            "epochs": [asdict(epoch) for epoch in self.course.epochs],
            "best_epoch": self.course.best_epoch,
        }
        scratch = path.with_suffix(".partial")
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, scratch, metadata={"course": json.dumps(course)})
        sync(scratch)
        os.replace(scratch, path)  # noqa: PTH105  (the atomic form, spelled as in the store)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint if there is one."""
        if not path.exists():
            return
        with safe_open(path, framework="pt") as file:
            course = json.loads(file.metadata()["course"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.course = Training(
            epochs=[Epoch(**epoch) for epoch in course["epochs"]], best_epoch=course["best_epoch"]
        )
        self._encoder.module.load_state_dict(_under(tensors, "now."))
        self.best = _under(tensors, "best.")
        for prefix, optimizer in self._optimizers.items():
            state: dict[int, dict[str, Any]] = {}
            for name, value in _under(tensors, prefix).items():
                index, _, key = name.partition(".")
                counted = key == "step" and prefix == "sparse."
                state.setdefault(int(index), {})[key] = int(value) if counted else value
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def _copy(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): tensor for n, tensor in tensors.items() if n.startswith(prefix)}


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
