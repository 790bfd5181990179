"""The joint loss of recommending and reasoning (equations 5 to 7)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from core.config.training import LossConfig
from core.text.answers import AnswerTokens


@dataclass(frozen=True)
class Losses:
    """The loss to minimise and its two parts, each a mean over the batch."""

    total: Tensor
    rec: Tensor
    think: Tensor


def relevance_score(yes: Tensor, no: Tensor, relevance: str) -> Tensor:
    """Return the relevance score s: the logit of Yes, or with "margin" Yes minus No."""
    return yes if relevance == "yes" else yes - no


def joint_loss(
    logits: Tensor,
    targets: Tensor,
    owner: Tensor,
    labels: Tensor,
    reasoning: Tensor,
    answers: AnswerTokens,
    config: LossConfig,
) -> Losses:
    """Mix L_rec and L_think per instance and average over the batch.

    Args:
        logits: (P, V) float32 logits of all answer positions of all instances, each instance's in order.
        targets: (P,) the answer tokens.
        owner: (P,) ascending instance of each position.
        labels: (B,) float, 1 liked, 0 not.
        reasoning: (B,) bool, whether the instance carries a reason.
        answers: the ids of Yes and No.
        config: weights alpha, beta, theta, gamma and the relevance score.
    Source: equations (5), (6), (7).
    """
    count = len(labels)
    lengths = torch.bincount(owner, minlength=count)
    first = torch.cumsum(lengths, 0) - lengths
    at_answer = logits[first]
    score = relevance_score(at_answer[:, answers.yes], at_answer[:, answers.no], config.relevance)
    rec = binary_cross_entropy_with_logits(score, labels, reduction="none")
    per_token = cross_entropy(logits, targets, reduction="none")
    think = torch.zeros(count, device=logits.device).index_add(0, owner, per_token) / lengths
    on_rec = torch.where(reasoning, config.alpha, config.theta)
    on_think = torch.where(reasoning, config.beta, config.gamma)
    return Losses(
        total=(on_rec * rec + on_think * think).mean(), rec=rec.mean(), think=think.mean()
    )
