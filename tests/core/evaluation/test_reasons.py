"""Metrics of reasons against published values, slow definitions and a small WordNet written here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evaluation.metrics import Drawing
from core.evaluation.reasons import (
    Reasons,
    distinct,
    measure_reasons,
    meteors,
    rouge_l,
    without_answer,
)
from core.progress import Silent


def some_reasons(**changed: Any) -> Reasons:
    table: dict[str, Any] = {
        "user": ["a", "a", "b"],
        "answer": ["Yes", "No", "Yes"],
        "probability": np.array([0.9, 0.2, 0.4]),
        "reason": ["the user likes drama", "the user dislikes horror", "many people liked it"],
        "reference": ["the user likes drama", None, "few people liked it"],
    }
    return Reasons(**(table | changed))


def measured(reasons: Reasons) -> dict[str, float | None]:
    figures = measure_reasons(reasons, wordnet=None, drawing=Drawing(samples=50), progress=Silent())
    return {name: figure.value for name, figure in figures.items()}


def write_wordnet(folder: Path) -> Path:
    """Write a WordNet of one synset, {film, flick}, in the real file format."""
    licence = "  1 a licence stands here\n"
    synset = "06613686 10 n 02 film 0 flick 0 000 | a story told in moving pictures  \n"
    folder.mkdir()
    for part in ("noun", "verb", "adj", "adv"):
        (folder / f"data.{part}").write_text(licence)
        (folder / f"index.{part}").write_text(licence)
        (folder / f"{part}.exc").write_text("")
    # The number that names a synset is its place in the data file.
    synset = synset.replace("06613686", f"{len(licence):08d}")
    (folder / "data.noun").write_text(licence + synset)
    line = "{} n 1 0 1 0 " + f"{len(licence):08d}" + "  \n"
    (folder / "index.noun").write_text(licence + line.format("film") + line.format("flick"))
    (folder / "lexnames").write_text("".join(f"{n:02d}\tlex.{n}\t1\n" for n in range(45)))
    (folder / "index.sense").write_text("")
    (folder / "cntlist.rev").write_text("")
    return folder


def meteor(text: str, reference: str, wordnet: Path) -> float:
    return float(meteors([(text, reference)], wordnet, Silent())[0])


def test_meteor_equals_the_published_example_of_its_library(tmp_path: Path) -> None:
    text = "It is a guide to action which ensures that the military always obeys the commands of the party"
    reference = (
        "It is a guide to action that ensures that the military will forever heed Party commands"
    )
    assert meteor(text, reference, write_wordnet(tmp_path / "wn")) == pytest.approx(
        0.6944, abs=5e-5
    )


def test_meteor_counts_synonyms_of_wordnet(tmp_path: Path) -> None:
    wordnet = write_wordnet(tmp_path / "wn")
    assert meteor("a good flick", "a good film", wordnet) == pytest.approx(
        meteor("a good film", "a good film", wordnet)
    )
    assert meteor("a good book", "a good film", wordnet) < 0.7


def test_meteor_splits_words_at_white_space_only(tmp_path: Path) -> None:
    wordnet = write_wordnet(tmp_path / "wn")
    assert meteor("drama.", "drama", wordnet) == 0


def subsequences(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = {()}
    for word in words:
        found |= {(*known, word) for known in found}
    return found


words = st.lists(st.sampled_from("abc"), max_size=7).map(tuple)


@given(words, words)
@settings(max_examples=200, deadline=None)
def test_rouge_l_equals_the_search_of_all_subsequences(
    first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    longest = max(map(len, subsequences(first) & subsequences(second)))
    total = len(first) + len(second)
    wanted = 2 * longest / total if first and second else 0
    assert rouge_l(" ".join(first), " ".join(second)) == pytest.approx(wanted)


def test_distinct_counts_different_ngrams_over_all_texts() -> None:
    texts = ["a b a b", "A b c"]
    assert distinct(texts, 1) == pytest.approx(3 / 7)
    assert distinct(texts, 2) == pytest.approx(3 / 5)  # ab ba ab ab bc
    assert distinct(["one"], 2) is None


def test_agreement_is_between_the_first_word_and_the_score() -> None:
    assert measured(some_reasons())["agreement"] == pytest.approx(2 / 3)
    said = some_reasons(reason=["No. Not this", "No, never", "no doubt, no"])
    assert measured(said)["agreement"] == pytest.approx(2 / 3)
    assert measured(some_reasons(answer=["Yes", "No", "No"]))["agreement"] == 1


def test_grounded_is_the_share_of_reasons_with_claims_that_are_all_in_the_prompt() -> None:
    figures = measure_reasons(
        some_reasons(grounded=[True, False, None]),
        wordnet=None,
        drawing=Drawing(samples=50),
        progress=Silent(),
    )
    assert (figures["grounded"].value, figures["grounded"].rows) == (0.5, 2)
    assert "grounded" not in measured(some_reasons(grounded=[None, None, None]))
    assert "grounded" not in measured(some_reasons())


def test_only_reasons_with_a_reference_are_compared() -> None:
    figures = measure_reasons(
        some_reasons(), wordnet=None, drawing=Drawing(samples=50), progress=Silent()
    )
    assert figures["rouge_l"].rows == 2
    assert figures["agreement"].rows == 3
    assert figures["rouge_l"].value == pytest.approx((1 + 3 / 4) / 2)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Yes. They like drama.", "They like drama."),
        ("no, never", "never"),
        ("Yes.", ""),
        ("Yes", ""),
        ("Nobody likes it.", "Nobody likes it."),
        ("No drama here.", "No drama here."),
    ],
)
def test_the_answer_before_a_reason_is_not_compared(text: str, wanted: str) -> None:
    assert without_answer(text) == wanted
    found = measured(some_reasons(reason=[text] * 3, reference=[wanted or "x"] * 3))
    assert found["rouge_l"] == (1 if wanted else 0)


def test_an_empty_reason_is_worth_nothing(tmp_path: Path) -> None:
    assert meteor("", "a good film", write_wordnet(tmp_path / "wn")) == 0
    found = measured(some_reasons(reason=["Yes."] * 3))
    assert (found["bleu"], found["chrf"], found["rouge_l"]) == (0, 0, 0)


def test_without_any_reference_only_what_needs_none_is_measured() -> None:
    assert set(measured(some_reasons(reference=[None] * 3))) == {
        "agreement",
        "distinct_1",
        "distinct_2",
    }


def test_equal_texts_have_the_highest_bleu_and_chrf() -> None:
    text = "the user likes long and quiet drama films"
    found = measured(some_reasons(reason=[text] * 3, reference=[text] * 3))
    assert found["bleu"] == pytest.approx(100)
    assert found["chrf"] == pytest.approx(100)
    assert found["rouge_l"] == 1


def test_bleu_and_chrf_are_those_of_sacrebleu_also_for_drawn_users() -> None:
    rng = np.random.default_rng(0)
    words = ["the", "user", "likes", "long", "quiet", "drama", "films", "and", "good", "horror"]
    texts = [" ".join(rng.choice(words, rng.integers(1, 12))) for _ in range(12)]
    references = [" ".join(rng.choice(words, 10)) for _ in range(12)]
    users = list("aabbbcdddeef")
    reasons = Reasons(
        user=users,
        answer=["Yes"] * 12,
        probability=np.full(12, 0.9),
        reason=texts,
        reference=references,
    )
    figures = measure_reasons(
        reasons, wordnet=None, drawing=Drawing(samples=30, seed=3), progress=Silent()
    )
    corpus = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf}
    for name, public in corpus.items():
        assert figures[name].value == pytest.approx(public(texts, [references]).score)
        names = sorted(set(users))
        drawn = []
        for indices in np.random.default_rng(3).integers(0, len(names), (30, len(names))):
            rows = [r for index in indices for r in range(12) if users[r] == names[index]]
            drawn.append(public([texts[r] for r in rows], [[references[r] for r in rows]]).score)
        found = figures[name].interval
        assert found is not None
        # Six users: Student's t of five degrees of freedom, and six to five.
        value, width = figures[name].value, 2.570582 / 1.959964 * (6 / 5) ** 0.5
        assert value is not None
        low, high = value + width * (np.percentile(drawn, [2.5, 97.5]) - value)
        assert (found.low, found.high) == pytest.approx((max(low, 0), min(high, 100)), rel=1e-6)


def test_one_user_gives_no_interval() -> None:
    reasons = some_reasons(user=["a"] * 3)
    figures = measure_reasons(reasons, wordnet=None, drawing=Drawing(samples=50), progress=Silent())
    assert figures["agreement"].interval is None
