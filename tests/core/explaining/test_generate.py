"""Reasons: what was cut off ends with a whole sentence, what the model finished stays as it is."""

from types import SimpleNamespace

import pytest

from core.explaining.generate import _reason, whole_sentences
from core.text.prompts import PromptBuilder
from tests.core.llm.tiny import tiny_tokenizer


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("They usually enjoy 3.5 stars! It is a very", "They usually enjoy 3.5 stars!"),
        ("They liked “Heat.” They dis", "They liked “Heat.”"),
        ('They liked "Heat." They dis', 'They liked "Heat."'),
        ("They liked it (a lot). It is", "They liked it (a lot)."),
        ("Is it new? It shares comedy with “Dr. No", "Is it new?"),
        ("It is new. They liked Dr. Strangelove and", "It is new."),
        ("It is new. They liked E.T. The", "It is new."),
        ("It is new. They liked “Who’s Afraid of Virginia Woolf?” and", "It is new."),
        ("It is new. They give it 3.", "It is new."),
        ("They gave it 3 in 1994. 5 of 6 p", "They gave it 3 in 1994."),
        ("It is new. They liked “Heat”.", "It is new. They liked “Heat”."),
    ],
)
def test_what_was_cut_off_ends_with_its_last_whole_sentence(text, kept):
    assert whole_sentences(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "It shares comedy with “Dr. Strangelove or: How I",
        "“E.T. the Extra-Terrestrial”, children’s too",
        "They usually enjoy 3.",
        "They",
    ],
)
def test_what_holds_no_whole_sentence_is_kept_with_an_ellipsis(text):
    assert whole_sentences(text) == f"{text}…"


def test_nothing_stays_nothing():
    assert whole_sentences("") == ""


@pytest.fixture(scope="module")
def builder() -> PromptBuilder:
    return SimpleNamespace(tokenizer=tiny_tokenizer())


@pytest.mark.parametrize(
    "text", ["“E.T. the Extra-Terrestrial”, children’s too, pleased them", "They liked “Heat.”"]
)
def test_what_the_model_finished_is_not_tidied(builder, text):
    end = builder.tokenizer.eos_token_id
    ids = builder.tokenizer.encode(f" {text}", add_special_tokens=False)
    assert _reason([*ids, end, end, end], builder) == text
    assert _reason([*ids, end, *ids], builder) == text


def test_what_the_limit_ended_is_tidied(builder):
    ids = builder.tokenizer.encode(" The film is new. They liked", add_special_tokens=False)
    assert _reason(ids, builder) == "The film is new."
