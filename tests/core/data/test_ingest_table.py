"""Tables of strangers: every format, column mapping, splits, duplicates, k-core, and the account of rows."""

import csv
import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config.ingest import IngestConfig, implied_rules
from core.data.dataset import Dataset
from core.errors import (
    BadValueError,
    ConfigError,
    DuplicateRowError,
    EmptySplitError,
    MissingColumnError,
)
from core.stages.kinds import DATASET
from tests.conftest import Heard
from tests.core.data.ingesting import as_csv, ratings, run, table

ROWS = ratings(30)


def test_payloads_have_the_declared_columns_and_types(tmp_path: Path) -> None:
    import duckdb

    result = table(tmp_path, as_csv(ROWS))
    with duckdb.connect() as connection:
        for payload in DATASET.payloads:
            if payload.format == "parquet":
                described = connection.execute(
                    f"DESCRIBE FROM '{result.folder / payload.path}'"
                ).fetchall()
                assert {row[0]: row[1] for row in described} == dict(payload.columns)
                assert [row[0] for row in described] == list(payload.columns)
    assert len(Dataset.open(result.folder)) == 30


def test_rows_are_numbered_by_time_and_then_by_file_order(tmp_path: Path) -> None:
    text = "user,item,rating,time\nb,x,5,30\na,y,1,10\na,x,4,20\nb,y,3,10\nb,z,3,40\n"
    rows = table(tmp_path, text, train_fraction=0.6, valid_fraction=0.2).interactions
    assert [(row["user"], row["item"], row["time"]) for row in rows] == [
        ("a", "y", 10), ("b", "y", 10), ("a", "x", 20), ("b", "x", 30), ("b", "z", 40),
    ]  # fmt: skip
    assert [row["row"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["label"] for row in rows] == [0, 0, 1, 1, 0]
    assert [row["split"] for row in rows] == ["train", "train", "train", "valid", "test"]
    # z is in no train row
    assert [row["warm"] for row in rows] == [True, True, True, True, False]


def test_ids_that_are_numbers_are_ordered_by_value(tmp_path: Path) -> None:
    rows = [(user, item, "4", str(time)) for time, (user, item) in enumerate(
        [("10", "b"), ("9", "a"), ("x", "10"), ("100", "9"), ("9", "b"), ("10", "10")]
    )]  # fmt: skip
    result = table(tmp_path, as_csv(rows), train_fraction=0.5, valid_fraction=0.25)
    assert [row["user"] for row in result.users] == ["9", "10", "100", "x"]
    assert [row["item"] for row in result.items] == ["9", "10", "a", "b"]
    for row in result.interactions:
        assert result.users[row["user_index"]]["user"] == row["user"]
        assert result.items[row["item_index"]]["item"] == row["item"]


def _write(folder: Path, form: str) -> Path:
    names = ("user", "item", "rating", "time")
    path = folder / f"ratings.{form}"
    if form == "csv":
        path.write_text(as_csv(ROWS))
    elif form == "tsv":
        path.write_text(as_csv(ROWS, delimiter="\t"))
    elif form == "csv.gz":
        path.write_bytes(gzip.compress(as_csv(ROWS).encode()))
    elif form in ("jsonl", "jsonl.gz"):
        lines = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in ROWS)
        path.write_bytes(gzip.compress(lines.encode()) if form.endswith("gz") else lines.encode())
    elif form == "json":
        path.write_text(json.dumps([dict(zip(names, row, strict=True)) for row in ROWS]))
    else:
        columns = list(zip(*ROWS, strict=True))
        arrays = [
            columns[0],
            columns[1],
            [float(x) for x in columns[2]],
            [int(x) for x in columns[3]],
        ]
        pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), path)
    return path


