"""Encoders by name, and opened from the folder they were saved to."""

import dataclasses
import importlib
import json
from pathlib import Path

from core.config.encode import EncodeConfig
from core.data.dataset import Dataset
from core.data.histories import Histories
from core.encoders.base import Encoder
from core.encoders.course import Training
from core.errors import MismatchError

FILE = "encoder.json"
_CLASSES = {
    "bias": ("core.encoders.bias", "BiasEncoder"),
    "mf": ("core.encoders.mf", "FactorEncoder"),
    "lightgcn": ("core.encoders.lightgcn", "LightGcnEncoder"),
    "sasrec": ("core.encoders.sasrec", "SasRecEncoder"),
    "gsasrec": ("core.encoders.gsasrec", "GsasRecEncoder"),
}


def make_encoder(config: EncodeConfig, dataset: Dataset, histories: Histories) -> Encoder:
    """Build an untrained encoder. Only its own module is imported, so `bias` needs no torch."""
    module, name = _CLASSES[config.encoder]
    encoder: Encoder = getattr(importlib.import_module(module), name)(config, dataset, histories)
    return encoder


def save_encoder(folder: Path, encoder: Encoder, dataset: Dataset, training: Training) -> None:
    """Write encoder.json and weights.safetensors."""
    facts = {
        "encoder": encoder.config.encoder,
        "dim": encoder.dim,
        "users": len(dataset.users),
        "items": len(dataset.items),
        "settings": encoder.config.resolved().parameters(),
        "best_epoch": training.best_epoch,
        "valid_auc": training.valid_auc,
    }
    (folder / FILE).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    encoder.save(folder)


def open_encoder(
    folder: Path, dataset: Dataset, histories: Histories, *, device: str = "auto"
) -> Encoder:
    """Open an encoder artifact's folder over the data set it was trained on.

    Args:
        device: where it computes; encoder.json does not say, because it changes no result.
    Raises: MismatchError if the data set has other users or items; an encoder of counts knows none of them.
    """
    facts = json.loads((folder / FILE).read_text())
    for what, count in (("users", len(dataset.users)), ("items", len(dataset.items))):
        if facts["dim"] and facts[what] != count:
            raise MismatchError(
                f"{folder} was trained on {facts[what]} {what}, the data set has {count}",
                hint="Use the data set that the encoder was trained on, or train it again.",
            )
    config = EncodeConfig.from_mapping(facts["settings"], where=str(folder / FILE))
    encoder = make_encoder(dataclasses.replace(config, device=device), dataset, histories)
    encoder.load(folder)
    return encoder
