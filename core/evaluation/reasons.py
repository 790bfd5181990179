"""How near generated reasons come to the teacher's, how varied they are, and whether they agree with the score."""

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.evaluation.intervals import LEAST_USERS, interval, resample
from core.evaluation.metrics import Drawing, Figure
from core.evaluation.rows import Floats, Integers, Statistic, row_mean, value_of
from core.progress import Progress

_WORD = re.compile(r"\w+")
_FRACTION = (0.0, 1.0)
_PERCENT = (0.0, 100.0)
_UNBOUNDED = (-math.inf, math.inf)
_ANSWER = re.compile(r"^\s*(?:yes|no)\s*(?:[.,:;!]+\s*|$)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Reasons:
    """Explanations of n pairs."""

    user: Sequence[str]
    answer: Sequence[str]
    """Yes or No."""
    probability: Floats
    """(n,) of a like, by the score."""
    reason: Sequence[str]
    reference: Sequence[str | None]
    """The teacher's reason, None where there is none."""
    grounded: Sequence[bool | None] | None = None
    """(n,) whether all counts, shares and titles of each are in its prompt, None for one without any; None where nobody
    looked."""
    pairs: frozenset[tuple[int | None, str, str]] = frozenset()
    """Row of the data set, user and item of each: what tells whether two explain the same."""

    def __len__(self) -> int:
        return len(self.user)


def measure_reasons(
    reasons: Reasons,
    *,
    wordnet: Path | None,
    bleurt: Path | None = None,
    drawing: Drawing,
    progress: Progress,
) -> dict[str, Figure]:
    """Measure explanations.

    Args:
        reasons: at least one.
        wordnet: folder of WordNet 3.0; None leaves METEOR out.
        bleurt: folder of a BLEURT checkpoint; None leaves BLEURT out.
        drawing: of the intervals, by bootstrap over users.
        progress: METEOR takes a while.
    Returns: metric -> figure; the metrics that need a reference cover the rows that have one.
    """
    figures = {"agreement": _row_figure(reasons.user, agreements(reasons), drawing)}
    grounded = [
        (user, float(all_read))
        for user, all_read in zip(reasons.user, reasons.grounded or (), strict=False)
        if all_read is not None
    ]
    if grounded:
        values = np.array([value for _, value in grounded])
        figures["grounded"] = _row_figure([user for user, _ in grounded], values, drawing)
    said = [without_answer(reason) for reason in reasons.reason]
    for n in (1, 2):
        figures[f"distinct_{n}"] = _plain_figure(distinct(said, n), reasons.user)
    pairs = [(h, without_answer(r)) for h, r in zip(said, reasons.reference, strict=True) if r]
    if not pairs:
        return figures
    users = [u for u, r in zip(reasons.user, reasons.reference, strict=True) if r]
    if wordnet is not None:
        figures["meteor"] = _row_figure(users, meteors(pairs, wordnet, progress), drawing)
    if bleurt is not None:
        from core.evaluation.bleurt import bleurts

        values = bleurts(pairs, bleurt, progress)
        figures["bleurt"] = _row_figure(users, values, drawing, ends=_UNBOUNDED)
    figures["rouge_l"] = _row_figure(users, np.array([rouge_l(h, r) for h, r in pairs]), drawing)
    return figures | _corpus_figures(pairs, users, drawing)


def agreements(reasons: Reasons) -> Floats:
    """Return (n,) 1 where the first word said is the answer that the score gives."""
    said = [_first_answer(reasons, index) == "yes" for index in range(len(reasons))]
    agree = np.equal(said, reasons.probability >= 0.5)
    return np.where(agree, 1.0, 0.0)


def _first_answer(reasons: Reasons, index: int) -> str:
    """Return yes or no: how the reason begins, if it begins so, else the answer before it."""
    found = _WORD.match(reasons.reason[index].lstrip())
    first = found[0].lower() if found else ""
    return first if first in ("yes", "no") else reasons.answer[index].lower()


def without_answer(text: str) -> str:
    """Return a reason without the "Yes." or "No." before it: a teacher's reason is kept without."""
    return _ANSWER.sub("", text, count=1).strip()


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Return the share of different n-grams among all n-grams of all texts; None if there are none."""
    grams = [
        tuple(words[start : start + n])
        for words in (_words(text) for text in texts)
        for start in range(len(words) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else None


def rouge_l(text: str, reference: str) -> float:
    """Return the F-measure of the longest common subsequence of words."""
    words, wanted = _words(text), _words(reference)
    if not words or not wanted:
        return 0.0
    row = [0] * (len(wanted) + 1)
    for word in words:
        diagonal = 0
        for place, other in enumerate(wanted, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return 2 * row[-1] / (len(words) + len(wanted))


def meteors(pairs: Sequence[tuple[str, str]], wordnet: Path, progress: Progress) -> Floats:
    """Return (n,) METEOR of (text, reference) pairs: nltk's, words split at white space."""
    from nltk.translate.meteor_score import single_meteor_score

    values = []
    with open_wordnet(wordnet) as reader, progress.bar("METEOR", len(pairs), "reasons") as bar:
        for text, reference in pairs:
            values.append(single_meteor_score(reference.split(), text.split(), wordnet=reader))
            bar.advance()
    return np.array(values)


@contextmanager
def open_wordnet(folder: Path) -> Iterator[Any]:
    """Open WordNet's files with nltk's reader, and close them."""
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):  # type: ignore[misc]
        """Without the map between versions of WordNet, for which nltk wants its own data folder."""

        def map_wn(self, version: str = "wordnet") -> None:
            """Map nothing: this is the version that is wanted."""

    if str(folder) not in nltk.data.path:
        nltk.data.path.append(str(folder))  # nltk reads no files outside the folders listed there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # there are no other languages, as intended
        reader = Reader(str(folder), None)
    try:
        yield reader
    finally:
        for file in reader._data_file_map.values():
            file.close()


