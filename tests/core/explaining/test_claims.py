"""Counts and titles of a reason are held against the prompt that it was written after."""

import pytest

from core.explaining.claims import claims_of

PROMPT = (
    "This person rated these items, oldest first:\n- Heat: Yes (crime)\n- Kids' World, The: No\n"
    "This person enjoyed 63% of 183 items and 4 of the last 10; other people enjoy 56% of the same items.\n"
    "Question: would this person enjoy Casino (crime, drama)?\n"
    "48% of 60 other people enjoyed it. This person enjoyed 33 of 43 action, 3 of 6 crime, 2 of 3 children's."
)


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "Yes. A good match is likely.",
        "Yes. So far they enjoyed 33 of 43 in action and 3 of 6 in crime.",
        "No. It pleased only 29 of 60 other people, and they liked 4 of the last 10.",
        "Yes. With 115 of 183 ratings so far positive, they liked “Heat”, also crime.",
        "Yes. It pleased 48 % of 60 others; they enjoy half (50%) of crime and 63 percent of all.",
        "Yes. They liked 2 of 3 in children's before, though “Kids’ World, The” left them cold.",
    ],
)
def test_what_the_prompt_says_is_no_finding(reason: str) -> None:
    assert all(claims_of(reason, PROMPT).values())


@pytest.mark.parametrize(
    ("reason", "claims"),
    [
        ("They enjoyed 3 of 4 crime, 3 of 6 comedy.", ["3 of 4 crime"]),
        ("They enjoyed 33 of 43 in crime.", ["33 of 43 in crime"]),
        ("It pleased 31 of 60 other people.", ["31 of 60 other"]),
        ("They liked 5 of 0 items, and 5 of 0 items.", ["5 of 0 items"]),
        ("They liked “Ronin”, 7 of 9.", ["7 of 9", "“Ronin”"]),
        ("It pleased 49% of 60 people, 48% of 61 and 48%.", ["49% of 60", "48% of 61"]),
        ("They like 64 per cent, or 7% of films.", ["64 per cent", "7%"]),
        ("They liked “Her” and “Eat”.", ["“Her”", "“Eat”"]),
    ],
)
def test_what_it_does_not_say_is_named_once(reason: str, claims: list[str]) -> None:
    found = claims_of(reason, PROMPT)
    assert [claim for claim, is_read in found.items() if not is_read] == claims


def test_claims_are_those_that_are_read_too() -> None:
    reason = "They enjoyed 3 of 6 crime and 9 of 9 drama, and “Heat”; it pleased 48%. So yes."
    assert claims_of(reason, PROMPT) == {
        "3 of 6 crime": True,
        "9 of 9 drama": False,
        "48%": True,
        "“Heat”": True,
    }
    assert claims_of("A good match is likely.", PROMPT) == {}
