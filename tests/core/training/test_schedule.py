"""Batches and learning rates are functions of the step."""

from itertools import pairwise

import numpy as np
import pytest

from core.config.training import OptimConfig
from core.training.schedule import (
    draw_rows,
    learning_rate,
    plan_batches,
    split_batch,
    total_steps,
)


def _plan(**changes):
    settings = {
        "steps": 200,
        "batch_size": 10,
        "recommendation": 100,
        "lengths": [50 + n % 40 for n in range(130)],
        "reason_share": 0.2,
        "seed": 0,
    }
    return plan_batches(**{**settings, **changes})


def test_reasoning_instances_come_at_their_share():
    plan = _plan()
    share = (plan >= 100).mean()
    assert share == pytest.approx(0.2, abs=0.03)


def test_every_batch_mixes_both_kinds_as_they_are_drawn():
    # Prompts of both kinds are of the same lengths, as they are of the same rows.
    lengths = np.random.default_rng(0).integers(50, 150, 2600).tolist()
    reasoning = (_plan(lengths=lengths, recommendation=2000) >= 2000).sum(axis=1)
    assert reasoning.var() == pytest.approx(10 * 0.2 * 0.8, rel=0.25)  # of a binomial draw


def test_every_instance_is_used_before_any_comes_again():
    recommendation = _plan(reason_share=0.0, steps=10)
    assert sorted(recommendation.ravel()) == list(range(100))


def test_without_reasons_no_draw_is_lost():
    assert _plan(lengths=[50] * 100).max() < 100


def test_instances_of_a_batch_have_about_one_length():
    lengths = np.random.default_rng(0).integers(50, 150, 130)
    plan = _plan(lengths=lengths.tolist())
    widest = lengths[plan].max(1)
    waste = 1 - lengths[plan].sum() / (widest * plan.shape[1]).sum()
    assert waste < 0.05


def test_the_same_seed_gives_the_same_plan():
    assert np.array_equal(_plan(), _plan())
    assert not np.array_equal(_plan(), _plan(seed=1))


def test_rate_rises_to_the_peak_and_falls_to_its_end():
    config = OptimConfig(lr_start=1e-5, lr_peak=1e-4, lr_final=8e-5, warmup_steps=10)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[5] == pytest.approx((1e-5 + 1e-4) / 2)
    assert rates[10] == pytest.approx(1e-4)
    assert rates[-1] == pytest.approx(8e-5)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_steps_cover_the_rows_beside_the_reasons():
    config = OptimConfig(epochs=1.0, batch_size=10)
    assert total_steps(config, 800, 0.2) == 100
    assert total_steps(OptimConfig(epochs=1.0, batch_size=10, max_steps=7), 800, 0.2) == 7


def test_drawn_rows_are_a_sorted_sample():
    rows = np.arange(100, 200)
    drawn = draw_rows(rows, 30, seed=5)
    assert len(set(drawn)) == 30
    assert list(drawn) == sorted(drawn)
    assert np.array_equal(draw_rows(rows, 0, seed=5), rows)


def test_pieces_of_a_batch_keep_its_order_and_the_budget():
    lengths = [10, 20, 30, 100, 5]
    pieces = split_batch(np.array([4, 0, 1, 3, 2, 0]), lengths, 35)
    assert [piece.tolist() for piece in pieces] == [[4, 0, 1], [3], [2], [0]]
    assert [p.tolist() for p in split_batch(np.array([0, 1]), lengths, 1000)] == [[0, 1]]
