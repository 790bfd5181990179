"""The rows that get a reason, and the grounded teacher: every claim is derived again from the data."""

import dataclasses
import re

import numpy as np
import pytest

from core.data.dataset import Dataset
from core.data.histories import Histories
from core.text.cases import Case, ItemFacts, Sampling, Seen, build_cases, sample_rows
from core.text.grounded import LEAST_WORDS, MOST_WORDS, grounded_reason, grounded_trace
from tests.conftest import write_dataset

NO_KEYWORDS: list[list[str]] = [[] for _ in range(200)]
TITLES = r"(?P<titles>“[^”]*”(?:(?:, | and )“[^”]*”)*)"
FACET = r"(?P<facet>[a-z-]+)"
LIKED = (
    rf"hey enjoyed {TITLES}, also {FACET}",
    rf"t shares {FACET} with {TITLES}, which they enjoyed",
    rf"favourites (?:are|is) {TITLES}, {FACET} like this one",
    rf"{TITLES}, {FACET} too, pleased them",
)
DISLIKED = (
    rf"hey did not enjoy {TITLES}, also {FACET}",
    rf"t shares {FACET} with {TITLES}, which they disliked",
    rf"disappointments (?:are|is) {TITLES}, {FACET} like this one",
    rf"{TITLES}, {FACET} too, left them cold",
)


def claims_about_titles(text: str) -> list[tuple[str, str, bool]]:
    """Read (title, facet, liked) out of a reason."""
    return [
        (title, match["facet"], patterns is LIKED)
        for patterns in (LIKED, DISLIKED)
        for pattern in patterns
        for match in re.finditer(pattern, text)
        for title in re.findall(r"“(.*?)”", match["titles"])
    ]


def cases_of(dataset: Dataset, rows, *, history_length: int = 10) -> list[Case]:
    return build_cases(dataset, rows, keywords=NO_KEYWORDS, history_length=history_length)


@pytest.fixture(scope="module")
def rich(tmp_path_factory) -> Dataset:
    """A data set with two categories per item and titles that are awkward to quote."""
    folder = tmp_path_factory.mktemp("rich") / "dataset"
    dataset = Dataset.open(write_dataset(folder, users=25, items=40, rows=1500, seed=3))
    extra = ["Crime", "War", "Sci-Fi"]
    return dataclasses.replace(
        dataset,
        categories=[[*names, extra[i % 3]] for i, names in enumerate(dataset.categories)],
        titles=[f"Film {i}, The (Part 2 of 3)" if i % 7 == 0 else f"Film {i}" for i in range(40)],
    )


# -- which rows ---------------------------------------------------------------------------------


def sampling(count: int, **changes) -> Sampling:
    settings = {"count": count, "seed": 0, "balance": False, "least_history": 3, **changes}
    return Sampling(**settings)


def test_sample_keeps_the_natural_rate_or_balances(dataset):
    train = dataset.rows("train")
    rate = dataset.label[train].mean()
    natural = sample_rows(dataset, "train", sampling(100))
    balanced = sample_rows(dataset, "train", sampling(100, balance=True))
    assert dataset.label[natural].sum() == round(100 * rate)
    assert dataset.label[balanced].sum() == 50


def test_sample_comes_from_its_split_without_repeats(dataset):
    rows = sample_rows(dataset, "test", sampling(40))
    assert len(set(rows.tolist())) == 40
    assert set(rows.tolist()) <= set(dataset.rows("test").tolist())


def test_sample_is_fixed_by_its_seed(dataset):
    first = sample_rows(dataset, "train", sampling(50))
    assert first.tolist() == sample_rows(dataset, "train", sampling(50)).tolist()
    assert first.tolist() != sample_rows(dataset, "train", sampling(50, seed=1)).tolist()


def test_sample_prefers_rows_with_a_history_and_takes_others_only_when_it_must(dataset):
    lengths = Histories.of(dataset).counts(np.arange(len(dataset)))
    train = dataset.rows("train")
    short = int((lengths[train] < 3).sum())
    assert short > 0
    assert (lengths[sample_rows(dataset, "train", sampling(150))] >= 3).all()
    everything = sample_rows(dataset, "train", sampling(10**6))
    assert everything.tolist() == train.tolist()


# -- what is known before a row -------------------------------------------------------------------


def test_case_does_not_depend_on_its_own_or_later_labels(rich):
    for row in rich.rows("train")[100:130].tolist():
        later = (rich.user == rich.user[row]) & (rich.time >= rich.time[row])
        flipped = dataclasses.replace(rich, label=np.where(later, 1 - rich.label, rich.label))
        before, after = cases_of(rich, [row])[0], cases_of(flipped, [row])[0]
        assert after.expectation == pytest.approx(before.expectation, abs=1e-9)
        same = {"label": before.label, "expectation": before.expectation}
        assert dataclasses.replace(after, **same) == before