@pytest.mark.parametrize("form", ["tsv", "csv.gz", "jsonl", "jsonl.gz", "json", "parquet"])
def test_every_format_gives_the_same_data_set(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    wanted = run(tmp_path / "a", source="table", interactions=str(_write(tmp_path, "csv")))
    got = run(tmp_path / "b", source="table", interactions=str(_write(tmp_path, form)))
    assert got.interactions == wanted.interactions
    assert got.users == wanted.users


@pytest.mark.parametrize("name", ["semi;colon.csv", "a*b[1]?.csv", "it's.csv"])
def test_odd_file_names_are_taken_literally(tmp_path: Path, name: str) -> None:
    assert table(tmp_path, as_csv(ROWS), name=name).report["rows"]["read"] == 30


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = _write(tmp_path, "jsonl")
    wanted = run(tmp_path, source="table", interactions=str(path))
    for name, pack in (("marked.jsonl", bytes), ("marked.jsonl.gz", gzip.compress)):
        marked = tmp_path / name
        marked.write_bytes(pack(b"\xef\xbb\xbf" + path.read_bytes()))
        result = run(tmp_path, source="table", interactions=str(marked), title_column="item")
        assert result.interactions == wanted.interactions
        assert result.report["files"] == [name, name]
        assert result.report["items_with_facts"] == result.report["items"]


@pytest.mark.parametrize("delimiter", [";", "|", "\t", "::"])
def test_delimiter_is_guessed_from_the_header(tmp_path: Path, delimiter: str) -> None:
    assert table(tmp_path, as_csv(ROWS, delimiter=delimiter)).report["rows"]["kept"] == 30


def test_byte_order_mark_windows_lines_and_quotes_are_read(tmp_path: Path) -> None:
    text = "\ufeffuser,item,rating,time,title\r\n" + "".join(
        f'{user},{item},{rating},{time},"A ""big"" one, {item}"\r\n'
        for user, item, rating, time in ROWS
    )
    result = table(tmp_path, text)
    assert result.report["rows"]["kept"] == 30
    assert result.items[0]["title"] == 'A "big" one, i0'


def test_columns_without_a_name_are_called_by_their_number(tmp_path: Path) -> None:
    wanted = table(tmp_path, as_csv(ROWS)).interactions
    first = [("x", *row) for row in ROWS]
    assert table(tmp_path, as_csv(first, header=",user,item,rating,time")).interactions == wanted
    last = as_csv([(*row, "") for row in ROWS], header="user,item,rating,time,")
    assert table(tmp_path, last).interactions == wanted
    named = table(tmp_path, as_csv(ROWS, header="user, ,rating,time"), item_column="column1")
    assert named.interactions == wanted


def test_columns_are_guessed_or_named(tmp_path: Path) -> None:
    guessed = table(tmp_path, as_csv(ROWS, header="userId,movieId,stars,timestamp"))
    assert guessed.report["rows"]["kept"] == 30
    named = table(
        tmp_path,
        as_csv(ROWS, header="who,what,how,when"),
        user_column="who",
        item_column="what",
        rating_column="how",
        time_column="when",
    )
    assert named.interactions == guessed.interactions


def test_titles_are_put_together_from_columns(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,city,kind\ni0,St. John's,bar\ni1,,bar\n")
    settings = {"items": str(items), "title_format": "{kind} in {city}'s streets"}
    result = table(tmp_path, as_csv(ROWS), **settings)
    titles = {row["item"]: row["title"] for row in result.items}
    assert titles["i0"] == "bar in St. John's's streets"
    assert titles["i1"] == "i1"  # a part is missing: no title
    with pytest.raises(MissingColumnError, match="town") as problem:
        table(tmp_path, as_csv(ROWS), items=str(items), title_format="{town}")
    assert "--title-format" in problem.value.hint
    with pytest.raises(MissingColumnError, match="City") as problem:
        table(tmp_path, as_csv(ROWS), items=str(items), title_format="a bar in {City}")
    assert problem.value.hint == "Did you mean '{city}' in --title-format?"
    with pytest.raises(ConfigError, match="title_format"):
        IngestConfig(source="ml-1m", path="x", title_format="{city}")


@pytest.mark.parametrize("text", ["city", "in {city", "in city}", "{city} {", "{}", "{{city}}"])
def test_a_title_format_has_columns_in_braces_and_no_other_brace(text: str) -> None:
    with pytest.raises(ConfigError, match="no text with columns in braces") as told:
        IngestConfig(source="table", interactions="x", title_format=text)
    assert "{city}" in told.value.hint


def test_items_give_titles_years_and_categories(tmp_path: Path) -> None:
    items = tmp_path / "items.tsv"
    items.write_text(
        "item\ttitle\tgenres\tdescription\n"
        "i0\tToy Story (1995)\tAnimation|Comedy\ta toy comes alive\n"
        "i1\t\t\t\n"
        'i99\tUnseen (Director\'s Cut)\t"[""Drama, old""]"\t\n'
        "i0\tRepeated\t\t\n"
    )
    result = table(tmp_path, as_csv(ROWS), items=str(items))
    by_id = {row["item"]: row for row in result.items}
    toy = by_id["i0"]
    assert (toy["title"], toy["year"]) == ("Toy Story", 1995)
    assert toy["categories"] == ["Animation", "Comedy"]
    assert toy["description"] == "a toy comes alive"
    assert (by_id["i1"]["title"], by_id["i1"]["year"], by_id["i1"]["categories"]) == (
        "i1",
        None,
        [],
    )
    assert by_id["i2"]["title"] == "i2"  # not in the items file
    # without an interaction: after the others
    assert result.items[-1]["item"] == "i99"
    assert result.items[-1]["categories"] == ["Drama, old"]
    assert [row["item_index"] for row in result.items] == list(range(len(result.items)))
    assert result.report["item_rows"] == {"read": 4, "repeated": 1, "without_id": 0, "broken": 0}
    assert (result.report["items_with_facts"], result.report["items"]) == (2, 6)
    fewer = table(tmp_path, as_csv(ROWS), items=str(items), unrated_items=False)
    assert "i99" not in {row["item"] for row in fewer.items}


@pytest.mark.parametrize(
    "settings",
    [
        {"min_item_rows": 5},
        {"since": "2001-09-09T01:46:45"},
        {"bad_rows": "reject"},
    ],
)
@pytest.mark.parametrize("beside", [False, True])
def test_an_item_that_was_left_out_does_not_come_back_as_unrated(
    tmp_path: Path, settings: dict[str, object], beside: bool
) -> None:
    """Its user would be recommended what he has rated already."""
    rating = "bad" if "bad_rows" in settings else "5"
    first = str(int(ROWS[0][3]) - 1)
    rows = [(*row, "Film") for row in [("u0", "left", rating, first), *ROWS]]
    items = tmp_path / "items.csv"
    items.write_text("item,title\nleft,Left out\nnew,New\ni1,One\n")
    if not beside:
        settings = settings | {"items": str(items)}
    result = table(tmp_path, as_csv(rows, header="user,item,rating,time,title"), **settings)
    rated = {row["item"] for row in result.interactions}
    assert "left" not in rated
    assert {row["item"] for row in result.items} == rated | (set() if beside else {"new"})
    assert sum(result.report["item_titles"].values()) == len(result.items)


def test_ratings_of_32_bits_are_what_was_written(tmp_path: Path) -> None:
    rated = [1.2, 2.2, 3.3] * 10
    for kind in (pa.float32(), pa.float64()):
        users, items, _, times = zip(*ROWS, strict=True)
        columns = {"user": users, "item": items, "rating": pa.array(rated, kind), "time": times}
        path = tmp_path / "r.parquet"
        pq.write_table(pa.table(columns), path)
        result = run(tmp_path, source="table", interactions=str(path), threshold=2.2)
        found = {(row["rating"], row["label"]) for row in result.interactions}
        assert found == {(1.2, 0), (2.2, 0), (3.3, 1)}


def test_parquet_lists_are_categories_as_they_are(tmp_path: Path) -> None:
    items = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item": ["i0"], "title": ["T"], "categories": [["a, b", "c"]]}), items)
    assert table(tmp_path, as_csv(ROWS), items=str(items)).items[0]["categories"] == ["a, b", "c"]


def test_parquet_lists_of_objects_are_their_names(tmp_path: Path) -> None:
    names = ["Drama", "Kids' TV", "Sci-Fi, Fantasy", 'The "Best"']
    objects = [{"id": 18, "name": name} for name in names]
    items = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item": ["i0"], "title": ["T"], "categories": [objects]}), items)
    assert table(tmp_path, as_csv(ROWS), items=str(items)).items[0]["categories"] == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('[{"id": 1, "name": "Kids\' TV"}]', ["Kids' TV"]),
        ('[{"name": "Sci-Fi, Fantasy"}, {"name": "Drama"}]', ["Sci-Fi, Fantasy", "Drama"]),
        ('[{"surname": "x", "name": "y"}]', ["y"]),
        ("[{'id': 1, 'name': 'Drama'}, {'id': 2, 'name': 'Action'}]", ["Drama", "Action"]),
    ],
)
def test_names_of_listed_objects_are_whole(tmp_path: Path, text: str, names: list[str]) -> None:
    items = tmp_path / "items.csv"
    with items.open("w", newline="") as stream:
        csv.writer(stream).writerows([["item", "title", "genres"], ["i0", "T", text]])
    assert table(tmp_path, as_csv(ROWS), items=str(items)).items[0]["categories"] == names


