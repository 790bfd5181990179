"""The one training loop: of the global LoRA, of every expert, and of the projector.

It knows parameters and a loss, not what they mean. Randomness (dropout) is seeded by the step, batches and learning
rates are functions of the step, and a checkpoint holds weights, optimiser, best weights and the record so far: a run
that was stopped at any checkpoint goes on bit for bit like one that was not.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.config.training import OptimConfig
from core.errors import TrainingDivergedError
from core.llm.device import full_memory_is_told
from core.progress import Bar, Progress
from core.training.checkpoint import load_checkpoint, save_checkpoint
from core.training.losses import Losses
from core.training.schedule import learning_rate, split_batch


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What one step did; a row of steps.parquet."""

    stage: str
    step: int
    loss: float
    rec_loss: float
    think_loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    seconds: float


_STEP_FIGURES = tuple(field.name for field in fields(StepRecord) if field.name != "stage")
"""Checkpoints have them as numbers: as text they would take longer than the steps between two of a long training."""


@dataclass(frozen=True, kw_only=True)
class ValidationRecord:
    """What one look at the valid split found; a row of validations.parquet."""

    stage: str
    step: int
    auc: float
    uauc: float
    log_loss: float
    rows: int
    best: bool
    mean_score: float = math.nan
    """Mean relevance score of the rows."""


class BatchLoss(Protocol):
    """Computes the loss of a batch, its mean."""

    lengths: Sequence[int]
    """Tokens of each instance there is; looked at where batches are split."""

    def __call__(self, batch: npt.NDArray[np.int64]) -> tuple[Losses, int]:
        """Return the losses of the instances named, and the tokens that went through the model."""


@dataclass(kw_only=True)
class TrainingRun:
    """One run of the loop."""

    stage: str
    parameters: Mapping[str, torch.nn.Parameter]
    batches: npt.NDArray[np.int64]
    """(steps, batch size)"""
    loss: BatchLoss
    validate: Callable[[], Mapping[str, float]]
    """Gives auc, uauc, log_loss, mean_score and rows of the valid split with the parameters as they are."""
    config: OptimConfig
    folder: Path
    progress: Progress
    look_first: bool = False
    """Look at the valid split before the first step, too."""
    keep_start: bool = False
    """Whether the weights seen at that first look can be the best."""
    numbers: str = ""
    """Kind of device and number format of the base: a run may go on where they are others."""
    most_tokens: int = field(init=False)
    """Tokens of a batch that go through the model at once, 0 for all; less once a GPU's memory did not suffice."""
    step: int = 0
    steps: list[StepRecord] = field(default_factory=list)
    validations: list[ValidationRecord] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_auc: float = -math.inf
    waited: int = 0
    """Validations since the best one."""

    def __post_init__(self) -> None:
        """Start with the pieces that the settings ask for."""
        self.most_tokens = self.config.micro_batch_tokens


def train(run: TrainingRun) -> None:
    """Run the loop to its end or its early stop. Afterwards `run.best` and the parameters hold best and last weights.

    Raises: TrainingDivergedError if a loss or gradient is not finite; the checkpoints stay.
    """
    config, total = run.config, len(run.batches)
    optimiser = torch.optim.AdamW(
        list(run.parameters.values()), lr=config.lr_start, weight_decay=config.weight_decay
    )
    _resume(run, optimiser)
    with run.progress.bar(f"train {run.stage}", total, "step", done=run.step) as bar:
        if run.step:
            run.progress.say(f"train {run.stage}: resumed at step {run.step} of {total}")
        if run.look_first and not run.step:
            _look(run, counts=run.keep_start)
            if run.keep_start and math.isinf(run.best_auc):
                run.progress.say(
                    f"train {run.stage}: without a valid AUC no step can be found better, so it stays as it starts; "
                    "--no-keep-start trains it all the same"
                )
                return
        while run.step < total and not _patience_is_over(run):
            _one_step(run, optimiser, bar)
            at_end = run.step == total
            if run.step % config.eval_steps == 0 or at_end:
                _look(run)
            if run.step % config.checkpoint_steps == 0 or at_end:
                _checkpoint(run, optimiser)


def _one_step(run: TrainingRun, optimiser: torch.optim.Optimizer, bar: Bar) -> None:
    started = time.perf_counter()
    step, config = run.step, run.config
    rate = learning_rate(step, len(run.batches), config)
    for group in optimiser.param_groups:
        group["lr"] = rate
    with full_memory_is_told("Use a GPU with more memory, shorter prompts or fewer layers."):
        means, tokens = _gradients(run, run.batches[step])
    norm = float(
        torch.nn.utils.clip_grad_norm_(run.parameters.values(), config.clip_norm or math.inf)
    )
    loss, rec, think = means
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise TrainingDivergedError(
            f"train {run.stage}: step {step} gave loss {loss} and gradient norm {norm}",
            hint="Lower --lr-peak, or use --dtype float32; the last checkpoint is kept.",
        )
    optimiser.step()
    run.step += 1
    run.steps.append(
        StepRecord(
            stage=run.stage,
            step=step,
            loss=loss,
            rec_loss=rec,
            think_loss=think,
            learning_rate=rate,
            gradient_norm=norm,
            tokens=tokens,
            seconds=time.perf_counter() - started,
        )
    )
    figures = {"loss": loss}
    if math.isfinite(run.best_auc):  # else nothing was looked at yet, or one label only
        figures["auc"] = run.best_auc
    bar.advance(1, **figures)


