"""What columns mean: the item that two files share, years in dates, a line before the header, JSON without names."""

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import (
    BadValueError,
    EmptyFileError,
    EmptySplitError,
    MissingColumnError,
    TimeUnitError,
)
from tests.conftest import Heard
from tests.core.data.ingesting import as_csv, ratings, run, table

ROWS = ratings(30)
COUNT = 6  # items of ROWS


def _file(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


# The item's id


def _with_variants(header: str) -> str:
    rows = [(user, f"v{n}", item, *rest) for n, (user, item, *rest) in enumerate(ROWS)]
    return as_csv(rows, header=header)


@pytest.mark.parametrize("name", ["parent_asin", "Parent_ASIN"])
def test_of_several_items_the_one_is_taken_that_the_file_of_items_has(
    tmp_path: Path, name: str
) -> None:
    text = _with_variants("user_id,asin,parent_asin,rating,timestamp")
    items = _file(tmp_path / "items.csv", f"{name},title\ni1,Heat\n")
    found = table(tmp_path, text, items=items)
    assert found.report["columns"]["item"] == "parent_asin"
    assert found.report["items_with_facts"] == 1
    # Without such a file, and by the user's word, all is as before.
    assert table(tmp_path, text).report["columns"]["item"] == "asin"
    both = _file(tmp_path / "both.csv", "asin,parent_asin,title\nv1,i1,Heat\n")
    assert table(tmp_path, text, items=both).report["columns"]["item"] == "asin"
    named = table(tmp_path, text, items=both, item_column="parent_asin")
    assert named.report["columns"]["item"] == "parent_asin"


def test_a_file_of_items_with_several_ids_is_read_by_the_one_of_the_interactions(
    tmp_path: Path,
) -> None:
    items = _file(tmp_path / "items.csv", "isbn,book_id,title\n978,i1,Emma\n")
    other = _file(tmp_path / "other.csv", "book_id,isbn,title\n978,i1,Emma\n")
    for file, header in ((items, "user,book_id,rating,time"), (other, "user,isbn,rating,time")):
        text = as_csv(ROWS, header=header)
        titles = {row["item"]: row["title"] for row in table(tmp_path, text, items=file).items}
        assert titles["i1"] == "Emma"


# Years


def _years(folder: Path, items: str, **settings: Any) -> tuple[list[int | None], list[str]]:
    heard = Heard()
    rows = table(folder, as_csv(ROWS), items=items, progress=heard, **settings).items
    return [row["year"] for row in rows[:COUNT]], heard.lines


@pytest.mark.parametrize(
    ("told", "year"),
    [
        ("1995-05-20", 1995), ("1995/5/2", 1995), ("1995-05", 1995), (" 1995-05-20 ", 1995),
        ("1995-01-01T00:00:00+02:00", 1995), ("1995-05-20 10:11:12.5", 1995), ("1995", 1995),
        ("1995-96", None), ("1995-13-01", None), ("0044-03-15 (BC)", None), ("19_95-01-01", None),
    ],
)  # fmt: skip
def test_the_year_of_a_date_is_the_year(tmp_path: Path, told: str, year: int | None) -> None:
    items = _file(tmp_path / "items.csv", f"item,title,release_date\ni0,Heat,{told}\ni1,Ran,1985\n")
    years, lines = _years(tmp_path, items, year_column="release_date")
    assert years[:2] == [year, 1985]
    assert lines == []


@pytest.mark.parametrize(
    ("kind", "day"),
    [(pa.date32(), date(1995, 5, 20)), (pa.timestamp("ns"), datetime(1995, 5, 20, 12))],
)
def test_dates_of_parquet_have_a_year(tmp_path: Path, kind: pa.DataType, day: date) -> None:
    path = tmp_path / "items.parquet"
    columns = {"item": ["i0", "i1"], "title": ["A", "B"], "year": pa.array([day, None], kind)}
    pq.write_table(pa.table(columns), path)
    assert _years(tmp_path, str(path))[0][:2] == [1995, None]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (("", "20 May  1995"), "'20 May 1995' is neither a year nor a date like 1995-05-20"),
        ((" ", ""), "it holds no value"),
    ],
)
def test_a_year_column_of_the_users_without_a_year_is_told(
    tmp_path: Path, values: tuple[str, str], why: str
) -> None:
    rows = [(f"i{n}", "Heat (1995)", value) for n, value in enumerate(values)]
    items = _file(tmp_path / "items.csv", as_csv(rows, header="item,title,released"))
    years, lines = _years(tmp_path, items, year_column="released")
    assert years[:2] == [1995, 1995]  # of the titles
    assert lines == [
        f"warning: no year in column 'released' of items.csv: {why}; correct it, or name another with --year-column"
    ]


