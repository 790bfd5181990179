"""Yelp Open Dataset: the paper's window, its last two years in halves, and where ties in time fall."""

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config.ingest import IngestConfig
from core.errors import EmptySplitError, MissingFileError
from tests.core.data.ingesting import as_csv, run, table

SMALL: dict[str, Any] = {"min_user_rows": 0, "min_item_rows": 0}
SPLITS = ("train", "valid", "test")


def _review(user: str, item: str, date: str, *, stars: float = 5.0) -> dict[str, Any]:
    return {"review_id": f"{user}{item}{date}", "user_id": user, "business_id": item, "stars": stars, "useful": 1,
            "text": "Great\nplace, \"yes\"", "date": date}  # fmt: skip


REVIEWS = [
    _review("u1", "b1", "2009-12-31 23:59:59"),
    _review("u1", "b2", "2010-01-01 00:00:00", stars=3.0),
    _review("u2", "b1", "2015-06-01 12:00:00", stars=4.0),
    _review("u1", "b1", "2019-12-31 23:59:59"),
    _review("u2", "b2", "2020-01-01 00:00:00"),
    _review("u3", "b1", "2020-02-01 00:00:00"),
    _review("u3", "b2", "2021-12-31 23:59:59"),
    _review("u3", "b3", "2022-01-01 00:00:00"),
]
BUSINESSES: list[dict[str, Any]] = [
    {"business_id": "b1", "name": "Barnes & Noble", "address": "", "city": "Tucson", "state": "AZ", "stars": 3.5,
     "categories": "Books, Mags, Music & Video, Shopping", "attributes": {"WiFi": "u'no'"}, "hours": None},
    {"business_id": "b2", "name": " ", "city": "", "state": "PA", "categories": None},
    {"business_id": "b4", "name": "Never reviewed", "city": "Reno", "state": "NV", "categories": "Bars"},
]  # fmt: skip


def _lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def _folder(folder: Path, prefix: str = "yelp_academic_dataset_", *, end: str = ".json") -> Path:
    folder.mkdir()
    pack = gzip.compress if end.endswith(".gz") else bytes
    (folder / f"{prefix}review{end}").write_bytes(pack(_lines(REVIEWS)))
    (folder / f"{prefix}business{end}").write_bytes(pack(_lines(BUSINESSES)))
    return folder


def test_preset_keeps_twelve_years_and_halves_the_last_two(tmp_path: Path) -> None:
    result = run(tmp_path, source="yelp", path=str(_folder(tmp_path / "yelp")), **SMALL)
    assert [(r["user"], r["item"], r["label"], r["split"]) for r in result.interactions] == [
        ("u1", "b2", 0, "train"),  # 3 stars are no like
        ("u2", "b1", 1, "train"),
        ("u1", "b1", 1, "train"),
        ("u2", "b2", 1, "valid"),
        ("u3", "b1", 1, "valid"),  # of three rows the odd one is valid
        ("u3", "b2", 1, "test"),
    ]
    noon = datetime(2015, 6, 1, 12, tzinfo=UTC).timestamp()
    assert result.interactions[1]["time"] == noon
    assert result.report["rows"]["rejected_by_reason"] == {"outside the kept time": 2}


def test_business_gives_title_categories_and_place(tmp_path: Path) -> None:
    result = run(tmp_path, source="yelp", path=str(_folder(tmp_path / "yelp")), **SMALL)
    assert result.items == [
        {"item": "b1", "item_index": 0, "title": "Barnes & Noble", "year": None,
         "categories": ["Books", "Mags", "Music & Video", "Shopping"], "description": "Tucson, AZ"},
        {"item": "b2", "item_index": 1, "title": "b2", "year": None, "categories": [], "description": "PA"},
    ]  # fmt: skip
    assert result.report["item_titles"] == {"id": 1, "own": 1}
    every = run(tmp_path, source="yelp", path=str(tmp_path / "yelp"), unrated_items=True, **SMALL)
    assert [row["title"] for row in every.items] == ["Barnes & Noble", "b2", "Never reviewed"]


@pytest.mark.parametrize("end", [".json", ".json.gz"])
def test_short_names_gzip_and_named_files_give_the_same(tmp_path: Path, end: str) -> None:
    (tmp_path / "named").mkdir()
    folder = _folder(tmp_path / "yelp", "", end=end)
    found = run(tmp_path, source="yelp", path=str(folder), **SMALL)
    named = run(
        tmp_path / "named", source="yelp", interactions=str(folder / f"review{end}"),
        items=str(folder / f"business{end}"), **SMALL,
    )  # fmt: skip
    assert found.interactions == named.interactions
    assert found.items == named.items


@pytest.mark.parametrize("form", ["parquet", "lists", "csv"])
def test_businesses_may_be_a_table_with_columns_missing(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("business.csv" if form == "csv" else "business.parquet")
    if form == "csv":
        path.write_text('business_id,name,city,categories\nb1,Nook,Tucson,"Books, Mags"\n')
    else:
        words = ["Books", "Mags"] if form == "lists" else "Books, Mags"
        one = {"business_id": "b1", "name": "Nook", "city": "Tucson", "categories": words}
        pq.write_table(pa.Table.from_pylist([one]), path)
    (tmp_path / "review.json").write_bytes(_lines(REVIEWS))
    reviews = str(tmp_path / "review.json")
    result = run(tmp_path, source="yelp", interactions=reviews, items=str(path), **SMALL)
    first = result.items[0]
    assert (first["title"], first["categories"]) == ("Nook", ["Books", "Mags"])
    assert first["description"] == "Tucson"


def test_folder_without_reviews_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"holds no yelp_academic_dataset_review\.json"):
        run(tmp_path, source="yelp", path=str(tmp_path))


