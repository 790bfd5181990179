"""Counts against values worked out by hand and against a slow recount, on logs full of ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.counts import GENRE_SMOOTHING, RECENT, SMOOTHING, Counts, Evidence
from core.data.dataset import Dataset
from core.data.histories import Histories


def log(rows, *, users=None, items=None, categories=None, years=None):
    """Build a data set from (user, item, label, time, split) tuples."""
    user, item, label, time, split = (np.array(column) for column in zip(*rows, strict=True))
    users = users or user.max() + 1
    items = items or item.max() + 1
    return Dataset(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        label=label.astype(np.int8),
        time=time.astype(np.int64),
        split=split.astype(np.int8),
        warm=np.ones(len(user), dtype=bool),
        users=[f"u{n}" for n in range(users)],
        items=[f"i{n}" for n in range(items)],
        titles=[f"Film {n}" for n in range(items)],
        years=years or [2000] * items,
        categories=categories or [["Drama"]] * items,
        descriptions=[""] * items,
    )


def counts_of(data):
    return Counts(data, Histories.of(data))


def slow(data: Dataset, history, user, item) -> dict[str, object]:
    """Recount one row from the definitions, row by row."""
    train = [r for r in range(len(data)) if data.split[r] == 0 and data.user[r] != user]
    prior = np.mean([data.label[r] for r in train]) if train else 0.5

    def crowd(of):
        mine = [r for r in train if data.item[r] == of]
        return sum(int(data.label[r]) for r in mine), len(mine)

    def rate(of):
        likes, seen = crowd(of)
        return (likes + SMOOTHING * prior) / (seen + SMOOTHING)

    residuals = [int(data.label[r]) - rate(data.item[r]) for r in history]
    affinities, genres = [], []
    for name in dict.fromkeys(data.categories[item]):
        inside = [k for k, r in enumerate(history) if name in data.categories[data.item[r]]]
        likes = sum(int(data.label[history[k]]) for k in inside)
        genres.append((name, likes, len(inside)))
        affinities.append(sum(residuals[k] for k in inside) / (len(inside) + GENRE_SMOOTHING))
    likes = [int(data.label[r]) for r in history]
    return {
        "user_likes": sum(likes),
        "user_seen": len(likes),
        "recent_likes": sum(likes[-RECENT:]),
        "recent_seen": len(likes[-RECENT:]),
        "item_likes": crowd(item)[0],
        "item_seen": crowd(item)[1],
        "item_likes_rate": rate(item),
        "crowd_likes_rate": np.mean([rate(data.item[r]) for r in history]) if history else prior,
        "residual": np.mean(residuals) if history else 0.0,
        "genre_affinity": np.mean(affinities) if affinities else 0.0,
        "genres": genres,
    }


def assert_equal(evidence: Evidence, position: int, wanted: dict[str, object]) -> None:
    for name, value in wanted.items():
        found = (
            evidence.genres_of(position) if name == "genres" else getattr(evidence, name)[position]
        )
        assert found == (value if name == "genres" else pytest.approx(value)), name


@st.composite
def logs(draw):
    """Random logs of 4 users and 5 items with many ties, any splits, items without category too."""
    size = draw(st.integers(1, 40))
    times = sorted(draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)))
    rows = [
        (
            draw(st.integers(0, 3)),
            draw(st.integers(0, 4)),
            draw(st.integers(0, 1)),
            time,
            draw(st.integers(0, 2)),
        )
        for time in times
    ]
    categories = [["Drama"], ["Drama", "War"], [], ["War", "Crime"], ["Crime", "Crime"]]
    return log(rows, users=4, items=5, categories=categories)


def test_hand_worked_row():
    # User 0 liked item 0, disliked item 1, and is asked for item 2 (train). User 1 liked 0 and 2, user 2 disliked 2.
    data = log(
        [
            (1, 0, 1, 1, 0),
            (1, 2, 1, 2, 0),
            (2, 2, 0, 3, 0),
            (0, 0, 1, 4, 0),
            (0, 1, 0, 5, 0),
            (0, 2, 1, 6, 0),
        ],
        categories=[["Drama"], ["Drama", "War"], ["Drama", "Crime"]],
        years=[1990, None, 1995],
    )
    evidence = counts_of(data).for_rows(np.array([5]))
    assert (evidence.user_likes[0], evidence.user_seen[0]) == (1, 2)
    assert (evidence.item_likes[0], evidence.item_seen[0]) == (1, 2)
    assert evidence.genres_of(0) == [("Drama", 1, 2), ("Crime", 0, 0)]
    assert evidence.year[0] == 1995
    # Others like 2 of 3; five pseudo-rows at 2/3. Item 0: (1 + 10/3) / 6, item 1: 2/3, item 2: (1 + 10/3) / 7.
    assert evidence.item_likes_rate[0] == pytest.approx(13 / 21)
    assert evidence.crowd_likes_rate[0] == pytest.approx((13 / 18 + 2 / 3) / 2)
    assert evidence.residual[0] == pytest.approx((1 - 13 / 18 - 2 / 3) / 2)


def test_rows_of_one_second_are_not_evidence_for_each_other():
    data = log([(0, 0, 1, 5, 0), (0, 1, 1, 5, 0), (0, 2, 0, 6, 1)])
    assert counts_of(data).for_rows(np.arange(3)).user_seen.tolist() == [0, 0, 2]


def test_recent_rows_are_the_last_ten():
    rows = [(0, 0, int(n < 5), n, 0) for n in range(13)]
    evidence = counts_of(log(rows)).for_rows(np.array([12]))
    assert (evidence.user_likes[0], evidence.user_seen[0]) == (5, 12)
    assert (evidence.recent_likes[0], evidence.recent_seen[0]) == (3, 10)


@settings(max_examples=60, deadline=None)
@given(logs())
def test_every_row_equals_a_slow_recount(data):
    histories = Histories.of(data)
    evidence = Counts(data, histories).for_rows(np.arange(len(data)))
    for row in range(len(data)):
        user = int(data.user[row])
        history = [
            r for r in range(len(data)) if data.user[r] == user and data.time[r] < data.time[row]
        ]
        assert_equal(evidence, row, slow(data, history, user, int(data.item[row])))


@settings(max_examples=40, deadline=None)
@given(logs())
def test_pairs_asked_now_equal_a_slow_recount_over_everything_the_user_did(data):
    users, items = (a.ravel() for a in np.meshgrid(np.arange(4), np.arange(5)))
    evidence = counts_of(data).for_pairs(users, items)
    for position, (user, item) in enumerate(zip(users, items, strict=True)):
        history = [r for r in range(len(data)) if data.user[r] == user]
        assert_equal(evidence, position, slow(data, history, user, item))


@settings(max_examples=40, deadline=None)
@given(logs(), st.data())
def test_evidence_ignores_the_label_of_the_row_and_of_the_users_later_rows(data, choice):
    row = choice.draw(st.integers(0, len(data) - 1))
    later = (data.user == data.user[row]) & (data.time >= data.time[row])
    flipped = log(
        list(
            zip(
                data.user, data.item, np.where(later, 1 - data.label, data.label), data.time, data.split,
                strict=True,
            )
        ),
        users=4,
        items=5,
        categories=data.categories,
    )  # fmt: skip
    one, other = (counts_of(d).for_rows(np.array([row])) for d in (data, flipped))
    for name in (
        "user_likes",
        "recent_likes",
        "item_likes",
        "item_likes_rate",
        "residual",
        "genre_affinity",
    ):
        # Sums run over all users, so a flip elsewhere moves the last bits.
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), atol=1e-12, err_msg=name
        )
    np.testing.assert_allclose(one.crowd_likes_rate, other.crowd_likes_rate, atol=1e-12)
    assert one.genres_of(0) == other.genres_of(0)


def test_train_row_is_left_out_of_its_own_items_counts(dataset):
    evidence = counts_of(dataset).for_rows(dataset.rows("train"))
    train = dataset.rows("train")
    user, item = dataset.user[train], dataset.item[train]
    for position in range(0, len(train), 37):
        others = (item == item[position]) & (user != user[position])
        assert evidence.item_seen[position] == others.sum()
        assert evidence.item_likes[position] == dataset.label[train][others].sum()


def test_given_history_of_a_known_user_equals_his_row(dataset):
    histories = Histories.of(dataset)
    counts = Counts(dataset, histories)
    for row in (0, 250, 599):
        user = int(dataset.user[row])
        history = histories.before(row)
        given = counts.for_history(
            dataset.item[history], dataset.label[history], dataset.item[row : row + 1], user=user
        )
        wanted = counts.for_rows(np.array([row]))
        for name in (
            "user_likes",
            "user_seen",
            "recent_likes",
            "item_seen",
            "genre_seen",
            "genre_likes",
        ):
            np.testing.assert_array_equal(getattr(given, name), getattr(wanted, name), err_msg=name)
        for name in ("crowd_likes_rate", "residual", "genre_affinity", "item_likes_rate"):
            np.testing.assert_allclose(
                getattr(given, name), getattr(wanted, name), atol=1e-9, err_msg=name
            )


def test_stranger_without_history_gets_the_crowds_rate(dataset):
    train = dataset.label[dataset.rows("train")]
    evidence = counts_of(dataset).for_history(
        np.array([], int), np.array([], int), np.array([0, 1])
    )
    assert evidence.user_seen.tolist() == [0, 0]
    assert evidence.crowd_likes_rate == pytest.approx([train.mean()] * 2)
