"""Dropout drops at its rate, keeps the mean, and is fixed by the seed."""

import pytest
import torch

from core.llm.dropout import LaneDropout


@pytest.mark.parametrize("p", [0.05, 0.3])
def test_rate_and_scale(p):
    torch.manual_seed(0)
    out = LaneDropout(p)(torch.ones(1001, 333))
    assert float((out == 0).float().mean()) == pytest.approx(p, abs=0.003)
    assert float(out.mean()) == pytest.approx(1.0, abs=0.005)
    assert float(out.max()) == pytest.approx(1 / (1 - p), rel=1e-4)


def test_neighbours_are_independent():
    torch.manual_seed(1)
    dropped = (LaneDropout(0.5)(torch.ones(400_000)) == 0).float()
    for distance in (1, 2, 4, 8):
        both = float((dropped[:-distance] * dropped[distance:]).mean())
        assert both == pytest.approx(0.25, abs=0.005)


def test_the_seed_fixes_what_is_dropped():
    layer, x = LaneDropout(0.2), torch.ones(1000)
    torch.manual_seed(5)
    first = layer(x)
    torch.manual_seed(5)
    assert torch.equal(first, layer(x))
    assert not torch.equal(first, layer(x))


def test_nothing_is_dropped_outside_training():
    assert torch.equal(LaneDropout(0.5).eval()(torch.ones(50)), torch.ones(50))