def test_too_few_rows_for_twenty_core_say_which_options_to_lower(tmp_path: Path) -> None:
    with pytest.raises(EmptySplitError, match="no user has 20 rows") as raised:
        run(tmp_path, source="yelp", path=str(_folder(tmp_path / "yelp")))
    assert "--min-user-rows" in str(raised.value.hint)


def test_preset_is_the_papers() -> None:
    rules = IngestConfig(source="yelp", path=".").rules()
    assert (rules["threshold"], rules["since"], rules["until"]) == (3, "2010-01-01", "2022-01-01")
    assert (rules["valid_from"], rules["test_from"]) == ("2020-01-01", "half")
    assert (rules["min_user_rows"], rules["min_item_rows"]) == (20, 20)


def test_shares_replace_the_dates_of_a_preset_and_keep_its_window() -> None:
    rules = IngestConfig(source="yelp", path=".", train_fraction=0.8).rules()
    assert (rules["valid_from"], rules["test_from"], rules["train_fraction"]) == (None, None, 0.8)
    assert rules["since"] == "2010-01-01"


def test_preset_spelled_out_has_the_same_key() -> None:
    short = IngestConfig(source="yelp", path="here")
    long = IngestConfig(source="yelp", path="there", threshold=3.0, min_user_rows=20, test_from="half",
                        unrated_items=False)  # fmt: skip
    assert short.parameters() == long.parameters()
    assert (
        short.parameters() != IngestConfig(source="yelp", path="here", min_user_rows=5).parameters()
    )


START = 1_000_000_000  # 2001-09-09 01:46:40


def _halved(folder: Path, seconds: list[int]) -> dict[str, list[int]]:
    """Split rows at these seconds after START, two train rows before it; return the seconds of each split."""
    times = [START - 2, START - 1, *(START + second for second in seconds)]
    rows = [(f"u{k}", "i", "5", str(time)) for k, time in enumerate(times)]
    result = table(folder, as_csv(rows), valid_from="2001-09-09T01:46:40", test_from="half")
    return {
        split: [row["time"] - START for row in result.interactions if row["split"] == split]
        for split in SPLITS
    }


@pytest.mark.parametrize(
    ("seconds", "valid", "test"),
    [
        ([1, 2, 3, 4], [1, 2], [3, 4]),
        ([1, 2, 3, 4, 5], [1, 2, 3], [4, 5]),
        ([1, 2, 2, 4], [1, 2, 2], [4]),  # both ends as good: the later one
        ([1, 2, 2, 2, 5, 6], [1, 2, 2, 2], [5, 6]),
        ([1, 2, 3, 3, 3, 3], [1, 2], [3, 3, 3, 3]),
        ([1, 1, 1, 2], [1, 1, 1], [2]),
        ([1, 2, 2, 2, 2], [1], [2, 2, 2, 2]),
        ([7, 7, 7], [7, 7], [7]),  # one second only has to be parted
    ],
)
def test_halves_part_no_second(
    tmp_path: Path, seconds: list[int], valid: list[int], test: list[int]
) -> None:
    found = _halved(tmp_path, seconds)
    assert found == {"train": [-2, -1], "valid": valid, "test": test}


@given(seconds=st.lists(st.integers(0, 8), min_size=2, max_size=30))
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_no_cut_between_seconds_makes_the_halves_more_equal(
    tmp_path: Path, seconds: list[int]
) -> None:
    found = _halved(tmp_path, seconds)
    valid, test = found["valid"], found["test"]
    assert sorted(valid + test) == sorted(seconds)
    assert max(valid) <= min(test)
    if len(set(seconds)) > 1:
        assert max(valid) < min(test)
        before = [sum(second < cut for second in seconds) for cut in sorted(set(seconds))[1:]]
        best = min(abs(2 * rows - len(seconds)) for rows in before)
        assert abs(len(valid) - len(test)) == best


def test_order_of_the_input_moves_no_row_to_another_half(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = [(f"u{k}", f"i{k % 3}", "5", str(START + rng.randrange(-5, 9))) for k in range(40)]
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        result = table(
            tmp_path / name, as_csv(rows), valid_from="2001-09-09T01:46:40", test_from="half"
        )
        found.append({(row["user"], row["split"]) for row in result.interactions})
        rng.shuffle(rows)
    assert found[0] == found[1]


def test_a_title_that_is_named_may_first_occur_far_down(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "yelp")
    before = [{"business_id": f"x{n}", "name": "X"} for n in range(120)]
    businesses = _lines([*before, BUSINESSES[0] | {"sign": "B & N"}])
    (folder / "yelp_academic_dataset_business.json").write_bytes(businesses)
    result = run(tmp_path, source="yelp", path=str(folder), title_column="sign", **SMALL)
    assert {row["item"]: row["title"] for row in result.items}["b1"] == "B & N"
