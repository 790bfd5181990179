"""The commands that make artifacts, in the order of the pipeline."""

import importlib
from typing import Any

from core.stages.base import Stage

STAGE_COMMANDS = (
    "ingest",
    "augment",
    "synthesize",
    "encode",
    "train-global",
    "cluster",
    "train-experts",
    "fuse",
    "score",
    "explain",
    "eval",
)


def load_stage(command: str) -> Stage[Any]:
    """Return the declaration of a command's stage."""
    module = importlib.import_module(f"core.stages.{command.replace('-', '_')}")
    stage: Stage[Any] = module.STAGE
    return stage


def stage_of(kind: str) -> Stage[Any] | None:
    """Return the stage that makes artifacts of a kind, None if no command does."""
    return next((stage for stage in map(load_stage, STAGE_COMMANDS) if stage.kind == kind), None)
