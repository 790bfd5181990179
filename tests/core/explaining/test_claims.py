"""What a reason claims is held against what the prompt says that it was written after."""

import pytest

from core.explaining.claims import PART, Facts

PROMPT = (
    "This person rated these items, oldest first:\n- Heat: Yes (crime)\n- Kids' World, The: No\n- Ran: Yes\n"
    "- Star Wars: Episode IV: No\n"
    "This person enjoyed 63% of 183 items and 4 of the last 10; other people enjoy 56% of the same items.\n"
    "Question: would this person enjoy Casino (crime, drama)?\n"
    "48% of 60 other people enjoyed it. This person enjoyed 33 of 43 action, 3 of 6 crime, 2 of 3 children's."
)
HISTORY = [
    ("Heat", True),
    ("Kids' World, The", False),
    ("Ran", True),
    ("Star Wars: Episode IV", False),
]
FACTS = Facts(PROMPT, HISTORY, "Casino")
READ = [
    "",
    "Yes. A good match is likely.",
    "Yes. So far they enjoyed 33 of 43 in action and 3 of 6 in crime.",
    "No. It pleased only 29 of 60 other people, and they liked 4 of the last 10.",
    "No. 29 of 60 people, no more than 29 of 60 others, enjoyed it.",
    "Yes. With 115 of 183 ratings so far positive, they liked “Heat”, also crime.",
    "Yes. It pleased 48 % of 60 others; they enjoy half (50%) of crime and 63 percent of all.",
    "Yes. They liked 2 of 3 in children's before, though “Kids’ World, The” left them cold.",
    "No. They did not enjoy “The Kids' World” and “Star Wars”; “Casino” is like them.",
    "Yes. Among their recent favourites are “Ran” and “Heat”, crime like this one.",
    "Yes. “Heat” and “Ran”, crime too, pleased them.",
    "No. It shares crime with “Star Wars”, which they disliked; they never liked “Kids' World, The”.",
    "Yes. Other people enjoyed it, and they would enjoy it, too.",
    "Yes. “Heat” and “Ran” pleased them, and “Star Wars” left them cold.",
    "Yes. It is like “Star Wars”, and “Heat” pleased them; unlike “Star Wars”, “Ran” pleased them.",
    "No. They were let down by “Star Wars” and “The Kids' World”, but never let down by “Heat”.",
    "Yes. Other people enjoy 56% of such; 48% of 60 other people liked it, and they enjoyed 4 of the last 10.",
    'Yes. They liked "Heat" and "Ran", though "Star Wars" left them cold.',
    "Yes. It pleased only 29 of 60, so 48% of 60 viewers, and 63% of 183 pleased them.",
    "Yes. They liked this kind of film before, and enjoyed this genre.",
    "No. They never really liked “Star Wars”.",
]


@pytest.mark.parametrize("reason", READ)
def test_what_the_prompt_says_is_no_finding(reason: str) -> None:
    assert all(FACTS.claims(reason).values())


