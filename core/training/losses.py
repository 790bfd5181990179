"""The joint loss of recommending and reasoning (equations 5 to 7)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from core.config.training import LossConfig


@dataclass(frozen=True)
class Losses:
    """The loss to minimise and its two parts, each a mean over the batch."""

    total: Tensor
    rec: Tensor
    think: Tensor


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a batch of B instances should have answered at its P answer positions."""

    tokens: Tensor
    """(P,) the answer tokens, each instance's in order."""
    owner: Tensor
    """(P,) ascending instance of each position."""
    labels: Tensor
    """(B,) float, 1 liked, 0 not."""
    reasoning: Tensor
    """(B,) bool, whether the instance carries a reason."""
    offset: Tensor
    """(B,) float, what is added to the logit of Yes before it is compared with the label."""


def relevance_score(yes: Tensor, no: Tensor, relevance: str) -> Tensor:
    """Return the relevance score s: the logit of Yes, or with "margin" Yes minus No."""
    return yes if relevance == "yes" else yes - no


def joint_loss(logits: Tensor, answered: Tensor, targets: Targets, config: LossConfig) -> Losses:
    """Mix L_rec and L_think per instance and average over the batch.

    Args:
        logits: (P, V) logits of all answer positions of all instances.
        answered: (B, 2) float32 logits of Yes and No where each answer begins.
        targets: what should have been said there.
        config: weights alpha, beta, theta, gamma and the relevance score.
    Source: equations (5), (6), (7).
    """
    count = len(targets.labels)
    lengths = torch.bincount(targets.owner, minlength=count)
    yes, no = answered.unbind(1)
    score = relevance_score(yes + targets.offset, no, config.relevance)
    rec = binary_cross_entropy_with_logits(score, targets.labels, reduction="none")
    per_token = cross_entropy(logits, targets.tokens, reduction="none")
    summed = torch.zeros(count, device=logits.device).index_add(0, targets.owner, per_token)
    think = summed / lengths
    on_rec = torch.where(targets.reasoning, config.alpha, config.theta)
    on_think = torch.where(targets.reasoning, config.beta, config.gamma)
    return Losses(
        total=(on_rec * rec + on_think * think).mean(), rec=rec.mean(), think=think.mean()
    )
