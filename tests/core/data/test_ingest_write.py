"""How the payload files of a data set are written."""

from pathlib import Path
from typing import Any

import duckdb

from core.data.ingest_write import RowColumns, write_payloads


class Watching:
    """A connection that notes with how many threads each statement runs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.seen: list[tuple[str, int]] = []

    def threads(self) -> int:
        (found,) = self.connection.execute("select current_setting('threads')").fetchall()
        return int(found[0])

    def execute(self, statement: str) -> Any:
        self.seen.append((statement, self.threads()))
        return self.connection.execute(statement)


def test_enums_are_written_with_one_thread(tmp_path: Path) -> None:
    """With two, DuckDB 2.0 loses some of their values on the way into Parquet, too seldom for a test to wait for it."""
    with duckdb.connect(config={"threads": 3}) as connection:
        for name, code in (("u", 7), ("i", 9)):
            connection.execute(f"create type {name}_id as enum ('{code}')")
            connection.execute(
                f"create table by_{name} as select '{code}'::{name}_id as {name}, 1 as rows, 1 as train_rows"
            )
        connection.execute(
            "create table events as select '7'::u_id as u, '9'::i_id as i, 4.5 as rating, 5 as time, true as warm"
        )
        connection.execute(
            "create table facts (item varchar, title varchar, year integer, categories varchar[], description varchar)"
        )
        connection.execute("create table unrated (item varchar)")
        watching = Watching(connection)
        splits = write_payloads(watching, RowColumns(split="1", label="1"), tmp_path)
        assert splits["valid"]["rows"] == 1
        enums = [
            (statement, threads)
            for statement, threads in watching.seen
            if statement.startswith("COPY")
            and any(
                "ENUM" in str(column[1])
                for column in connection.execute(
                    f"describe {statement[len('COPY ') : statement.rindex(' TO ')]}"
                ).fetchall()
            )
        ]
        assert [threads for _, threads in enums] == [1]
        assert watching.threads() == 3
