"""What a training run left behind: one line per epoch and the best of them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Figures of one pass over train."""

    epoch: int
    train_loss: float
    valid_auc: float | None
    """None where valid is empty or has one label only."""
    seconds: float


@dataclass(kw_only=True)
class Training:
    """The course of a training run."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    """The epoch whose weights are kept; 0 before the first."""

    @property
    def valid_auc(self) -> float | None:
        """Valid AUC of the kept weights."""
        return next((e.valid_auc for e in self.epochs if e.epoch == self.best_epoch), None)
