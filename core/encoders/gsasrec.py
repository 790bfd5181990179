"""gSASRec: SASRec trained with many sampled negatives and the generalised BCE (gBCE).

Sampling negatives makes a model over-confident, because a sampled negative stands for many that were not drawn. gBCE
raises the positive's probability to the power beta, which undoes that to the degree t (`calibration`):

    alpha = negatives / (items - 1),  beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    gBCE = - beta * log sigmoid(s+) - sum over negatives of log(1 - sigmoid(s-))

Adapted to pointwise labels: every train row gives BCE on its label, as in `sasrec`; every liked row gives gBCE as well,
times `negative_weight`, divided by the number of negatives plus one so that its weight does not grow with it. Drawn
items have a bias of their own in the gBCE term: "was it watched at all" is another question than
"was it liked", and one bias could not answer both.

Source: Petrov and Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation, 2023.
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.encoders.sasrec import SasRecEncoder, SequenceModule
from core.encoders.sequences import Pieces


class GsasRecModule(SequenceModule):
    """SASRec's module with the biases of the watched-at-all question."""

    watched_bias: torch.nn.Parameter

    def watched_logits(self, user: Tensor, items: Tensor) -> Tensor:
        """Return (n, k) logits that users watch items at all, from (n, dim) vectors and (n, k) items."""
        vectors = functional.embedding(items, self.item)
        return torch.einsum("nd,nkd->nk", user, vectors) + self.watched_bias[items]


class GsasRecEncoder(SasRecEncoder):
    """Encoder `gsasrec`."""

    module: GsasRecModule

    def build(self) -> GsasRecModule:
        """Make the module."""
        module = GsasRecModule(self)
        module.watched_bias = torch.nn.Parameter(torch.zeros(len(self.dataset.items)))
        return module

    @cached_property
    def _drawable(self) -> Tensor:
        """Positions of the items that occur in train."""
        return torch.from_numpy(np.flatnonzero(self.trained_items()))

    def loss(self, batch: Pieces) -> Tensor:
        """Return summed BCE over the batch's rows plus weighted gBCE over its liked rows."""
        items, user = self.tensor(self.dataset.item[batch.row]), self.states_of(batch)
        pointwise = self.pointwise(batch, user)
        # Told by the data in the host's memory: a GPU is not waited for.
        liked = self.tensor(np.flatnonzero(self.dataset.label[batch.row]))
        # An item without train rows is none that nobody wanted: drawn, it would be pushed down for being new.
        drawn = torch.randint(len(self._drawable), (len(liked), self.config.negatives))
        choices = torch.cat([items[liked, None], self._drawable[drawn].to(self.device)], dim=1)
        logits = self.module.watched_logits(user[liked], choices)
        beta = gbce_power(self.config.negatives, len(self._drawable), self.config.calibration)
        sampled = gbce(logits, beta).sum() / (self.config.negatives + 1)
        return pointwise + self.config.negative_weight * sampled


def gbce_power(negatives: int, items: int, calibration: float) -> float:
    """Return beta, the power of the positive's probability.

    Args:
        negatives: how many are drawn per positive.
        items: how many items there are.
        calibration: t in [0, 1]; 0 gives beta = 1, plain BCE.
    """
    rate = min(1.0, negatives / max(items - 1, 1))
    return rate * (calibration * (1 - 1 / rate) + 1 / rate)


def gbce(logits: Tensor, beta: float) -> Tensor:
    """Return (n,) generalised BCE of (n, 1 + k) logits, the positive's in column 0."""
    positive = beta * functional.softplus(-logits[:, 0])
    return positive + functional.softplus(logits[:, 1:]).sum(1)
