"""Histories never look ahead: checked on random logs full of ties against the rule written out slowly."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import Dataset
from core.data.histories import Histories

LOGS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=60).map(
    lambda log: sorted(log, key=lambda row: row[1])
)


@given(log=LOGS, length=st.one_of(st.none(), st.integers(0, 5)))
def test_history_is_what_the_user_did_strictly_before(
    log: list[tuple[int, int]], length: int | None
) -> None:
    user, time = np.array([u for u, _ in log]), np.array([t for _, t in log])
    histories = Histories(user, time, users=5)
    for row, (mine, now) in enumerate(log):
        before = [k for k, (other, then) in enumerate(log) if other == mine and then < now]
        wanted = before if length is None else before[len(before) - min(length, len(before)) :]
        history = histories.before(row, length)
        assert history.tolist() == wanted
        assert row not in history
        assert all(time[k] < now for k in history)


@given(log=LOGS)
def test_rows_of_one_second_are_in_neithers_history(log: list[tuple[int, int]]) -> None:
    user, time = np.array([u for u, _ in log]), np.array([t for _, t in log])
    histories = Histories(user, time, users=5)
    for row, (mine, now) in enumerate(log):
        ties = {k for k, entry in enumerate(log) if entry == (mine, now)}
        assert not ties & set(histories.before(row).tolist())


@given(log=LOGS, asked=st.sets(st.integers(0, 59)))
def test_frozen_rows_have_what_came_before_their_users_first_and_others_their_own(
    log: list[tuple[int, int]], asked: set[int]
) -> None:
    user, time = np.array([u for u, _ in log]), np.array([t for _, t in log])
    histories = Histories(user, time, users=5)
    own = [histories.before(row).tolist() for row in range(len(log))]
    rows = sorted(row for row in asked if row < len(log))
    frozen = histories.frozen(np.array(rows, dtype=np.int64))
    for row, (mine, now) in enumerate(log):
        first = (
            min(log[other][1] for other in rows if log[other][0] == mine) if row in asked else now
        )
        before = [k for k, (other, then) in enumerate(log) if other == mine and then < first]
        assert frozen.before(row).tolist() == before
        assert frozen.counts(np.array([row])).tolist() == [len(before)]
    assert [histories.before(row).tolist() for row in range(len(log))] == own


@given(log=LOGS)
def test_counts_are_the_lengths_of_whole_histories(log: list[tuple[int, int]]) -> None:
    user, time = np.array([u for u, _ in log]), np.array([t for _, t in log])
    histories = Histories(user, time, users=5)
    rows = np.arange(len(log))
    assert histories.counts(rows).tolist() == [len(histories.before(row)) for row in rows]


def test_latest_history_holds_everything_of_the_user(dataset: Dataset) -> None:
    histories = Histories.of(dataset)
    for user in range(len(dataset.users)):
        mine = np.flatnonzero(dataset.user == user)
        assert histories.latest(user).tolist() == mine.tolist()
        assert histories.latest(user, 3).tolist() == mine[-3:].tolist()


def test_user_without_rows_has_no_history() -> None:
    histories = Histories(np.array([0, 0]), np.array([1, 2]), users=2)
    assert histories.latest(1).tolist() == []
