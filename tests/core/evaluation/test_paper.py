"""Which of the paper's methods a scorer is, and the paper's figures beside ours."""

from pathlib import Path
from typing import Any

import pytest

from core.data.tables import read_rows
from core.evaluation.paper import (
    DATA_SETS,
    WITHOUT_BOTH,
    WITHOUT_EXPERTS,
    WITHOUT_THINKING,
    Scorer,
    method_of,
    paper_row,
)
from core.evaluation.report.comparison import _theirs
from tests.core.evaluation.reporting import Page, Showroom
from tests.core.evaluation.test_report import html_of


@pytest.fixture
def shop(tmp_path: Path) -> Showroom:
    return Showroom(tmp_path / "store")


def test_papers_figures_stand_beside_ours_on_the_papers_data_only(shop: Showroom) -> None:
    shop.scores("sasrec")
    assert "Beside the paper" not in html_of(shop.evaluate("scores/sasrec"))
    shop.as_papers("ml-1m")
    shop.fused("thinkrec")
    shop.scores("sasrec")
    found = shop.evaluate("scores/sasrec", "scores/thinkrec")
    rows = Page(html_of(found)).tables["paper"][1:]
    numbers = {row[1].parts["value"]: [cell.number for cell in row[3::2]] for row in rows}
    assert numbers == {
        "SASRec": [0.6956, 0.6687, 0.7663, 0.4747],
        "ThinkRec": [0.7764, 0.6775, 0.7747, 0.4774],
    }


def test_a_scorer_of_another_data_set_has_no_groups_routes_or_figures_of_the_paper_there(
    shop: Showroom,
) -> None:
    model = shop.fused("thinkrec")
    shop.as_papers("ml-1m")
    shop.scores_of(model)
    found = shop.evaluate("scores/thinkrec@2")
    assert "Beside the paper" not in html_of(found)
    assert "Routes of the users" not in html_of(found)
    slices = {row["slice"] for row in read_rows(found.file("metrics.parquet"))}
    assert not [name for name in slices if name.startswith("group")]


@pytest.mark.parametrize(
    "other", [{"since": "2001-07-01"}, {"threshold": 4.0}, {"min_user_rows": 5}]
)
def test_another_window_of_the_papers_data_is_not_compared(
    shop: Showroom, other: dict[str, Any]
) -> None:
    shop.as_papers("ml-1m", **other)
    shop.scores("sasrec")
    assert "Beside the paper" not in html_of(shop.evaluate("scores/sasrec"))


@pytest.mark.parametrize(
    ("source", "other", "column", "sasrec"),
    [
        ("yelp", {}, "Yelp", [0.6184, 0.6096, 0.8564, 0.2785]),
        ("amazon", {"files": ["Books_5.json.gz"]}, "Book", [0.5411, 0.5197, 0.6550, 0.2701]),
        ("amazon", {"files": ["Magazine_Subscriptions_5.json.gz"]}, None, []),
        ("yelp", {"min_user_rows": 5}, None, []),
    ],
)
def test_yelp_and_book_are_compared_with_their_own_columns(
    shop: Showroom, source: str, other: dict[str, Any], column: str | None, sasrec: list[float]
) -> None:
    shop.as_papers(source, **other)
    shop.scores("sasrec")
    tables = Page(html_of(shop.evaluate("scores/sasrec"))).tables
    if column is None:
        assert "paper" not in tables
        return
    (row,) = tables["paper"][1:]
    assert row[1].parts["note"] == f"table 2, {column}"
    assert [cell.number for cell in row[3::2]] == sasrec


def test_a_model_that_is_more_than_the_papers_is_said_to_be(shop: Showroom) -> None:
    shop.as_papers("ml-1m")
    kept = {"kept": True}
    shop.fused("thinkrec", style="evidence", projector=kept)
    shop.fused("corrects", style="evidence", prior_offset=True, projector=kept)
    shop.fused("thinkrec-paper", projector=kept)
    shop.fused("thinkrec-centred", centred=True, projector=kept)
    shop.fused("of-one", experts=1, only_groups=[0])
    shop.fused("of-few", projector=kept, train_rows=2000, traces=False)
    names = ("thinkrec", "corrects", "thinkrec-paper", "thinkrec-centred", "of-one", "of-few")
    found = shop.evaluate(*(f"scores/{name}" for name in names))
    rows = Page(html_of(found)).tables["paper"][1:]
    notes = {row[0].parts["value"]: row[1].parts["note"] for row in rows}
    assert notes == {
        "model/thinkrec@1": "table 2, ML-1Mours is told counts (style evidence)",
        "model/corrects@1": "table 2, ML-1Mours is told counts (style evidence); "
        "ours starts from the chance by counts (prior offset)",
        "model/thinkrec-paper@1": "table 2, ML-1M",
        "model/thinkrec-centred@1": "table 2, ML-1Mours has centred experts",
        "model/of-one@1": "table 2, ML-1Mours was trained on some groups of users only; ours has one expert; "
        "ours has no projector",
        "model/of-few@1": "table 4, ML-1Mours was trained on a sample of 2,000 rows",
    }
    methods = {row[0].parts["value"]: row[1].parts["value"] for row in rows}
    assert methods["model/of-few@1"] == WITHOUT_THINKING  # no traces, so it was taught no reasons
    assert methods["model/thinkrec-paper@1"] == "ThinkRec"