# -- the grounded teacher -------------------------------------------------------------------------


def brute_counts(dataset: Dataset, row: int) -> dict[str, tuple[int, int]]:
    """Count by plain loops: per category of the item, the crowd, the user."""
    past = [
        r
        for r in range(len(dataset))
        if dataset.user[r] == dataset.user[row] and dataset.time[r] < dataset.time[row]
    ]
    crowd = [
        r
        for r in range(len(dataset))
        if dataset.item[r] == dataset.item[row]
        and dataset.user[r] != dataset.user[row]
        and dataset.split[r] == 0
    ]
    counts = {
        name.lower(): [r for r in past if name in dataset.categories[dataset.item[r]]]
        for name in dataset.categories[dataset.item[row]]
    }
    counts |= {"other people": crowd, "ratings so far": past}
    return {name: (int(dataset.label[rs].sum()), len(rs)) for name, rs in counts.items()}


def test_every_count_in_a_reason_is_true(rich):
    rows = sample_rows(rich, "train", sampling(250)).tolist()
    rows += sample_rows(rich, "test", sampling(50)).tolist()
    checked = dict.fromkeys(["category", "other people", "ratings so far"], 0)
    for case in cases_of(rich, rows):
        true = brute_counts(rich, case.row)
        text = re.sub(r"“.*?”", "", grounded_reason(case, seed=0))
        for match in re.finditer(
            r"(\d+) of (\d+) (?:in ([a-z-]+)|(other people|ratings so far))", text
        ):
            likes, seen, category, other = match.groups()
            assert (int(likes), int(seen)) == true[category or other], text
            checked["category" if category else other] += 1
        rest = re.sub(r"\d+ of \d+ (?:in [a-z-]+|other people|ratings so far)", "", text)
        assert not re.search(r"\d", rest), f"a number nobody checks: {text}"
    assert min(checked.values()) > 30


def test_titles_in_a_reason_were_shown_share_what_is_said_and_were_liked_or_not_as_said(rich):
    facets = {title: {n.lower() for n in rich.categories[i]} for i, title in enumerate(rich.titles)}
    checked = {True: 0, False: 0}
    for case in cases_of(rich, sample_rows(rich, "train", sampling(300)).tolist()):
        text = grounded_reason(case, seed=0)
        claims = claims_about_titles(text)
        for title, facet, liked in claims:
            assert liked in {s.liked for s in case.history if s.facts.title == title}, text
            assert facet in facets[title] & facets[case.target.title], text
            checked[liked] += 1
        named = set(re.findall(r"“(.*?)”", text)) - {case.target.title}
        assert named == {title for title, _, _ in claims}, f"a title nobody checks: {text}"
    assert min(checked.values()) > 100


LATELY = {
    "most": r"[Ll]ately they enjoyed most of what|[Mm]ost of what they rated last",
    "little": r"[Ll]ately they enjoyed little of what|[Ll]ittle of what they rated last",
    "half": r"[Ll]ately they enjoyed about half|[Aa]bout half of what they rated last",
}
FACETS = r"(?P<facets>[a-z-]+(?: and [a-z-]+)?)"
LATELY_IN = {
    "most": rf"atest picks in {FACETS} mostly pleased|ith {FACETS.replace('facets', 'other')} they mostly fared well",
    "little": rf"atest picks in {FACETS} mostly let|ith {FACETS.replace('facets', 'other')} they rarely fared",
    "half": rf"atest picks in {FACETS} were hit|ith {FACETS.replace('facets', 'other')} they fared now well",
}


def said_share(labels: list[int]) -> str:
    rate = sum(labels) / len(labels)
    return "most" if rate >= 0.6 else "little" if rate <= 0.4 else "half"


def test_without_counts_a_reason_says_only_what_the_shown_items_show(rich):
    facets = {title: {n.lower() for n in rich.categories[i]} for i, title in enumerate(rich.titles)}
    checked = {"titles": 0} | {f"{kind} {share}": 0 for kind in ("all", "in") for share in LATELY}
    for case in cases_of(rich, sample_rows(rich, "train", sampling(400)).tolist()):
        reason = grounded_reason(case, seed=0, show_counts=False)
        for title, facet, liked in claims_about_titles(reason):
            assert liked in {s.liked for s in case.history if s.facts.title == title}, reason
            assert facet in facets[title] & facets[case.target.title], reason
            checked["titles"] += 1
        text = re.sub(r"“.*?”", "", reason)
        assert not re.search(r"\d|other people", text), reason
        labels = [int(seen.liked) for seen in case.history]
        for share, pattern in LATELY.items():
            if re.search(pattern, text):
                assert said_share(labels) == share, reason
                checked[f"all {share}"] += 1
        for share, pattern in LATELY_IN.items():
            for match in re.finditer(pattern, text):
                for facet in (match["facets"] or match["other"]).split(" and "):
                    sharing = [int(s.liked) for s in case.history if facet in s.facts.facets]
                    assert said_share(sharing) == share, reason
                    checked[f"in {share}"] += 1
    assert min(checked.values()) > 3, checked
    assert checked["titles"] > 300


