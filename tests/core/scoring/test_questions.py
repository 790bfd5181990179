"""Files of pairs, users and histories are read as ingest reads tables: nothing of them is left to be guessed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.config.score import ScoreConfig
from core.data.dataset import Dataset
from core.errors import (
    BadValueError,
    EmptyFileError,
    EncodingError,
    MissingColumnError,
    MissingFileError,
    UnknownItemError,
    UnknownUserError,
)
from core.scoring.questions import for_users, from_file, of_split
from core.scoring.tables import read_texts
from core.scoring.unknown import Unknown
from core.text.examples import Examples

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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("text", ["user|42|7||", "user||42|  |7", "user|42||||7|"])
def test_blank_lines_are_no_rows_where_there_is_one_column_either(
    tmp_path: Path, text: str, end: str
) -> None:
    path = tmp_path / "users.csv"
    path.write_text(text.replace("|", end), newline="")
    assert read_texts(str(path), ("user",)) == {"user": ["42", "7"]}


def test_a_value_that_was_left_out_is_none_though_it_looks_like_a_blank_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "users.csv"
    path.write_text('user\n"a\n\nb"\n\n\n""\n7\n')  # so pandas writes what is missing
    with pytest.raises(BadValueError, match=r"users\.csv: row 2 has no user"):
        read_texts(str(path), ("user",))


def test_a_file_of_no_users_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("user\n\n")
    with pytest.raises(EmptyFileError, match="holds no users"):
        for_users(
            ScoreConfig(users=str(path)), Examples(dataset), None, tmp_path, Unknown(str(path))
        )


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


@pytest.mark.parametrize(
    ("name", "content", "kind", "said", "hint"),
    [
        ("a.csv", b"user,item\na,b\nc,h\xe9\n", EncodingError, "line 3: not utf-8", "Save the"),
        ("a.csv", b"us\xe9r,item\na,b\n", EncodingError, "line 1: not utf-8", "Save the"),
        ("a.csv", b"user,item\na,b\nc,d,e\n", BadValueError, "line 3: the number of values", "Cor"),
        ("a.csv", b'user,item\n"a\nb",c\nd,"e\n', BadValueError, "line 4: a quote is op", "Cor"),
        ("a.jsonl", b'{"user": 1, "item": 2}\n{"user"\n{}\n', BadValueError, "line 2: br", "Cor"),
    ],
)
def test_what_is_broken_is_told_with_its_line(tmp_path, name, content, kind, said, hint) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(kind, match=said) as problem:
        read_texts(str(path), ("user", "item"))
    assert problem.value.hint.startswith(hint)


def test_a_byte_order_mark_before_lines_of_json_is_no_part_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"user": "a", "item": "b"}\n')
    assert read_texts(str(path), ("user", "item")) == {"user": ["a"], "item": ["b"]}


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


def _written(folder: Path, *rows: str) -> str:
    path = folder / "asked.csv"
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def test_a_pair_that_the_data_do_not_have_is_refused_with_its_row_and_a_way_on(
    tmp_path: Path, dataset: Dataset
) -> None:
    path = _written(tmp_path, "user,item", "u1,i1", "u1,nothing")
    with pytest.raises(UnknownItemError, match="row 2: no item 'nothing'") as problem:
        from_file(Unknown(path), dataset, tmp_path)
    assert "--skip-unknown" in problem.value.hint


def test_unknown_pairs_are_left_out_and_counted_if_that_is_asked_for(
    tmp_path: Path, dataset: Dataset
) -> None:
    rows = ("u1,i1", "u1,nothing", "nobody,i1", "u2,i3", "nobody,nothing")
    unknown = Unknown(_written(tmp_path, "user,item", *rows), skip=True)
    asked = from_file(unknown, dataset, tmp_path)
    found = asked.block(0, len(asked))
    pairs = zip(found.users.tolist(), found.items.tolist(), strict=True)
    assert [(dataset.users[u], dataset.items[i]) for u, i in pairs] == [("u1", "i1"), ("u2", "i3")]
    assert (unknown.left_out, asked.about) == (3, "pairs of asked.csv, 3 unknown left out")


def test_a_pair_that_stands_in_a_file_twice_is_asked_once(tmp_path: Path, dataset: Dataset) -> None:
    unknown = Unknown(_written(tmp_path, "user,item", "u1,i3", "u1,i1", "u1,i3", "u1,i3"))
    asked = from_file(unknown, dataset, tmp_path)
    found = asked.block(0, 9)
    assert sorted(dataset.items[i] for i in found.items) == ["i1", "i3"]
    assert (len(asked), unknown.repeated) == (2, 2)
    assert asked.about == "pairs of asked.csv, 2 repeated"


@pytest.mark.parametrize("row", ["u1,", ",i1", "nobody,"])
def test_a_pair_without_user_or_item_is_refused_all_the_same(
    tmp_path: Path, dataset: Dataset, row: str
) -> None:
    path = _written(tmp_path, "user,item", "nobody,i1", row)
    with pytest.raises(BadValueError, match="row 2 has no"):
        from_file(Unknown(path, skip=True), dataset, tmp_path)


def test_a_file_of_which_nothing_is_known_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    unknown = Unknown(_written(tmp_path, "user,item", "nobody,i1", "u1,nothing"), skip=True)
    with pytest.raises(EmptyFileError, match="no pair that the data have: 2 rows left out"):
        from_file(unknown, dataset, tmp_path)


def test_unknown_users_are_left_out_and_counted_if_that_is_asked_for(
    tmp_path: Path, dataset: Dataset
) -> None:
    path, config = _written(tmp_path, "user", "u2", "nobody", "u1"), ScoreConfig(top=1)
    with pytest.raises(UnknownUserError, match="row 2: no user 'nobody'"):
        for_users(config, Examples(dataset), None, tmp_path, Unknown(path))
    unknown = Unknown(path, skip=True)
    asked = for_users(config, Examples(dataset), None, tmp_path, unknown)
    users = [dataset.users[u] for u in asked.block(0, len(asked)).users]
    assert (list(dict.fromkeys(users)), unknown.left_out) == (["u2", "u1"], 1)
    assert asked.about == "candidates of 2 users, 1 unknown left out"
