"""Reasons: what was cut off ends with a whole sentence, what the model finished stays as it is."""

from types import SimpleNamespace

import pytest

from core.explaining.generate import _reason
from core.text.prompts import PromptBuilder
from tests.core.llm.tiny import tiny_tokenizer


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
    ids = builder.tokenizer.encode(" They liked the", add_special_tokens=False)
    assert _reason(ids, builder) == "They liked the…"
    assert _reason([], builder) == ""