@pytest.mark.parametrize(
    ("reason", "claims"),
    [
        ("They enjoyed 3 of 4 crime, 3 of 6 comedy.", ["3 of 4 crime"]),
        ("They enjoyed 33 of 43 in crime.", ["33 of 43 in crime"]),
        ("They enjoyed 3 of the last 6 crime.", ["3 of the last 6 crime"]),
        ("They enjoyed 4 of 10 drama.", ["4 of 10 drama"]),
        ("It pleased 31 of 60 other people.", ["31 of 60 other people"]),
        ("4 of the last 10 people enjoyed it.", ["4 of the last 10 people"]),
        ("3 of 6 other people and 33 of 43 others.", ["3 of 6 other people", "33 of 43 others"]),
        # What is said of the person is not what is true of the people, and the other way round.
        ("63% of 183 other people enjoyed it.", ["63% of 183 other people"]),
        ("115 of 183 other people enjoyed it.", ["115 of 183 other people"]),
        ("This person enjoyed 48% of 60 items.", ["48% of 60"]),
        ("They enjoyed 29 of 60 items so far.", ["29 of 60 items"]),
        ("They enjoyed 30 of the 43 action films.", ["30 of the 43 action"]),
        ("They enjoyed 6 of their last 10 items.", ["6 of their last 10 items"]),
        ("They enjoyed 62% of the 183 items.", ["62% of the 183"]),
        ("They never really liked “Heat”.", ["never really liked “Heat”"]),
        ("They liked 5 of 0 items, and 5 of 0 items.", ["5 of 0 items"]),
        ("They liked “Ronin”, 7 of 9.", ["7 of 9", "“Ronin”"]),
        ("They liked “7 of 9”, 7%.", ["7%", "“7 of 9”"]),
        ("It pleased 49% of 60 people, 48% of 61 and 48%.", ["49% of 60 people", "48% of 61"]),
        ("They like 64 per cent, or 7% of films.", ["64 per cent", "7%"]),
        ("They liked “Her” and “Eat”.", ["“Her”", "“Eat”"]),
        ('They liked "Her" and "Ran".', ["“Her”"]),
        ('They liked “The "Heat"”.', ['“The "Heat"”']),
        ('They liked "Heat” and "Her".', ["“Her”"]),
        ('They liked the 7" cut of "Her" and "Ran".', ["“Her”"]),
        (
            "They did not enjoy 33 of 43 action, disliked only 4 of the last 10.",
            ["did not enjoy 33 of 43 action", "disliked only 4 of the last 10"],
        ),
        ("Other people enjoy 4 of the last 10.", ["Other people enjoy 4 of the last 10"]),
        ("Other people enjoy 3 of 6 crime.", ["Other people enjoy 3 of 6 crime"]),
        ("Other people liked only 63%, like 56%.", ["Other people liked only 63%"]),
        ("Other people enjoy 56% of 60.", ["Other people enjoy 56% of 60"]),
        ("They didn't like 63% of 183.", ["didn't like 63% of 183"]),
        # Words of the prompt are no titles.
        ("They said “Yes” to “Crime” and “Star”.", ["“Yes”", "“Crime”", "“Star”"]),
        ("They enjoyed “Heat” and “Kids’ World, The”.", ["enjoyed “Heat” and “Kids’ World, The”"]),
        ("They didn't like “Ran”.", ["didn't like “Ran”"]),
        ("They enjoyed “Casino”.", ["enjoyed “Casino”"]),
        ("“Star Wars”, crime too, pleased them.", ["“Star Wars”, crime too, pleased them"]),
        ("“Star Wars” pleased them.", ["“Star Wars” pleased them"]),
        ("“Heat” and “Ran” left them cold.", ["“Heat” and “Ran” left them cold"]),
        ("So “Heat” and “Ran” left them cold.", ["“Ran” left them cold"]),
        ("“Heat” and “Star Wars” all pleased them.", ["“Heat” and “Star Wars” all pleased them"]),
        ("They were let down by “Heat”.", ["let down by “Heat”"]),
        ("“Heat”, which they did not enjoy.", ["“Heat”, which they did not enjoy"]),
        ("Recent disappointments are “Ran” and “Heat”.", ["disappointments are “Ran” and “Heat”"]),
        (
            "They enjoyed it, and this person did not like it.",
            ["They enjoyed it", "this person did not like it"],
        ),
    ],
)
def test_what_it_does_not_say_is_named_once(reason: str, claims: list[str]) -> None:
    found = FACTS.claims(reason)
    assert [claim for claim, is_read in found.items() if not is_read] == claims


def test_claims_are_those_that_are_read_too() -> None:
    reason = "They enjoyed 3 of 6 crime and 9 of 9 drama, and “Heat”; it pleased 48%. So yes."
    assert FACTS.claims(reason) == {
        "3 of 6 crime": True,
        "9 of 9 drama": False,
        "48%": True,
        "“Heat”": True,
    }
    assert FACTS.claims("A good match is likely.") == {}


def test_counts_are_found_however_they_are_put() -> None:
    reason = "They enjoyed 33 of the 43 action films, 4 of their last 10, and 63% of the 183 items."
    assert FACTS.claims(reason) == {
        "33 of the 43 action": True,
        "4 of their last 10": True,
        "63% of the 183": True,
    }


def test_what_was_not_liked_is_the_rest_of_what_was() -> None:
    reason = (
        "They did not enjoy 10 of 43 action, disliked 6 of the last 10; they disliked 37% of 183."
    )
    assert all(FACTS.claims(reason).values())


def test_a_title_that_was_liked_once_and_not_another_time_may_be_either() -> None:
    facts = Facts("- Emma: Yes\n- Emma: No", [("Emma", True), ("Emma", False)], "Ran")
    assert all(facts.claims("They enjoyed “Emma”. They did not enjoy “Emma”.").values())


