"""Parquet tables in and out, with types given as DuckDB spells them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_ARROW_TYPES = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "TINYINT": pa.int8(),
    "DOUBLE": pa.float64(),
    "FLOAT": pa.float32(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "FLOAT[]": pa.list_(pa.float32()),
    "INTEGER[]": pa.list_(pa.int32()),
}


def write_table(path: Path, columns: Mapping[str, Any], types: Mapping[str, str]) -> None:
    """Write columns as one Parquet file whose bytes depend on the values alone.

    Args:
        path: file to make.
        columns: name -> sequence or array of equal length; a 2-d array becomes a column of lists.
        types: name -> DuckDB type, in the order of the file's columns.
    """
    with TableWriter(path, types) as writer:
        writer.write(columns)


class TableWriter:
    """Writes a Parquet file piece by piece, so that memory does not grow with the number of rows."""

    def __init__(self, path: Path, types: Mapping[str, str]) -> None:
        """Open the file. See write_table for the arguments."""
        self._schema = pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in types.items()])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, columns: Mapping[str, Any]) -> None:
        """Append rows."""
        arrays = [_array(columns[field.name], field.type) for field in self._schema]
        self._writer.write_table(pa.table(arrays, schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_table(path: Path, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """Read columns of a Parquet file: numpy arrays for numbers and flags, Python lists for text and lists.

    A column of equally long FLOAT lists comes back as a list of lists; stack it with `np.array(...)`. Columns of
    numbers must hold no nulls: read those with `read_rows`.
    """
    table = pq.read_table(path, columns=list(columns) if columns else None)
    out: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_string(column.type) or pa.types.is_list(column.type):
            out[name] = column.to_pylist()
        else:
            out[name] = column.to_numpy()
    return out


def read_codes(path: Path, column: str, values: Sequence[str]) -> npt.NDArray[np.int8]:
    """Read a text column that holds few different values as (N,) positions in `values`, -1 for any other."""
    found = pq.read_table(path, columns=[column]).column(column)
    codes = pc.fill_null(pc.index_in(found, value_set=pa.array(values, type=found.type)), -1)
    positions: npt.NDArray[np.int8] = codes.to_numpy().astype(np.int8)
    return positions


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a small Parquet file as one dict per row; nulls are None."""
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def _array(values: Any, kind: Any) -> Any:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        values = list(values)
    return pa.array(values, type=kind)
