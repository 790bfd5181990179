"""Scores read from files, brought onto the same rows, cut into slices, and nested for programs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.dataset import Dataset
from core.data.histories import Histories
from core.data.tables import write_table
from core.errors import EmptySplitError, MismatchError
from core.evaluation.baselines import bias_scores, constant_scores, recent_scores
from core.evaluation.metrics import Drawing, measure_all
from core.evaluation.scores import Scores, on_same_rows, read_scores
from core.evaluation.slices import slices_of
from core.evaluation.summary import summarize
from core.evaluation.uauc import uauc
from core.progress import Silent
from core.stages.kinds import SCORES


def write_scores(path: Path, rows: list[dict[str, Any]]) -> Path:
    types = SCORES.payload("scores.parquet").columns
    write_table(path, {name: [row.get(name) for row in rows] for name in types}, types)
    return path


def row_of(dataset: Dataset, row: int, **changed: Any) -> dict[str, Any]:
    return {
        "row": row,
        "user": dataset.users[dataset.user[row]],
        "item": dataset.items[dataset.item[row]],
        "label": int(dataset.label[row]),
        "score": float(row % 7),
        "probability": 0.5,
        "rank": 1,
    } | changed


def test_scores_are_read_in_the_order_of_the_data_set_and_without_unlabelled_rows(
    dataset: Dataset, tmp_path: Path
) -> None:
    rows = [row_of(dataset, 9), row_of(dataset, 3), row_of(dataset, 5, label=None)]
    scores = read_scores(write_scores(tmp_path / "s.parquet", rows), "scores/s@1")
    assert scores.row is not None
    assert scores.row.tolist() == [3, 9]
    assert scores.score.tolist() == [3.0, 2.0]
    assert scores.route is None


def test_a_row_scored_twice_counts_once(dataset: Dataset, tmp_path: Path) -> None:
    rows = [row_of(dataset, n) for n in (9, 3, 9)]  # a file of pairs may name one twice
    scores = read_scores(write_scores(tmp_path / "s.parquet", rows), "scores/s@1")
    assert scores.row is not None
    assert scores.row.tolist() == [3, 9]


def test_scores_without_labels_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    path = write_scores(tmp_path / "s.parquet", [row_of(dataset, 5, label=None)])
    with pytest.raises(EmptySplitError, match="scores/s@1"):
        read_scores(path, "scores/s@1")


def scores_of(dataset: Dataset, rows: list[int], score: float = 0.0) -> Scores:
    index = np.array(rows)
    return Scores(
        row=index,
        user=[dataset.users[dataset.user[r]] for r in rows],
        label=dataset.label[index].astype(np.int64),
        score=index + score,
        probability=np.full(len(rows), 0.5),
    )


def test_different_rows_are_refused_by_name(dataset: Dataset) -> None:
    tables = {"a@1": scores_of(dataset, [1, 2, 3]), "b@1": scores_of(dataset, [2, 3, 4])}
    with pytest.raises(MismatchError, match=r"a@1 has 3 rows and b@1 has 3, 2 of them the same"):
        on_same_rows(tables, "refuse")


def test_a_part_of_the_rows_is_refused_too(dataset: Dataset) -> None:
    tables = {"a@1": scores_of(dataset, [1, 2, 3]), "b@1": scores_of(dataset, [2, 3])}
    with pytest.raises(MismatchError):
        on_same_rows(tables, "refuse")
    with pytest.raises(MismatchError):
        on_same_rows(dict(reversed(tables.items())), "refuse")


def test_intersection_keeps_common_rows_in_one_order(dataset: Dataset) -> None:
    tables = {"a@1": scores_of(dataset, [1, 2, 3]), "b@1": scores_of(dataset, [4, 3, 2], 0.5)}
    aligned = on_same_rows(tables, "intersect")
    assert aligned["a@1"].score.tolist() == [2, 3]
    assert aligned["b@1"].score.tolist() == [2.5, 3.5]


def test_nothing_in_common_is_said(dataset: Dataset) -> None:
    tables = {"a@1": scores_of(dataset, [1]), "b@1": scores_of(dataset, [2])}
    with pytest.raises(EmptySplitError):
        on_same_rows(tables, "intersect")


def test_slices_are_what_they_are_called(dataset: Dataset) -> None:
    rows = dataset.rows("test").tolist()
    scores = scores_of(dataset, rows)
    groups = {user: index % 2 for index, user in enumerate(dataset.users)}
    routes = ["fused" if row % 2 else "averaged" for row in rows]
    found = slices_of(
        scores, dataset, Histories.of(dataset), groups={"g": groups}, routes={"m": routes}
    )
    assert found["all"].all()
    assert np.array_equal(found["warm"], dataset.warm[rows])
    assert np.array_equal(found["group=1 by g"], dataset.user[rows] % 2 == 1)
    assert np.array_equal(found["route=fused by m"], np.array(rows) % 2 == 1)
    lengths = [len(Histories.of(dataset).before(row)) for row in rows]
    assert np.array_equal(found["history=25+"], np.array(lengths) >= 25)
    buckets = [mask for name, mask in found.items() if name.startswith("history=")]
    assert (np.sum(buckets, axis=0) == 1).all()


def test_groupings_and_gates_that_differ_are_slices_of_their_own(dataset: Dataset) -> None:
    rows = dataset.rows("test").tolist()
    scores = scores_of(dataset, rows)
    one = {user: index % 2 for index, user in enumerate(dataset.users)}
    two = {user: index % 3 for index, user in enumerate(dataset.users[:-1])}
    everybody = dict.fromkeys(dataset.users, 0)
    routes = {
        "a": ["fused" if row % 3 else "cold" for row in rows],
        "b": ["fused" if row % 3 else "cold" for row in rows],
        "one way": ["global" for _ in rows],
        "c": ["fused" if row % 2 else None for row in rows],
    }
    groups = {"groups/everybody@1": everybody, "groups/one@1": one, "groups/two@1": two}
    found = slices_of(scores, dataset, Histories.of(dataset), groups=groups, routes=routes)
    names = [name for name in found if name.startswith(("group", "route"))]
    assert names == [
        *(f"group={g} by groups/one@1" for g in (0, 1)),
        *(f"group={g} by groups/two@1" for g in (0, 1, 2)),
        "route=cold by a",  # b routes alike
        "route=fused by a",
        "route=fused by c",
    ]
    user = dataset.user[rows]
    assert np.array_equal(
        found["group=0 by groups/two@1"], (user % 3 == 0) & (user < len(dataset.users) - 1)
    )
    assert np.array_equal(found["route=fused by c"], np.array(rows) % 2 == 1)


def with_strangers(dataset: Dataset) -> Dataset:
    """Return the data with a user, and an item, that train does not have: their rows are all in test."""
    split = dataset.split.copy()
    split[(dataset.user == 0) | (dataset.item == 3)] = 2
    train = split == 0
    warm = np.isin(dataset.user, dataset.user[train]) & np.isin(dataset.item, dataset.item[train])
    return Dataset(**{**_fields(dataset), "split": split, "warm": warm})


def test_cold_rows_and_short_histories_are_slices(dataset: Dataset) -> None:
    strange = with_strangers(dataset)
    rows = strange.rows("test").tolist()
    found = slices_of(scores_of(strange, rows), strange, Histories.of(strange))
    cold = (strange.user[rows] == 0) | (strange.item[rows] == 3)
    assert 0 < cold.sum() < len(rows)
    assert np.array_equal(found["cold"], cold)
    assert np.array_equal(found["warm"], ~cold)
    lengths = np.array([len(Histories.of(strange).before(r)) for r in rows])
    assert np.array_equal(found["history=0-4"], lengths < 5)
    assert np.array_equal(found["history=5-9"], (lengths >= 5) & (lengths < 10))


def test_constant_baseline_is_the_like_rate_of_train(dataset: Dataset) -> None:
    scores = constant_scores(scores_of(dataset, [550, 560]), dataset)
    train = dataset.label[dataset.rows("train")]
    assert scores.probability == pytest.approx((train.sum() + 1) / (len(train) + 2))
    assert 1 / (1 + np.exp(-scores.score)) == pytest.approx(scores.probability)


def test_recent_baseline_is_the_like_rate_of_the_last_ten_rows_before(dataset: Dataset) -> None:
    rows = [*dataset.rows("test")[:40].tolist(), 0]
    scores = recent_scores(scores_of(dataset, rows), dataset, Histories.of(dataset))
    train = dataset.label[dataset.rows("train")]
    rate = (train.sum() + 1) / (len(train) + 2)
    for row, probability in zip(rows, scores.probability, strict=True):
        past = (dataset.user == dataset.user[row]) & (dataset.time < dataset.time[row])
        shown = dataset.label[past][-10:]
        assert probability == pytest.approx((shown.sum() + 2 * rate) / (len(shown) + 2))
    assert len(set(scores.probability)) > 5
    assert 1 / (1 + np.exp(-scores.score)) == pytest.approx(scores.probability)


def test_recent_likes_rank_a_users_rows_worse_than_chance_though_labels_are_random(
    dataset: Dataset,
) -> None:
    found = []
    for seed in range(20):
        fields = _fields(dataset)
        fields["label"] = np.random.default_rng(seed).permutation(dataset.label)
        shuffled = Dataset(**fields)
        rows = shuffled.rows("test")
        scores = recent_scores(scores_of(shuffled, rows.tolist()), shuffled, Histories.of(shuffled))
        found.append(uauc(scores.scored_rows()))
    assert np.mean(found) < 0.48


def test_bias_baseline_does_not_see_the_label_of_the_row_it_scores(dataset: Dataset) -> None:
    last = int(dataset.rows("test")[-1])
    scores = bias_scores(scores_of(dataset, [last]), dataset, Histories.of(dataset), Silent())
    flipped = Dataset(**{**_fields(dataset), "label": dataset.label.copy()})
    flipped.label[last] = 1 - flipped.label[last]
    again = bias_scores(scores_of(flipped, [last]), flipped, Histories.of(flipped), Silent())
    assert again.score == pytest.approx(scores.score, rel=1e-9)


def _fields(dataset: Dataset) -> dict[str, Any]:
    return {name: getattr(dataset, name) for name in Dataset.__dataclass_fields__}


def test_summary_nests_what_the_table_lists() -> None:
    row = {
        "scorer": "encoder/mf@1",
        "scores": "scores/mf@1",
        "split": "test",
        "slice": "all",
        "metric": "auc",
        "value": 0.7,
        "low": 0.6,
        "high": 0.8,
        "rows": 10,
        "users": 5,
        "users_left_out": 0,
    }
    gap = {
        "scorer": "encoder/mf@1",
        "other": "bias",
        "slice": "all",
        "metric": "auc",
        "difference": -0.1,
        "low": -0.2,
        "high": 0.1,
        "p": 0.5,
    }
    uauc = {"metric": "uauc", "value": 0.6, "users": 3, "users_left_out": 2}
    nested = summarize(
        [
            row,
            row | uauc,
            row | {"slice": "warm", "value": 0.75, "rows": 4, "low": None, "high": None},
        ],
        [gap, gap | {"slice": "warm"}],
    )
    assert nested == {
        "encoder/mf@1": {
            "scores": "scores/mf@1",
            "split": "test",
            "auc": 0.7,
            "uauc": 0.6,
            "rows": 10,
            "users": 3,
            "users_left_out": 2,
            "users_left_out_of": {"uauc": 2},
            "intervals": {"auc": [0.6, 0.8], "uauc": [0.6, 0.8]},
            "slices": {"warm": {"auc": 0.75, "rows": 4, "users": 5, "users_left_out": 0}},
            "minus": {"bias": {"auc": {"difference": -0.1, "low": -0.2, "high": 0.1, "p": 0.5}}},
        }
    }


def test_summary_keeps_scores_and_explanations_of_one_scorer_apart() -> None:
    line = {"scorer": "model/m@1", "slice": "all", "low": None, "high": None, "value": 0.5}
    line |= {"rows": 4, "users": 2, "users_left_out": 0}
    told = {"scores": "explanation/e@1", "split": "pairs", "metric": "agreement"}
    scored = {"scores": "scores/s@1", "split": "test", "metric": "auc"}
    found = summarize([line | scored, line | told])["model/m@1"]
    assert (found["scores"], found["explanations"]) == ("scores/s@1", "explanation/e@1")
    assert found["split"] == "test"


def test_no_bootstrap_gives_values_without_intervals(dataset: Dataset) -> None:
    rows = scores_of(dataset, dataset.rows("test").tolist()).scored_rows()
    measured = measure_all({"it": rows, "other": rows}, drawing=Drawing(samples=0))
    assert measured.value("it", "auc") is not None
    assert measured.figures("it")["auc"].interval is None
    assert measured.gap("other", "it", "auc") == 0
    assert measured.difference("other", "it", "auc") is None