def test_times_in_every_unit_are_the_same_seconds(tmp_path: Path) -> None:
    wanted = [row["time"] for row in table(tmp_path, as_csv(ROWS)).interactions]
    for unit, factor in (("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        rows = [(*row[:3], str(int(row[3]) * factor)) for row in ROWS]
        result = table(tmp_path, as_csv(rows), time_unit=unit)
        assert [row["time"] for row in result.interactions] == wanted
    dates = [(*row[:3], datetime.fromtimestamp(int(row[3]), UTC).isoformat()) for row in ROWS]
    assert [row["time"] for row in table(tmp_path, as_csv(dates)).interactions] == wanted
    zoned = [(*row[:3], row[3].replace("+00:00", "Z")) for row in dates]
    assert [
        row["time"] for row in table(tmp_path, as_csv(zoned), time_unit="iso").interactions
    ] == wanted
    fractions = [(*row[:3], f"{row[3]}.75") for row in ROWS]
    assert [row["time"] for row in table(tmp_path, as_csv(fractions)).interactions] == wanted


def test_parquet_timestamps_are_read_as_times(tmp_path: Path) -> None:
    path = tmp_path / "ratings.parquet"
    columns = list(zip(*ROWS, strict=True))
    times = [datetime.fromtimestamp(int(time), UTC) for time in columns[3]]
    pq.write_table(
        pa.table({"user": columns[0], "item": columns[1], "rating": [4] * 30, "time": times}), path
    )
    result = run(tmp_path, source="table", interactions=str(path))
    assert [row["time"] for row in result.interactions] == [int(time) for time in columns[3]]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_parquet_timestamps_of_every_unit_are_the_same_seconds(
    tmp_path: Path, unit: str, zone: str | None
) -> None:
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    users, items, values, times = zip(*ROWS, strict=True)
    column = pa.array([int(time) * factor for time in times], pa.timestamp(unit, zone))
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"user": users, "item": items, "rating": values, "time": column}), path)
    result = run(tmp_path, source="table", interactions=str(path))
    assert [row["time"] for row in result.interactions] == [int(time) for time in times]


@pytest.mark.parametrize("end", ["", ".0"])
@pytest.mark.parametrize(("form", "step"), [("%Y%m%d", 86400), ("%Y%m%d%H%M%S", 1)])
def test_dates_without_dashes_are_read_where_iso_is_asked_for(
    tmp_path: Path, form: str, step: int, end: str
) -> None:
    times = [991353600 + step * k for k in range(len(ROWS))]  # 2001-06-01
    texts = [datetime.fromtimestamp(time, UTC).strftime(form) for time in times]
    rows = [(*row[:3], text + end) for row, text in zip(ROWS, texts, strict=True)]
    result = table(tmp_path, as_csv(rows), time_unit="iso")
    assert [row["time"] for row in result.interactions] == times


def test_nan_of_floating_ids_is_no_id(tmp_path: Path) -> None:
    nan = float("nan")
    users = [1.0, nan, 2.5, 1.0, -nan, 3.0]
    items = [1.0, 2.0, nan, 3.0, nan, 4.0]
    for kind in (pa.float64(), pa.float32()):
        columns = {"user": pa.array(users, kind), "item": pa.array(items, kind)}
        times = list(range(len(users)))
        path = tmp_path / "r.parquet"
        pq.write_table(pa.table(columns | {"rating": times, "time": times}), path)
        settings = {"source": "table", "interactions": str(path)}
        with pytest.raises(BadValueError, match=r"row 2: column 'user': '-?nan' is not an id"):
            run(tmp_path, **settings)
        result = run(tmp_path, **settings, bad_rows="reject", valid_fraction=0.0)
        reasons = {"no user id": 2, "no item id": 1}
        assert result.report["rows"]["rejected_by_reason"] == reasons
        assert [row["user"] for row in result.users] == ["1.0", "3.0"]
        assert [row["item"] for row in result.items] == ["1.0", "3.0", "4.0"]


@pytest.mark.parametrize("name", ["r.jsonl", "r.json"])
@pytest.mark.parametrize("late", [False, True])
def test_nan_without_quotes_is_no_id_of_json(tmp_path: Path, name: str, late: bool) -> None:
    nan = float("nan")
    pairs = [("a", "x"), ("NaN", "y"), (nan, "x"), ("b", nan), (nan, nan), ("b", "NaN")]
    records = [
        {"user": user, "item": item, "rating": 4, "time": time}
        for time, (user, item) in enumerate(pairs)
    ]
    if late:  # so late that the column is not known from the first objects
        records = [{"rating": 4, "time": 0, "item": "x"}] * 100 + records
    lines = [json.dumps(record) for record in records]
    text = f"[{', '.join(lines)}]" if name == "r.json" else "\n\n".join(lines)
    place = "row 3" if name == "r.json" else "line 5"
    if not late:
        with pytest.raises(BadValueError, match=f"{place}: column 'user': 'NaN' is not an id"):
            table(tmp_path, text, name=name)
    result = table(tmp_path, text, name=name, bad_rows="reject", valid_fraction=0.0)
    reasons = {"no user id": 102 if late else 2, "no item id": 1}
    assert result.report["rows"]["rejected_by_reason"] == reasons
    assert [row["user"] for row in result.users] == ["NaN", "a", "b"]
    assert [row["item"] for row in result.items] == ["NaN", "x", "y"]


