"""Files of pairs, users and histories are read as ingest reads tables: nothing of them is left to be guessed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.config.score import ScoreConfig
from core.data.dataset import Dataset
from core.errors import BadValueError, EmptyFileError, MissingColumnError, MissingFileError
from core.scoring.questions import of_split, read_texts

UUID, TIME = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "2001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "user,item\na;b,1\nc|d,02\n"),
        ("a.csv", "user;item\na;02\n"),
        ("a.tsv", "user\titem\na,b\tc;d\n"),
        ("a.jsonl", f'{{"user": "{UUID}", "item": "{TIME}"}}\n'),
        ("a.ndjson", f'{{"user": "{UUID}", "item": "{TIME}"}}\n'),
        ("a.json", f'[{{"user": "{UUID}", "item": "007"}}]'),
    ],
)
def test_words_come_as_they_are_written(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    wanted = {
        "a.csv": {"a;b": "1", "c|d": "02"} if "," in text else {"a": "02"},
        "a.tsv": {"a,b": "c;d"},
        "a.jsonl": {UUID: TIME},
        "a.ndjson": {UUID: TIME},
        "a.json": {UUID: "007"},
    }[name]
    found = read_texts(str(path), ("user", "item"))
    assert dict(zip(found["user"], found["item"], strict=True)) == wanted


@pytest.mark.parametrize("end", [";", "|"])
def test_a_header_of_one_column_is_no_row(tmp_path: Path, end: str) -> None:
    path = tmp_path / "users.csv"
    path.write_text(f"user\na{end}b\nc{end}d\n")
    assert read_texts(str(path), ("user",)) == {"user": [f"a{end}b", f"c{end}d"]}


def test_numbers_of_a_parquet_file_are_their_texts(tmp_path: Path) -> None:
    path = tmp_path / "users.pq"
    pq.write_table(pa.table({"user": pa.array([3, 2**40])}), path)
    assert read_texts(str(path), ("user",)) == {"user": ["3", str(2**40)]}


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (None, MissingFileError, "no file"),
        ("", EmptyFileError, "empty"),
        ("user,item\nann,heat\nbob\n", BadValueError, "3"),
        ("user,film\nann,heat\n", MissingColumnError, "no column 'item' .it has user, film."),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, text: str | None, kind: type[Exception], said: str
) -> None:
    path = tmp_path / "pairs.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(kind, match=said):
        read_texts(str(path), ("user", "item"))


def test_a_sample_of_users_has_all_their_rows_and_another_seed_draws_others(
    dataset: Dataset,
) -> None:
    one, same, other = (
        of_split(ScoreConfig(split="test", sample_users=5, sample_seed=seed), dataset)
        for seed in (0, 0, 1)
    )
    test, chosen = dataset.rows("test"), np.unique(one.users)
    assert len(chosen) == 5 < len(np.unique(dataset.user[test]))
    assert set(one.rows.tolist()) == set(test[np.isin(dataset.user[test], chosen)].tolist())
    assert one.rows.tolist() == same.rows.tolist()
    assert set(np.unique(other.users)) != set(chosen)


def test_a_limit_draws_single_rows(dataset: Dataset) -> None:
    rows = [
        set(of_split(ScoreConfig(split="test", limit=9, sample_seed=seed), dataset).rows.tolist())
        for seed in (0, 1)
    ]
    assert [len(drawn) for drawn in rows] == [9, 9]
    assert all(drawn < set(dataset.rows("test").tolist()) for drawn in rows)
    assert rows[0] != rows[1]
