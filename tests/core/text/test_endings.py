"""Where text that was cut off still has whole sentences."""

import pytest

from core.text.endings import each_sentence_once, whole_sentences


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
def test_of_what_holds_no_whole_sentence_nothing_is_left(text):
    assert whole_sentences(text) == ""


def test_nothing_stays_nothing():
    assert whole_sentences("") == ""


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("", ""),
        ("They liked Heat.", "They liked Heat."),
        ("They liked Heat. They liked Heat.", "They liked Heat."),
        ("It is a fine one. They liked 3 of 4. It is a fine one.", "It is a fine one. They liked 3 of 4."),
        ("They liked 3 of 4 crime. They liked 3 of 5 crime.", "They liked 3 of 4 crime. They liked 3 of 5 crime."),
        ("“Stop! Stop!” pleased them. Stop!", "“Stop! Stop!” pleased them. Stop!"),
        ("Seen with Mr. A. Mr. A. is fine", "Seen with Mr. A. Mr. A. is fine"),
        ("They liked it. They liked it", "They liked it. They liked it"),
        ("So far so good. So far so…", "So far so good. So far so…"),
    ],
)  # fmt: skip
def test_a_sentence_that_was_said_is_not_said_again(said, wanted):
    assert each_sentence_once(said) == wanted