def test_nan_of_a_text_is_an_id(tmp_path: Path) -> None:
    rows = [("nan", "NaN", *ROWS[0][2:]), *ROWS[1:]]
    assert "nan" in {row["user"] for row in table(tmp_path, as_csv(rows)).users}
    assert "NaN" in {row["item"] for row in table(tmp_path, as_csv(rows)).items}


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        (pa.int64(), [10, -3, 2, 2**40, 2]),
        (pa.int32(), [10, -3, 2, 100_000, 2]),
        (pa.uint64(), [10, 2**64 - 1, 2, 3, 2]),
    ],
)
def test_whole_number_ids_of_parquet_are_the_same_ids_as_their_texts(
    tmp_path: Path, kind: pa.DataType, ids: list[int]
) -> None:
    results = {}
    for name, values, which in (("number", ids, kind), ("text", map(str, ids), pa.string())):
        folder = tmp_path / name
        folder.mkdir()
        both = pa.array(values, which)
        columns = {"user": both, "item": both[::-1], "rating": [4, 1, 5, 2, 3]}
        pq.write_table(pa.table(columns | {"time": [1, 2, 3, 4, 5]}), folder / "r.parquet")
        results[name] = run(
            folder, source="table", interactions=str(folder / "r.parquet"), split_by="time",
            train_fraction=0.5, valid_fraction=0.2,
        )  # fmt: skip
    number, text = results["number"], results["text"]
    assert number.interactions == text.interactions
    assert number.users == text.users
    assert number.items == text.items
    assert [row["user"] for row in number.users] == [str(i) for i in sorted(set(ids))]


def test_numbers_spelled_differently_are_different_ids(tmp_path: Path) -> None:
    rows = [(f"{user}", "1", "4", str(n)) for n, user in enumerate(("7", "007", "+7", " 7", "7.0"))]
    result = table(tmp_path, as_csv(rows))
    assert {row["user"] for row in result.users} == {"7", "007", "+7", " 7", "7.0"}


def test_user_time_cuts_each_users_own_line_and_rounds_as_documented(tmp_path: Path) -> None:
    wanted = {
        1: (1, 0, 0),
        2: (1, 0, 1),
        3: (2, 0, 1),
        4: (2, 1, 1),
        5: (3, 1, 1),
        10: (7, 1, 2),
        20: (14, 2, 4),
    }
    rows = [(f"u{n}", f"i{k}", "4", str(1000 * n + k)) for n in wanted for k in range(n)]
    random.Random(0).shuffle(rows)
    result = table(tmp_path, as_csv(rows), split_by="user-time")
    for n, counts in wanted.items():
        mine = [row["split"] for row in result.interactions if row["user"] == f"u{n}"]
        assert tuple(mine.count(split) for split in ("train", "valid", "test")) == counts
        assert mine == sorted(mine, key=["train", "valid", "test"].index)


