"""Bad input: an error of its own kind that says what and where, and what to do."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.data import ingest
from core.errors import (
    BadValueError,
    ConfigError,
    EmptyFileError,
    EmptySplitError,
    EncodingError,
    MismatchError,
    MissingColumnError,
    MissingFileError,
    ThinkRecError,
    TimeUnitError,
)
from tests.core.data.ingesting import as_csv, ratings, run, table

ROWS = ratings(30)


def refused(kind: type[ThinkRecError], folder: Path, text: str, **settings: Any) -> tuple[str, str]:
    """Return problem and hint of the error that ingesting raises; both must be one line."""
    with pytest.raises(kind) as caught:
        table(folder, text, **settings)
    assert type(caught.value) is kind
    problem, hint = str(caught.value), caught.value.hint
    assert "\n" not in problem
    assert "\n" not in hint
    assert hint
    return problem, hint


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(as_csv(ROWS))
    with pytest.raises(MissingFileError, match=r"ratinsg\.csv") as problem:
        run(tmp_path, source="table", interactions=str(tmp_path / "ratinsg.csv"))
    assert "ratings.csv?" in problem.value.hint
    with pytest.raises(MissingFileError, match="is a folder"):
        run(tmp_path, source="table", interactions=str(tmp_path))


@pytest.mark.parametrize("source", ["ml-100k", "ml-1m", "movielens", "recbole"])
def test_missing_or_wrong_folder(tmp_path: Path, source: str) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        run(tmp_path, source=source, path=str(tmp_path / "nowhere"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MissingFileError, match="empty"):
        run(tmp_path, source=source, path=str(empty))


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl", "r.parquet", "r.tsv"])
def test_empty_file(tmp_path: Path, name: str) -> None:
    problem, _ = refused(EmptyFileError, tmp_path, "", name=name)
    assert f"{name} is empty" in problem


def test_header_without_rows(tmp_path: Path) -> None:
    problem, _ = refused(EmptyFileError, tmp_path, "user,item,rating,time\n")
    assert "holds no rows" in problem


def test_wrong_encoding_names_the_line_and_the_option(tmp_path: Path) -> None:
    rows = [*ROWS[:9], ("Zoë", "i", "4", "5")]
    problem, hint = _latin(tmp_path, rows)
    assert "line 11: not utf-8 text" in problem
    assert "--encoding latin-1" in hint
    read = run(
        tmp_path, source="table", interactions=str(tmp_path / "latin.csv"), encoding="latin-1"
    )
    assert "Zoë" in {row["user"] for row in read.users}


def _latin(folder: Path, rows: list[tuple[str, ...]], **settings: Any) -> tuple[str, str]:
    (folder / "latin.csv").write_bytes(as_csv(rows).encode("latin-1"))
    with pytest.raises(EncodingError) as caught:
        run(folder, source="table", interactions=str(folder / "latin.csv"), **settings)
    return str(caught.value), caught.value.hint


def test_wrong_encoding_is_never_rejected_row_by_row(tmp_path: Path) -> None:
    assert "line 11" in _latin(tmp_path, [*ROWS[:9], ("Zoë", "i", "4", "5")], bad_rows="reject")[0]


def test_wrong_encoding_in_the_items_file(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_bytes("item,title\ni0,Amélie\n".encode("latin-1"))
    problem, _ = refused(EncodingError, tmp_path, as_csv(ROWS), items=str(tmp_path / "items.csv"))
    assert "items.csv: line 2" in problem


def test_wrong_encoding_in_json_lines(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(
        '{"user":"a","item":"b","rating":1,"time":1}\n{"user":"é","item":"b","rating":1,"time":1}\n'.encode(
            "latin-1"
        )
    )
    with pytest.raises(EncodingError, match="line 2"):
        run(tmp_path, source="table", interactions=str(tmp_path / "r.jsonl"))


def test_missing_column_names_the_nearest_and_its_option(tmp_path: Path) -> None:
    problem, hint = refused(
        MissingColumnError, tmp_path, as_csv(ROWS, header="usr,item,rating,time")
    )
    assert "no column 'user' for the user's id; columns are: usr, item, rating, time" in problem
    assert hint == "Did you mean --user-column 'usr'?"
    problem, hint = refused(MissingColumnError, tmp_path, as_csv(ROWS), rating_column="ratings")
    assert "no column 'ratings'" in problem
    assert hint == "Did you mean --rating-column 'rating'?"


def test_column_named_twice(tmp_path: Path) -> None:
    problem, _ = refused(BadValueError, tmp_path, as_csv(ROWS, header="user,item,rating,user"))
    assert "line 1: the column 'user' occurs twice" in problem
    problem, _ = refused(BadValueError, tmp_path, as_csv(ROWS, header="User,item,rating,user"))
    assert "line 1: the columns 'User' and 'user' differ by letter case only" in problem


def test_a_row_in_place_of_a_header_is_told_when_it_repeats_a_value(tmp_path: Path) -> None:
    problem, hint = refused(BadValueError, tmp_path, "1,1,5,874965758\n1,2,3,876893171\n")
    assert "line 1: the column '1' occurs twice" in problem
    assert "The first line has to name the columns" in hint


def test_a_blank_first_line_is_not_an_empty_file(tmp_path: Path) -> None:
    problem, hint = refused(BadValueError, tmp_path, "\n" + as_csv(ROWS))
    assert "ratings.csv: line 1 is blank" in problem
    assert "Delete" in hint
    assert "is empty" in refused(EmptyFileError, tmp_path, "\n \n")[0]


def test_quote_that_is_the_delimiter(tmp_path: Path) -> None:
    assert "is also the delimiter" in refused(ConfigError, tmp_path, as_csv(ROWS), quote=",")[0]


@pytest.mark.parametrize("name", ["r.csv.zip", "r.zst", "r.json.xz", "r.XLSX", "r.tar.gz"])
def test_archives_and_sheets_are_told_by_their_suffix(tmp_path: Path, name: str) -> None:
    problem, hint = refused(BadValueError, tmp_path, as_csv(ROWS), name=name)
    assert "files are not read" in problem
    assert "first" in hint


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[{"user": 1,\n "item": 2}, {"us', "line 2: broken JSON"),
        ("[1, 2, 3]", "row 1: not an object"),
        ('[{"user": 1}, 2]', "row 2: not an object"),
        ('[{"user": 1, "User": 2}]', "'user' and 'User' differ by letter case only"),
    ],
)
def test_an_array_that_is_not_one_of_objects(tmp_path: Path, text: str, place: str) -> None:
    assert place in refused(BadValueError, tmp_path, text, name="r.json")[0]


@pytest.mark.parametrize(
    ("row", "place"),
    [
        (("u", "i", "five", "4"), "column 'rating': 'five' is not a number"),
        (("u", "i", "", "4"), "column 'rating': no value"),
        (("u", "i", "nan", "4"), "column 'rating': 'nan' is not a number"),
        (("u", "i", "1_5", "4"), "column 'rating': '1_5' is not a number"),
        (("u", "i", "4", "1_000_000_000"), "column 'time': '1_000_000_000' is not a time"),
        (("u", "i", "4,5", "4"), "the number of values is not the number of columns"),
        (("u", "i", "4", "yesterday"), "column 'time': 'yesterday' is not a time"),
        (("u", "i", "4", ""), "column 'time': no value"),
        (("", "i", "4", "4"), "column 'user': no value"),
        (("u", "  ", "4", "4"), "column 'item': no value"),
    ],
)
def test_bad_value_names_line_column_and_value(
    tmp_path: Path, row: tuple[str, ...], place: str
) -> None:
    rows = [*ROWS[:4], row, *ROWS[4:]]
    problem, hint = refused(BadValueError, tmp_path, as_csv(rows))
    assert f"ratings.csv: line 6: {place}" in problem
    assert "--bad-rows reject" in hint


def test_line_numbers_hold_with_blank_lines_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    text = 'user,item,rating,time,title\n\n"u1",i,4,1,"two\nlines"\n\nu2,i,x,2,t\n'
    problem, _ = refused(BadValueError, tmp_path, text)
    assert "line 6: column 'rating': 'x'" in problem


def test_bad_value_deep_in_a_large_file_names_its_line(tmp_path: Path) -> None:
    good = "user77,item12,4,1000000000\n"
    text = "user,item,rating,time\n" + good * 300_000 + "user77,item12,bad,1\n" + good * 10
    problem, _ = refused(BadValueError, tmp_path, text)
    assert "line 300002" in problem


def test_a_very_long_value_does_not_hide_the_line_of_a_bad_one(tmp_path: Path) -> None:
    long = "word " * 50_000
    good = [(*row, "t") for row in ROWS[:3]]
    text = as_csv([*good, ("u", "i", "4", "5", long)], header="user,item,rating,time,title")
    problem, _ = refused(BadValueError, tmp_path, text + "u,j,five,6,t\n")
    assert "line 6: column 'rating': 'five' is not a number" in problem
    assert "line 6: the number of values" in refused(BadValueError, tmp_path, text + "u,j\n")[0]


def test_a_header_that_is_none_is_told(tmp_path: Path) -> None:
    problem, hint = refused(BadValueError, tmp_path, "x" * (3 << 20) + ",user\n")
    assert "ratings.csv: line 1: field larger than" in problem
    assert "delimiter" in hint


@pytest.mark.parametrize("unit", ["auto", "s", "ms", "us", "ns"])
def test_the_smallest_integer_is_no_time(tmp_path: Path, unit: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    factor = {"ms": 10**3, "us": 10**6, "ns": 10**9}.get(unit, 1)
    users, items, values, times = zip(*ROWS, strict=True)
    # How pandas writes a time that is missing into a column of whole numbers.
    column = pa.array([int(time) * factor for time in times[:-1]] + [-(2**63)], pa.int64())
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"user": users, "item": items, "rating": values, "time": column}), path)
    settings = {"source": "table", "interactions": str(path), "time_unit": unit}
    with pytest.raises(BadValueError, match="row 30: column 'time': '-9223372036854775808' is not"):
        run(tmp_path, **settings)
    report = run(tmp_path, **settings, bad_rows="reject").report
    assert report["rows"]["rejected_by_reason"] == {"time is before the year 1684": 1}
    assert report["first_time"] == int(times[0])


def test_bad_value_in_json_and_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    line = '{"user":"a","item":"b","rating":%s,"time":1}\n'
    problem, _ = refused(BadValueError, tmp_path, line % 4 + "\n" + line % '"good"', name="r.jsonl")
    assert "line 3: column 'rating': 'good'" in problem
    many = line % 4 + line % '"good"' + line % 5
    assert "line 2: " in refused(BadValueError, tmp_path, many, name="r.jsonl")[0]
    problem, _ = refused(
        BadValueError, tmp_path, line % 4 + line % 3 + '{"user": \n', name="r.jsonl"
    )
    assert "line 3: broken JSON" in problem
    path = tmp_path / "r.parquet"
    pq.write_table(
        pa.table({"user": ["a", "b"], "item": ["x", None], "rating": [1, 2], "time": [1, 2]}), path
    )
    with pytest.raises(BadValueError, match="row 2: column 'item': no value"):
        run(tmp_path, source="table", interactions=str(path))
    whole = {"user": [1, None], "item": [5, 6], "rating": [1, 2], "time": [1, 2]}
    pq.write_table(pa.table(whole), path)
    with pytest.raises(BadValueError, match="row 2: column 'user': no value"):
        run(tmp_path, source="table", interactions=str(path))
    problem, _ = refused(BadValueError, tmp_path, "hello, this is text", name="t.parquet")
    assert "not a Parquet file" in problem


def test_quote_that_is_never_closed_swallows_no_rows(tmp_path: Path) -> None:
    text = as_csv([*ROWS[:3], ('"u', "i", "4", "5"), *ROWS[3:]])
    for bad_rows in ("error", "reject"):
        problem, hint = refused(BadValueError, tmp_path, text, bad_rows=bad_rows)
        assert "line 5: a quote is opened and not closed" in problem
        assert "--quote none" in hint
    assert table(tmp_path, text, quote="none").report["rows"]["kept"] == 31


def test_mixed_line_ends_are_told(tmp_path: Path) -> None:
    text = as_csv(ROWS[:10]).replace("\n", "\r\n") + as_csv(ROWS[10:]).split("\n", 1)[1]
    problem, _ = refused(BadValueError, tmp_path, text)
    assert "line ends are mixed" in problem


def test_broken_gzip(tmp_path: Path) -> None:
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(random.Random(0).randbytes(5000))[:900])
    with pytest.raises((BadValueError, EncodingError)):
        run(tmp_path, source="table", interactions=str(tmp_path / "r.csv.gz"))
    (tmp_path / "plain.csv.gz").write_text(as_csv(ROWS))
    with pytest.raises(BadValueError, match="not a complete gzip file"):
        run(tmp_path, source="table", interactions=str(tmp_path / "plain.csv.gz"))
    (tmp_path / "plain.json.gz").write_text(_json(ROWS))
    with pytest.raises(BadValueError, match="not a complete gzip file"):
        run(tmp_path, source="table", interactions=str(tmp_path / "plain.json.gz"))


@pytest.mark.parametrize("damage", ["cut", "bit", "sum"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("bad_rows", ["error", "reject"])
def test_gzip_that_is_damaged_is_refused_whatever_may_be_left_out(
    tmp_path: Path, form: str, bad_rows: str, damage: str
) -> None:
    rng = random.Random(0)
    rows = [
        (f"u{rng.randrange(500)}", f"i{rng.randrange(900)}", "4", str(10**9 + k))
        for k in range(20_000)
    ]
    packed = bytearray(gzip.compress((as_csv(rows) if form == "csv" else _json(rows)).encode()))
    if damage == "cut":
        del packed[-20:]
    else:
        packed[-8 if damage == "sum" else len(packed) // 2] ^= 1
    path = tmp_path / f"r.{form}.gz"
    path.write_bytes(packed)
    (tmp_path / "whole.csv").write_text(as_csv(rows))
    for settings in (
        {"interactions": str(path)},
        {"interactions": str(tmp_path / "whole.csv"), "items": str(path)},
    ):
        with pytest.raises(BadValueError, match=f"r.{form}.gz: not a complete gzip file"):
            run(tmp_path, source="table", bad_rows=bad_rows, **settings)


@pytest.mark.parametrize(("factor", "unit"), [(10**3, "ms"), (10**6, "us"), (10**9, "ns")])
def test_times_that_are_too_fine_name_their_unit(tmp_path: Path, factor: int, unit: str) -> None:
    rows = [(*row[:3], str(int(row[3]) * factor)) for row in ROWS]
    problem, hint = refused(TimeUnitError, tmp_path, as_csv(rows))
    assert f"line 2: column 'time': {rows[0][3]} is too large for seconds" in problem
    assert f"--time-unit {unit}" in hint
    # also when bad rows may be left out: all of them are no accident
    refused(TimeUnitError, tmp_path, as_csv(rows), bad_rows="reject")


def test_the_line_of_a_time_that_is_too_fine_counts_those_left_out(tmp_path: Path) -> None:
    fine = [(*row[:3], str(int(row[3]) * 1000)) for row in ROWS]
    text = as_csv([ROWS[0], ("u", "i"), ('"a\nb"', "i", "4", "4"), ("u", "i", "4"), *fine[1:]])
    problem, hint = refused(TimeUnitError, tmp_path, text, bad_rows="reject")
    assert f"line 7: column 'time': {fine[1][3]} is too large" in problem
    assert "--time-unit ms" in hint


def test_dates_without_dashes_are_not_taken_for_seconds(tmp_path: Path) -> None:
    rows = [(*row[:3], str(20010601 + k)) for k, row in enumerate(ROWS)]
    problem, hint = refused(TimeUnitError, tmp_path, as_csv(rows))
    assert "column 'time': 20010601 is a date, not seconds since 1970" in problem
    assert "--time-unit iso" in hint
    refused(TimeUnitError, tmp_path, as_csv(rows), since="2001-01-01")
    read = table(tmp_path, as_csv(rows), time_unit="iso")
    assert read.interactions[0]["time"] == 991353600  # 2001-06-01
    assert table(tmp_path, as_csv(rows), time_unit="s").interactions[0]["time"] == 20010601
    # A 32nd of June is none, so these are seconds.
    table(tmp_path, as_csv([*rows, ("u", "i", "4", "20010632")]))


@pytest.mark.parametrize("end", ["", ".0"])
@pytest.mark.parametrize("bad_rows", ["error", "reject"])
def test_times_without_dashes_are_not_taken_for_milliseconds(
    tmp_path: Path, bad_rows: str, end: str
) -> None:
    rows = [(*row[:3], str(20200102030405 + k) + end) for k, row in enumerate(ROWS)]
    bad = [("", "i", "4", "20200102030405")] if bad_rows == "reject" else []
    text = as_csv([*bad, *rows])
    for unit, what in (
        ("auto", "is too large for seconds since 1970"),
        ("s", "is too large for seconds since 1970"),
        ("ms", "is a date, not milliseconds since 1970"),
    ):
        problem, hint = refused(TimeUnitError, tmp_path, text, time_unit=unit, bad_rows=bad_rows)
        line = 3 if bad_rows == "reject" else 2
        assert f"line {line}: column 'time': 20200102030405{end} {what}" in problem
        assert hint == "If these are dates, add --time-unit iso."
    read = table(tmp_path, text, time_unit="iso", bad_rows=bad_rows)
    assert read.interactions[0]["time"] == 1577934245


@pytest.mark.parametrize("value", ["20200230030405", "infinity", " 2020010203040", "20200102x"])
def test_what_is_no_date_without_dashes_is_not_read_as_one(tmp_path: Path, value: str) -> None:
    rows = [*ROWS[:1], ("u", "i", "4", value)]
    iso = [(*row[:3], "20200102030405" if row in ROWS else row[3]) for row in rows]
    problem, _ = refused(BadValueError, tmp_path, as_csv(iso), time_unit="iso")
    assert f"line 3: column 'time': '{value}' is not a time in ISO 8601" in problem


@pytest.mark.parametrize(
    ("unit", "value", "form"),
    [
        ("iso", "1000000000", "ISO 8601"),
        ("s", "2001-09-09", "seconds since 1970"),
        ("ms", "2001-09-09T01:46:40Z", "milliseconds since 1970"),
        ("us", "2001-09-09", "microseconds since 1970"),
        ("ns", "2001-09-09", "nanoseconds since 1970"),
    ],
)
def test_a_time_that_the_unit_does_not_read_blames_the_unit_first(
    tmp_path: Path, unit: str, value: str, form: str
) -> None:
    rows = [(*row[:3], value) for row in ROWS]
    problem, hint = refused(BadValueError, tmp_path, as_csv(rows), time_unit=unit)
    assert f"line 2: column 'time': '{value}' is not a time in {form} (--time-unit" in problem
    assert hint.startswith(f"Leave --time-unit {unit} out")
    assert "--bad-rows reject" in hint
    # It is what was advised.
    table(tmp_path, as_csv([*rows, *ROWS]))
    # What is no time in any unit is the file's fault.
    rows = [(*row[:3], "yesterday") for row in ROWS]
    problem, hint = refused(BadValueError, tmp_path, as_csv(rows), time_unit=unit)
    assert f"'yesterday' is not a time in {form}" in problem
    assert hint.startswith("Correct the file")


def test_a_time_that_is_too_large_is_told_in_the_unit_in_force(tmp_path: Path) -> None:
    fine = [(*row[:3], row[3] + "0" * 6) for row in ROWS]
    problem, hint = refused(TimeUnitError, tmp_path, as_csv(fine), time_unit="ms")
    assert "is too large for milliseconds since 1970" in problem
    assert "--time-unit us" in hint
    late = [(*row[:3], "9999-12-31") for row in ROWS]
    problem, hint = refused(BadValueError, tmp_path, as_csv(late))
    assert "line 2: column 'time': '9999-12-31' is after the year 5138" in problem
    assert "--time-unit" not in hint


def test_floating_times_that_are_too_fine_name_their_unit(tmp_path: Path) -> None:
    users, items, values, times = zip(*ROWS, strict=True)
    # DuckDB writes such floats as 1e+18.
    column = pa.array([float(time) * 10**9 for time in times], pa.float64())
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"user": users, "item": items, "rating": values, "time": column}), path)
    with pytest.raises(TimeUnitError) as caught:
        run(tmp_path, source="table", interactions=str(path))
    assert "--time-unit ns" in caught.value.hint


def test_times_that_are_too_coarse_for_the_unit_are_told(tmp_path: Path) -> None:
    problem, hint = refused(TimeUnitError, tmp_path, as_csv(ROWS), time_unit="ms")
    assert "later than 1973" in problem
    assert "--time-unit s" in hint


def test_one_time_that_is_too_large_can_be_rejected(tmp_path: Path) -> None:
    text = as_csv([*ROWS, ("u", "i", "4", "1000000000000")])
    result = table(tmp_path, text, bad_rows="reject")
    assert result.report["rows"]["rejected_by_reason"] == {"time is not in seconds": 1}


def test_no_usable_row_lists_the_reasons(tmp_path: Path) -> None:
    problem, _ = refused(
        EmptyFileError, tmp_path, as_csv([("u", "i", "x", "4")] * 3), bad_rows="reject"
    )
    assert "none of 3 rows can be used: rating is not a number (3)" in problem
    problem, _ = refused(EmptyFileError, tmp_path, as_csv(ROWS), until="1980-01-01")
    assert "outside the kept time (30)" in problem


def test_empty_split(tmp_path: Path) -> None:
    problem, hint = refused(
        EmptySplitError, tmp_path, as_csv([("u", "i", "4", "1"), ("v", "i", "4", "1")])
    )
    assert "no row for train (train 0, valid 0, test 2)" in problem
    assert "--train-fraction" in hint
    dates = {"valid_from": "2030-01-01", "test_from": "2031-01-01"}
    assert "no row for valid" in refused(EmptySplitError, tmp_path, as_csv(ROWS), **dates)[0]


def test_item_without_an_id(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,title\ni0,A\n,B\n")
    problem, _ = refused(BadValueError, tmp_path, as_csv(ROWS), items=str(items))
    assert "items.csv: line 3: column 'item': no value" in problem
    report = table(tmp_path, as_csv(ROWS), items=str(items), bad_rows="reject").report
    assert report["item_rows"] == {"read": 2, "repeated": 0, "without_id": 1, "broken": 0}


def test_broken_lines_of_an_items_file_are_left_out_and_counted(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,title\ni0,A\ni1\ni2,B,C\n")
    problem, _ = refused(BadValueError, tmp_path, as_csv(ROWS), items=str(items))
    assert "items.csv: line 3: the number of values" in problem
    text = as_csv([*ROWS, ("u", "i")])
    report = table(tmp_path, text, items=str(items), bad_rows="reject").report
    assert report["item_rows"] == {"read": 3, "repeated": 0, "without_id": 0, "broken": 2}
    assert report["rows"]["rejected_by_reason"] == {"too few values": 1}
    beside = as_csv([*((*row, "T") for row in ROWS), ("u",)], header="user,item,rating,time,title")
    assert table(tmp_path, beside, bad_rows="reject").items[0]["title"] == "T"


def test_items_of_which_none_is_rated(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,title\n101,A\n100,B\n")
    rows = [(user, f"{10 * k}.0", *rest) for k, (user, _, *rest) in enumerate(ROWS, start=10)]
    problem, hint = refused(MismatchError, tmp_path, as_csv(rows), items=str(items))
    assert "none of the 30 rated items" in problem
    assert "'100'" in problem
    assert "'100.0'" in problem
    assert "--item-column" in hint
    items.write_text("item,title\n")
    assert "holds no items" in refused(EmptyFileError, tmp_path, as_csv(ROWS), items=str(items))[0]


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        (("u", "i", "x", "4"), {"bad_rows": "reject"}),
        (("u", "i", "4", "1400000000000"), {"time_unit": "ms"}),
    ],
)
def test_items_are_read_whatever_was_looked_up_among_the_interactions(
    tmp_path: Path, row: tuple[str, ...], settings: dict[str, Any]
) -> None:
    """A half-read result once kept the items file from being opened."""
    items = tmp_path / "items.csv"
    items.write_text("item,title\ni0,Heat &amp; Dust\n")
    unit = 1000 if "time_unit" in settings else 1
    rows = [(u, i, r, str((int(t) + 10**9) * unit)) for u, i, r, t in ROWS]
    result = table(tmp_path, as_csv([*rows, row]), items=str(items), **settings)
    assert [r["title"] for r in result.items if r["item"] == "i0"] == ["Heat &amp; Dust"]
    assert len(result.items) > 1


def _json(rows: list[Any]) -> str:
    names = ("user", "item", "rating", "time")
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)


BROKEN_JSON = ['{"user": "u", "item":', "no json", '["u", "i", 4, 5]', '"text"', "{} {}", "{}"]


@pytest.mark.parametrize("broken", BROKEN_JSON)
def test_broken_json_lines_are_left_out_where_that_is_wanted(tmp_path: Path, broken: str) -> None:
    text = _json(ROWS[:5]) + broken + "\n\n" + _json([("u", "i", "good", 4)]) + _json(ROWS[5:])
    problem, hint = refused(BadValueError, tmp_path, text, name="r.jsonl")
    assert "line 6: " in problem
    assert "--bad-rows reject" in hint
    result = table(tmp_path, text, name="r.jsonl", bad_rows="reject")
    assert result.report["rows"] == {
        "read": len(ROWS) + 2,
        "kept": len(ROWS),
        "rejected": 2,
        "folded": 0,
        "rejected_by_reason": {
            "rating is not a number": 1,
            "no object with the wanted values": 1,
        },
    }


def test_a_line_of_a_file_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    text = _json(ROWS) + '{"user": "u", "it'
    result = table(tmp_path, text, name="r.jsonl", bad_rows="reject")
    assert result.report["rows"]["rejected_by_reason"] == {"no object with the wanted values": 1}


def test_broken_json_lines_of_items_are_counted_as_items_without_an_id(tmp_path: Path) -> None:
    items = tmp_path / "items.json"
    items.write_text('{"item": "i0", "title": "A"}\n{"item": "i1", "ti\n')
    with pytest.raises(BadValueError, match=r"items.json: line 2: broken JSON"):
        table(tmp_path, as_csv(ROWS), items=str(items))
    report = table(tmp_path, as_csv(ROWS), items=str(items), bad_rows="reject").report
    assert report["item_rows"] == {"read": 2, "repeated": 0, "without_id": 1, "broken": 0}


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (
            '{"user": "u", "item": "cut \\ud83d", "rating": 4, "time": 5}',
            "half of a surrogate pair",
        ),
        (
            '{"user": "u", "item": "i", "rating": 4, "rating": 2, "time": 5}',
            "'rating' occurs twice",
        ),
    ],
)
def test_json_that_only_duckdb_refuses_names_its_line(
    tmp_path: Path, broken: str, what: str
) -> None:
    nested = '{"user": "v", "item": "i", "rating": 4, "time": 5, "more": {"a": 1, "a": 2}}\n'
    text = nested + "\n" + _json(ROWS[:5]) + broken + "\n" + _json(ROWS[5:])
    problem, _ = refused(BadValueError, tmp_path, text, name="r.jsonl")
    assert f"r.jsonl: line 8: broken JSON ({what})" in problem


def test_an_array_that_only_duckdb_refuses_is_not_blamed_on_its_first_line(tmp_path: Path) -> None:
    records = [
        json.loads(line) for line in _json([*ROWS[:5], ("\ud83d", "i", "4", "5")]).split("\n")[:-1]
    ]
    problem, _ = refused(BadValueError, tmp_path, json.dumps(records), name="r.json")
    assert "r.json: broken JSON (" in problem
    assert "line" not in problem


def test_json_in_another_encoding_is_told_and_not_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(_json(ROWS[:3]).encode() + '{"user": "Zoë"}\n'.encode("latin-1"))
    with pytest.raises(EncodingError, match="line 4"):
        run(tmp_path, source="table", interactions=str(path), bad_rows="reject")


def test_split_column_with_another_word(tmp_path: Path) -> None:
    rows = [(*row, "train" if k else "holdout") for k, row in enumerate(ROWS)]
    problem, _ = refused(
        BadValueError, tmp_path, as_csv(rows, header="user,item,rating,time,part"), split_by="part"
    )
    assert "line 2: column 'part': 'holdout' is not train, valid or test" in problem


def test_memory_limit_that_is_no_amount(tmp_path: Path) -> None:
    problem, _ = refused(ConfigError, tmp_path, as_csv(ROWS), memory_limit="plenty")
    assert "'plenty'" in problem


def test_memory_limit_is_kept_by_spilling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spilled: list[int] = []
    real = ingest.write_payloads

    def look_and_write(*arguments: Any, **more: Any) -> Any:
        spilled.append(sum(one.stat().st_size for one in (tmp_path / "scratch").rglob("*")))
        return real(*arguments, **more)

    monkeypatch.setattr(ingest, "write_payloads", look_and_write)
    rng = random.Random(0)
    text = as_csv(
        [
            (f"user-number-{rng.randrange(10**6)}", f"i{k % 999}", "4", str(k))
            for k in range(300_000)
        ]
    )
    for limit, spills in (("60MB", True), ("4GB", False)):
        report = table(tmp_path, text, memory_limit=limit, threads=2).report
        assert report["rows"]["read"] == 300_000
        assert (spilled.pop() > 1_000_000) == spills


def test_the_line_of_a_ragged_row_counts_line_breaks_in_quotes(tmp_path: Path) -> None:
    text = 'user,item,rating,time,note\na,x,4,10,"two\nlines"\na,y,4,11,z,more\n'
    with pytest.raises(BadValueError, match="line 4: the number of values"):
        table(tmp_path, text)


def test_utf_16_is_suggested_where_the_file_begins_with_its_mark(tmp_path: Path) -> None:
    text = "user,item,rating,time\na,x,4,10\n"
    with pytest.raises(EncodingError) as told:
        table(tmp_path, text, encoding="utf-16")
    assert "--encoding utf-16" in told.value.hint


def test_utf_16_without_its_mark_is_told(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    for order in ("le", "be"):
        path.write_bytes(as_csv(ROWS).encode(f"utf-16-{order}"))
        with pytest.raises(EncodingError, match="not utf-16 text with a mark"):
            run(tmp_path, source="table", interactions=str(path), encoding="utf-16")


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_the_encoding_that_is_suggested_reads_the_file(
    tmp_path: Path, encoding: str, end: str
) -> None:
    text = as_csv([("Zoë’s", *ROWS[0][1:]), *ROWS[1:]])
    path = tmp_path / f"r.csv{end}"
    path.write_bytes((gzip.compress if end else bytes)(text.encode(encoding)))
    with pytest.raises(EncodingError) as told:
        run(tmp_path, source="table", interactions=str(path))
    assert f"--encoding {encoding};" in told.value.hint
    settings = {"source": "table", "interactions": str(path), "encoding": encoding}
    assert "Zoë’s" in {row["user"] for row in run(tmp_path, **settings).users}
    path.write_bytes((gzip.compress if end else bytes)((text + "u,i,bad,5\n").encode(encoding)))
    with pytest.raises(BadValueError, match="line 32: column 'rating': 'bad'"):
        run(tmp_path, **settings)


def test_gzip_without_its_suffix_is_told(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(gzip.compress(as_csv(ROWS).encode()))
    with pytest.raises(EncodingError, match=r"r\.csv: packed with gzip") as told:
        run(tmp_path, source="table", interactions=str(tmp_path / "r.csv"))
    assert "in .gz" in told.value.hint


@pytest.mark.parametrize("name", ["r.jsonl", "r.json"])
def test_json_in_another_encoding_is_not_to_be_read_with_an_option_it_does_not_take(
    tmp_path: Path, name: str
) -> None:
    records = [dict(zip(("user", "item", "rating", "time"), row, strict=True)) for row in ROWS]
    records[0]["user"] = "Zoë"
    text = (
        json.dumps(records, ensure_ascii=False)
        if name == "r.json"
        else "\n".join(json.dumps(one, ensure_ascii=False) for one in records)
    )
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(EncodingError, match="line 1: not utf-8") as caught:
        run(tmp_path, source="table", interactions=str(tmp_path / name))
    assert "convert the file" in caught.value.hint
    assert "--encoding" not in caught.value.hint


@pytest.mark.parametrize(("value", "what"), [("9" * 5000, "too long"), ("[" * 20_000, "too deep")])
def test_what_python_has_no_room_for_is_broken_json(tmp_path: Path, value: str, what: str) -> None:
    problem, _ = refused(BadValueError, tmp_path, f'{{"user": {value}', name="r.jsonl")
    assert "line 1: broken JSON" in problem
    assert what in problem


def test_a_json_array_after_many_blanks_is_one(tmp_path: Path) -> None:
    records = [dict(zip(("user", "item", "rating", "time"), row, strict=True)) for row in ROWS]
    result = table(tmp_path, " " * 5000 + json.dumps(records), name="r.json")
    assert len(result.interactions) == len(ROWS)


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    columns = zip(*ratings(2000, users=50, items=40), strict=True)
    made = dict(zip(("user", "item", "rating", "time"), map(list, columns), strict=True))
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table(made), path, compression="gzip")
    whole, told = path.read_bytes(), []
    for place in range(40, len(whole) - 400, 97):
        path.write_bytes(whole[:place] + b"\0" * 30 + whole[place + 30 :])
        try:  # some damages are seen by nobody
            run(tmp_path, source="table", interactions=str(path))
        except ThinkRecError as problem:
            told.append(str(problem))
    assert told
    assert not any("\n" in text for text in told)


def test_a_path_means_nothing_but_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder, rows in ((home, ROWS[:20]), (here / "~", ROWS)):
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text(as_csv(rows))
    (here / "~b.csv").write_text(as_csv(ROWS))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    for name in ("~/a.csv", "~b.csv"):
        assert len(run(tmp_path, source="table", interactions=name).interactions) == len(ROWS)
