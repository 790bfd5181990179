"""Intervals against resampling done the slow way, and against what is known of them."""

import math

import numpy as np
import pytest
from numpy.random import default_rng
from scipy import stats

from core.evaluation.intervals import beyond_chance, difference, interval, resample
from core.evaluation.metrics import Drawing, Measurement, measure_all, measures
from core.evaluation.rows import Floats, ScoredRows, user_mean

DRAWN = ("auc", "uauc", "ndcg@5", "map@5", "hr@5", "log_loss", "brier")
"""Metrics with intervals."""


def random_rows(seed: int, users: int = 12, rows: int = 80, taste: float = 1.0) -> ScoredRows:
    rng = default_rng(seed)
    label = rng.integers(0, 2, rows)
    score = np.round(taste * label + rng.normal(size=rows), 1)  # rounded: with ties
    return ScoredRows.of(rng.integers(0, users, rows), label, score, 1 / (1 + np.exp(-score)))


def repeated(rows: ScoredRows, weights: Floats) -> ScoredRows:
    """Write out what weights mean: every user as often as he was drawn, each time anew."""
    parts = [
        (np.flatnonzero(rows.user == user), copy)
        for user, weight in enumerate(weights.astype(int))
        for copy in range(weight)
    ]
    index = np.concatenate([part for part, _ in parts])
    user = np.concatenate([np.full(len(part), place) for place, (part, _) in enumerate(parts)])
    return ScoredRows.of(user, rows.label[index], rows.score[index], rows.probability[index])


def widened(value: float, drawn: Floats, users: int) -> Floats:
    """Return draws around a value as far apart as few users ask for."""
    student = stats.t.ppf(0.975, users - 1) / stats.norm.ppf(0.975)
    return value + student * math.sqrt(users / (users - 1)) * (drawn - value)


@pytest.mark.parametrize("seed", range(5))
def test_weighting_users_equals_repeating_their_rows(seed: int) -> None:
    rows = random_rows(seed)
    weights = default_rng(seed).integers(0, 4, (3, rows.users)).astype(float)
    for name, measure in measures(rows, [5]).items():
        for weight, value in zip(weights, measure.statistic(weights), strict=True):
            long = repeated(rows, weight)
            wanted = measures(long, [5])[name].statistic(np.ones((1, long.users)))[0]
            assert value == pytest.approx(wanted, abs=1e-12, nan_ok=True), name


def test_draws_depend_on_the_seed_alone() -> None:
    rows = random_rows(0)
    statistic = [measures(rows, [5])["auc"].statistic]

    def draw(seed: int) -> Floats:
        return resample(statistic, users=rows.users, rows=len(rows), samples=20, seed=seed)

    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def test_every_draw_has_as_many_users_as_there_are() -> None:
    totals = resample([lambda w: w.sum(1)], users=7, rows=10, samples=50, seed=0)
    assert (totals == 7).all()


def test_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    # One row per user: the standard error of the mean of 400 squared errors is known.
    rng = default_rng(3)
    label, probability = rng.integers(0, 2, 400), rng.random(400)
    rows = ScoredRows.of(np.arange(400), label, probability, probability)
    figure = measure_all({"it": rows}, drawing=Drawing(samples=4000, seed=1)).figures("it")["brier"]
    errors = (probability - label) ** 2
    half_width = 1.96 * errors.std() / np.sqrt(400)
    assert figure.interval is not None
    assert figure.interval.low == pytest.approx(errors.mean() - half_width, abs=half_width / 10)
    assert figure.interval.high == pytest.approx(errors.mean() + half_width, abs=half_width / 10)


def test_calibration_error_has_no_interval_for_its_draws_lie_above_it() -> None:
    measured = measure_all({"a": random_rows(2), "b": random_rows(2)}, drawing=Drawing(samples=60))
    assert set(measured.prepared["a"]) == {*DRAWN, "ece"}
    figure = measured.figures("a")["ece"]
    assert figure.value is not None
    assert figure.interval is None
    assert measured.difference("a", "b", "ece") is None
    assert measured.gap("a", "b", "ece") == 0


