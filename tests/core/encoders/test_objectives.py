"""The graph of lightgcn and the loss of gsasrec against values worked out by hand."""

import math

import numpy as np
import pytest
import torch

from core.encoders.gsasrec import gbce, gbce_power
from core.encoders.lightgcn import likes_graph


def test_graph_weighs_an_edge_by_both_degrees():
    # User 0 likes items 0 and 1 (0 twice: one edge), user 1 likes item 1. Nodes: users 0, 1, items 2, 3, 4.
    graph = likes_graph(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2, 3).to_dense()
    wanted = torch.zeros(5, 5)
    wanted[0, 2] = wanted[2, 0] = 1 / math.sqrt(2 * 1)
    wanted[0, 3] = wanted[3, 0] = 1 / math.sqrt(2 * 2)
    wanted[1, 3] = wanted[3, 1] = 1 / math.sqrt(1 * 2)
    torch.testing.assert_close(graph, wanted)


def test_graph_without_likes_is_empty():
    nobody = np.array([], dtype=np.int64)
    assert likes_graph(nobody, nobody, 2, 3).to_dense().count_nonzero() == 0


@pytest.mark.parametrize(
    ("calibration", "power"),
    [(0.0, 1.0), (1.0, 0.1), (0.5, 0.55)],  # 10 of 100 other items: rate .1
)
def test_power_of_the_positive_falls_from_one_to_the_sampling_rate(calibration, power):
    assert gbce_power(10, 101, calibration) == pytest.approx(power)


def test_power_is_one_where_every_item_is_drawn():
    assert gbce_power(500, 101, 1.0) == 1.0


def test_gbce_by_hand():
    # sigmoid(0) = 1/2 everywhere: half a log 2 for the positive, one for each negative.
    found = gbce(torch.zeros(1, 3), beta=0.5)
    torch.testing.assert_close(found, torch.tensor([2.5 * math.log(2)]))
    # Positive at log 3: sigmoid is 3/4; negative at -log 3: 1 - sigmoid is 3/4.
    logits = torch.tensor([[math.log(3), -math.log(3)]])
    torch.testing.assert_close(gbce(logits, beta=0.2), torch.tensor([1.2 * math.log(4 / 3)]))
