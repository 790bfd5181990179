"""Checkpoints that a kill cannot spoil: written beside, synced, renamed; a damaged one is passed over."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from core.files import file_sha256, sync

_KEEP = 2


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> None:
    """Write `checkpoint-<step>` whole or not at all, and drop all but the newest two."""
    scratch = folder / f".partial-{step:08d}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    weights = scratch / "tensors.safetensors"
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, weights
    )
    record = {**state, "sha256": file_sha256(weights)}
    (scratch / "state.json").write_text(json.dumps(record))
    for path in (weights, scratch / "state.json", scratch):
        sync(path)
    final = folder / f"checkpoint-{step:08d}"
    shutil.rmtree(final, ignore_errors=True)
    scratch.rename(final)
    sync(folder)
    for old in _all(folder)[:-_KEEP]:
        shutil.rmtree(old)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, or None."""
    for path in reversed(_all(folder)):
        try:
            state = json.loads((path / "state.json").read_text())
            weights = path / "tensors.safetensors"
            if file_sha256(weights) == state["sha256"]:
                return Checkpoint(load_file(weights), state)
        except (OSError, ValueError, KeyError):
            continue  # damaged: the one before it is as good, only older
    return None


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*")) if folder.exists() else []
