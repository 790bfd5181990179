"""Settings of `thinkrec fuse`."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal

from core.config.base import option
from core.config.training import OptimConfig


@dataclass(frozen=True, kw_only=True)
class FuseConfig(OptimConfig):
    """The gate, the rule of fusion, and the training of the projector."""

    fusion: Literal["exact", "peft-linear"] = option(
        "exact",
        "exact: the weighted sum of the experts' deltas. peft-linear: the authors' variant, with cross terms.",
    )
    tau: float = option(0.1, "Temperature of the softmax over cosines (equation 8).")
    concentrated_base: float = option(
        0.5, "One expert alone above this plus slope / n (equation 9)."
    )
    concentrated_slope: float = option(0.6, "See concentrated_base.")
    averaged_share: float = option(
        0.95, "The global LoRA alone from this share of log n on (equation 10)."
    )
    centre: bool = option(
        True,
        "Centre each expert's scores on the global adapter's over its group's valid rows, so that scores of users of "
        "different experts compare; the paper does not.",
    )
    projector: Literal["auto", "on", "off"] = option(
        "auto",
        "Train the projector of collaborative vectors; auto keeps it only if valid AUC gains more than one standard "
        "error by it.",
    )
    lr_start: float = option(1e-4, "Learning rate at the first step of the warm-up.", least=0)
    lr_peak: float = option(1e-3, "Learning rate after the warm-up.")
    lr_final: float = option(1e-4, "Learning rate at the last step; at most lr_peak.", least=0)
    dtype: Literal["auto", "float32", "bfloat16"] = option("auto", "Numbers of the frozen base.")
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", keyed=False)

    def __post_init__(self) -> None:
        """Check ranges. Raises: ConfigError."""
        super().__post_init__()
        self.check(self.tau > 0, "tau is not positive", hint="The paper uses 0.1.")

    def unused(self) -> Collection[str]:
        """Return what only the training of a projector needs, where none is trained."""
        training = (*(field.name for field in fields(OptimConfig)), "dtype")
        return training if self.projector == "off" else ()
