"""The bias model: logistic regression on a few honest counts. It knows no taste, only rates."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.config.encode import EncodeConfig
from core.data.counts import Counts, Evidence
from core.data.dataset import Dataset, IntArray
from core.data.histories import Histories
from core.encoders.base import Logits, Vectors
from core.encoders.course import Epoch, Training
from core.encoders.metric import valid_auc
from core.encoders.weights import read_weights, write_weights
from core.errors import EmptySplitError
from core.progress import Progress

FEATURES = (
    "user_likes_rate",
    "recent_likes_rate",
    "item_likes_rate",
    "item_likes_logit",
    "crowd_likes_rate",
    "residual",
    "genre_affinity",
    "year",
    "log_user_seen",
    "log_item_seen",
)
_ROUNDING = 1e-9


class BiasEncoder:
    """Logistic regression of scikit-learn on standardised features of Evidence."""

    def __init__(self, config: EncodeConfig, dataset: Dataset, histories: Histories) -> None:
        """Count; nothing is fitted yet."""
        self.config = config
        self._dataset = dataset
        self._counts = Counts(dataset, histories)
        self._weights: dict[str, npt.NDArray[np.float64]] = {}

    @property
    def dim(self) -> int:
        """The bias model has no vectors."""
        return 0

    def fit(self, run_folder: Path, progress: Progress) -> Training:
        """Fit on the rows of fit_on. Raises: EmptySplitError if they lack a label."""
        from sklearn.linear_model import LogisticRegression

        rows = self._dataset.rows(self.config.fit_on)
        label = self._dataset.label[rows]
        if len(np.unique(label)) < 2:
            raise EmptySplitError(
                f"the {self.config.fit_on} rows do not hold both labels: nothing to learn",
                hint="Choose another split or threshold in ingest, or --fit-on the other rows.",
            )
        evidence = self._counts.for_rows(rows)
        years = evidence.year[~np.isnan(evidence.year)]
        year = years.mean() if len(years) else 0.0
        features = _features(evidence, year)
        mean, scale = features.mean(0), features.std(0)
        # A feature that is the same for all rows differs by rounding; divided by that it would decide everything.
        scale[scale <= _ROUNDING * np.maximum(1.0, np.abs(mean))] = 1.0
        penalty = self.config.resolved().weight_decay or 1e-12
        model = LogisticRegression(C=1 / penalty, max_iter=1000)
        model.fit((features - mean) / scale, label)
        self._weights = {
            "coefficient": model.coef_[0],
            "intercept": model.intercept_,
            "mean": mean,
            "scale": scale,
            "year": np.array([year]),
        }
        probability = model.predict_proba((features - mean) / scale)[np.arange(len(label)), label]
        auc = valid_auc(self._dataset, self.score_rows)
        loss = float(-np.log(probability).mean())
        progress.say(f"bias: {len(rows)} rows, {len(FEATURES)} features, loss {loss:.4f}")
        epoch = Epoch(epoch=1, train_loss=loss, valid_auc=auc, seconds=0.0)
        return Training(epochs=[epoch], best_epoch=1)

    def score_rows(self, rows: IntArray) -> Logits:
        """See Encoder."""
        return self._logits(self._counts.for_rows(rows))

    def score_pairs(self, users: IntArray, items: IntArray) -> Logits:
        """See Encoder."""
        return self._logits(self._counts.for_pairs(users, items))

    def score_history(
        self,
        history_items: IntArray,
        history_labels: IntArray,
        items: IntArray,
        *,
        user: int | None = None,
    ) -> Logits:
        """Return (n,) logits of items for a history, oldest first; train rows of `user` are not the crowd's."""
        counts = self._counts.for_history(history_items, history_labels, items, user=user)
        return self._logits(counts)

    def user_vectors(self) -> Vectors:
        """Return (U, 0)."""
        return np.zeros((len(self._dataset.users), 0), dtype=np.float32)

    def item_vectors(self) -> Vectors:
        """Return (I, 0)."""
        return np.zeros((len(self._dataset.items), 0), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """See Encoder."""
        write_weights(folder, self._weights)

    def load(self, folder: Path) -> None:
        """See Encoder."""
        self._weights = read_weights(folder)

    def _logits(self, evidence: Evidence) -> Logits:
        weights = self._weights
        features = (_features(evidence, weights["year"][0]) - weights["mean"]) / weights["scale"]
        logits: Logits = features @ weights["coefficient"] + weights["intercept"][0]
        return logits


def _features(evidence: Evidence, year: float) -> npt.NDArray[np.float64]:
    """Return (n, len(FEATURES)); `year` stands in where the item's is unknown."""
    rate = evidence.item_likes_rate
    # Clipped, because the rate reaches 0 or 1 where everybody else's labels are the same.
    clipped = np.clip(rate, 1e-3, 1 - 1e-3)
    # Short histories are drawn to the crowd's rate: by two pseudo-rows, recent rows by one.
    crowd = evidence.crowd_likes_rate
    return np.stack(
        [
            (evidence.user_likes + 2 * crowd) / (evidence.user_seen + 2),
            (evidence.recent_likes + crowd) / (evidence.recent_seen + 1),
            rate,
            np.log(clipped / (1 - clipped)),
            crowd,
            evidence.residual * evidence.user_seen / (evidence.user_seen + 3),
            evidence.genre_affinity,
            np.where(np.isnan(evidence.year), year, evidence.year),
            np.log1p(evidence.user_seen),
            np.log1p(evidence.item_seen),
        ],
        axis=1,
    )
