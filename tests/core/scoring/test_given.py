"""Scores of another program: those of a split are taken, the rest of the file is passed over."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from core.config.score import ScoreConfig
from core.data.dataset import Dataset
from core.data.tables import read_rows
from core.errors import BadValueError, ConfigError, EmptyFileError, MissingColumnError
from core.progress import Silent
from core.scoring.blocks import score_blocks
from core.scoring.given import from_scored_file
from tests.conftest import Heard


def _given(folder: Path, dataset: Dataset, lines: list[str], progress=None, **settings):
    path = folder / "theirs.csv"
    path.write_text("\n".join(lines) + "\n")
    config = ScoreConfig(given=str(path), **settings)
    return from_scored_file(config, dataset, folder, progress or Silent())


def _line(dataset: Dataset, row: int, score: object) -> str:
    return f"{dataset.users[dataset.user[row]]},{dataset.items[dataset.item[row]]},{score}"


def test_rows_of_the_split_have_the_scores_of_the_file(tmp_path: Path, dataset: Dataset) -> None:
    rows = dataset.rows("test")
    pairs = [(int(dataset.user[row]), int(dataset.item[row])) for row in rows]
    # One line of a pair, however many rows it has.
    given = {pair: score for score, pair in enumerate(pairs)}
    assert len(given) < len(pairs)
    lines = [f"{dataset.users[u]},{dataset.items[i]},{score}" for (u, i), score in given.items()]
    train = [r for r in dataset.rows("train") if (dataset.user[r], dataset.item[r]) not in given]
    others = [_line(dataset, row, 9) for row in train[:5]]
    heard = Heard()
    # Other common names of columns, other pairs, another order.
    asked, scorer = _given(
        tmp_path, dataset, ["user_id,Item,score", *others, *lines[::-1], "nobody,nothing,3"], heard
    )
    assert sorted(asked.rows.tolist()) == sorted(rows.tolist())
    by_row = {int(row): given[pair] for row, pair in zip(rows, pairs, strict=True)}
    assert scorer.score_rows(asked.rows).score.tolist() == [by_row[int(r)] for r in asked.rows]
    assert any(f"scores of {len(rows)} of {len(rows)} test rows" in line for line in heard.lines)


def test_scores_of_any_size_have_a_probability(tmp_path: Path, dataset: Dataset) -> None:
    rows = dataset.rows("test")[:4]
    lines = [
        _line(dataset, row, score) for row, score in zip(rows, (-5000, 0, 3, 5000), strict=True)
    ]
    asked, scorer = _given(tmp_path, dataset, ["user,item,score", *lines])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [block], _ = score_blocks(scorer, asked, dataset, 100, tmp_path, Silent())
    found = {row["score"]: row["probability"] for row in read_rows(block)}
    assert found == pytest.approx({-5000: 0, 0: 0.5, 3: 1 / (1 + np.exp(-3)), 5000: 1})


def test_rows_without_a_score_are_left_out_and_counted(tmp_path: Path, dataset: Dataset) -> None:
    rows = dataset.rows("valid")[:3]
    asked, _ = _given(
        tmp_path, dataset, ["user,item,score", *(_line(dataset, r, 1) for r in rows)], split="valid"
    )
    assert sorted(asked.rows.tolist()) == sorted(rows.tolist())
    assert f"3 of {len(dataset.rows('valid'))} valid rows, given by theirs.csv" in asked.about


@pytest.mark.parametrize(
    ("scores", "kind", "said"),
    [
        (["1", "x"], BadValueError, "row 2: score 'x' is no finite number"),
        (["1", "inf"], BadValueError, "row 2: score 'inf' is no finite number"),
        (["", "1"], BadValueError, "row 1: score is missing"),
    ],
)
def test_a_score_that_is_no_number_is_refused(tmp_path, dataset, scores, kind, said) -> None:
    rows = dataset.rows("test")[:2]
    lines = [_line(dataset, row, score) for row, score in zip(rows, scores, strict=True)]
    with pytest.raises(kind, match=said):
        _given(tmp_path, dataset, ["user,item,score", *lines])


def test_a_pair_that_occurs_twice_is_refused_with_both_rows(tmp_path, dataset) -> None:
    first, second = dataset.rows("test")[:2]
    lines = [_line(dataset, first, 1), _line(dataset, second, 1), _line(dataset, first, 2)]
    with pytest.raises(BadValueError, match=r"rows 1 and 3: user '.*' and item '.*' occur twice"):
        _given(tmp_path, dataset, ["user,item,score", *lines])


def test_a_file_without_rows_of_the_split_or_without_scores_is_refused(tmp_path, dataset) -> None:
    with pytest.raises(EmptyFileError, match="no score of a test row of the data set: 1 pairs"):
        _given(tmp_path, dataset, ["user,item,score", _line(dataset, dataset.rows("train")[0], 1)])
    with pytest.raises(MissingColumnError, match="no column 'score'"):
        _given(tmp_path, dataset, ["user,item,value", "a,b,1"])


def test_one_way_of_asking_at_a_time() -> None:
    with pytest.raises(ConfigError, match="--pairs and --given exclude each other"):
        ScoreConfig(given="a.csv", pairs="b.csv")
    with pytest.raises(ConfigError, match="--user and --history exclude each other"):
        ScoreConfig(user="1", history="b.csv")
