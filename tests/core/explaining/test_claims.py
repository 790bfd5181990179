"""Counts and titles of a reason are held against the prompt that it was written after."""

import pytest

from core.explaining.claims import unread_claims

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
    assert unread_claims(reason, PROMPT) == []


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
    assert unread_claims(reason, PROMPT) == claims
