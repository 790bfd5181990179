"""Tables in and out."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.data.dataset import Dataset
from core.data.tables import TableWriter, read_codes, read_rows, read_table, write_table
from core.errors import UnknownItemError


def test_values_and_types_survive_a_round_trip(tmp_path: Path) -> None:
    types = {"a": "INTEGER", "b": "VARCHAR", "c": "FLOAT[]", "d": "BOOLEAN"}
    columns = {"a": [1, 2], "b": ["x", "ü"], "c": np.eye(2, dtype=np.float32), "d": [True, False]}
    write_table(tmp_path / "t.parquet", columns, types)
    table = read_table(tmp_path / "t.parquet")
    assert table["a"].dtype == np.int32
    assert table["b"] == ["x", "ü"]
    assert table["c"] == [[1.0, 0.0], [0.0, 1.0]]
    assert read_rows(tmp_path / "t.parquet")[1]["d"] is False


def test_written_in_pieces_reads_like_one(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t.parquet", {"a": "BIGINT"}) as writer:
        writer.write({"a": [1, 2]})
        writer.write({"a": [3]})
    assert read_table(tmp_path / "t.parquet")["a"].tolist() == [1, 2, 3]


def test_codes_are_positions_and_unknown_words_are_minus_one(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", {"s": ["b", "a", "z", None, "b"]}, {"s": "VARCHAR"})
    codes = read_codes(tmp_path / "t.parquet", "s", ["a", "b"])
    assert codes.tolist() == [1, 0, -1, -1, 1]
    assert codes.dtype == np.int8


def test_dataset_opens_with_its_splits(dataset: Dataset) -> None:
    assert [len(dataset.rows(split)) for split in ("train", "valid", "test")] == [420, 60, 120]


def test_the_nearest_ids_are_named_as_they_are(dataset: Dataset) -> None:
    odd = dataclasses.replace(dataset, items=["0001714538", "9", "--5", "²", *dataset.items[4:]])
    with pytest.raises(UnknownItemError) as problem:
        odd.item_index("1714539")
    assert problem.value.hint.startswith("Nearest items: 0001714538, ")
    with pytest.raises(UnknownItemError):
        odd.item_index("--6")
    with pytest.raises(UnknownItemError):
        odd.item_index("9" * 5000)
