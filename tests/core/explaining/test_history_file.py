"""The history of a stranger: its own rows are told where they are wrong, and it never holds the answer."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.config.explain import ExplainConfig
from core.errors import BadValueError, EmptyFileError, UnknownItemError
from core.explaining.history_file import read_history
from core.scoring.unknown import Unknown
from core.stages.explain import _asked
from core.text.examples import Examples


@pytest.fixture
def written(tmp_path: Path):
    def write(*rows: str) -> str:
        path = tmp_path / "mine.csv"
        path.write_text("\n".join(["item,rating", *rows]) + "\n")
        return str(path)

    return write


def ask(dataset, path: str, item: str):
    """Return the history that is asked with, and what was said about it."""
    said = []
    work = SimpleNamespace(
        config=ExplainConfig(history=path, item=item),
        input=lambda name: SimpleNamespace(manifest=SimpleNamespace(parameters={"threshold": 3.0})),
        progress=SimpleNamespace(say=said.append),
    )
    [(row, user, asked, items, labels, reference)] = _asked(work, Examples(dataset))
    assert (row, user, dataset.items[asked], reference) == (None, None, item, None)
    return [dataset.items[n] for n in items], labels, said


def test_a_history_is_taken_as_it_stood_before_the_item_asked(dataset, written):
    path = written("i1,5", "i2,2", "i9,5", "i4,1", "i9,1")
    assert ask(dataset, path, "i9") == (
        ["i1", "i2"],
        [1, 0],
        [f"{path} holds the item asked, so the history ends before that row: 2 of 5 rows"],
    )
    assert ask(dataset, path, "i1")[:2] == ([], [])


def test_a_history_without_the_item_asked_is_taken_whole(dataset, written):
    path = written("i1,5", "i2,2", "i9,5")
    assert ask(dataset, path, "i4") == (["i1", "i2", "i9"], [1, 0, 1], [])


def test_an_unknown_item_is_told_with_file_and_row(dataset, written):
    path = written("i1,5", "nothing,2")
    with pytest.raises(UnknownItemError) as problem:
        read_history(Unknown(path), dataset, 3.0)
    assert str(problem.value) == f"{path}: row 2: no item 'nothing' in the data"
    assert problem.value.hint.endswith("--skip-unknown leaves such rows out.")


def test_unknown_items_are_left_out_and_counted_if_that_is_asked_for(dataset, written):
    unknown = Unknown(written("i1,5", "nothing,2", "i2,1", "nobody,4"), skip=True)
    items, labels = read_history(unknown, dataset, 3.0)
    assert ([dataset.items[n] for n in items], labels) == (["i1", "i2"], [1, 0])
    said: list[str] = []
    unknown.tell(SimpleNamespace(say=said.append))
    assert said == [f"{unknown.path}: 2 rows left out, whose user or item is not in the data"]


def test_what_else_is_wrong_with_a_row_that_is_left_out_is_told_all_the_same(dataset, written):
    unknown = Unknown(written("i1,5", "nothing,many"), skip=True)
    with pytest.raises(BadValueError, match="row 2: rating 'many' is not a number"):
        read_history(unknown, dataset, 3.0)


def test_a_history_of_which_nothing_is_known_is_refused(dataset, written):
    with pytest.raises(EmptyFileError, match="no item that the data have: 1 row left out"):
        read_history(Unknown(written("nothing,2"), skip=True), dataset, 3.0)


def test_a_history_without_rows_is_refused(dataset, written):
    with pytest.raises(EmptyFileError, match=r"mine\.csv holds no history"):
        read_history(Unknown(written()), dataset, 3.0)


def named(dataset, path: str):
    """Return the items and labels of a history, in its order."""
    items, labels = read_history(Unknown(path), dataset, 3.0)
    return [dataset.items[n] for n in items], labels


@pytest.mark.parametrize(
    ("column", "times"),
    [
        ("timestamp", ("1700000300", "1700000200.5", "1700000200.5", "999999999")),
        ("time", ("1700000300000", "1700000200000", "1700000200000", "999999999000")),
        ("Date", ("2023-11-15", "2023-11-14T22:16:40Z", "2023-11-14 23:16:40+01", "2001/9/9")),
        ("created_at", ("2023-11-15", "1700000200", "2023-11-14T22:16:40Z", "999999999")),
    ],
)
def test_a_history_with_times_is_taken_oldest_first(dataset, tmp_path, column, times):
    path = tmp_path / "mine.csv"
    rows = zip(("i1", "i2", "i3", "i4"), (5, 2, 5, 1), times, strict=True)
    lines = [f"item,rating,{column}", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    assert named(dataset, str(path)) == (["i4", "i2", "i3", "i1"], [0, 0, 1, 1])
    # By the time, not by the line, is a row the first of the item asked.
    assert ask(dataset, str(path), "i3")[:2] == (["i4", "i2"], [0, 0])


def test_times_of_a_parquet_file_are_read_whatever_their_type(dataset, tmp_path):
    path = tmp_path / "mine.parquet"
    times = [datetime(2023, 11, 15, 9, tzinfo=UTC), datetime(2023, 11, 15, 10, tzinfo=UTC)]
    for kind in (pa.timestamp("ns"), pa.timestamp("us", tz="Asia/Tokyo")):
        late_first = pa.array(times[::-1], pa.timestamp("us", tz="UTC")).cast(kind)
        columns = {"item": ["i1", "i2"], "label": ["yes", "no"], "ts": late_first}
        pq.write_table(pa.table(columns), path)
        assert named(dataset, str(path)) == (["i2", "i1"], [0, 1])


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("soon", "time 'soon' is neither seconds nor an ISO date"),
        ("12/31/2020", "time '12/31/2020' is neither"),
        ("inf", "time 'inf' is neither"),
        ("", "no time"),
    ],
)
def test_a_time_that_cannot_be_read_is_told_with_its_row(dataset, tmp_path, time, said):
    path = tmp_path / "mine.csv"
    path.write_text(f"item,rating,time\ni1,5,1700000300\nnothing,2,{time}\n")
    with pytest.raises(BadValueError) as problem:
        read_history(Unknown(str(path), skip=True), dataset, 3.0)
    assert str(problem.value).startswith(f"{path}: row 2: {said}")
    assert "leave the column out" in problem.value.hint


@pytest.mark.parametrize("rating", ["nan", "NaN", "inf", "-inf", "good"])
def test_a_rating_that_is_no_number_is_neither_a_like_nor_a_dislike(dataset, written, rating):
    path = written("i1,5", f"i2,{rating}")
    with pytest.raises(BadValueError, match=rf"row 2: rating '{rating}' is not a number"):
        read_history(Unknown(path), dataset, 3.0)
