"""Metrics against slow versions written straight from their definitions."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, combinations, product
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
row = st.tuples(
    st.integers(0, 5), st.integers(0, 1), st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
)
tables = st.lists(row, min_size=1, max_size=40)
few_rows = st.lists(row, min_size=1, max_size=14)  # all orders of ties are gone through


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


def orders(pairs: list[tuple[int, float]]) -> list[list[int]]:
    """All orders of the labels by falling score, each as likely as the others: rows of one score stand in no order."""
    groups = []
    for score in sorted({score for _, score in pairs}, reverse=True):
        labels = [label for label, other in pairs if other == score]
        places = combinations(range(len(labels)), sum(labels))
        groups.append([[int(n in liked) for n in range(len(labels))] for liked in places])
    return [list(chain.from_iterable(chosen)) for chosen in product(*groups)]


def over_orders(value: Callable[[list[int]], float], pairs: list[tuple[int, float]]) -> float:
    found = [value(labels) for labels in orders(pairs)]
    return sum(found) / len(found)


def slow_ndcg(labels: list[int], k: int) -> float:
    best = sorted(labels, reverse=True)
    gain = sum(y / math.log2(place + 1) for place, y in enumerate(labels[:k], start=1))
    most = sum(y / math.log2(place + 1) for place, y in enumerate(best[:k], start=1))
    return gain / most if most else 0.0


def slow_average_precision(labels: list[int], k: int) -> float:
    precisions = [sum(labels[:place]) / place for place in range(1, len(labels) + 1)]
    gained = sum(p for p, y in zip(precisions[:k], labels[:k], strict=True) if y)
    return gained / sum(labels) if sum(labels) else 0.0


def slow_hit(labels: list[int], k: int) -> float:
    return float(any(labels[:k]))


RANKING = {"ndcg": slow_ndcg, "map": slow_average_precision, "hr": slow_hit}


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
        **{
            f"{name}@{k}": slow_mean([over_orders(partial(value, k=k), p) for p in ranked])
            for name, value in RANKING.items()
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


@given(few_rows)
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


@given(tables)
@settings(max_examples=100, deadline=None)
def test_the_order_in_which_rows_are_given_changes_nothing(table: Table) -> None:
    found, turned = measured(table), measured(table[::-1])
    for name in found:
        assert found[name] == pytest.approx(turned[name], abs=1e-12), name


def test_equal_scores_count_as_the_mean_over_their_orders() -> None:
    table = [(0, 1, 0.0), *[(0, 0, 0.0)] * 5]
    found = measured(table, cut_offs=[2])
    assert found["hr@2"] == pytest.approx(2 / 6)
    assert found["map@2"] == pytest.approx((1 + 1 / 2) / 6)
    assert found["ndcg@2"] == pytest.approx((1 + 1 / math.log2(3)) / 6)


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
