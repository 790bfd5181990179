"""The joint loss against an example worked out by hand."""

import math

import pytest
import torch

from core.config.training import LossConfig
from core.training.losses import Targets, joint_loss

# Token 0 is Yes, token 1 is No.


def _log_softmax(row: list[float], index: int) -> float:
    return row[index] - math.log(sum(math.exp(v) for v in row))


@pytest.mark.parametrize("offsets", [(0.0, 0.0), (0.7, -1.2)])
@pytest.mark.parametrize("relevance", ["yes", "margin"])
def test_loss_mixes_both_parts_by_kind_of_instance(relevance, offsets):
    # Instance 0: recommendation, label 0, answer "No". Instance 1: reasoning, label 1, answer "Yes" and token 2.
    rows = [[0.3, 1.1, -0.4], [2.0, 0.5, 0.1], [0.0, -1.0, 1.5]]
    found = joint_loss(
        torch.tensor(rows),
        torch.tensor([rows[0][:2], rows[1][:2]]),
        Targets(
            tokens=torch.tensor([1, 0, 2]),
            owner=torch.tensor([0, 1, 1]),
            labels=torch.tensor([0.0, 1.0]),
            reasoning=torch.tensor([False, True]),
            offset=torch.tensor(offsets),
        ),
        LossConfig(relevance=relevance),
    )
    scores = (0.3, 2.0) if relevance == "yes" else (0.3 - 1.1, 2.0 - 0.5)
    scores = [score + offset for score, offset in zip(scores, offsets, strict=True)]
    rec = [math.log(1 + math.exp(scores[0])), math.log(1 + math.exp(-scores[1]))]
    think = [
        -_log_softmax(rows[0], 1),
        -(_log_softmax(rows[1], 0) + _log_softmax(rows[2], 2)) / 2,
    ]
    expected = ((0.9 * rec[0] + 0.1 * think[0]) + (0.1 * rec[1] + 0.9 * think[1])) / 2
    assert float(found.total) == pytest.approx(expected, rel=1e-5)
    assert float(found.rec) == pytest.approx(sum(rec) / 2, rel=1e-5)
    assert float(found.think) == pytest.approx(sum(think) / 2, rel=1e-5)
