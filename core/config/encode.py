"""Settings of `thinkrec encode`."""

import dataclasses
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

from core.config.base import Config, option

EncoderName = Literal["bias", "mf", "lightgcn", "sasrec", "gsasrec"]

# mf and lightgcn: the best mean of valid AUC on MovieLens-1M and MovieLens-100K over a few tries, one seed.
# bias was not varied; of sasrec and gsasrec learning rate and weight decay were varied with history_labels on only.
DEFAULTS: MappingProxyType[str, MappingProxyType[str, Any]] = MappingProxyType(
    {
        "bias": MappingProxyType({"learning_rate": 0.0, "weight_decay": 1.0, "epochs": 1}),
        "mf": MappingProxyType({"learning_rate": 1e-3, "weight_decay": 1e-4, "epochs": 100}),
        "lightgcn": MappingProxyType({"learning_rate": 1e-3, "weight_decay": 1e-5, "epochs": 100}),
        "sasrec": MappingProxyType({"learning_rate": 1e-3, "weight_decay": 1e-4, "epochs": 60}),
        "gsasrec": MappingProxyType({"learning_rate": 1e-3, "weight_decay": 1e-4, "epochs": 60}),
    }
)


@dataclass(frozen=True, kw_only=True)
class EncodeConfig(Config):
    """Settings of a collaborative encoder; those an encoder does not know do not change it."""

    encoder: EncoderName = option("sasrec", "Which collaborative model to train.")
    dim: int = option(64, "Width of the user and item vectors.")
    learning_rate: float | None = option(
        None, "Step size of Adam; the encoder's own default if not given.", least=0
    )
    weight_decay: float | None = option(
        None,
        "L2 penalty, for bias the inverse of C; the encoder's own default if not given.",
        least=0,
    )
    epochs: int | None = option(
        None, "Most passes over train; the encoder's own default if not given."
    )
    patience: int = option(6, "Stop after this many epochs without a better valid AUC.")
    batch_size: int = option(1024, "Rows per step.")
    seed: int = option(0, "Seed of initial weights, shuffling and dropout.", least=0)
    blocks: int = option(2, "Transformer blocks of sasrec and gsasrec.")
    heads: int = option(1, "Attention heads of sasrec and gsasrec.")
    dropout: float = option(0.2, "Dropout of sasrec and gsasrec.")
    history_length: int = option(25, "How many rows of the history sasrec and gsasrec see.")
    history_labels: bool = option(
        False,
        "Tell sasrec and gsasrec which rows of the history were liked: AUC rises, UAUC falls.",
    )
    layers: int = option(2, "Propagation layers of lightgcn.")
    negatives: int = option(64, "Items drawn at random per liked row by gsasrec.", least=1)
    calibration: float = option(0.75, "t of gsasrec's gBCE: 0 is plain BCE, 1 is fully calibrated.")
    negative_weight: float = option(
        1.0, "Weight of gsasrec's gBCE beside the BCE on likes and dislikes.", least=0
    )
    fit_on: Literal["train", "valid"] = option(
        "train", "Rows that the bias regression is fitted on."
    )
    device: Literal["auto", "cpu", "cuda"] = option("auto", "Where to train.", keyed=False)

    def __post_init__(self) -> None:
        """Refuse what cannot train. Raises: ConfigError."""
        super().__post_init__()
        for name in (
            "dim",
            "patience",
            "batch_size",
            "blocks",
            "heads",
            "history_length",
            "layers",
        ):
            value = getattr(self, name)
            self.check(
                value >= 1, f"{name} = {value} leaves nothing to train", hint="Use at least 1."
            )
        self.check(
            self.epochs is None or self.epochs >= 1,
            f"epochs = {self.epochs} leaves nothing to train",
            hint="Use at least 1.",
        )
        self.check(
            0 <= self.dropout < 1, f"dropout = {self.dropout} is not in [0, 1)", hint="Use 0.2."
        )
        self.check(
            0 <= self.calibration <= 1,
            f"calibration = {self.calibration} is not between 0 and 1",
            hint="Use 0.75.",
        )
        self.check(
            self.dim % self.heads == 0,
            f"dim = {self.dim} cannot be divided among {self.heads} heads",
            hint="Choose --heads so that it divides --dim.",
        )

    def resolved(self) -> Self:
        """Return the same settings with the encoder's own defaults in place of None."""
        own = DEFAULTS[self.encoder]
        missing = {name: value for name, value in own.items() if getattr(self, name) is None}
        return dataclasses.replace(self, **missing)
