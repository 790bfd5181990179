"""When one more part of a model counts as a gain: paired bootstrap over users, more than one standard error."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from core.evaluation.rows import ScoredRows
from core.training.validation import gain


def _rows(score, label, user):
    return ScoredRows.of(user, label, score, np.full(len(score), 0.5))


@pytest.fixture
def drawn():
    generator = np.random.default_rng(3)
    user = np.repeat(np.arange(40), 5)
    label = generator.integers(0, 2, 200)
    return generator, user, label


def test_a_gain_and_its_error_are_those_of_users_drawn_one_by_one(drawn):
    generator, user, label = drawn
    weak = generator.normal(size=200) + 0.3 * label
    strong = weak + 0.3 * label
    found = gain(_rows(strong, label, user), _rows(weak, label, user), samples=2000)
    assert found.without == pytest.approx(roc_auc_score(label, weak))
    assert found.value == pytest.approx(roc_auc_score(label, strong) - roc_auc_score(label, weak))
    gaps = []
    for _ in range(400):
        rows = np.concatenate([np.arange(5) + 5 * u for u in generator.integers(0, 40, 40)])
        gaps.append(
            roc_auc_score(label[rows], strong[rows]) - roc_auc_score(label[rows], weak[rows])
        )
    # Draws of forty users lie a little too near.
    few = stats.t.ppf(0.975, 39) / stats.norm.ppf(0.975) * math.sqrt(40 / 39)
    assert found.standard_error == pytest.approx(few * np.std(gaps), rel=0.15)
    assert found.clear


def test_a_gain_within_the_error_is_not_clear(drawn):
    generator, user, label = drawn
    score = generator.normal(size=200) + 0.3 * label
    for _ in range(50):
        other = score + generator.normal(size=200)
        found = gain(_rows(other, label, user), _rows(score, label, user))
        if 0 < found.value < found.standard_error:
            assert not found.clear
            return
    pytest.fail("no gain within its error was drawn")


def test_the_same_scores_are_no_gain(drawn):
    _, user, label = drawn
    rows = _rows(np.arange(200.0), label, user)
    found = gain(rows, rows)
    assert (found.value, found.standard_error, found.clear) == (0, 0, False)


@pytest.mark.parametrize("rows", [0, 6])
def test_where_auc_is_not_defined_nothing_is_gained(rows):
    scored = _rows(np.arange(float(rows)), np.ones(rows, dtype=int), np.arange(rows))
    found = gain(scored, scored)
    assert not found.clear
    assert math.isnan(found.value)


@pytest.mark.parametrize("users", [1, 2, 5])
def test_a_gain_on_few_users_that_agree_is_not_clear(users):
    label, user = np.tile([1, 0], 120), np.arange(240) // 2 % users
    found = gain(_rows(label + 0.0, label, user), _rows(np.zeros(240), label, user))
    assert found.value == 0.5
    assert not found.clear