def _corpus_figures(
    pairs: Sequence[tuple[str, str]], users: Sequence[str], drawing: Drawing
) -> dict[str, Figure]:
    """Return BLEU and chrF of sacrebleu, 0..100, over all pairs at once."""
    from sacrebleu.metrics import BLEU, CHRF

    codes = _codes(users)
    return {
        name: _figure(_corpus_statistic(metric, pairs, codes), codes, drawing, _PERCENT)
        for name, metric in (("bleu", BLEU()), ("chrf", CHRF()))
    }


def _corpus_statistic(metric: Any, pairs: Sequence[tuple[str, str]], user: Integers) -> Statistic:
    """Return a corpus metric for weighted users: its counts of each pair are added up by weight.

    The two methods are those with which sacrebleu draws its own intervals; a test holds that they give what its
    public functions give.
    """
    counts = metric._extract_corpus_statistics([h for h, _ in pairs], [[r for _, r in pairs]])
    rows = np.array(counts, dtype=np.int64)
    sums = np.zeros((int(user.max()) + 1, rows.shape[1]), dtype=np.int64)
    np.add.at(sums, user, rows)

    def statistic(weights: Floats) -> Floats:
        totals = weights.astype(np.int64) @ sums
        return np.array([metric._compute_score_from_stats(t).score for t in totals.tolist()])

    return statistic


def _codes(users: Sequence[str]) -> Integers:
    _, codes = np.unique(np.array(users), return_inverse=True)
    return codes.astype(np.int64)


def _row_figure(
    users: Sequence[str],
    values: Floats,
    drawing: Drawing,
    ends: tuple[float, float] = _FRACTION,
) -> Figure:
    codes = _codes(users)
    return _figure(row_mean(codes, values), codes, drawing, ends)


def _figure(
    statistic: Statistic, codes: Integers, drawing: Drawing, ends: tuple[float, float]
) -> Figure:
    """Return a figure of reasons whose users have these codes; it cannot lie outside of the ends."""
    count = int(codes.max()) + 1
    value = value_of(statistic, count)
    found = None
    if value is not None and count >= LEAST_USERS:
        (drawn,) = resample(
            [statistic], users=count, rows=len(codes), samples=drawing.samples, seed=drawing.seed
        )
        found = interval(value, drawn, users=count, least=ends[0], most=ends[1])
    return Figure(value=value, interval=found, rows=len(codes), users=count, users_left_out=0)


def _plain_figure(value: float | None, users: Sequence[str]) -> Figure:
    return Figure(
        value=value, interval=None, rows=len(users), users=len(set(users)), users_left_out=0
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