def test_without_counts_what_nobody_is_shown_changes_nothing(rich):
    for case in cases_of(rich, rich.rows("train")[:100]):
        hidden = dataclasses.replace(
            case, liked_so_far=0, seen_so_far=0, crowd_liked=0, crowd_seen=0, by_category=(), expectation=0.5,
        )  # fmt: skip
        trace = grounded_trace(case, seed=0, show_counts=False)
        told = grounded_trace(hidden, seed=0, show_counts=False)
        assert (trace.reason, trace.tries) == (told.reason, told.tries)


@pytest.mark.parametrize("show_counts", [True, False])
def test_reasons_have_25_to_60_words_and_do_not_begin_with_the_answer(rich, show_counts):
    for case in cases_of(rich, range(len(rich))):
        reason = grounded_reason(case, seed=0, show_counts=show_counts)
        least = LEAST_WORDS if show_counts else 18  # the shown items may tell little
        assert least <= len(reason.split()) <= MOST_WORDS, reason
        assert not re.match(r"(?i)(yes|no)\b", reason)
        assert reason == " ".join(reason.split())
        assert reason.endswith(".")


def test_reasons_vary_by_row_and_repeat_for_the_same_row(rich):
    cases = cases_of(rich, rich.rows("train")[:200])
    reasons = [grounded_reason(case, seed=0) for case in cases]
    assert reasons == [grounded_reason(case, seed=0) for case in cases]
    assert len(set(reasons)) > 195
    assert len({reason.split()[0] for reason in reasons}) >= 5


@pytest.mark.parametrize("show_counts", [True, False])
def test_conclusion_agrees_with_the_label(rich, show_counts):
    for case in cases_of(rich, rich.rows("train")[:300]):
        reason, flipped = (
            grounded_reason(one, seed=0, show_counts=show_counts)
            for one in (case, dataclasses.replace(case, label=1 - case.label))
        )
        negative = (
            "probably not",
            "poor match",
            "little reason",
            "against it",
            "should not please",
        )
        said = any(words in reason.split("“")[-1] for words in negative)
        assert said == (case.label == 0), reason
        assert reason != flipped


def test_evidence_against_the_answer_is_admitted():
    heat = ItemFacts(title="Heat", year=1995, categories=("Crime",), keywords=())
    case = Case(
        row=1, user="u", item="i", split="train", label=0, target=heat,
        history=(Seen(facts=dataclasses.replace(heat, title="Ronin"), liked=True),),
        liked_so_far=9, seen_so_far=10, crowd_liked=90, crowd_seen=100,
        by_category=(("Crime", 8, 8),), expectation=0.9,
    )  # fmt: skip
    reason = grounded_reason(case, seed=0)
    assert re.search("exception that their past does not explain|would not suggest", reason)
    reason = grounded_reason(dataclasses.replace(case, crowd_liked=20), seed=0)
    assert reason.startswith("Although ")
    assert "20 of 100 other people" in reason


def test_nothing_known_is_said_to_be_nothing():
    blank = ItemFacts(title="X", year=None, categories=(), keywords=())
    case = Case(
        row=1, user="u", item="i", split="train", label=1, target=blank, history=(),
        liked_so_far=0, seen_so_far=0, crowd_liked=0, crowd_seen=0, by_category=(), expectation=0.5,
    )  # fmt: skip
    assert (
        "nothing known before it points clearly either way" in grounded_reason(case, seed=0).lower()
    )


def test_items_without_categories_are_compared_by_keywords(dataset):
    bare = dataclasses.replace(dataset, categories=[[] for _ in dataset.items])
    words = [["heist" if i % 2 else "bakery"] for i in range(len(dataset.items))]
    rows = bare.rows("train")[100:140]
    reasons = [
        grounded_reason(case, seed=0)
        for case in build_cases(bare, rows, keywords=words, history_length=10)
    ]
    assert sum("heist" in reason or "bakery" in reason for reason in reasons) > 30


def test_tries_say_whether_the_counts_guessed_right(rich):
    for case in cases_of(rich, rich.rows("train")[:50]):
        trace = grounded_trace(case, seed=0)
        assert trace.status == "ok"
        assert trace.tries == (1 if (case.expectation >= 0.5) == bool(case.label) else 2)