def test_a_guessed_column_without_a_year_is_passed_over(tmp_path: Path) -> None:
    items = _file(tmp_path / "items.csv", "item,title,year\ni0,Heat,unknown\n")
    assert _years(tmp_path, items) == ([None] * COUNT, [])
    beside = Heard()
    rows = [(*row, "never") for row in ROWS]
    text = as_csv(rows, header="user,item,rating,time,released")
    table(tmp_path, text, year_column="released", progress=beside)
    assert "'released' of ratings.csv: 'never' is neither" in "".join(beside.lines)


# One time for all


def _refused(folder: Path, text: str, **settings: Any) -> str:
    with pytest.raises(EmptySplitError) as told:
        table(folder, text, **settings)
    assert "\n" not in told.value.hint
    return str(told.value.hint)


@pytest.mark.parametrize("times", [["7"], ["7.1", "7.9"]])
def test_rows_of_one_time_are_parted_on_each_users_own_line(
    tmp_path: Path, times: list[str]
) -> None:
    text = as_csv([(*row[:3], times[n % len(times)]) for n, row in enumerate(ROWS)])
    hint = _refused(tmp_path, text)
    assert "have one time" in hint
    assert "--split-by user-time, which" in hint
    dates = {"valid_from": "1970-01-01", "test_from": "2000-01-01"}
    assert "user-time in place of --valid-from and --test-from" in _refused(tmp_path, text, **dates)
    shares = {"train_fraction": 0.5, "valid_fraction": 0.25}
    splits = table(tmp_path, text, split_by="user-time", **shares).report["splits"]
    assert all(split["rows"] for split in splits.values())


def test_rows_of_several_times_are_parted_by_other_shares(tmp_path: Path) -> None:
    rows = [(*row[:3], "7" if n else "8") for n, row in enumerate(ROWS)]
    assert "user-time" not in _refused(tmp_path, as_csv(rows))
    # One time is left of a window.
    assert "user-time" in _refused(tmp_path, as_csv(rows), since="1970-01-01T00:00:08")


def test_users_of_one_row_each_are_not_sent_in_a_circle(tmp_path: Path) -> None:
    rows = [(f"u{n}", "i", "4", "7") for n in range(3)]
    assert "one time" not in _refused(tmp_path, as_csv(rows), split_by="user-time")


# JSON and Parquet whose columns have numbers for names


@pytest.mark.parametrize(
    "text", ['{"0":{"user":1,"item":2,"rating":5,"time":1}}', '[{"0":1,"1":2}]', '{"0":1}\n{"1":2}']
)
def test_json_without_names_is_told_what_json_needs(tmp_path: Path, text: str) -> None:
    with pytest.raises(MissingColumnError, match="no column 'user'") as told:
        table(tmp_path, text, name="o.json")
    assert told.value.hint == (
        "Give a list of objects, or one object a line, with fields such as user, item, rating and time."
    )


def test_parquet_without_names_has_no_first_line(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"0": [1], "1": [2]}), path)
    with pytest.raises(MissingColumnError) as told:
        run(tmp_path, source="table", interactions=str(path))
    assert told.value.hint == "Give the columns names, for instance: user, item, rating, time."


def test_fields_of_json_that_differ_by_letter_case_stand_in_no_first_line(tmp_path: Path) -> None:
    with pytest.raises(BadValueError, match="'1e5' and '1E5' differ") as told:
        table(tmp_path, '{"1e5": 1, "1E5": 2}', name="r.json")
    assert told.value.hint == "Give every column a name of its own."


# A line before the header that names the delimiter, as programs write it for Excel


def _semicolons() -> str:
    return as_csv(ROWS, delimiter=";")


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=; "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_names_the_delimiter_is_none_of_the_table(
    tmp_path: Path, first: str, end: str
) -> None:
    (tmp_path / "plain").mkdir()
    wanted = table(tmp_path / "plain", as_csv(ROWS)).interactions
    found = table(tmp_path, (first + "\n" + _semicolons()).replace("\n", end))
    assert found.interactions == wanted