def test_split_by_time_never_parts_one_second(tmp_path: Path) -> None:
    rows = [(f"u{k}", f"i{k % 3}", "4", str(k // 10)) for k in range(100)]
    result = table(tmp_path, as_csv(rows), train_fraction=0.75, valid_fraction=0.1)
    seen: dict[int, set[str]] = {}
    for row in result.interactions:
        seen.setdefault(row["time"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in seen.values())
    assert [result.report["splits"][split]["rows"] for split in ("train", "valid", "test")] == [
        70,
        10,
        20,
    ]


def test_split_by_dates_and_window(tmp_path: Path) -> None:
    rows = [(f"u{k % 4}", f"i{k}", "4", f"2020-{k + 1:02d}-15") for k in range(12)]
    result = table(
        tmp_path, as_csv(rows), since="2020-02-01", valid_from="2020-06-01", test_from="2020-09-01", until="2020-12-01"
    )  # fmt: skip
    assert [result.report["splits"][split]["rows"] for split in ("train", "valid", "test")] == [
        4,
        3,
        3,
    ]
    assert result.report["rows"]["rejected_by_reason"] == {"outside the kept time": 2}
    assert "2020-06-01" in result.report["split_rule"]


def test_split_by_a_column_takes_its_word(tmp_path: Path) -> None:
    words = [
        "train",
        "Train",
        "training",
        "valid",
        "val",
        "dev",
        "test",
        "TEST",
        "testing",
        " train ",
    ]
    rows = [(f"u{k}", "i", "4", str(k), word) for k, word in enumerate(words)]
    result = table(tmp_path, as_csv(rows, header="user,item,rating,time,fold"), split_by="fold")
    assert [row["split"] for row in result.interactions] == ["train"] * 3 + ["valid"] * 3 + [
        "test"
    ] * 3 + ["train"]


def test_train_rows_behind_held_out_ones_are_told(tmp_path: Path) -> None:
    # b's first train row is before all of b's, c's is in the same second as its test row.
    rows = [
        ("a", "i1", "4", "1", "test"), ("a", "i2", "4", "2", "train"), ("a", "i3", "4", "3", "valid"),
        ("a", "i4", "4", "4", "train"), ("b", "i1", "4", "1", "train"), ("b", "i2", "4", "2", "test"),
        ("c", "i1", "4", "5", "test"), ("c", "i2", "4", "5", "train"),
    ]  # fmt: skip
    heard = Heard()
    text = as_csv(rows, header="user,item,rating,time,split")
    table(tmp_path, text, split_by="split", progress=heard)
    (line,) = heard.lines
    assert line.startswith("2 of 4 train rows come after valid or test rows of their user")
    in_order = Heard()
    table(tmp_path, text.replace("train", "test"), split_by="user-time", progress=in_order)
    table(
        tmp_path, as_csv(rows[4:6], header="user,item,rating,time,split"), split_by="split",
        progress=in_order,
    )  # fmt: skip
    assert in_order.lines == []


def test_split_column_may_leave_valid_out_but_not_test(tmp_path: Path) -> None:
    header = "user,item,rating,time,split"
    two = [("u", f"i{k}", "4", str(k), word) for k, word in enumerate(["train", "test"])]
    assert (
        table(tmp_path, as_csv(two, header=header), split_by="split").report["splits"]["valid"][
            "rows"
        ]
        == 0
    )
    with pytest.raises(EmptySplitError, match="no row for test"):
        table(tmp_path, as_csv(two[:1], header=header), split_by="split")


def test_split_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError, match="no column 'folds'") as problem:
        table(
            tmp_path,
            as_csv([(*row, "train") for row in ROWS], header="user,item,rating,time,fold"),
            split_by="folds",
        )
    assert "'fold'" in problem.value.hint


@pytest.mark.parametrize(("choice", "rating"), [("last", 2.0), ("first", 5.0)])
def test_repeated_pairs_fold_into_one_by_time(tmp_path: Path, choice: str, rating: float) -> None:
    repeated = [("u0", "i0", "2", "2000000000"), ("u0", "i0", "5", "5"), *ROWS]
    result = table(tmp_path, as_csv(repeated), on_duplicate=choice)
    found = [
        row["rating"] for row in result.interactions if (row["user"], row["item"]) == ("u0", "i0")
    ]
    assert found == [rating]
    assert result.report["rows"]["folded"] == 2
    assert result.report["rows"]["kept"] == 30


def test_repeated_pairs_can_be_kept_or_refused_with_their_lines(tmp_path: Path) -> None:
    repeated = as_csv([*ROWS, ("u3", "i0", "2", "2000000000")])
    assert table(tmp_path, repeated, on_duplicate="keep").report["rows"]["kept"] == 31
    with pytest.raises(
        DuplicateRowError, match="line 5 and line 32: user 'u3' and item 'i0'"
    ) as problem:
        table(tmp_path, repeated, on_duplicate="error")
    assert "--on-duplicate" in problem.value.hint


def test_core_filter_reaches_a_fixed_point_and_counts_rounds(tmp_path: Path) -> None:
    block = [(f"u{u}", f"i{i}", "4", str(100 + 10 * u + i)) for u in range(4) for i in range(4)]
    # a chain: c2 has one row; without it x1 has one, then c1, then x0 loses that row
    chain = [("c1", "i0", "4", "1"), ("c1", "x1", "4", "2"), ("c2", "x1", "4", "3")]
    result = table(tmp_path, as_csv([*chain, *block]), min_user_rows=2, min_item_rows=2)
    assert {row["user"] for row in result.interactions} == {"u0", "u1", "u2", "u3"}
    assert result.report["core_rounds"] == 2
    assert result.report["rows"] == {
        "read": 19, "kept": 16, "rejected": 3, "folded": 0,
        "rejected_by_reason": {"user or item with too few rows": 3},
    }  # fmt: skip
    for row in result.interactions:
        assert result.users[row["user_index"]]["user"] == row["user"]
    with pytest.raises(EmptySplitError):
        table(tmp_path, as_csv(block), min_user_rows=5)


def test_report_accounts_for_every_row(tmp_path: Path) -> None:
    text = (
        as_csv(ROWS)
        + "u0,i0,4,2000000000\n,i1,4,3\nu1,,4,3\nu1,i9,x,3\nu1,i9,4,soon\nu1,i9\nu1,i9,3,4,5\nu2,i2,nan,4\n"
    )
    report = table(tmp_path, text, bad_rows="reject").report["rows"]
    assert report == {
        "read": 38, "kept": 30, "rejected": 7, "folded": 1,
        "rejected_by_reason": {
            "no user id": 1, "no item id": 1, "rating is not a number": 2, "time is not a time": 1,
            "too few values": 1, "too many values": 1,
        },
    }  # fmt: skip


def test_a_user_seen_in_train_makes_rows_warm_only_with_the_item(tmp_path: Path) -> None:
    result = table(tmp_path, as_csv(ratings(35)))
    train = [row for row in result.interactions if row["split"] == "train"]
    users, items = {row["user"] for row in train}, {row["item"] for row in train}
    for row in result.interactions:
        assert row["warm"] == (row["user"] in users and row["item"] in items)
    assert {row["user"]: row["train_rows"] for row in result.users} == {
        user: sum(row["user"] == user for row in train)
        for user in {row["user"] for row in result.interactions}
    }


LOGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(1, 5), st.integers(0, 8)),
    min_size=12,
    max_size=40,
    unique_by=lambda row: row[:2],
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(log=LOGS, seed=st.integers(0, 10**6), split_by=st.sampled_from(["time", "user-time"]))
def test_permuting_the_rows_changes_nothing_but_the_order_of_ties(
    tmp_path: Path, log: list[tuple[int, int, int, int]], seed: int, split_by: str
) -> None:
    rows = [(f"u{u}", f"i{i}", str(r), str(t)) for u, i, r, t in log]
    shuffled = random.Random(seed).sample(rows, len(rows))

    def outcome(text: str) -> tuple[object, ...]:
        try:
            result = table(
                tmp_path, text, split_by=split_by, train_fraction=0.4, valid_fraction=0.3
            )
        except EmptySplitError as problem:
            return (str(problem),)
        facts = [{k: v for k, v in row.items() if k != "row"} for row in result.interactions]
        order = [row["time"] for row in result.interactions]
        report = {k: v for k, v in result.report.items() if k != "files"}
        return sorted(map(str, facts)), order, result.users, result.items, report

    assert outcome(as_csv(rows)) == outcome(as_csv(shuffled))


def test_settings_that_contradict_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs a file of interactions"):
        IngestConfig(source="table")
    with pytest.raises(ConfigError, match="needs a folder"):
        IngestConfig(source="ml-1m")
    with pytest.raises(ConfigError, match="belong to the source table"):
        IngestConfig(source="movielens", path="x", interactions="y")
    with pytest.raises(ConfigError, match="nothing to train on or to test"):
        IngestConfig(train_fraction=0.9, valid_fraction=0.1)
    with pytest.raises(ConfigError, match="come together"):
        IngestConfig(source="table", interactions="x", valid_from="2020-01-01")
    with pytest.raises(ConfigError, match="not in order"):
        IngestConfig(source="table", interactions="x", since="2020-01-01", until="2019-01-01")
    with pytest.raises(ConfigError, match="not a date"):
        IngestConfig(source="table", interactions="x", since="soon")
    for quote in ('""', "“"):
        with pytest.raises(ConfigError, match="not one plain character"):
            IngestConfig(source="table", interactions="x", quote=quote)


@pytest.mark.parametrize("name", ["since", "valid_from", "until"])
def test_only_test_may_start_at_the_half(name: str) -> None:
    dates = {"valid_from": "2020-01-01", "test_from": "half"} | {name: "half"}
    with pytest.raises(ConfigError, match="'half' is not a date"):
        IngestConfig(source="table", interactions="x", **dates)  # type: ignore[arg-type]


def test_a_preset_spelled_out_has_the_same_parameters() -> None:
    preset = IngestConfig(source="ml-1m", path="x").parameters()
    spelled = IngestConfig(
        source="ml-1m", path="elsewhere", split_by="time", since="2001-06-01", valid_from="2002-04-01",
        test_from="2002-09-01", until="2003-02-01",
    ).parameters()  # fmt: skip
    assert preset == spelled
    assert preset["since"] == "2001-06-01"


def _reviews(title: str, **more: str) -> str:
    """Rows of 7 items rated by 5 users, with a title made from a row's number and its item."""
    lines = []
    for number, (user, item, rating, time) in enumerate(ROWS):
        row = {"user": user, "item": item, "rating": rating, "time": time}
        row |= {name: text.format(n=number, item=item) for name, text in more.items()}
        lines.append(json.dumps(row | {"title": title.format(n=number, item=item)}))
    return "\n".join(lines) + "\n"


def test_headlines_of_reviews_are_not_taken_for_titles_of_items(tmp_path: Path) -> None:
    text = _reviews("Loved it the {n}th time", summary="{n} thumbs up", genres="Drama")
    result = table(tmp_path, text, name="reviews.jsonl")
    assert {item["title"] for item in result.items} == {item["item"] for item in result.items}
    assert {item["description"] for item in result.items} == {""}
    # There is no column of a year to tell of.
    assert result.report["left_out_of_items"] == ["title", "categories", "description"]
    assert result.report["item_titles"] == {"id": len(result.items)}
    same = tmp_path / "reviews.jsonl"
    result = table(tmp_path, text, name="reviews.jsonl", items=str(same))
    assert {item["title"] for item in result.items} == {item["item"] for item in result.items}
    assert result.report["left_out_of_items"] == ["title", "categories", "description"]


def test_what_is_the_same_in_all_rows_of_an_item_is_the_items(tmp_path: Path) -> None:
    text = _reviews("Film {item}", summary="{n} thumbs up", genres="Drama")
    result = table(tmp_path, text, name="reviews.jsonl")
    assert {item["title"] for item in result.items} == {f"Film {i['item']}" for i in result.items}
    assert {tuple(item["categories"]) for item in result.items} == {("Drama",)}
    assert {item["description"] for item in result.items} == {""}
    assert result.report["left_out_of_items"] == ["description"]


def test_a_column_that_is_named_is_taken_at_its_word(tmp_path: Path) -> None:
    text = _reviews("The {n}th")
    result = table(tmp_path, text, name="reviews.jsonl", title_column="title")
    assert all(item["title"].startswith("The ") for item in result.items)
    assert "title" not in result.report["left_out_of_items"]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("['Drama', 'Crime']", ["Drama", "Crime"]),
        ('["Drama", "Crime"]', ["Drama", "Crime"]),
        ("[{'id': 18, 'name': 'Drama'}, {'id': 80, 'name': 'Crime'}]", ["Drama", "Crime"]),
        ('[{"id": 18, "name": "Drama"}]', ["Drama"]),
        ('[["Drama", "Crime"], ["War"]]', ["Drama", "Crime", "War"]),
        ("[['Drama', 'Crime'], ['War']]", ["Drama", "Crime", "War"]),
        ('[[{"name": "Drama"}], "War"]', ["Drama", "War"]),
        ("[]", []),
        ("Drama|Crime", ["Drama", "Crime"]),
        ("Drama", ["Drama"]),
    ],
)
def test_lists_of_categories_are_read_as_they_are_written(
    tmp_path: Path, written: str, found: list[str]
) -> None:
    items = tmp_path / "items.jsonl"
    names = sorted({row[1] for row in ROWS})
    items.write_text(
        "".join(json.dumps({"item": n, "title": n, "genres": written}) + "\n" for n in names)
    )
    result = table(tmp_path, as_csv(ROWS), items=str(items))
    assert result.items[0]["categories"] == found


