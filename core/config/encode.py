"""Settings of `thinkrec encode`."""

import dataclasses
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

from core.config.base import Config, option, seed_option

EncoderName = Literal["bias", "mf", "lightgcn", "sasrec", "gsasrec"]

# mf and lightgcn: the best valid AUC of the whole grid on MovieLens-1M. sasrec and gsasrec: the best mean of valid AUC
# on MovieLens-1M and MovieLens-100K of the settings that did best on the former. One seed; bias was not varied.
DEFAULTS: MappingProxyType[str, MappingProxyType[str, Any]] = MappingProxyType(
    {
        "bias": MappingProxyType({"learning_rate": 0.0, "weight_decay": 1.0, "epochs": 1}),
        "mf": MappingProxyType({"learning_rate": 1e-3, "weight_decay": 1e-4, "epochs": 100}),
        "lightgcn": MappingProxyType({"learning_rate": 1e-3, "weight_decay": 1e-5, "epochs": 100}),
        "sasrec": MappingProxyType({"learning_rate": 1e-2, "weight_decay": 1e-3, "epochs": 60}),
        "gsasrec": MappingProxyType({"learning_rate": 1e-2, "weight_decay": 1e-3, "epochs": 60}),
    }
)
DEFAULT_DIM = 64

SEARCHED = MappingProxyType(
    {
        "learning_rate": "search_learning_rates",
        "dim": "search_dims",
        "weight_decay": "search_weight_decays",
    }
)
"""Setting -> the setting that lists its values for a search."""

_TRAINED = (
    "dim", "learning_rate", "weight_decay", "epochs", "patience", "batch_size", "prior_rows", "seed",
)  # fmt: skip
_SEQUENCES = ("blocks", "heads", "dropout", "history_length", "history_labels", "user_bias")
_KNOWN: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "bias": ("weight_decay", "fit_on"),
        "mf": _TRAINED,
        "lightgcn": (*_TRAINED, "layers"),
        "sasrec": (*_TRAINED, *_SEQUENCES),
        "gsasrec": (*_TRAINED, *_SEQUENCES, "negatives", "calibration", "negative_weight"),
    }
)
"""Encoder -> the settings that change it."""


def _told(setting: str) -> str:
    """Return the defaults of the encoders that train: "0.001 (mf, lightgcn), 0.01 (sasrec, gsasrec)"."""
    of: dict[str, list[str]] = {}
    for encoder, defaults in DEFAULTS.items():
        if encoder != "bias" or setting == "weight_decay":
            of.setdefault(f"{defaults[setting]:g}", []).append(encoder)
    return ", ".join(f"{value} ({', '.join(names)})" for value, names in of.items())


