"""Pages for people: complete, and indifferent to fields that are missing."""

import io
import json

import pytest
from rich.console import Console

from tests.cli.conftest import write_ratings
from thinkrec_cli.pages.bars import bar, two_sided_bar
from thinkrec_cli.pages.explain import render_explanation, render_prompt
from thinkrec_cli.pages.ranking import MOST_ROWS
from thinkrec_cli.words import byte_size

EXPLANATION = {
    "user": "42",
    "item": "17",
    "title": "From Dusk Till Dawn [1996]",
    "answer": "No",
    "probability": 0.31,
    "score": -0.8,
    "reason": "No. The user liked quiet dramas.",
    "route": "fused",
    "weights": [0.25, 0.75],
    "experts": 2,
    "history": [
        {"item": "1", "title": "Toy Story", "label": 1, "influence": 0.2},
        {"item": "2", "title": "GoldenEye", "label": 0, "influence": -0.4},
    ],
    "evidence": ["The user likes 61 % of films."],
    "prompt": "<|im_start|>user [bold]\nWould the user enjoy",
    "token_ids": [1, 4093, 198],
}


def drawn(render, content) -> str:
    page = io.StringIO()
    render(Console(file=page, width=100, highlight=False), content)
    return page.getvalue()


def test_the_page_of_an_explanation_tells_everything():
    page = drawn(render_explanation, EXPLANATION)
    for words in (
        "From Dusk Till Dawn [1996]",
        "user 42",
        "31.0% likely",
        "No. The user liked quiet dramas.",
        "The user likes 61 % of films.",
        "a mixture of the experts",
        "0.250",
        "0.750",
        "Toy Story",
        "+0.200",
        "-0.400",
        "thinkrec score --user 42 --top 10",
    ):
        assert words in page


@pytest.mark.parametrize("missing", EXPLANATION)
def test_a_missing_field_leaves_the_rest_of_the_page(missing):
    content = {name: value for name, value in EXPLANATION.items() if name != missing}
    assert drawn(render_explanation, content).strip()


@pytest.mark.parametrize("empty", EXPLANATION)
def test_an_empty_field_leaves_the_rest_of_the_page(empty):
    assert drawn(render_explanation, {**EXPLANATION, empty: None}).strip()


def test_the_prompt_is_printed_exactly():
    page = drawn(render_prompt, EXPLANATION)
    assert "<|im_start|>user [bold]\nWould the user enjoy" in page
    assert "1 4093 198" in page
    assert "3 token ids" in page


@pytest.fixture
def scored(thinkrec, ratings):
    """A store with a collaborative model of 100 items, of which a user has rated few."""
    write_ratings(ratings, items=100)
    ingest = ("ingest", "table", "--interactions", "ratings.csv", "--items", "movies.csv")
    assert thinkrec(*ingest).returncode == 0
    assert thinkrec("encode", "--encoder", "bias").returncode == 0
    return thinkrec


TOP = ("score", "--user", "u1", "--top", "60")


def test_a_long_ranking_is_cut_on_the_page_only(scored):
    page = scored(*TOP).stderr
    assert page.count("%") == MOST_ROWS
    assert "and 10 more: --json shows all" in page
    assert len(json.loads(scored(*TOP, "--json").stdout)["items"]) == 60


def test_quiet_leaves_out_a_page_that_would_go_to_the_errors(scored):
    done = scored(*TOP, "-q")
    assert done.stdout == "scores/bias-user-u1@1\n"
    assert done.stderr == ""


def test_a_sample_shows_its_first_pages():
    page = drawn(render_explanation, {"explanations": [EXPLANATION] * 5})
    assert page.count("From Dusk Till Dawn") == 3
    assert "and 2 more" in page


@pytest.mark.parametrize(
    ("share", "drawing"),
    [(0.0, "░░░░"), (0.5, "██░░"), (1.0, "████"), (0.3125, "█▎░░"), (7, "████")],
)
def test_a_bar_is_exact_to_an_eighth(share, drawing):
    assert bar(share, 4, "").plain == drawing


@pytest.mark.parametrize(
    ("share", "drawing"), [(0.0, "    │    "), (-1.0, "████│    "), (0.5, "    │██  ")]
)
def test_a_bar_around_the_middle_shows_the_sign(share, drawing):
    assert two_sided_bar(share, 4).plain == drawing


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (1400, "1.4 kB"), (98_000_000, "98.0 MB")]
)
def test_sizes_are_said_with_a_unit(count, words):
    assert byte_size(count) == words