@pytest.mark.parametrize("reason", READ)
def test_whatever_is_read_may_be_written_letter_by_letter(reason: str) -> None:
    written = reason.removeprefix("Yes. ").removeprefix("No. ")
    for end in range(len(written) + 1):
        assert FACTS.allow(written[:end]), written[:end]


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ("They enjoyed ", "8"),  # begins no number of the prompt
        ("They enjoyed 3", "5"),
        ("They enjoyed 6", " of"),  # stands there, and counts nothing
        ("They enjoyed 3 of ", "4"),
        ("They enjoyed 33 of 4", " "),
        ("They enjoyed 33 of 43 ", "crime"),
        ("They enjoyed 33 of 43 in ", "cri"),
        ("It pleased 4", "%"),
        ("It pleased 48% of ", "4"),
        ("It is from 1", "9"),
        ("They liked “", "B"),
        ('They liked "', "B"),
        ("Other people enjoy ", "4"),
        ("Other people enjoy 5", " of"),
        ("Other people enjoy 56", " of"),
        ("Other people enjoy 5", " "),
        ("Other people enjoy 56 ", "4"),
        ("Other people enjoy 56 p", "a"),
        ('They liked "Hea', '"'),
        ("They liked “Hea", "r"),
        ("They liked “Heat” and “", "K"),  # was not liked
        ("They did not enjoy “", "R"),
        ("They liked “", "C"),  # nobody has had it yet
        ("It shares crime with “Star", "”"),
        ("“Star Wars”, crime too, pleased", " them"),
        ("They enjoyed", " it"),
        ("They enjoyed this", "."),
        ("“Star Wars” pleased", " them"),
        ("They were let down by “", "H"),
        ("In all, 4 of the last 10", " people"),  # they are the person's own
        ("In all, 33 of 43", " people"),
        ("In all, 33 of 43 other", " people"),
        ("In all, 63% of 183", " people"),
        ("In all, 63% of 183 other", " people"),
        ("In all, 48% of 60", " items"),
        ("In all, 29 of 60", " items"),
        ("In all, 29 of 60 ", "items"),
        ("In all, 29 of 60", "."),
    ],
)
def test_what_cannot_become_true_is_not_begun(before: str, refused: str) -> None:
    assert FACTS.allow(before)
    assert not FACTS.allow(before + refused)


def test_a_character_that_is_not_whole_yet_may_go_on_in_a_title_and_ends_a_number() -> None:
    facts = Facts("- Amélie: Yes\n3 of 40 action", [("Amélie", True)], "Ran")
    assert facts.allow(f"They liked “Am{PART}")
    assert facts.allow("They liked “Amé")
    assert not facts.allow(f"They liked “Ra{PART}")
    assert not facts.allow(f"They liked 3 of 4{PART}")
    assert facts.allow(f"They liked 3 of 40{PART}")


def test_a_title_that_begins_another_is_that_one_alone() -> None:
    facts = Facts("", [("Problem Child", True), ("Problem Child 2", False)], "Casino")
    assert (
        facts.claims("They did not enjoy “Problem Child”.")["did not enjoy “Problem Child”"]
        is False
    )
    assert not facts.allow("They did not enjoy “Problem Child”.")
    assert facts.allow("They did not enjoy “Problem Child 2”.")
    assert facts.allow("They enjoyed “Problem Child”.")


@pytest.mark.parametrize(("k", "n", "percent"), [(23, 40, 57), (46, 80, 57), (109, 200, 55)])
def test_a_share_is_rounded_as_prompts_round_it(k: int, n: int, percent: int) -> None:
    assert round(100 * (k / n)) == percent
    facts = Facts(f"{percent}% of {n} other people enjoyed it.", [], "Casino")
    assert facts.claims(f"It pleased {k} of {n} other people.") == {
        f"{k} of {n} other people": True
    }
    assert facts.allow(f"It pleased {k} of {n} other people.")


def test_numbers_in_titles_are_no_counts() -> None:
    facts = Facts(
        "- 100% Wolf: Yes\n- 8 of 10 Crimes: No",
        [("100% Wolf", True), ("8 of 10 Crimes", False)],
        "Casino",
    )
    assert set(facts.claims("It pleased 100% of them. They enjoyed 8 of 10 crimes.").values()) == {
        False
    }
    assert all(facts.claims("They enjoyed “100% Wolf”.").values())


@pytest.mark.parametrize("title", ["Dr. No", "Stop! Yes", "What?! No way"])
def test_an_answer_within_a_title_is_none(title: str) -> None:
    facts = Facts(f"- {title}: Yes", [(title, True)], "Casino")
    reason = f"They enjoyed “{title}”, also crime."
    assert all(facts.allow(reason[:end]) for end in range(len(reason) + 1))
    assert not facts.allow("They enjoyed it. No")