def test_scorer_compared_with_itself_differs_by_nothing() -> None:
    rows = random_rows(1)
    measured = measure_all({"a": rows, "b": rows}, drawing=Drawing(samples=50))
    difference = measured.difference("b", "a", "auc")
    assert difference is not None
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    assert difference.p_value == 1
    assert not beyond_chance(difference.low, difference.high, difference.p_value)


def test_better_scorer_is_significantly_better_by_the_paired_draws() -> None:
    rows = random_rows(1, users=40, rows=800)
    better = ScoredRows.of(rows.user, rows.label, rows.score + rows.label, rows.probability)
    measured = measure_all({"a": rows, "b": better})
    difference = measured.difference("b", "a", "auc")
    assert difference is not None
    assert beyond_chance(difference.low, difference.high, difference.p_value)
    assert difference.p_value < 0.01
    first, second = measured.value("b", "auc"), measured.value("a", "auc")
    assert first is not None
    assert second is not None
    assert difference.value == pytest.approx(first - second)


def counting(metric: str, first: ScoredRows, second: ScoredRows) -> int:
    """Return of how many users two scorers say something else, one user after the other."""
    changed, labels = 0, []
    for user in range(first.users):
        mine = first.user == user
        one, other = (
            ScoredRows.of(
                rows.user[mine], rows.label[mine], rows.score[mine], rows.probability[mine]
            )
            for rows in (first, second)
        )
        labels.append(set(one.label.tolist()))
        if metric in ("auc", "log_loss", "brier"):
            changed += not np.array_equal(one.score, other.score)
        else:
            values = [
                measures(rows, [5])[metric].statistic(np.ones((1, 1)))[0] for rows in (one, other)
            ]
            changed += not (values[0] == values[1] or np.isnan(values).all())
    rarer = min(sum(label in has for has in labels) for label in (0, 1))
    return min(rarer, changed) if metric == "auc" else changed


def test_paired_difference_equals_that_of_the_same_users_drawn_one_by_one() -> None:
    first, rng = random_rows(2), default_rng(7)
    score = np.round(first.score + rng.normal(size=len(first)), 1)
    second = ScoredRows.of(first.user, first.label, score, 1 / (1 + np.exp(-score)))
    drawing = Drawing(samples=40, seed=5)
    measured = measure_all({"a": first, "b": second}, drawing=drawing)
    users = default_rng(5).integers(0, first.users, (40, first.users))
    for metric in DRAWN:
        gaps = []
        for drawn in users:
            weights = np.bincount(drawn, minlength=first.users).astype(float)
            values = []
            for rows in (first, second):
                long = repeated(rows, weights)
                statistic = measures(long, [5])[metric].statistic
                values.append(float(statistic(np.ones((1, long.users)))[0]))
            gaps.append(values[0] - values[1])
        found = measured.difference("a", "b", metric)
        users_that_count = counting(metric, first, second)
        if users_that_count < 6:
            assert (found is None) == bool(users_that_count), metric
            continue
        assert found is not None
        known = widened(found.value, np.array(gaps)[~np.isnan(gaps)], users_that_count)
        low, high = np.percentile(known, [2.5, 97.5])
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12), metric
        sides = min((known <= 0).sum(), (known >= 0).sum()) + 1
        sign = 2.0 ** (1 - users_that_count)
        assert found.p_value == pytest.approx(min(1, max(sign, 2 * sides / (len(known) + 1))))