def _gradients(
    run: TrainingRun, batch: npt.NDArray[np.int64]
) -> tuple[tuple[float, float, float], int]:
    """Leave the gradients of a batch in the parameters; returns its losses (total, rec, think) and its tokens.

    Where the memory of a GPU does not suffice, this batch and all later ones go in smaller pieces, down to single ones.
    """
    while True:
        most = run.most_tokens
        pieces = split_batch(batch, run.loss.lengths, most) if most else [batch]
        torch.manual_seed(run.config.seed * 1_000_003 + run.step)
        for parameter in run.parameters.values():
            parameter.grad = None
        try:
            return _sum_over(run.loss, pieces)
        except torch.OutOfMemoryError:
            if max(len(piece) for piece in pieces) == 1:
                raise
        # Not in the handler: until it ends, what failed holds its tensors.
        torch.cuda.empty_cache()
        run.most_tokens = (
            max(sum(run.loss.lengths[i] for i in piece.tolist()) for piece in pieces) // 2
        )
        run.progress.say(
            f"train {run.stage}: the memory of the GPU is full, so from step {run.step} on batches go in pieces of "
            f"{run.most_tokens:,} tokens (--micro-batch-tokens)"
        )


def _sum_over(
    loss: BatchLoss, pieces: Sequence[npt.NDArray[np.int64]]
) -> tuple[tuple[float, float, float], int]:
    means, tokens = np.zeros(3), 0
    count = sum(len(piece) for piece in pieces)
    for piece in pieces:
        losses, through = loss(piece)
        share = len(piece) / count
        (losses.total * share).backward()  # type: ignore[no-untyped-call]
        parts = (losses.total, losses.rec, losses.think)
        means += share * np.array([float(part.detach()) for part in parts])
        tokens += through
    total, rec, think = means.tolist()
    return (total, rec, think), tokens


def _look(run: TrainingRun, *, counts: bool = True) -> None:
    """Validate; if it counts, the weights may become the best."""
    found = run.validate()
    auc = float(found["auc"])
    better = counts and math.isfinite(auc) and auc > run.best_auc
    # Where AUC is not defined (no rows, one label) nothing can be chosen by it: the start stays if it may be kept,
    # else the last weights count.
    unknown = not math.isfinite(auc) and not run.keep_start
    chosen = counts and (better or not run.best or unknown)
    if chosen:
        run.best = {name: p.detach().clone() for name, p in run.parameters.items()}
    if better:
        run.best_auc, run.waited = auc, 0
    elif counts and math.isfinite(auc):
        run.waited += 1
    run.validations.append(
        ValidationRecord(
            stage=run.stage,
            step=run.step,
            auc=auc,
            uauc=float(found["uauc"]),
            log_loss=float(found["log_loss"]),
            rows=int(found["rows"]),
            best=chosen,
            mean_score=float(found["mean_score"]),
        )
    )
    run.progress.say(
        f"train {run.stage}: step {run.step}, valid AUC {auc:.4f}, UAUC {float(found['uauc']):.4f}"
        + (" (best)" if better else "")
    )


def _patience_is_over(run: TrainingRun) -> bool:
    return bool(run.config.patience) and run.waited >= run.config.patience


def _checkpoint(run: TrainingRun, optimiser: torch.optim.Optimizer) -> None:
    tensors: dict[str, Tensor] = {f"parameter.{name}": p for name, p in run.parameters.items()}
    tensors |= {f"best.{name}": tensor for name, tensor in run.best.items()}
    tensors |= {
        f"steps.{name}": torch.from_numpy(np.array([getattr(r, name) for r in run.steps]))
        for name in _STEP_FIGURES
    }
    state = optimiser.state_dict()["state"]
    for name, moments in zip(run.parameters, state.values(), strict=True):
        tensors |= {
            f"optimiser.{name}.{key}": torch.as_tensor(value) for key, value in moments.items()
        }
    save_checkpoint(
        run.folder,
        run.step,
        tensors,
        {
            "step": run.step,
            "best_auc": None if math.isinf(run.best_auc) else run.best_auc,
            "waited": run.waited,
            "numbers": run.numbers,
            "validations": [asdict(record) for record in run.validations],
        },
    )


def _resume(run: TrainingRun, optimiser: torch.optim.Optimizer) -> None:
    found = load_checkpoint(run.folder)
    if found is None or "steps" in found.state:  # an earlier version wrote it so
        return
    tensors, state = found.tensors, found.state
    moments: dict[int, dict[str, Any]] = {}
    for index, (name, parameter) in enumerate(run.parameters.items()):
        with torch.no_grad():
            parameter.copy_(tensors[f"parameter.{name}"])
        start = f"optimiser.{name}."
        moments[index] = {
            k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)
        }
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    run.best = {
        k.removeprefix("best."): v.to(next(iter(run.parameters.values())).device)
        for k, v in tensors.items()
        if k.startswith("best.")
    }
    run.step, run.waited = state["step"], state["waited"]
    before = state.get("numbers", run.numbers)
    if before != run.numbers:
        run.progress.say(
            f"train {run.stage}: goes on with {run.numbers} where it was at {before}: its figures differ by rounding"
        )
    run.best_auc = -math.inf if state["best_auc"] is None else state["best_auc"]
    columns = [tensors[f"steps.{name}"].tolist() for name in _STEP_FIGURES]
    run.steps = [
        StepRecord(stage=run.stage, **dict(zip(_STEP_FIGURES, figures, strict=True)))
        for figures in zip(*columns, strict=True)
    ]
    run.validations = [ValidationRecord(**record) for record in state["validations"]]
