"""Metrics against slow versions written straight from their definitions."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from core.errors import BadValueError, MismatchError
from core.evaluation.calibration import calibration_curve
from core.evaluation.metrics import Drawing, measure_all
from core.evaluation.rows import ScoredRows

Table = list[tuple[int, int, float]]


def scored(table: Table) -> ScoredRows:
    user, label, score = (list(column) for column in zip(*table, strict=True))
    return ScoredRows.of(user, label, score, 1 / (1 + np.exp(-np.array(score))))


# Few scores, so that ties abound; few users, so that some have one row and some one label.
tables = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 1), st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    ),
    min_size=1,
    max_size=40,
)


def by_user(table: Table) -> dict[int, list[tuple[int, float]]]:
    users = defaultdict(list)
    for user, label, score in table:
        users[user].append((label, score))
    return users


def slow_auc(pairs: list[tuple[int, float]]) -> float | None:
    wins = [
        1.0 if liked > other else 0.5 if liked == other else 0.0
        for label, liked in pairs
        for other_label, other in pairs
        if label == 1 and other_label == 0
    ]
    return sum(wins) / len(wins) if wins else None


def ranked_labels(pairs: list[tuple[int, float]]) -> list[int]:
    return [label for label, _ in sorted(pairs, key=lambda pair: -pair[1])]  # sorted() is stable


def slow_ndcg(pairs: list[tuple[int, float]], k: int) -> float:
    labels = ranked_labels(pairs)
    best = sorted(labels, reverse=True)
    gain = sum(y / math.log2(place + 1) for place, y in enumerate(labels[:k], start=1))
    most = sum(y / math.log2(place + 1) for place, y in enumerate(best[:k], start=1))
    return gain / most if most else 0.0


def slow_average_precision(pairs: list[tuple[int, float]], k: int) -> float:
    labels = ranked_labels(pairs)
    precisions = [sum(labels[:place]) / place for place in range(1, len(labels) + 1)]
    gained = sum(p for p, y in zip(precisions[:k], labels[:k], strict=True) if y)
    return gained / sum(labels) if sum(labels) else 0.0


def slow_mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def slow_calibration_error(table: Table) -> float:
    bins = defaultdict(list)
    for _, label, score in table:
        probability = 1 / (1 + math.exp(-score))
        bins[min(int(probability * 10), 9)].append(probability - label)
    return sum(abs(sum(gaps)) for gaps in bins.values()) / len(table)


def slow_metrics(table: Table, cut_offs: Sequence[int]) -> dict[str, float | None]:
    users = by_user(table)
    ranked = [pairs for pairs in users.values() if len(pairs) >= 2]
    labels = [label for _, label, _ in table]
    probabilities = [1 / (1 + math.exp(-score)) for _, _, score in table]
    return {
        "auc": slow_auc([(label, score) for _, label, score in table]),
        "uauc": slow_mean([slow_auc(pairs) for pairs in users.values()]),
        **{f"ndcg@{k}": slow_mean([slow_ndcg(p, k) for p in ranked]) for k in cut_offs},
        **{f"map@{k}": slow_mean([slow_average_precision(p, k) for p in ranked]) for k in cut_offs},
        **{
            f"hr@{k}": slow_mean([float(any(ranked_labels(p)[:k])) for p in ranked])
            for k in cut_offs
        },
        "log_loss": log_loss(labels, probabilities, labels=[0, 1]),
        "brier": brier_score_loss(labels, probabilities),
        "ece": slow_calibration_error(table),
    }


def measured(table: Table, **settings: Any) -> dict[str, float | None]:
    figures = measure_all({"it": scored(table)}, drawing=Drawing(samples=1), **settings).figures(
        "it"
    )
    return {name: figure.value for name, figure in figures.items()}


@given(tables)
@settings(max_examples=300, deadline=None)
def test_every_metric_equals_its_slow_definition(table: Table) -> None:
    found, wanted = measured(table, cut_offs=[5, 2, 5]), slow_metrics(table, [2, 5])
    assert list(found) == list(wanted)
    for name in found:
        assert found[name] == pytest.approx(wanted[name], abs=1e-12), name


@given(tables)
@settings(max_examples=100, deadline=None)
def test_auc_equals_that_of_scikit_learn(table: Table) -> None:
    labels = [label for _, label, _ in table]
    if len(set(labels)) == 2:
        wanted = roc_auc_score(labels, [score for _, _, score in table])
        assert measured(table)["auc"] == pytest.approx(wanted, abs=1e-12)


@given(tables)
@settings(max_examples=100, deadline=None)
def test_users_who_count_are_those_with_both_labels_or_two_rows(table: Table) -> None:
    figures = measure_all({"it": scored(table)}, drawing=Drawing(samples=1)).figures("it")
    users = by_user(table).values()
    both = sum(len({label for label, _ in pairs}) == 2 for pairs in users)
    two = sum(len(pairs) >= 2 for pairs in users)
    assert (figures["uauc"].users, figures["uauc"].users_left_out) == (both, len(users) - both)
    for name in ("ndcg@5", "map@5", "hr@5"):
        assert (figures[name].users, figures[name].users_left_out) == (two, len(users) - two)


def test_ranking_worked_out_by_hand() -> None:
    # User 0: likes at ranks 1 and 3 of 3; user 1: two rows, none liked; user 2: one row, left out.
    table = [(0, 1, 3.0), (0, 0, 2.0), (0, 1, 1.0), (1, 0, 1.0), (1, 0, 0.0), (2, 1, 0.0)]
    found = measured(table, cut_offs=[5])
    assert found["ndcg@5"] == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3)) / 2)
    assert found["map@5"] == pytest.approx((1 / 1 + 2 / 3) / 2 / 2)
    assert found["hr@5"] == 0.5


def test_average_precision_is_over_all_liked_rows_not_over_k() -> None:
    table = [(0, 1, float(-place)) for place in range(10)]
    assert measured(table)["map@5"] == pytest.approx(0.5)  # five precisions of 1, ten liked rows


def test_equal_scores_are_ranked_in_the_order_given() -> None:
    first, last = [(0, 1, 0.0), *[(0, 0, 0.0)] * 5], [*[(0, 0, 0.0)] * 5, (0, 1, 0.0)]
    assert (measured(first)["hr@5"], measured(last)["hr@5"]) == (1.0, 0.0)


def test_constant_scores_give_an_auc_of_one_half() -> None:
    table = [(0, 1, 0.3), (0, 0, 0.3), (1, 1, 0.3), (1, 0, 0.3), (1, 0, 0.3)]
    assert measured(table)["auc"] == measured(table)["uauc"] == 0.5


def test_one_label_alone_leaves_auc_undefined_not_wrong() -> None:
    found = measured([(0, 1, 0.3), (0, 1, 0.5)])
    assert found["auc"] is None
    assert found["uauc"] is None
    assert found["ndcg@5"] == 1.0


def test_certain_and_wrong_is_a_large_but_finite_log_loss() -> None:
    rows = ScoredRows.of(["a", "a"], [0, 1], [0.0, 1.0], [1.0, 1.0])
    value = measure_all({"it": rows}, drawing=Drawing(samples=1)).value("it", "log_loss")
    assert value == pytest.approx(-math.log(2**-52) / 2)


def test_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(BadValueError, match="1 of 2"):
        ScoredRows.of([0, 0], [0, 1], [math.nan, 1.0], [0.5, 0.5])


def test_scorers_of_different_rows_are_not_compared() -> None:
    first = scored([(0, 1, 0.3), (0, 0, 0.5)])
    with pytest.raises(MismatchError):
        measure_all({"a": first, "b": scored([(0, 1, 0.3)])})
    with pytest.raises(MismatchError):
        measure_all({"a": first, "b": scored([(0, 1, 0.3), (1, 0, 0.5)])})


def test_calibration_curve_accounts_for_every_row() -> None:
    rows = ScoredRows.of([0] * 4, [0, 1, 1, 1], [0.0] * 4, [0.05, 0.95, 1.0, 0.9])
    low, high = calibration_curve(rows)
    assert (low.rows, low.probability, low.like_rate) == (1, 0.05, 0.0)
    assert (high.rows, high.like_rate) == (3, 1.0)
    assert high.probability == pytest.approx(0.95)


def test_ids_that_numpy_would_take_for_one_are_two_users() -> None:
    rows = ScoredRows.of(["u", "u\0", "u", "a"], [1, 0, 1, 0], [0.0] * 4, [0.5] * 4)
    assert rows.user.tolist() == [1, 2, 1, 0]