@dataclass(frozen=True, kw_only=True)
class EncodeConfig(Config):
    """Settings of a collaborative encoder; those an encoder does not know do not change it."""

    encoder: EncoderName = option("sasrec", "Which collaborative model to train.")
    dim: int | None = option(
        None, f"Width of the user and item vectors; {DEFAULT_DIM} if not given.", least=1
    )
    learning_rate: float | None = option(
        None, f"Step size of Adam; if not given {_told('learning_rate')}.", least=0
    )
    weight_decay: float | None = option(
        None,
        f"L2 penalty, for bias the inverse of C; if not given {_told('weight_decay')}.",
        least=0,
    )
    epochs: int | None = option(
        None, f"Most passes over train; if not given {_told('epochs')}.", least=1
    )
    patience: int = option(6, "Stop after this many epochs without a better valid AUC.", least=1)
    batch_size: int | None = option(
        None,
        "Rows per step; if not given 1,024, and more where mf or lightgcn have many train rows.",
        least=1,
    )
    prior_rows: float = option(
        5.0,
        "Rows at the overall like-rate that smooth the like-rates at which biases start; "
        "0 starts them at zero.",
        least=0,
    )
    seed: int = seed_option("Seed of initial weights, shuffling and dropout.")
    blocks: int = option(2, "Transformer blocks of sasrec and gsasrec.", least=1)
    heads: int = option(1, "Attention heads of sasrec and gsasrec.", least=1)
    dropout: float = option(0.2, "Dropout of sasrec and gsasrec.")
    history_length: int = option(
        25, "How many rows of the history sasrec and gsasrec see.", least=1
    )
    history_labels: bool = option(
        True, "Tell sasrec and gsasrec which rows of the history were liked."
    )
    user_bias: bool = option(
        True, "Give sasrec and gsasrec a bias per user of train, as mf and lightgcn have."
    )
    layers: int = option(2, "Propagation layers of lightgcn.", least=1)
    negatives: int = option(64, "Items drawn at random per liked row by gsasrec.", least=1)
    calibration: float = option(0.75, "t of gsasrec's gBCE: 0 is plain BCE, 1 is fully calibrated.")
    negative_weight: float = option(
        0.1, "Weight of gsasrec's gBCE beside the BCE on likes and dislikes.", least=0
    )
    fit_on: Literal["train", "valid"] = option(
        "train", "Rows that the bias regression is fitted on."
    )
    search: bool = option(
        False, "Train every combination of the search lists and keep the best by valid AUC."
    )
    search_learning_rates: tuple[float, ...] = option(
        (1e-2, 1e-3, 1e-4), "Step sizes that --search tries; repeat the option for several."
    )
    search_dims: tuple[int, ...] = option(
        (64, 128, 256), "Widths that --search tries; repeat the option for several."
    )
    search_weight_decays: tuple[float, ...] = option(
        (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
        "L2 penalties that --search tries; repeat the option for several.",
    )
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", keyed=False)

    def __post_init__(self) -> None:
        """Refuse what cannot train, and what cannot be searched. Raises: ConfigError."""
        super().__post_init__()
        self.check(
            0 <= self.dropout < 1, f"dropout = {self.dropout} is not in [0, 1)", hint="Use 0.2."
        )
        self.check(
            0 <= self.calibration <= 1,
            f"calibration = {self.calibration} is not between 0 and 1",
            hint="Use 0.75.",
        )
        self._check_search()
        dims = self.search_dims if self.search else (self.width,)
        for dim in dims if "heads" in _KNOWN[self.encoder] else ():
            self.check(
                dim % self.heads == 0,
                f"dim = {dim} cannot be divided among {self.heads} heads",
                hint="Choose --heads so that it divides the width.",
            )

    def _check_search(self) -> None:
        lists = {name: getattr(self, name) for name in SEARCHED.values()}
        usual = {f.name: f.default for f in dataclasses.fields(self) if f.name in lists}
        for one, several in SEARCHED.items():
            self.check(
                self.search or lists[several] == usual[several],
                f"{several} is given, but nothing is searched",
                hint=f"Add --search, or give one value: {_flag(one)}.",
            )
            value = getattr(self, one)
            self.check(
                not self.search or value is None,
                f"search tries several values of {one}, and {one} = {value} asks for one",
                hint=f"Leave {_flag(one)} out, or search that value alone: {_flag(several)} {value}.",
            )
            self._check_values(several, lists[several], whole=one == "dim")
        self.check(
            not self.search or self.encoder != "bias",
            "bias has neither learning rate nor width, so there is nothing to search",
            hint="Leave --search out, or choose another --encoder.",
        )

    def _check_values(self, name: str, values: tuple[Any, ...], *, whole: bool) -> None:
        kinds: tuple[type, ...] = (int,) if whole else (int, float)
        for value in values:
            self.check(
                isinstance(value, kinds) and not isinstance(value, bool),
                f"{name} holds {value!r}, which is not {'a whole number' if whole else 'a number'}",
                hint="Give numbers.",
            )
            self.check(
                0 <= value < float("inf") and (value > 0 or name == "search_weight_decays"),
                f"{name} holds {value}, with which nothing can be trained",
                hint="Give positive numbers.",
            )
        self.check(bool(values), f"{name} is empty", hint="Give at least one value.")

    @property
    def width(self) -> int:
        """Width of the vectors."""
        return DEFAULT_DIM if self.dim is None else self.dim

    def resolved(self) -> Self:
        """Return the same settings with the encoder's own defaults in place of None."""
        missing = {name: v for name, v in self._own().items() if getattr(self, name) is None}
        return dataclasses.replace(self, **missing)

    def _own(self) -> dict[str, Any]:
        return {"dim": DEFAULT_DIM, **DEFAULTS[self.encoder]}

    def parameters(self) -> dict[str, Any]:
        """Return the keyed settings that the encoder knows, its own defaults filled in.

        So a default spelled out is the same work, and what another default of a later version makes is not. A search
        has its lists in place of the single values.
        """
        known = {"encoder", *_KNOWN[self.encoder]}
        if self.search:
            known = (known - set(SEARCHED)) | {"search", *SEARCHED.values()}
        keyed, own = super().parameters(), self._own()
        return {
            name: own.get(name) if value is None else value
            for name, value in keyed.items()
            if name in known
        }

    def trials(self) -> list[Self]:
        """Return the settings that a search trains one after the other.

        Width and learning rate, which decide how long a trial takes, change fastest: the time left is then known
        after a few trials.
        """
        usual: dict[str, Any] = {
            f.name: f.default for f in dataclasses.fields(self) if f.name in SEARCHED.values()
        }
        return [
            dataclasses.replace(
                self,
                search=False,
                learning_rate=float(learning_rate),
                dim=dim,
                weight_decay=float(weight_decay),
                **usual,
            )
            for weight_decay in dict.fromkeys(self.search_weight_decays)
            for learning_rate in dict.fromkeys(self.search_learning_rates)
            for dim in dict.fromkeys(self.search_dims)
        ]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
