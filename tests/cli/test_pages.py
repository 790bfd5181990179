"""Pages for people: complete, and indifferent to fields that are missing."""

import io
import json
import shlex
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.cli.conftest import write_ratings
from thinkrec_cli.pages import ranking
from thinkrec_cli.pages.bars import bar, two_sided_bar
from thinkrec_cli.pages.explain import render_explanation, render_prompt
from thinkrec_cli.pages.ranking import MOST_ROWS
from thinkrec_cli.words import byte_size

EXPLANATION = {
    "scorer": "model/films@1",
    "dataset": "dataset/films@1",
    "user": "42",
    "item": "17",
    "title": "From Dusk Till Dawn [1996]",
    "answer": "No",
    "probability": 0.31,
    "score": -0.8,
    "reason": "No. The user liked quiet dramas.",
    "unread": ["3 of 4 crime", "“Heat”"],
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
        "! not in what the model read: 3 of 4 crime, “Heat”",
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


NEEDS = {
    "From Dusk Till Dawn [1996]": {"title"},
    "·  user 42": {"user"},
    "No  █████████": {"answer", "probability"},
    "31.0% likely": {"probability"},
    "(score -0.800)": {"score"},
    "No. The user liked quiet dramas.": {"reason"},
    "· The user likes 61 % of films.": {"evidence"},
    "! not in what the model read: 3 of 4 crime, “Heat”": {"unread"},
    "route  fused  a mixture of the experts": {"route"},
    "0.750": {"weights"},
    "Toy Story": {"history"},
    "-0.400": {"history"},
    "score --user 42 --top 10": {"user", "item"},
    "explain --user 42 --item 17 --show-prompt": {"user", "item"},
    "--scorer model/films@1": {"user", "item", "scorer"},
    "--dataset dataset/films@1": {"user", "item", "dataset"},
}
"""Words of the page, and the fields without which they are not there."""


@pytest.mark.parametrize("field", EXPLANATION)
def test_a_missing_or_empty_field_leaves_the_rest_of_the_page(field):
    without = {name: value for name, value in EXPLANATION.items() if name != field}
    for content in (without, {**EXPLANATION, field: None}):
        page = drawn(render_explanation, content)
        assert {words for words in NEEDS if words not in page} == {
            words for words, fields in NEEDS.items() if field in fields
        }


def test_words_of_others_cannot_steer_the_terminal():
    steered = "\x1b[2JHeat\x9b1m\u202e"
    page = drawn(
        render_explanation,
        {
            **EXPLANATION,
            "title": steered,
            "reason": f"No. {steered}",
            "evidence": [f"5 of 6 {steered}."],
            "history": [{"item": "1", "title": steered, "label": 1, "influence": None}],
        },
    )
    assert page.count("[2JHeat1m") == 4
    assert not {c for c in page if not c.isprintable()} - {"\n"}


def test_titles_of_a_ranking_cannot_steer_the_terminal(monkeypatch):
    row = {"rank": 1, "item": "7\x1b[2J", "title": "He\x9bat", "probability": 0.5}
    page = io.StringIO()
    monkeypatch.setattr(ranking, "_ranking", lambda done: [row])
    monkeypatch.setattr(ranking.console, "page", lambda quiet: Console(file=page, width=100))
    ranking.show_ranking(SimpleNamespace(switches=SimpleNamespace(quiet=False)), None)
    assert "7[2J  Heat" in page.getvalue()
    assert not {c for c in page.getvalue() if not c.isprintable()} - {"\n"}


def test_commands_to_go_on_with_can_be_pasted():
    user = "Anna  Maria; rm x" + "y" * 100
    page = drawn(render_explanation, {**EXPLANATION, "user": user, "item": "it's"})
    lines = [line.removeprefix("  next").strip() for line in page.splitlines()]
    commands = [shlex.split(line.split("   ")[0]) for line in lines if "thinkrec" in line]
    inputs = ["--scorer", "model/films@1", "--dataset", "dataset/films@1"]
    assert commands == [
        ["thinkrec", "score", "--user", user, "--top", "10", *inputs],
        ["thinkrec", "explain", "--user", user, "--item", "it's", "--show-prompt", *inputs],
    ]
    assert "thinkrec" not in drawn(render_explanation, {**EXPLANATION, "user": "a\x1b[2Jb"})


def test_commands_to_go_on_with_ask_in_the_same_way():
    asked = {**EXPLANATION, "keywords": "keywords/films@2", "same_users": True}
    page = drawn(render_explanation, asked)
    assert page.count("--dataset dataset/films@1 --keywords keywords/films@2 --same-users ") == 2


def test_a_title_is_cut_as_in_the_prompt():
    title = "Heat " * 1000
    history = [{**EXPLANATION["history"][0], "title": title}]
    page = drawn(render_explanation, {**EXPLANATION, "title": title, "history": history})
    assert page.count("Heat") < 50


def test_the_score_of_the_paper_is_not_called_a_chance():
    page = drawn(render_explanation, {**EXPLANATION, "probability": 0.71, "relevance": "yes"})
    assert "71.0% by the logit of Yes alone" in page
    assert "likely" not in page
    assert "31.0% likely" in drawn(render_explanation, {**EXPLANATION, "relevance": "margin"})


def test_what_the_prompt_left_out_is_marked():
    shown, hidden = EXPLANATION["history"]
    history = [{**shown, "shown": True}, {**hidden, "shown": False}]
    lines = drawn(render_explanation, {**EXPLANATION, "history": history}).splitlines()
    marked = [line.split()[0] for line in lines if "(not shown to the model)" in line]
    assert marked == ["GoldenEye"]


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
    facts = {name: EXPLANATION[name] for name in ("scorer", "dataset")}
    pair = {name: value for name, value in EXPLANATION.items() if name not in facts}
    page = drawn(render_explanation, {"explanations": [pair] * 5, **facts})
    assert page.count("From Dusk Till Dawn") == 3
    assert page.count("--scorer model/films@1") == 6
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