def test_blank_rows_of_an_item_do_not_hide_what_others_tell(tmp_path: Path) -> None:
    header = "user,item,rating,time,title,genres,year,summary"
    seen: set[str] = set()
    rows = []
    for row in ROWS:
        told = (f"Film {row[1]}", "Drama|War", "1999", "A film.") if row[1] in seen else ("",) * 4
        rows.append((*row, *told))
        seen.add(row[1])
    result = table(tmp_path, as_csv(rows, header=header))
    for item in result.items:
        assert item["title"] == f"Film {item['item']}"
        assert (item["year"], item["description"]) == (1999, "A film.")
        assert item["categories"] == ["Drama", "War"]
    assert result.report["left_out_of_items"] == []
    assert result.report["item_titles"] == {"own": len(result.items)}


def test_headlines_that_most_rows_leave_blank_are_not_titles_either(tmp_path: Path) -> None:
    """Two of each item's rows have one: that they differ is seen, though the other items tell nothing."""
    rows = [(*row, f"Loved it {row[3]}" if row[0] in ("u0", "u1") else "") for row in ROWS]
    more = [(f"v{n}", f"j{n % 200}", "4", str(1_000_000_000 + n), "") for n in range(400)]
    header = "user,item,rating,time,title"
    result = table(tmp_path, as_csv([*rows, *more], header=header))
    assert result.report["item_titles"] == {"id": len(result.items)}
    assert result.report["left_out_of_items"] == ["title"]


def test_categories_beside_the_interactions_need_no_title(tmp_path: Path) -> None:
    rows = [(*row, "Drama;Crime") for row in ROWS]
    text = as_csv(rows, header="user,item,rating,time,kind")
    assert table(tmp_path, text).items[0]["categories"] == []
    result = table(tmp_path, text, categories_column="kind")
    assert result.items[0]["categories"] == ["Drama", "Crime"]


