"""Files named inside SQL."""

from pathlib import Path

import duckdb
import pytest

from core.data.sql import literal, scan


@pytest.mark.parametrize("reader", ["read_parquet", "read_csv", "read_json"])
def test_a_path_means_nothing_but_itself(tmp_path: Path, reader: str) -> None:
    folder = tmp_path / "a=9" / "b*?[1]'s"
    folder.mkdir(parents=True)
    decoy = tmp_path / "a=9" / "bcd1's"  # what the pattern would find as well
    decoy.mkdir()
    form = reader.removeprefix("read_")
    with duckdb.connect() as connection:
        for place, number in ((folder, 1), (decoy, 2)):
            select = f"copy (select {number} as a) to {literal(str(place / 'x'))} (format {form})"
            connection.execute(select)
        found = connection.execute(f"select * from {scan(reader, folder / 'x')}").fetchall()
        assert found == [(1,)]
        both = scan(reader, [folder / "x", decoy / "x"], "filename = true")
        assert connection.execute(f"select a, filename from {both}").fetchall() == [
            (1, str(folder / "x")),
            (2, str(decoy / "x")),
        ]
