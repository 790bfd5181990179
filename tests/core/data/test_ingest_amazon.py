"""Amazon Review Data: pieces of web pages as titles, products and reviews twice, the paper's Book window, and 2023."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.config.ingest import IngestConfig
from core.data.readers.markup import decode_entities
from core.errors import BadValueError, ConfigError, MissingColumnError, MissingFileError
from tests.core.data.ingesting import Result, run

SMALL: dict[str, Any] = {"min_user_rows": 0, "min_item_rows": 0}
SPAN = '<span class="a-size-medium a-color-secondary"'


def _day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _write(path: Path, records: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def _review(user: str, item: str, day: str, *, overall: float = 5.0) -> dict[str, Any]:
    return {
        "overall": overall, "verified": True, "reviewTime": "01 1, 2017", "reviewerID": user,
        "asin": item, "reviewText": "Good, \"really\"\n&amp; cheap", "unixReviewTime": _day(day),
    }  # fmt: skip


def _product(item: str, **texts: Any) -> dict[str, Any]:
    blank = {"category": [], "description": [], "title": "", "brand": "", "also_buy": ["X"]}
    return blank | texts | {"asin": item}


REVIEWS = [
    _review("A1", "B0", "2016-12-31"),
    _review("A1", "B1", "2017-01-01", overall=4.0),
    _review("A1", "B2", "2017-05-05"),
    _review("A2", "B1", "2017-10-31", overall=5.0),
    _review("A2", "B2", "2017-11-01", overall=1.0),
    _review("A3", "B1", "2017-11-20"),
    _review("A3", "B2", "2017-12-31"),
    _review("A3", "B0", "2018-01-01"),
]


def _folder(
    folder: Path, products: list[dict[str, Any]], reviews: list[dict[str, Any]] = REVIEWS
) -> Path:
    folder.mkdir()
    _write(folder / "Books_5.json.gz", reviews)
    _write(folder / "meta_Books.json.gz", products)
    return folder


def _items(tmp_path: Path, *products: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], Result]:
    path = str(_folder(tmp_path / "books", list(products)))
    result = run(tmp_path, source="amazon", path=path, unrated_items=True, **SMALL)
    return {row["item"]: row for row in result.items}, result


def test_preset_keeps_2017_and_halves_its_last_two_months(tmp_path: Path) -> None:
    path = str(_folder(tmp_path / "books", [_product("B1", title="One")]))
    result = run(tmp_path, source="amazon", path=path, **SMALL)
    assert [(r["user"], r["item"], r["label"], r["split"]) for r in result.interactions] == [
        ("A1", "B1", 0, "train"),  # 4 stars are no like
        ("A1", "B2", 1, "train"),
        ("A2", "B1", 1, "train"),
        ("A2", "B2", 0, "valid"),
        ("A3", "B1", 1, "valid"),  # of three rows the odd one is valid
        ("A3", "B2", 1, "test"),
    ]
    assert result.report["rows"]["rejected_by_reason"] == {"outside the kept time": 2}
    assert "halves" in result.report["split_rule"]


@pytest.mark.parametrize(
    ("title", "wanted"),
    [
        (SPAN, None),
        ('<SPAN class="x">Hidden</SPAN>', None),
        ("", None),
        ("   ", None),
        ("<b></b><br/>", None),
        ("&lt;b&gt;&lt;/b&gt;", None),
        (' Magazines" />', None),
        ('<img src="cover.jpg"', None),
        ("var aPageStart = (new Date()).getTime();", None),
        ("Disney &amp; Me", "Disney & Me"),
        ("D&eacute;cor &#8211; Rooms&nbsp;&quot;Now&quot;", 'Décor – Rooms "Now"'),
        ("AT&T and R&copy", "AT&T and R&copy"),
        ("<i>Dune</i>\n  Messiah", "Dune Messiah"),
        ("I <3 you, a < b > c", "I <3 you, a < b > c"),
    ],
)
def test_title_is_plain_text_or_brand_and_category(
    tmp_path: Path, title: str, wanted: str | None
) -> None:
    product = _product("B1", title=title, brand="Ace &amp; Co", category=["Books", "Sci&amp;Fi"])
    items, result = _items(tmp_path, product)
    assert items["B1"]["title"] == (wanted or "Ace & Co: Sci&Fi")
    # B2 is in no metadata; B0 was reviewed outside the window only
    made_of = "own" if wanted else "brand and category"
    assert result.report["item_titles"] == {made_of: 1, "id": 1}


def test_fallback_titles_take_what_there_is_and_are_counted(tmp_path: Path) -> None:
    items, result = _items(
        tmp_path,
        _product("P1", title=SPAN, brand="Visit Amazon's Paulo Coelho Page", category=["Books"]),
        _product("P2", title=SPAN, brand="Tor"),
        _product("P3", title=SPAN, category=["Books", "Art", "</span></span>"]),
        _product("P4", title=SPAN, brand="<br>"),
        {"asin": "P5"},
        _product("P6", title="Emma (1995)", brand="Tor"),
        _product("B1", title="One"),
    )
    titles = {item: row["title"] for item, row in items.items() if item.startswith("P")}
    assert titles == {
        "P1": "Paulo Coelho: Books", "P2": "Tor", "P3": "Art", "P4": "P4", "P5": "P5", "P6": "Emma",
    }  # fmt: skip
    assert items["P3"]["categories"] == ["Books", "Art"]
    assert items["P6"]["year"] == 1995
    assert result.report["item_titles"] == {
        "id": 3, "own": 2, "brand": 1, "brand and category": 1, "category": 1,
    }  # fmt: skip


def test_categories_and_description_are_plain_lists_and_text(tmp_path: Path) -> None:
    items, _ = _items(
        tmp_path,
        _product(
            "B1",
            title="One",
            category=["Books", "Arts, Music &amp; Photography", " "],
            description=["By<br/><i>A &amp; B</i>.", "", "Second\n\npart"],
        ),
        _product("B2", title="Two", category="Books", description="One text"),
    )
    assert items["B1"]["categories"] == ["Books", "Arts, Music & Photography"]
    assert items["B1"]["description"] == "By A & B. Second part"
    assert (items["B2"]["categories"], items["B2"]["description"]) == (["Books"], "One text")


def test_repeated_products_and_reviews_are_folded_and_counted(tmp_path: Path) -> None:
    products = [_product("B1", title="One"), _product("B1", title="One"), _product("B2", title="2")]
    reviews = [*REVIEWS, REVIEWS[2], _review("A1", "B1", "2017-02-02", overall=5.0)]
    path = str(_folder(tmp_path / "books", products, reviews))
    result = run(tmp_path, source="amazon", path=path, **SMALL)
    assert result.report["rows"] == {
        "read": 10, "kept": 6, "rejected": 2, "folded": 2,
        "rejected_by_reason": {"outside the kept time": 2},
    }  # fmt: skip
    assert result.report["item_rows"] == {"read": 3, "repeated": 1, "without_id": 0, "broken": 0}
    # the later of two opinions counts
    assert [r["label"] for r in result.interactions if (r["user"], r["item"]) == ("A1", "B1")] == [
        1
    ]
    kept = run(tmp_path, source="amazon", path=path, on_duplicate="keep", **SMALL)
    assert (kept.report["rows"]["kept"], kept.report["rows"]["folded"]) == (8, 0)


def test_twenty_core_is_a_fixed_point_and_its_rounds_are_reported(tmp_path: Path) -> None:
    days = [f"2017-{1 + k * 12 // 20:02}-15" for k in range(20)]
    block = [_review(f"U{u}", f"I{i}", days[i]) for u in range(20) for i in range(20)]
    # Y has 20 rows, one by L of 19 rows; I0 to I17 make up the other 18. Without L, Y has 19.
    tail = [_review(f"U{u}", "Y", "2017-06-01") for u in range(19)]
    tail += [_review("L", item, "2017-06-02") for item in ["Y", *(f"I{i}" for i in range(18))]]
    path = str(_folder(tmp_path / "books", [_product("I1"), _product("Z")], block + tail))
    result = run(tmp_path, source="amazon", path=path)
    assert result.report["rows"]["kept"] == 400
    assert result.report["rows"]["rejected_by_reason"] == {"user or item with too few rows": 38}
    assert (result.report["users"], result.report["items"]) == (20, 20)
    assert result.report["core_rounds"] == 1
    assert len(result.items) == 20  # products without a row that counts are left out


def test_own_options_win_over_the_preset(tmp_path: Path) -> None:
    path = str(_folder(tmp_path / "books", [_product("B1")]))
    result = run(
        tmp_path, source="amazon", path=path, threshold=3.5, since="2016-01-01", until="2019-01-01",
        train_fraction=0.5, valid_fraction=0.25, **SMALL,
    )  # fmt: skip
    assert [row["label"] for row in result.interactions] == [1, 1, 1, 1, 0, 1, 1, 1]
    assert [result.report["splits"][s]["rows"] for s in ("train", "valid", "test")] == [4, 2, 2]


def test_preset_is_the_papers() -> None:
    rules = IngestConfig(source="amazon", path=".").rules()
    assert (rules["threshold"], rules["since"], rules["until"]) == (4, "2017-01-01", "2018-01-01")
    assert (rules["valid_from"], rules["test_from"]) == ("2017-11-01", "half")
    assert (rules["min_user_rows"], rules["min_item_rows"]) == (20, 20)


def test_files_may_be_named_and_ratings_only_have_no_header(tmp_path: Path) -> None:
    lines = [f"{r['asin']},{r['reviewerID']},{r['overall']},{r['unixReviewTime']}" for r in REVIEWS]
    (tmp_path / "Books.csv").write_text("\n".join(lines) + "\n")
    meta = _write(tmp_path / "products.json", [_product("B1", title="One")])
    ratings = run(
        tmp_path,
        source="amazon",
        interactions=str(tmp_path / "Books.csv"),
        items=str(meta),
        **SMALL,
    )
    (tmp_path / "full").mkdir()
    full = run(
        tmp_path / "full", source="amazon", items=str(meta),
        interactions=str(_write(tmp_path / "Books.json.gz", REVIEWS)), **SMALL,
    )  # fmt: skip
    assert ratings.interactions == full.interactions
    assert [row["title"] for row in full.items] == ["One", "B2"]


@pytest.mark.parametrize("quote", ["", '"'])
def test_ratings_with_a_header_are_read_by_its_names(tmp_path: Path, quote: str) -> None:
    """Those of 2023 have one, and user and item in the other order."""
    rows = [("user_id", "parent_asin", "rating", "timestamp")] + [
        (r["reviewerID"], r["asin"], r["overall"], f"{r['unixReviewTime']}000") for r in REVIEWS
    ]
    lines = [",".join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    (tmp_path / "Books.csv").write_text("\n".join(lines) + "\n")
    settings = {"source": "amazon", "interactions": str(tmp_path / "Books.csv"), **SMALL}
    found = run(tmp_path, time_unit="ms", **settings)
    (tmp_path / "full").mkdir()
    reviews = str(_write(tmp_path / "Books.json.gz", REVIEWS))
    full = run(tmp_path / "full", source="amazon", interactions=reviews, **SMALL)
    assert found.interactions == full.interactions


def _reviews_of_2023(path: Path, *, meta: Path) -> Result:
    """Ingest reviews of 2023, whose variants V1 and V2 are the product B1, V3 is B2 and V0 is B0."""
    parents = {"B0": ["V0"], "B1": ["V1", "V2"], "B2": ["V3"]}
    reviews = [
        {
            "rating": r["overall"], "title": "Good", "asin": parents[r["asin"]][n % 2 * -1],
            "parent_asin": r["asin"], "user_id": r["reviewerID"],
            "timestamp": r["unixReviewTime"] * 1000,
        }
        for n, r in enumerate(REVIEWS)
    ]  # fmt: skip
    file = str(_write(path / "Books.jsonl", reviews))
    return run(path, source="amazon", interactions=file, items=str(meta), time_unit="ms", **SMALL)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_items_of_2023_are_the_products_that_the_metadata_tell(tmp_path: Path, form: str) -> None:
    products = [
        {"main_category": "Books", "title": f"T{n}", "parent_asin": f"B{n}", "description": ["A"],
         "categories": ["Books", "Arts &amp; Music", " "] if n == 1 else []} for n in range(3)
    ]  # fmt: skip
    meta = tmp_path / f"meta_Books.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(products), meta)
    else:
        _write(meta, products)
    result = _reviews_of_2023(tmp_path, meta=meta)
    assert {row["item"] for row in result.interactions} == {"B1", "B2"}
    assert [(row["title"], row["categories"]) for row in result.items] == [
        ("T1", ["Books", "Arts & Music"]), ("T2", []),
    ]  # fmt: skip
    assert result.report["items_with_facts"] == 2
    assert result.report["columns"]["item"] == "parent_asin"


def test_variants_are_the_items_where_the_metadata_tell_of_them(tmp_path: Path) -> None:
    meta = _write(
        tmp_path / "meta.jsonl",
        [{"asin": f"V{n}", "parent_asin": f"B{n}", "title": f"T{n}"} for n in range(4)],
    )
    result = _reviews_of_2023(tmp_path, meta=meta)
    assert result.report["columns"]["item"] == "asin"
    assert {row["item"]: row["title"] for row in result.items}["V3"] == "T3"


def test_categories_are_those_that_are_there_and_lists_in_a_list_become_one(tmp_path: Path) -> None:
    """Metadata of 2014 have lists of lists."""
    items, _ = _items(
        tmp_path,
        {"asin": "B1", "title": "One", "categories": [["Books", "Art"], ["Sale"]]},
        _product("B2", title="Two", category=["[Old] Books"], categories=["Other"]),
        _product("P1", brand="Ace", category=[], categories=["Books"]),
    )
    assert items["B1"]["categories"] == ["Books", "Art", "Sale"]
    assert items["B2"]["categories"] == ["[Old] Books"]
    assert (items["P1"]["categories"], items["P1"]["title"]) == (["Books"], "Ace: Books")


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_metadata_may_be_a_table_with_columns_missing(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"products.{form}"
    if form == "parquet":
        blank = pa.nulls(2)
        columns = {
            "asin": ["B1", "B2"],
            "title": ["One", None],
            "brand": blank,
            "category": [["Books", "Art"], []],
        }
        pq.write_table(pa.table(columns), path)
    elif form == "csv":
        path.write_text('asin,title,category\nB1,One,"[""Books"", ""Art""]"\nB2,,\n')
    else:
        _write(path, [{"asin": "B1", "title": "One", "category": ["Books", "Art"]}, {"asin": "B2"}])
    reviews = str(_write(tmp_path / "Books.json", REVIEWS))
    result = run(tmp_path, source="amazon", interactions=reviews, items=str(path), **SMALL)
    assert [(row["title"], row["categories"], row["description"]) for row in result.items] == [
        ("One", ["Books", "Art"], ""), ("B2", [], ""),
    ]  # fmt: skip


def test_folder_with_two_files_of_reviews_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "books", [_product("B1")])
    _write(folder / "Books.json", REVIEWS)
    with pytest.raises(
        MissingFileError, match=r"found: Books.json, Books_5.json.gz, meta_"
    ) as raised:
        run(tmp_path, source="amazon", path=str(folder))
    assert "--interactions" in str(raised.value.hint)


@pytest.mark.parametrize(
    "settings", [{}, {"items": "m.json"}, {"path": "x", "interactions": "r.json"}]
)
def test_either_a_folder_or_the_files(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        IngestConfig(source="amazon", **settings)  # type: ignore[arg-type]


def test_metadata_in_place_of_reviews_is_noticed(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "books", [_product("B1")])
    with pytest.raises(MissingColumnError, match="for the user's id"):
        run(tmp_path, source="amazon", interactions=str(folder / "meta_Books.json.gz"))


def test_cut_off_line_of_metadata_is_named(tmp_path: Path) -> None:
    path = tmp_path / "meta_Books.json"
    path.write_text(json.dumps(_product("B1")) + "\n" + '{"asin": "B2", "title": "Cu\n')
    reviews = _write(tmp_path / "Books.json", REVIEWS)
    with pytest.raises(BadValueError, match=r"meta_Books.json: line 2: broken JSON"):
        run(tmp_path, source="amazon", interactions=str(reviews), items=str(path), **SMALL)


def test_entities_that_are_none_stay() -> None:
    assert decode_entities("&nosuch; &#x41;&#66; &amp;lt; a&b;") == "&nosuch; AB &lt; a&b;"
