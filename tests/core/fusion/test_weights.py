"""Gate and weights against values worked out by hand."""

import math

import numpy as np
import pytest

from core.errors import MismatchError
from core.fusion.weights import Gate, expert_weights, route_users

AXES = np.eye(2)


def _route(cosine_gap: float, tau: float = 0.1, **gate: float):
    """Route one user whose cosines to two orthogonal experts differ by a known amount."""
    angle = math.pi / 4 - math.asin(cosine_gap / math.sqrt(2))
    user = np.array([[math.cos(angle), math.sin(angle)]])
    return route_users(user, np.array([True]), AXES, Gate(tau=tau, **gate))


def test_weights_are_a_softmax_of_cosines_over_tau():
    user = np.array([[3.0, 4.0]])  # cosines 0.6 and 0.8
    expected = 1 / (1 + math.exp((0.8 - 0.6) / 0.1))  # e^6 / (e^6 + e^8) = 0.1192
    np.testing.assert_allclose(expert_weights(user, AXES, tau=0.1), [[expected, 1 - expected]])


def test_length_of_a_vector_does_not_matter():
    users = np.array([[3.0, 4.0], [30.0, 40.0]])
    weights = expert_weights(users, AXES * 7, tau=0.1)
    np.testing.assert_allclose(weights[0], weights[1])


def test_other_dimensions_are_refused():
    with pytest.raises(MismatchError, match="3 dimensions"):
        expert_weights(np.ones((1, 3)), AXES, tau=0.1)


def test_a_weight_above_the_threshold_goes_to_that_expert_alone():
    # n = 2: concentrated above 0.5 + 0.6 / 2 = 0.8; a gap of 0.14 gives 1 / (1 + e^-1.4) = 0.802
    routing = _route(0.14)
    assert (routing.route, routing.expert.tolist()) == (["concentrated"], [0])
    np.testing.assert_allclose(routing.columns, [[0, 1, 0]])


def test_a_weight_just_below_the_threshold_is_fused():
    # a gap of 0.138 gives 1 / (1 + e^-1.38) = 0.79899
    routing = _route(0.138)
    assert routing.route == ["fused"]
    np.testing.assert_allclose(routing.weights.max(), 1 / (1 + math.exp(-1.38)))
    np.testing.assert_allclose(routing.columns[0, 1:], routing.weights[0])
    assert routing.columns[0, 0] == 0


def test_nearly_even_weights_go_to_the_global_adapter():
    # entropy of (0.63, 0.37) is 0.6590 > 0.95 log 2 = 0.6585; a gap of 0.053 gives 0.62949
    routing = _route(0.053)
    assert routing.route == ["averaged"]
    np.testing.assert_allclose(routing.columns, [[1, 0, 0]])


def test_slightly_less_even_weights_are_fused():
    # a gap of 0.055 gives weights 0.6341 / 0.3659, entropy 0.6567 < 0.6585
    assert _route(0.055).route == ["fused"]


def test_a_user_without_a_vector_gets_the_global_adapter():
    routing = route_users(np.array([[1.0, 0.0]]), np.array([False]), AXES, Gate())
    assert (routing.route, routing.weights.tolist()) == (["cold"], [[0.0, 0.0]])
    np.testing.assert_allclose(routing.columns, [[1, 0, 0]])


def test_one_expert_takes_everybody_with_a_vector():
    routing = route_users(np.array([[1.0, 2.0]]), np.array([True]), np.array([[2.0, 1.0]]), Gate())
    assert routing.route == ["concentrated"]
    np.testing.assert_allclose(routing.columns, [[0, 1]])


def test_columns_of_every_row_sum_to_one():
    rng = np.random.default_rng(0)
    known = rng.random(200) < 0.8
    routing = route_users(rng.normal(size=(200, 4)), known, rng.normal(size=(3, 4)), Gate(tau=1.0))
    assert len(set(routing.route)) >= 3
    np.testing.assert_allclose(routing.columns.sum(1), 1.0)