@pytest.mark.parametrize("delimiter", ["\t", "|", " ", "^"])
def test_the_delimiter_is_the_one_that_is_named(tmp_path: Path, delimiter: str) -> None:
    # The header holds more commas, so that a guess would go wrong.
    header = delimiter.join(("user", "item", "rating", "time", "a,b,c,d,e"))
    text = "\n".join([header, *(delimiter.join((*row, "1")) for row in ROWS)])
    assert table(tmp_path, f"sep={delimiter}\n{text}").report["rows"]["kept"] == 30
    # Unless the user names one.
    found = table(tmp_path, "sep=,\n" + _semicolons(), delimiter=";")
    assert found.report["rows"]["kept"] == 30


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_the_line_is_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    named = {} if encoding == "utf-8-sig" else {"encoding": encoding}
    path = tmp_path / "r.csv.gz"
    path.write_bytes(gzip.compress(("sep=;\n" + _semicolons()).encode(encoding)))
    found = run(tmp_path, source="table", interactions=str(path), **named)
    assert found.report["rows"]["kept"] == 30


def test_lines_are_counted_with_the_one_that_names_the_delimiter(tmp_path: Path) -> None:
    header = "user;item;rating;time;title\n"
    good = 'u1;i;4;1;"two\nlines"\n'
    with pytest.raises(BadValueError, match="line 6: column 'rating': 'x' is not a number"):
        table(tmp_path, f"sep=;\n{header}\n{good}u2;i;x;2;t\n")
    with pytest.raises(BadValueError, match="line 5: the number of values is not"):
        table(tmp_path, f"sep=;\n{header}{good}u2;i;5;2\n")
    with pytest.raises(BadValueError, match="line 4: column 'rating': 'x'"):
        table(tmp_path, f"sep=;\n{header}u;i;4;1;t\nv;i;x;2;t\n", quote="none")
    with pytest.raises(BadValueError, match="line 2: the column 'user' occurs twice"):
        table(tmp_path, "sep=;\nuser;user\n")
    with pytest.raises(BadValueError, match="line 2: field larger than"):
        table(tmp_path, "sep=;\n" + "x" * (3 << 20) + ";user\n")


def test_lines_that_are_left_out_are_counted_with_it_too(tmp_path: Path) -> None:
    text = "sep=;\nuser;item;rating;time\nu2;i;5\n"
    report = table(tmp_path, text + _semicolons().split("\n", 1)[1], bad_rows="reject").report
    assert report["rows"]["rejected_by_reason"] == {"too few values": 1}
    with pytest.raises(TimeUnitError, match=r"line 4: column 'time': 1000000000000 is"):
        table(tmp_path, text + "u;i;5;1000000000000\n", bad_rows="reject")


def test_a_line_that_names_the_delimiter_alone_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(EmptyFileError, match="is empty"):
        table(tmp_path, "sep=;\n")
    with pytest.raises(EmptyFileError, match="holds no rows"):
        table(tmp_path, "sep=;\nuser;item;rating;time\n")
    with pytest.raises(BadValueError, match="line 2 is blank"):
        table(tmp_path, "sep=;\n\n" + _semicolons())


def test_a_line_that_was_put_before_a_file_of_other_line_ends_is_refused(tmp_path: Path) -> None:
    """DuckDB finds no rows in it."""
    text = "sep=;\n" + _semicolons().replace("\n", "\r\n")
    with pytest.raises(BadValueError, match="line 1 has another line end than line 2") as told:
        table(tmp_path, text)
    assert told.value.hint.startswith("Delete the first line")


@pytest.mark.parametrize("header", ["user,item,rating,time\n", ""])
def test_ratings_of_amazon_may_begin_with_it(tmp_path: Path, header: str) -> None:
    rows = [(u, i, r, t) if header else (i, u, r, t) for u, i, r, t in ROWS]
    text = "sep=;\n" + header.replace(",", ";") + as_csv(rows, delimiter=";").split("\n", 1)[1]
    result = run(
        tmp_path, source="amazon", interactions=_file(tmp_path / "r.csv", text), since="2001-01-01",
        min_user_rows=0, min_item_rows=0, train_fraction=0.5, valid_fraction=0.25,
    )  # fmt: skip
    assert result.report["rows"]["kept"] == 30
    assert result.report["users"] == 5


def test_a_json_text_is_not_looked_at_for_it(tmp_path: Path) -> None:
    names = ("user", "item", "rating", "time")
    lines = [json.dumps(dict(zip(names, row, strict=True))) for row in ROWS]
    assert table(tmp_path, "\n".join(lines), name="r.jsonl").report["rows"]["kept"] == 30