def test_only_test_rows_are_compared_and_a_sample_of_them_is_said_to_be_one(shop: Showroom) -> None:
    shop.as_papers("ml-1m")
    data = shop.dataset
    shop.scores("sasrec", rows=data.rows("valid"))
    assert "paper" not in Page(html_of(shop.evaluate("scores/sasrec"))).tables
    test = data.rows("test")
    shop.scores("mf", rows=test[: len(test) // 2])
    page = Page(html_of(shop.evaluate("scores/mf")))
    assert f"ours are {len(test) // 2} of its {len(test)} rows" in page.text
    assert f"{len(test) // 2} of the {len(test)} of split test" in page.text
    shop.scores("gsasrec")
    assert (
        "Both are measured on the whole test split"
        in Page(html_of(shop.evaluate("scores/gsasrec"))).text
    )


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(0.5, 0.6, "ours below"), (0.68, 0.70, "within ours"), (0.7, 0.8, "ours above")],
)
def test_papers_figure_is_told_by_our_own_interval(low: float, high: float, told: str) -> None:
    line = {"low": low, "high": high}
    assert _theirs(line, 0.6956).note == told


@pytest.mark.parametrize(
    ("scorer", "method"),
    [
        (Scorer(kind="encoder", names=("x",), encoder="gsasrec"), "gSASRec"),
        (Scorer(kind="encoder", names=("bias",), encoder="bias"), None),
        (Scorer(kind="adapter", names=("tallrec-seed-1",), thinks=False), "TALLRec"),
        (
            Scorer(kind="adapter", names=("prompt4nr", "scores/prompt4nr@1"), thinks=False),
            "Prompt4NR",
        ),
        (Scorer(kind="adapter", names=("global", "scores/tallrec@3"), thinks=False), "TALLRec"),
        # CoLLM goes on from the adapter of TALLRec; its own name counts.
        (
            Scorer(kind="model", names=("collm",), adapter="tallrec", thinks=False, experts=0),
            "CoLLM",
        ),
        # A name makes no baseline of what has experts, or was trained on reasons.
        (Scorer(kind="model", names=("thinkrec-vs-tallrec",), experts=2), "ThinkRec"),
        (Scorer(kind="model", names=("final", "scores/final-vs-collm@1"), experts=2), "ThinkRec"),
        (Scorer(kind="adapter", names=("like-tallrec",)), WITHOUT_EXPERTS),
        (Scorer(kind="model", names=("mine",), adapter="tallrec", thinks=False), None),
        (Scorer(kind="model", names=("nottallrec",)), "ThinkRec"),
        (Scorer(kind="model", names=("thinkrec", "scores/thinkrec-test@1"), experts=2), "ThinkRec"),
        (Scorer(kind="model", names=("thinkrec-paper",), experts=2), "ThinkRec"),
        (Scorer(kind="model", names=("experts-of-3",), experts=3), "ThinkRec"),
        (Scorer(kind="model", names=("full",), thinks=False), WITHOUT_THINKING),
        (Scorer(kind="model", names=("without-think",), experts=2), WITHOUT_THINKING),
        (Scorer(kind="model", names=("no-thinking-2",), experts=2), WITHOUT_THINKING),
        (Scorer(kind="model", names=("without-experts",)), WITHOUT_EXPERTS),
        (Scorer(kind="model", names=("x", "scores/without-experts@1")), WITHOUT_EXPERTS),
        (Scorer(kind="model", names=("projected",), experts=0), WITHOUT_EXPERTS),
        (Scorer(kind="model", names=("without-both",), experts=2), WITHOUT_BOTH),
        (Scorer(kind="model", names=("without-think",), experts=0), WITHOUT_BOTH),
        (Scorer(kind="adapter", names=("without-think-global",)), WITHOUT_BOTH),
        (Scorer(kind="adapter", names=("global",)), WITHOUT_EXPERTS),
        (Scorer(kind="adapter", names=("global",), thinks=False), WITHOUT_BOTH),
    ],
)
def test_a_scorer_is_compared_with_the_method_it_is(scorer: Scorer, method: str | None) -> None:
    assert method_of(scorer) == method
    for source in DATA_SETS:
        assert method is None or paper_row(method, source) is not None


def test_figures_are_the_papers() -> None:
    """One of every table and column, read off the paper again."""
    for method, source, metric, value in (
        ("LightGCN", "yelp", "auc", 0.5360),
        ("Prompt4NR", "amazon", "map@5", 0.3048),
        ("TALLRec", "ml-1m", "ndcg@5", 0.7683),
        ("ThinkRec", "amazon", "auc", 0.8302),
        (WITHOUT_THINKING, "amazon", "uauc", 0.4692),
        (WITHOUT_EXPERTS, "yelp", "map@5", 0.2791),
        (WITHOUT_EXPERTS, "ml-1m", "auc", 0.7843),
        (WITHOUT_EXPERTS, "amazon", "auc", 0.8369),
        (WITHOUT_BOTH, "ml-1m", "ndcg@5", 0.7643),
    ):
        row = paper_row(method, source)
        assert row is not None
        assert row.figures[metric] == value
    row = paper_row("ThinkRec", "yelp")
    assert row is not None
    assert row.reasons == {"meteor": 0.0616, "bleurt": 0.2683}
    assert paper_row("ThinkRec", "ml-100k") is None
    assert paper_row("bias") is None