def test_listed_descriptions_are_one_text(tmp_path: Path) -> None:
    listed = ["First part.", None, "Second."]
    (tmp_path / "items.jsonl").write_text(
        json.dumps({"item": "i0", "title": "T", "description": listed})
        + '\n{"item": "i1", "title": "T", "description": "[sic] plain"}\n'
    )
    pq.write_table(
        pa.table({"item": ["i0", "i1"], "description": [listed, ["[sic] plain"]]}),
        tmp_path / "items.parquet",
    )
    for name in ("items.jsonl", "items.parquet"):
        first, second, third = table(tmp_path, as_csv(ROWS), items=str(tmp_path / name)).items[:3]
        assert first["description"] == "First part. Second."
        assert (second["description"], third["description"]) == ("[sic] plain", "")


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        (["First.", "Second."], "First. Second."),
        (["It's one", 'and "two"'], 'It\'s one and "two"'),
        (["Line\nbreak", "hard\xa0blank", "a \\ stays"], "Line break hard blank a \\ stays"),
        (["First.", None, "[sic], third"], "First. [sic], third"),
        ([], ""),
    ],
)
def test_descriptions_listed_as_python_writes_it_are_one_text(
    tmp_path: Path, parts: list[str | None], found: str
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text(json.dumps({"item": "i0", "title": "T", "description": str(parts)}) + "\n")
    assert table(tmp_path, as_csv(ROWS), items=str(items)).items[0]["description"] == found


@pytest.mark.parametrize("text", ["[sic] plain", "[sic]", "[a, b]", "['quoted'] first", "['open"])
def test_a_description_that_only_begins_like_a_list_stays_as_it_is(
    tmp_path: Path, text: str
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text(json.dumps({"item": "i0", "title": "T", "description": text}) + "\n")
    assert table(tmp_path, as_csv(ROWS), items=str(items)).items[0]["description"] == text


def test_line_breaks_in_a_title_are_blanks_and_leave_its_year(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text('item,title\ni0,"A  long\nfilm (1999)"\n')
    (first, *_) = table(tmp_path, as_csv(ROWS), items=str(items)).items
    assert (first["title"], first["year"]) == ("A long film", 1999)


def test_a_year_with_underscores_is_none(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,title,year\ni0,Heat,1_995\ni1,Ran,1985\n")
    years = [row["year"] for row in table(tmp_path, as_csv(ROWS), items=str(items)).items[:2]]
    assert years == [None, 1985]


def test_items_may_call_their_id_otherwise_than_the_interactions(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("movie_id,title\n" + "".join(f"i{n},Film {n}\n" for n in range(7)))
    text = as_csv(ROWS, header="user,watched,rating,time")
    result = table(tmp_path, text, items=str(items), item_column="watched")
    assert result.items[0]["title"] == "Film 0"
    items.write_text(items.read_text().replace("movie_id", "number"))
    with pytest.raises(MissingColumnError, match="no column 'watched'") as told:
        table(tmp_path, text, items=str(items), item_column="watched")
    assert "'watched' in this file, too" in told.value.hint


@pytest.mark.parametrize(
    ("source", "options", "problem"),
    [
        ("movielens", {"rating_column": "stars"}, "rating_column means nothing"),
        ("ml-1m", {"delimiter": ";"}, "delimiter means nothing"),
        ("amazon", {"categories_column": "category"}, "categories_column means nothing"),
        ("recbole", {"quote": "'"}, "quote means nothing"),
        ("yelp", {"encoding": "latin-1"}, "encoding means nothing"),
        (
            "movielens",
            {"train_fraction": 0.5, "valid_from": "2001-01-01", "test_from": "2002-01-01"},
            "by shares or by dates",
        ),
        ("ml-1m", {"train_fraction": 0.5, "test_from": "2002-10-01"}, "by shares or by dates"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    source: str, options: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        IngestConfig(source=source, path="folder", **options)  # type: ignore[arg-type]


def test_a_number_of_rows_is_not_taken_for_the_item(tmp_path):
    """A dump of a database begins with the number of each rating."""
    (tmp_path / "dump.csv").write_text("id,user_id,work_id,rating,timestamp\n1,u,i,5,1000000000\n")
    with pytest.raises(MissingColumnError, match="no column 'item'") as problem:
        run(tmp_path, source="table", interactions=str(tmp_path / "dump.csv"))
    assert "--item-column" in problem.value.hint


def test_an_items_file_may_call_its_id_so(tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("id,title\ni1,Heat\n")
    rows = table(tmp_path, as_csv(ROWS), items=str(items)).items
    assert {row["item"]: row["title"] for row in rows}["i1"] == "Heat"


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"split_by": "usertime"}, "--split-by 'user-time'"),
        ({"time_column": "weight"}, "add a column that counts the rows"),
        ({"user_column": "usr"}, "--user-column 'user'"),
    ],
)
def test_a_missing_column_is_answered_with_what_was_meant(tmp_path, settings, hint):
    with pytest.raises(MissingColumnError) as problem:
        table(tmp_path, as_csv(ROWS), **settings)
    assert hint in problem.value.hint


def test_a_table_without_names_of_columns_is_told_so(tmp_path):
    with pytest.raises(MissingColumnError) as problem:
        table(tmp_path, "21,10,1,1000000000\n22,10,1,1000000001\n")
    assert "The first line has to name the columns" in problem.value.hint


def test_one_column_cannot_be_two_things(tmp_path):
    with pytest.raises(MissingColumnError, match="cannot be user and item at once"):
        table(tmp_path, as_csv(ROWS), user_column="item")


def _told_late(form: str, first: dict[str, object], then: dict[str, object]) -> str:
    """Objects as an exporter writes them that leaves out what is empty: what `then` has first occurs in the 121st."""
    names = [f"j{n}" for n in range(120)] + [f"i{n}" for n in range(7)]
    objects = [{"item": n} | first | (then if n.startswith("i") else {}) for n in names]
    return (
        json.dumps(objects)
        if form == "json"
        else "".join(json.dumps(one) + "\n" for one in objects)
    )


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_objects_far_down_a_file_of_items_may_tell_more(tmp_path: Path, form: str) -> None:
    items = tmp_path / f"items.{form}"
    then = {"genres": ["Drama", "War"], "release_year": 1999, "overview": "A film.", "name": "Heat"}
    items.write_text(_told_late(form, {"x": 1}, then))
    first, *_ = table(tmp_path, as_csv(ROWS), items=str(items)).items
    assert (first["title"], first["year"], first["description"]) == ("Heat", 1999, "A film.")
    assert first["categories"] == ["Drama", "War"]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_named_column_may_first_occur_far_down(tmp_path: Path, form: str) -> None:
    items = tmp_path / f"items.{form}"
    then = {"Arten/é": "Drama|War", "headline": "Heat", "place": "LA", "other": "kinds"}
    items.write_text(_told_late(form, {"title": "T"}, then))
    named = {"items": str(items), "categories_column": "Arten/é"}
    first, *_ = table(tmp_path, as_csv(ROWS), title_column="headline", **named).items
    assert (first["title"], first["categories"]) == ("Heat", ["Drama", "War"])
    first, *_ = table(tmp_path, as_csv(ROWS), title_format="{headline} in {place}", **named).items
    assert first["title"] == "Heat in LA"
    with pytest.raises(MissingColumnError, match=r"no column 'kinds' .*columns are: item, title$"):
        table(tmp_path, as_csv(ROWS), items=str(items), categories_column="kinds")


def _rows_told_late(**then: str) -> str:
    """120 ratings of another user and then ROWS, which alone have what `then` says."""
    names = ("user", "item", "rating", "time")
    before = [("w", f"j{n}", "4", str(900_000_000 + n)) for n in range(120)]
    objects = [dict(zip(names, row, strict=True)) for row in before]
    objects += [dict(zip(names, row, strict=True)) | then for row in ROWS]
    return "".join(json.dumps(one) + "\n" for one in objects)


def test_titles_beside_json_interactions_may_first_occur_far_down(tmp_path: Path) -> None:
    result = table(tmp_path, _rows_told_late(title="Heat", genres="Drama"), name="r.jsonl")
    rows, titles = result.interactions, {item["item"]: item["title"] for item in result.items}
    assert (titles["i0"], titles["j0"]) == ("Heat", "j0")
    assert {tuple(i["categories"]) for i in result.items if i["title"] == "Heat"} == {("Drama",)}
    nothing = table(tmp_path, _rows_told_late(), name="r.jsonl")
    assert nothing.report["items_with_facts"] is None
    assert nothing.report["files"] == ["r.jsonl"]
    assert nothing.interactions == rows


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_rows_of_one_second_stay_in_file_order_where_a_column_says_the_split(
    tmp_path: Path, form: str
) -> None:
    """A file this long is read by several threads."""
    count = 5_000 if form == "json" else 150_000
    names, folds = [f"i{n}" for n in range(count)], [("train", "test")[n % 2] for n in range(count)]
    if form == "json":
        rows = zip(names, folds, strict=True)
        objects = ({"user": "u", "item": n, "rating": 4, "time": 9, "fold": f} for n, f in rows)
        text = "\n".join(map(json.dumps, objects))
        result = table(tmp_path, text, name="r.jsonl", split_by="fold")
    else:
        columns = {"user": ["u"] * count, "item": names, "rating": [4] * count, "time": [9] * count}
        pq.write_table(
            pa.table({**columns, "fold": folds}), tmp_path / "r.parquet", row_group_size=50_000
        )
        path = str(tmp_path / "r.parquet")
        result = run(tmp_path, source="table", interactions=path, split_by="fold")
    assert [row["item"] for row in result.interactions] == names


def test_a_split_that_is_first_said_far_down_is_a_split(tmp_path: Path) -> None:
    text = _rows_told_late(fold="train") + json.dumps(
        {"user": "u", "item": "i", "rating": 1, "time": 5, "fold": "test"}
    )
    result = table(tmp_path, text, name="r.jsonl", split_by="fold", bad_rows="reject")
    assert result.report["rows"]["rejected_by_reason"] == {"split is not train, valid or test": 120}
    with pytest.raises(BadValueError, match="line 1: column 'fold': no value"):
        table(tmp_path, text, name="r.jsonl", split_by="fold")


@pytest.mark.parametrize("settings", [{}, {"rating_column": "stars"}])
def test_what_is_needed_and_first_occurs_far_down_is_missing_before(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    text = "".join(
        json.dumps({"user": f"u{n}", "item": "i", "time": n} | ({"stars": 4} if n > 110 else {}))
        + "\n"
        for n in range(140)
    )
    with pytest.raises(BadValueError, match="line 1: column 'stars': no value"):
        table(tmp_path, text, name="r.jsonl", **settings)
    report = table(tmp_path, text, name="r.jsonl", bad_rows="reject", **settings).report
    assert report["rows"]["kept"] == 29


@pytest.mark.parametrize("shares", [{"train_fraction": 0.5}, {"valid_fraction": 0.2}])
def test_shares_beside_a_column_that_says_the_split_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="by shares or as the column 'fold' says") as told:
        IngestConfig(source="table", interactions="x", split_by="fold", **shares)  # type: ignore[arg-type]
    assert "--train-fraction" in told.value.hint


def test_a_split_by_column_is_typed_again_without_shares() -> None:
    config = IngestConfig(source="yelp", path="x", split_by="fold")
    assert {"train_fraction", "valid_fraction"} <= implied_rules(config.parameters())


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize(("name", "value"), [("delimiter", ";"), ("quote", "none")])
def test_settings_of_text_tables_are_refused_where_there_is_none(
    tmp_path: Path, form: str, name: str, value: str
) -> None:
    path = _write(tmp_path, form)
    with pytest.raises(ConfigError, match=rf"{path.name}: {name} means nothing to JSON") as told:
        run(tmp_path, source="table", interactions=str(path), **{name: value})
    assert f"--{name}" in told.value.hint
    items = tmp_path / "items.csv"
    items.write_text("item;title\ni0;T\n")
    both = run(tmp_path, source="table", interactions=str(path), items=str(items), delimiter=";")
    assert both.items[0]["title"] == "T"
