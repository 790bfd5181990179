"""The payload files of a data set are written as what they are read as."""

import duckdb

from core.data.ingest_write import RowColumns, interactions_query


def test_no_column_is_written_as_an_enum() -> None:
    """DuckDB 2.0 loses values of enums on the way into Parquet, too seldom for a test to wait for it."""
    with duckdb.connect() as connection:
        for name in ("u", "i"):
            connection.execute(f"create type {name}_id as enum ('7', '9')")
        connection.execute(
            "create table events as select '7'::u_id as u, '9'::i_id as i, 4.5 as rating, 5 as time, true as warm"
        )
        query = interactions_query(RowColumns(split="1", label="1"))
        types = {row[0]: row[1] for row in connection.execute(f"describe {query}").fetchall()}
        assert (types["user"], types["item"], types["split"]) == ("VARCHAR",) * 3
        assert not [kind for kind in types.values() if "ENUM" in kind]
        assert connection.execute(f'select "user", item, split from ({query})').fetchall() == [
            ("7", "9", "valid")
        ]
