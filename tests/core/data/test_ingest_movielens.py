"""MovieLens in its layouts, RecBole's files, and the paper's ML-1M window."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.data.readers.movielens import GENRES_100K
from core.data.tables import read_rows
from core.errors import BadValueError, MissingColumnError
from tests.core.data.ingesting import Result, run


def _second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# (user, item, rating, time): the window opens 2001-06-01 and closes 2003-02-01, to the second
ML1M = [
    ("9", "2", 5, _second("2000-04-25T23:05:32")),
    ("1", "1", 5, _second("2001-05-31T23:59:59")),
    ("1", "1", 4, _second("2001-06-01T00:00:00")),
    ("1", "2", 3, _second("2001-09-01T00:00:00")),
    ("2", "1", 2, _second("2002-03-31T23:59:59")),
    ("2", "2", 4, _second("2002-04-01T00:00:00")),
    ("3", "1", 4, _second("2002-08-31T23:59:59")),
    ("1", "3", 5, _second("2002-09-01T00:00:00")),
    ("2", "3", 1, _second("2003-01-31T23:59:59")),
    ("2", "1", 5, _second("2003-02-01T00:00:00")),
    ("9", "1", 5, _second("2003-02-28T17:49:50")),
]


def _ml1m(folder: Path, rows: list[tuple[str, str, int, int]]) -> Path:
    folder.mkdir()
    lines = "".join(f"{user}::{item}::{rating}::{time}\n" for user, item, rating, time in rows)
    (folder / "ratings.dat").write_text(lines)
    movies = (
        "1::Toy Story (1995)::Animation|Children's\n"
        "2::Misérables, Les (1995)::Drama\n"
        '3::"Quoted" (Cut) (1950)::War\n'
    )
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))
    return folder


def test_ml1m_preset_keeps_twenty_months_and_cuts_them_at_months(tmp_path: Path) -> None:
    result = run(tmp_path, source="ml-1m", path=str(_ml1m(tmp_path / "full", ML1M)))
    splits = [
        (row["user"], row["item"], row["label"], row["split"], row["warm"])
        for row in result.interactions
    ]
    assert splits == [
        ("1", "1", 1, "train", True),
        ("1", "2", 0, "train", True),
        ("2", "1", 0, "train", True),
        ("2", "2", 1, "valid", True),
        ("3", "1", 1, "valid", False),
        ("1", "3", 1, "test", False),
        ("2", "3", 0, "test", False),
    ]
    assert result.report["rows"]["rejected_by_reason"] == {"outside the kept time": 4}
    assert [(row["title"], row["year"]) for row in result.items] == [
        ("Toy Story", 1995), ("Misérables, Les", 1995), ('"Quoted" (Cut)', 1950),
    ]  # fmt: skip
    assert result.items[0]["categories"] == ["Animation", "Children's"]


def test_utf8_is_seen_where_the_layout_of_1m_has_it(tmp_path: Path) -> None:
    folder = _ml1m(tmp_path / "10m", ML1M)
    (folder / "movies.dat").write_text(
        "1::Misérables, Les (1995)::Drama\n2::Odd (1990)::(no genres listed)\n", encoding="utf-8"
    )
    items = run(tmp_path, source="movielens", path=str(folder)).items
    assert [(row["title"], row["categories"]) for row in items[:2]] == [
        ("Misérables, Les", ["Drama"]), ("Odd", []),
    ]  # fmt: skip


def test_ml1m_preset_gives_the_same_rows_from_the_full_file_and_from_the_window_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    full = run(tmp_path / "a", source="ml-1m", path=str(_ml1m(tmp_path / "full", ML1M)))
    window = run(tmp_path / "b", source="ml-1m", path=str(_ml1m(tmp_path / "window", ML1M[2:-2])))
    assert full.interactions == window.interactions
    assert full.users == window.users


def test_another_split_of_ml1m_keeps_its_window(tmp_path: Path) -> None:
    result = run(tmp_path, source="ml-1m", path=str(_ml1m(tmp_path / "full", ML1M)), split_by="user-time",
                 train_fraction=0.5, valid_fraction=0.25)  # fmt: skip
    assert result.report["rows"]["kept"] == 7
    assert result.report["split_rule"].startswith("each user's own time line")


@pytest.mark.skipif(
    "THINKREC_ML1M" not in os.environ,
    reason="THINKREC_ML1M names no folder with ml-1m and ml-1m-split",
)
def test_ml1m_window_is_the_published_split(tmp_path: Path) -> None:
    """THINKREC_ML1M holds ml-1m/ (MovieLens 1M) and ml-1m-split/ (train, valid, test .parquet of the literature)."""
    data = Path(os.environ["THINKREC_ML1M"])
    result = run(tmp_path, source="ml-1m", path=str(data / "ml-1m"))
    items = result.items
    ours: dict[str, Counter[tuple[object, ...]]] = {
        split: Counter() for split in ("train", "valid", "test")
    }
    for row in result.interactions:
        item = items[row["item_index"]]
        title = f"{item['title']} ({item['year']})"
        ours[row["split"]][(row["time"], title, row["label"], int(row["warm"]))] += 1
    for split, rows in (("train", 33891), ("valid", 10401), ("test", 7331)):
        theirs = read_rows(data / "ml-1m-split" / f"{split}.parquet")
        assert len(theirs) == rows
        assert ours[split] == Counter(
            (row["timestamp"], row["title"], row["label"], row["warm"]) for row in theirs
        )


def _ml100k(folder: Path) -> Path:
    folder.mkdir()
    rows = [(1 + k % 3, 1 + k // 3, 1 + k % 5, 880000000 + k) for k in range(12)]
    (folder / "u.data").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    flags = dict.fromkeys(GENRES_100K, "0") | {"Comedy": "1", "Children's": "1"}
    items = [
        ("1", "Café (1994)", "01-Jan-1995", "", "http://x", *flags.values()),
        ("2", "unknown", "", "", "", "1", *["0"] * 18),
    ]
    (folder / "u.item").write_bytes(
        "".join("|".join(row) + "\n" for row in items).encode("latin-1")
    )
    return folder


@pytest.mark.parametrize("source", ["ml-100k", "movielens"])
def test_ml100k_original_layout(tmp_path: Path, source: str) -> None:
    result = run(
        tmp_path,
        source=source,
        path=str(_ml100k(tmp_path / "ml")),
        train_fraction=0.5,
        valid_fraction=0.25,
    )
    assert result.report["rows"]["kept"] == 12
    assert result.items[0]["categories"] == ["Children's", "Comedy"]
    assert (result.items[0]["title"], result.items[0]["year"]) == ("Café", 1995)
    assert (result.items[1]["title"], result.items[1]["categories"], result.items[1]["year"]) == (
        "unknown",
        [],
        None,
    )
    by_user = result.report["split_rule"].startswith("each user's own")
    assert by_user == (source == "ml-100k")


def test_latest_layout(tmp_path: Path) -> None:
    folder = tmp_path / "ml-latest"
    folder.mkdir()
    rows = [f"{1 + k % 2},{10 + k},{k % 5 + 0.5},{900000000 + k}" for k in range(10)]
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n" + "\n".join(rows) + "\n"
    )
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n10,"American President, The (1995)",Comedy|Drama\n11,Odd,(no genres listed)\n'
    )
    result = run(tmp_path, source="movielens", path=str(folder))
    assert result.items[0]["title"] == "American President, The"
    assert result.items[1]["categories"] == []
    assert [result.report["splits"][split]["rows"] for split in ("train", "valid", "test")] == [
        7,
        1,
        2,
    ]


@pytest.mark.parametrize("wrong", ["ratings.csv", "movies.csv"])
def test_tables_of_another_kind_are_told_from_the_latest_layout(tmp_path: Path, wrong: str) -> None:
    headers = {
        "ratings.csv": "userId,movieId,rating,timestamp",
        "movies.csv": "movieId,title,genres",
    }
    for name, header in (headers | {wrong: "user_id,book_id,rating,title"}).items():
        (tmp_path / name).write_text(f"{header}\n1,2,3,4\n")
    with pytest.raises(MissingColumnError, match=rf"{wrong}: no column '\w+Id'") as problem:
        run(tmp_path, source="movielens", path=str(tmp_path))
    assert "thinkrec ingest table" in problem.value.hint


def _recbole(folder: Path, *, item_header: str) -> Path:
    folder.mkdir()
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    rows = [f"{1 + k % 2}\t{20 - k}\t{k % 5}\t{900000000 + k}\n" for k in range(10)]
    (folder / "toys.inter").write_text(header + "".join(rows))
    (folder / "toys.item").write_text(
        item_header + '\n20\tToy "Story"\t1995\tAnimation Children\'s Comedy\n'
    )
    return folder


@pytest.mark.parametrize("source", ["recbole", "ml-100k"])
def test_recbole_files(tmp_path: Path, source: str) -> None:
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    files = _recbole(tmp_path / "toys", item_header=header)
    result = run(tmp_path, source=source, path=str(files))
    by_user = result.report["split_rule"].startswith("each user's own")
    assert by_user == (source == "ml-100k")
    assert result.items[-1] == {
        "item": "20", "item_index": 9, "title": 'Toy "Story"', "year": 1995,
        "categories": ["Animation", "Children's", "Comedy"], "description": "",
    }  # fmt: skip
    assert [row["user"] for row in result.users] == ["1", "2"]


def test_recbole_items_without_an_id_column(tmp_path: Path) -> None:
    folder = _recbole(
        tmp_path / "toys", item_header="code:token\ttitle:token_seq\tyear:token\tclass:token_seq"
    )
    with pytest.raises(MissingColumnError, match=r"toys.item: no column 'item'"):
        run(tmp_path, source="recbole", path=str(folder))


def test_recbole_columns_that_differ_by_their_type_only(tmp_path: Path) -> None:
    header = "item_id:token\ttitle:token_seq\ttitle:token\tclass:token_seq"
    folder = _recbole(tmp_path / "toys", item_header=header)
    with pytest.raises(BadValueError, match=r"toys.item: line 1: the column 'title' occurs twice"):
        run(tmp_path, source="recbole", path=str(folder))


@pytest.mark.skipif(
    "THINKREC_ML100K" not in os.environ, reason="THINKREC_ML100K names no folder of ml-100k"
)
def test_ml100k_splits_every_user_seven_one_two(tmp_path: Path) -> None:
    result: Result = run(tmp_path, source="ml-100k", path=os.environ["THINKREC_ML100K"])
    assert result.report["rows"]["read"] == result.report["rows"]["kept"] == 100_000
    assert (result.report["users"], result.report["items"]) == (943, 1682)
    assert result.report["users_in_train"] == 943
    for user in result.users:
        assert user["train_rows"] == int(user["rows"] * 0.7 + 1e-9)
