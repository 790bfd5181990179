"""Reasons: what was cut off ends with a whole sentence, what the model finished stays as it is."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch

from core.explaining.claims import Facts
from core.explaining.generate import _Grounded, _reason
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


FACTS = Facts(
    "This person enjoyed 33 of 43 action, 3 of 6 crime.", [("Heat", True), ("Ran", False)], "Alien"
)


def written(builder, wishes: Sequence[str], *, steps: int = 80) -> str:
    """Let a model write that wants the first of some texts that still goes on as it has begun, and after it the end."""
    tokenizer = builder.tokenizer
    grounded = _Grounded(builder, [FACTS])
    wanted = [
        [*tokenizer.encode(one, add_special_tokens=False), tokenizer.eos_token_id] for one in wishes
    ]
    ids: list[int] = []
    while len(ids) < steps and tokenizer.eos_token_id not in ids:
        scores = torch.zeros(1, len(tokenizer))
        for rank, wish in enumerate(wanted):
            if wish[: len(ids)] == ids:
                scores[0, wish[len(ids)]] += len(wishes) - rank
        kept = grounded(torch.tensor([ids], dtype=torch.long), scores)
        ids.append(int(kept.argmax()))
    return tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize(
    "text", [" They enjoyed 33 of 43 in action and “Heat”.", " A good match, 3 of 6 crime."]
)
def test_a_grounded_reason_is_written_as_the_model_wants_where_it_is_true(builder, text):
    assert written(builder, [text]) == text


@pytest.mark.parametrize(
    ("wanted", "second", "gets"),
    [
        (" They liked 33 of 44.", " They liked 33 of 43.", " They liked 33 of 43."),
        (" They enjoyed “Ran”.", " They enjoyed “Heat”.", " They enjoyed “Heat”."),
        (" They liked 9 of 9 drama.", " They liked 3 of 6 crime.", " They liked 3 of 6 crime."),
    ],
)
def test_a_grounded_reason_takes_the_likeliest_way_that_is_true(builder, wanted, second, gets):
    assert written(builder, [wanted, second]) == gets


@pytest.mark.parametrize(
    "wanted", [" They liked 33 of 44.", " They said “Yes”.", " It is 3 of 4 crime."]
)
def test_without_another_wish_it_still_claims_nothing_unread(builder, wanted):
    text = written(builder, [wanted])
    assert not text.startswith(wanted[:-1])
    assert all(FACTS.claims(text).values()), text
