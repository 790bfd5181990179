"""Which instances each step sees, and at which learning rate; both are functions of the step alone.

Nothing here has a state, so a resumed run seeks to its step at once and sees exactly what it would have seen.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.config.training import OptimConfig

_BUCKET_STEPS = 16


def total_steps(config: OptimConfig, recommendation: int, reason_share: float) -> int:
    """Return the steps that make `epochs` passes over the recommendation instances."""
    per_step = config.batch_size * (1 - reason_share)
    steps = max(1, math.ceil(config.epochs * recommendation / per_step))
    return min(steps, config.max_steps) if config.max_steps else steps


def plan_batches(
    *,
    steps: int,
    batch_size: int,
    recommendation: int,
    lengths: Sequence[int],
    reason_share: float,
    seed: int,
) -> npt.NDArray[np.int64]:
    """Draw the instances of every step.

    Each instance of a batch is a reasoning instance with probability `reason_share` (0.2 : 0.8 in the paper). Either
    pool is used up in random order before any of its instances comes again. Batches are cut from runs of a few
    steps sorted by the length of their prompts, and then shuffled, so that instances of one batch are of about one
    length. By the prompts only: sorted with their reasons, the reasoning instances would fill batches of their own.

    Args:
        steps: how many batches.
        recommendation: the first so many instances are recommendation instances, the rest reasoning instances.
        lengths: tokens of the prompt of every instance.
    Returns: (steps, batch_size) positions of instances.
    """
    rng = np.random.default_rng([seed, 1])
    needed = steps * batch_size
    reasoning = len(lengths) - recommendation
    is_reasoning = rng.random(needed) < (reason_share if reasoning else 0.0)
    draws = np.empty(needed, dtype=np.int64)
    for kind, first, count in ((False, 0, recommendation), (True, recommendation, reasoning)):
        where = np.flatnonzero(is_reasoning == kind)
        if len(where):
            draws[where] = first + _cycle(rng, count, len(where))
    length = np.asarray(lengths)
    plan = np.empty((steps, batch_size), dtype=np.int64)
    for start in range(0, steps, _BUCKET_STEPS):
        stop = min(start + _BUCKET_STEPS, steps)
        run = draws[start * batch_size : stop * batch_size]
        ordered = run[np.argsort(length[run], kind="stable")].reshape(-1, batch_size)
        plan[start:stop] = ordered[rng.permutation(stop - start)]
    return plan


def learning_rate(step: int, steps: int, config: OptimConfig) -> float:
    """Return the rate of a step (0-based): linear warm-up from lr_start to lr_peak, then cosine to lr_final."""
    warmup = min(config.warmup_steps, max(1, steps // 5))
    if step < warmup:
        return config.lr_start + (config.lr_peak - config.lr_start) * step / warmup
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.lr_final + (config.lr_peak - config.lr_final) * cosine


def draw_rows(rows: npt.NDArray[np.int64], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw `count` of the rows without replacement, in their order; 0 or more than there are means all."""
    if not count or count >= len(rows):
        return rows
    picked = np.random.default_rng([seed, 2]).choice(len(rows), count, replace=False)
    drawn: npt.NDArray[np.int64] = rows[np.sort(picked)]
    return drawn


def _cycle(rng: np.random.Generator, count: int, needed: int) -> npt.NDArray[np.int64]:
    passes = [rng.permutation(count) for _ in range(math.ceil(needed / count))]
    return np.concatenate(passes)[:needed]


def split_batch(
    batch: npt.NDArray[np.int64], lengths: Sequence[int], most: int
) -> list[npt.NDArray[np.int64]]:
    """Cut a batch into pieces of at most so many tokens, in its order; a longer instance is a piece of its own.

    Args:
        batch: (B,) instances.
        lengths: tokens of each instance there is.
        most: tokens of a piece.
    """
    pieces: list[list[int]] = []
    room = 0
    for instance in batch.tolist():
        if not pieces or lengths[instance] > room:
            pieces.append([])
            room = most
        pieces[-1].append(instance)
        room -= lengths[instance]
    return [np.array(piece, dtype=np.int64) for piece in pieces]