def test_difference_the_other_way_round_is_its_negative() -> None:
    rows = random_rows(3)
    other = ScoredRows.of(rows.user, rows.label, -rows.score, 1 - rows.probability)
    measured = measure_all({"a": rows, "b": other}, drawing=Drawing(samples=60))
    for metric in DRAWN:
        one, back = measured.difference("a", "b", metric), measured.difference("b", "a", metric)
        if counting(metric, rows, other) < 6:
            assert one is back is None
            continue
        assert one is not None
        assert back is not None
        assert (one.value, one.low, one.high) == pytest.approx((-back.value, -back.high, -back.low))
        assert one.p_value == back.p_value


def test_one_user_that_counts_gives_values_and_no_certainty() -> None:
    label = np.array([0, 1, 0, 1, 1, 1])
    user = np.array([0, 0, 0, 0, 1, 2])  # users 1 and 2 have one label, so UAUC has one user
    rows = {
        name: ScoredRows.of(user, label, score, np.full(6, 0.5))
        for name, score in {"good": label + 0.0, "bad": -label}.items()
    }
    measured = measure_all(rows, drawing=Drawing(samples=50))
    figure = measured.figures("good")["uauc"]
    assert (figure.value, figure.users, figure.interval) == (1.0, 1, None)
    assert measured.difference("good", "bad", "uauc") is None
    assert measured.gap("good", "bad", "uauc") == 1.0
    assert measured.figures("good")["auc"].interval is None


def agreeing(users: int, silent: int = 0) -> Measurement:
    """Return two scorers of users with both labels, all better served by one, and users with one label."""
    user = np.r_[np.repeat(np.arange(users), 3), users + np.arange(silent)]
    label = np.r_[np.tile([1, 0, 0], users), np.ones(silent, dtype=int)]
    better = label + 0.0
    worse = np.r_[np.tile([1.0, 0.0, 2.0], users), np.ones(silent)]
    rows = {
        name: ScoredRows.of(user, label, score, np.full(len(user), 0.5))
        for name, score in {"better": better, "worse": worse}.items()
    }
    return measure_all(rows, drawing=Drawing(samples=400))


@pytest.mark.parametrize("users", [2, 3, 5])
def test_few_users_that_agree_are_no_certainty(users: int) -> None:
    """Two users with both labels among fifty: every draw that has one of them says the same."""
    measured = agreeing(users, silent=50)
    for metric in ("auc", "uauc"):
        assert measured.gap("better", "worse", metric) > 0
        assert measured.figures("better")[metric].interval is None, metric
        assert measured.difference("better", "worse", metric) is None, metric
    assert measured.figures("better")["brier"].interval is not None  # all users count there


@pytest.mark.parametrize("better", [1, 4, 5, 6])
def test_users_of_whom_two_scorers_say_the_same_agree_with_neither(better: int) -> None:
    """Of fifty users some are better served by one scorer, all others alike."""
    user, label = np.repeat(np.arange(50), 3), np.tile([1, 0, 0], 50)
    worse = np.tile([1.0, 0.0, 2.0], 50)
    score = np.where(user < better, label + 0.0, worse)
    half = np.full(len(user), 0.5)
    rows = {
        "better": ScoredRows.of(user, label, score, half),
        "worse": ScoredRows.of(user, label, worse, half),
    }
    measured = measure_all(rows, drawing=Drawing(samples=400))
    for metric in ("auc", "uauc", "ndcg@5"):
        gap = measured.difference("better", "worse", metric)
        assert (gap is None) == (better < 6), metric
        assert gap is None or gap.p_value >= 2.0 ** (1 - better)
    same = measured.difference("better", "worse", "brier")
    assert same is not None
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize(("users", "truth"), [(6, 0.9), (20, 0.95), (50, 0.97), (50, 0.02)])
def test_intervals_of_shares_near_their_end_hold_the_truth(users: int, truth: float) -> None:
    rng = default_rng(0)
    held = []
    for seed in range(200):
        values = (rng.random(users) < truth) + 0.0
        drawn = resample([user_mean(values)], users=users, rows=users, samples=200, seed=seed)[0]
        found = interval(values.mean(), drawn, users=users, least=0, most=1)
        assert found is not None
        held.append(found.low <= truth <= found.high)
    assert np.mean(held) > 0.9


def test_an_interval_of_users_all_alike_at_the_end_ends_where_they_come_one_time_in_forty() -> None:
    for value, wanted in ((1.0, (0.025 ** (1 / 50), 1.0)), (0.0, (0.0, 1 - 0.025 ** (1 / 50)))):
        found = interval(value, np.full(100, value), users=50, least=0, most=1)
        assert found is not None
        assert (found.low, found.high) == pytest.approx(wanted)
    within = interval(0.5, np.full(100, 0.5), users=50, least=0, most=1)
    assert within is not None
    assert (within.low, within.high) == (0.5, 0.5)


def test_p_is_never_below_that_of_a_sign_test() -> None:
    for users in (6, 8, 40):
        gap = agreeing(users).difference("better", "worse", "uauc")
        assert gap is not None
        assert gap.p_value == pytest.approx(max(2.0 ** (1 - users), 2 / 401))


def test_too_many_undefined_draws_leave_no_interval() -> None:
    values = np.arange(100.0)
    assert interval(50, values, users=40) is not None
    values[:4] = np.nan
    assert interval(50, values, users=40) is not None
    values[:6] = np.nan
    assert interval(50, values, users=40) is None


def test_an_interval_off_zero_needs_enough_draws_to_be_beyond_chance() -> None:
    gap = difference(0.25, np.full(10, 0.25), np.zeros(10), users=40)
    assert gap is not None
    assert (gap.low, gap.high) == (0.25, 0.25)
    assert gap.p_value > 0.05
    assert not beyond_chance(gap.low, gap.high, gap.p_value)
    assert not beyond_chance(None, None, None)


def test_intervals_of_few_users_hold_the_truth_as_often_as_they_say() -> None:
    rng = default_rng(0)
    plain, wide, marked = [], [], []
    for seed in range(300):
        values = rng.normal(size=6)  # of six users, whose true mean is 0
        drawn = resample([user_mean(values)], users=6, rows=6, samples=400, seed=seed)[0]
        low, high = np.percentile(drawn, [2.5, 97.5])
        plain.append(low <= 0 <= high)
        found = interval(values.mean(), drawn, users=6)
        gap = difference(values.mean(), drawn, np.zeros(400), users=6)
        assert found is not None
        assert gap is not None
        wide.append(found.low <= 0 <= found.high)
        marked.append(beyond_chance(gap.low, gap.high, gap.p_value))
    assert np.mean(plain) < 0.9
    assert np.mean(wide) > 0.92
    assert np.mean(marked) < 0.08


def test_intervals_of_many_users_are_the_percentiles() -> None:
    drawn = default_rng(0).normal(size=4000)
    found = interval(0, drawn, users=100_000)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), rel=1e-4)


def test_intervals_stay_within_what_a_metric_can_be() -> None:
    rows = random_rows(4, users=8, taste=4.0)
    best = ScoredRows.of(rows.user, rows.label, rows.label, 0.99 * rows.label)
    worst = ScoredRows.of(rows.user, rows.label, -rows.label, 1 - 0.99 * rows.label)
    measured = measure_all(
        {"good": rows, "best": best, "worst": worst}, drawing=Drawing(samples=200)
    )
    for metric in set(DRAWN) - {"log_loss"}:
        for scorer in measured.prepared:
            found = measured.figures(scorer)[metric].interval
            assert found is not None
            assert 0 <= found.low <= found.high <= 1, metric
    assert measured.figures("good")["auc"].interval.high == 1  # type: ignore[union-attr]
    gap = measured.difference("best", "worst", "auc")
    assert gap is not None
    assert gap.low == gap.high == 1
    assert interval(0.9, np.linspace(0.6, 1.2, 100), users=6, least=0, most=1).high == 1  # type: ignore[union-attr]
