"""Keywords of items: an extractor that needs only metadata, and the reading of models' answers.

The extractor keeps an order that a reader (and a language model) can use: categories first, then
the decade, then what the description is about, and words of the title last, because the title is
shown beside the keywords anyway.
"""

import json
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import TeacherError
from core.text.chat import Conversation, Message, Request, without_thinking
from core.text.plain import LONGEST_TITLE

_TITLE_TERMS = 3  # more of them would only repeat the title
_COMMON_SHARE = (
    0.5  # a category of more than half of the items tells them apart badly: it goes last
)
_DESCRIPTION_SHARE = (
    0.2  # a word in more than a fifth of the descriptions is no keyword of any of them
)
MOST_TOKENS = 8000  # longest answer that growth leads to, as for a teacher of reasons
_TOKEN_GROWTH = 4  # of the longest answer after one that was cut off; every try costs
_EMPTY_AT_START = 20  # items; a model that has no keywords for so many will have none for the rest
_WORDS_PER_KEYWORD = 4
_CHARACTERS_PER_KEYWORD = 40
_TOKEN = r"(?u)\b[^\W\d_][^\W\d_'’-]{2,}\b"
_NOISE_WORDS = """
film films movie movies story book books novel edition volume vol part series season aka based
paperback hardcover kindle including new good great best big little old like make makes just
"""


@dataclass(frozen=True, kw_only=True)
class ItemTexts:
    """What is known about items in words; all sequences have one entry per item."""

    titles: Sequence[str]
    years: Sequence[int | None]
    categories: Sequence[Sequence[str]]
    descriptions: Sequence[str]

    def __len__(self) -> int:
        return len(self.titles)


def extract_keywords(texts: ItemTexts, *, limit: int) -> list[list[str]]:
    """Extract keywords by TF-IDF over the items' own metadata.

    Args:
        texts: the items.
        limit: most keywords per item, > 0.
    Returns: per item up to `limit` lower-case keywords without duplicates; equal for equal input.
    """
    title_terms = _salient_terms(
        [_without_year(title) for title in texts.titles], least_items=2, largest_share=0.05
    )
    description_terms = _salient_terms(
        texts.descriptions, least_items=1, largest_share=_DESCRIPTION_SHARE
    )
    frequency = Counter(name for names in texts.categories for name in {_clean(n) for n in names})
    common = {name for name, count in frequency.items() if count > _COMMON_SHARE * len(texts)}
    keywords = []
    for index in range(len(texts)):
        names = [
            name[:LONGEST_TITLE].rstrip() for name in map(_clean, texts.categories[index]) if name
        ]
        names.sort(key=lambda name: name in common)  # stable: the source's own order otherwise
        decade = _decade(texts.years[index])
        about = description_terms[index][: max(2, limit - len(names) - 1)]
        keywords.append(
            _distinct(
                [
                    *names[: max(1, limit - len(decade))],
                    *decade,
                    *about,
                    *title_terms[index][:_TITLE_TERMS],
                ],
                limit,
            )
        )
    return keywords


def parse_keywords(answer: str, *, limit: int, cut_off: bool = False) -> list[str]:
    """Read keywords out of a model's answer: a JSON list, or commas, bullets, numbers or lines.

    Args:
        cut_off: the answer ended at the limit of tokens, so that the last keyword of a list may be torn: it is dropped.
    Returns: up to `limit` lower-case keywords without duplicates; empty if the answer holds none.
    """
    text = without_thinking(answer)
    pieces = _json_list(text)
    if pieces is None:
        text = re.sub(r"(?im)^[^\n:]{0,60}\bkeywords?\b[^\n:]*:", "", text.replace("```", "\n"))
        pieces = re.split(r"[,;\n|•]+", text)
        pieces = pieces[:-1] if cut_off else pieces
    pieces = [piece.rsplit(":", 1)[-1] for piece in pieces]  # "Genre: crime"
    cleaned = [_clean(re.sub(r"^\s*(?:[-*#]+|\(?\d{1,2}[.)])\s*", "", piece)) for piece in pieces]
    worded = [piece for piece in cleaned if any(character.isalpha() for character in piece)]
    fitting = [piece for piece in worded if _fits(piece)]
    if 2 * len(fitting) <= len(worded):
        return []  # sentences, not a list: an apology, for instance
    return _distinct(fitting, limit)


def _fits(piece: str) -> bool:
    short = 1 < len(piece) <= _CHARACTERS_PER_KEYWORD and len(piece.split()) <= _WORDS_PER_KEYWORD
    return short and '"' not in piece  # what is left of a quotation is half a sentence


def keyword_question(texts: ItemTexts, index: int, *, limit: int) -> str:
    """Word the request for one item; metadata is quoted as JSON, so it cannot pose as ours."""
    facts: dict[str, Any] = {"title": texts.titles[index][:200]}
    if texts.years[index] is not None:
        facts["year"] = texts.years[index]
    if texts.categories[index]:
        facts["categories"] = list(texts.categories[index])[:20]
    if texts.descriptions[index]:
        facts["description"] = texts.descriptions[index][:1500]
    return (
        "Here is what a catalogue says about one item:\n"
        f"{json.dumps(facts, ensure_ascii=False)}\n"
        "List keywords that tell somebody who has never seen it what it is like: genre, topics, "
        f"mood, style. Reply with up to {limit} keywords in lower case, separated by commas, and "
        "nothing else."
    )


class FirstAnswers:
    """Watches the answers of one run, in whatever thread, until one of them holds keywords."""

    def __init__(self, model: str, *, hint: str) -> None:
        """Take what an error says: the model's name, and what to do."""
        self._model = model
        self._hint = hint
        self._lock = threading.Lock()
        self._empty = 0
        self._found = False

    def see(self, keywords: Sequence[str]) -> None:
        """Take note of an item's keywords. Raises: TeacherError if the first items all had none."""
        with self._lock:
            self._found = self._found or bool(keywords)
            self._empty += 1
            if not self._found and self._empty >= _EMPTY_AT_START:
                raise TeacherError(
                    f"{self._model} wrote no keywords for any of the first {_EMPTY_AT_START} items",
                    hint=self._hint,
                )


def ask_keywords(
    texts: ItemTexts,
    index: int,
    *,
    limit: int,
    max_tokens: int,
    most_tokens: int,
    first_answers: FirstAnswers,
) -> Conversation[list[str]]:
    """Ask a model for the keywords of one item; the result is empty if its answer held none.

    Args:
        most_tokens: while an answer without keywords is cut off, it is asked for again, longer, up to
            this; max_tokens or less: it is not.
    Raises: TeacherError if the first items of the run all had none.
    """
    question = Message(role="user", content=keyword_question(texts, index, limit=limit))
    while True:
        reply = yield Request(name=f"item-{index}", messages=(question,), max_tokens=max_tokens)
        keywords = parse_keywords(reply.text, limit=limit, cut_off=reply.finish == "length")
        max_tokens *= _TOKEN_GROWTH
        if keywords or reply.finish != "length" or max_tokens > most_tokens:
            break
    if reply.finish != "unanswered":
        first_answers.see(keywords)
    return keywords


def _salient_terms(
    documents: Sequence[str], *, least_items: int, largest_share: float
) -> list[list[str]]:
    """Rank words and word pairs of each document by TF-IDF; ties in order of appearance."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

    empty: list[list[str]] = [[] for _ in documents]
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        token_pattern=_TOKEN,
        stop_words=sorted(ENGLISH_STOP_WORDS.union(_NOISE_WORDS.split())),
        min_df=min(least_items, max(1, len(documents))),
        max_df=max(largest_share, (least_items + 2) / max(1, len(documents)))
        if len(documents) > 20
        else 1.0,
        sublinear_tf=True,
    )
    try:
        matrix = vectorizer.fit_transform(documents)
    except ValueError:  # scikit-learn's way to say that no word is left
        return empty
    names = vectorizer.get_feature_names_out()
    ranked = []
    for index, document in enumerate(documents):
        row = matrix[index]
        lowered = document.lower()
        order = sorted(
            zip(row.indices, row.data, strict=True),
            key=lambda pair: (
                -round(float(pair[1]), 9),
                lowered.find(names[pair[0]]),
                names[pair[0]],
            ),
        )
        ranked.append(_without_overlap([str(names[term]) for term, _ in order]))
    return ranked


def _without_overlap(terms: Sequence[str]) -> list[str]:
    """Drop a term that shares a word with a better one."""
    kept: list[str] = []
    used: set[str] = set()
    for term in terms:
        words = set(term.split())
        if not words & used:
            kept.append(term)
            used |= words
    return kept


def _distinct(keywords: Iterable[str], limit: int) -> list[str]:
    """Keep the first `limit` keywords, without repeats and without words of those kept."""
    kept: dict[str, None] = {}
    for keyword in keywords:
        if keyword and not any(keyword == other or keyword in other.split() for other in kept):
            kept[keyword] = None
    return list(kept)[:limit]


def _clean(text: str) -> str:
    """Lower case, one space between words, no quotes, no control characters."""
    plain = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    return " ".join(plain.lower().split()).strip(" \"'`*_.“”‘’[](){}<>-")


def _decade(year: int | None) -> list[str]:
    return [f"{year // 10 * 10}s"] if year is not None and 1000 <= year <= 2999 else []


def _without_year(title: str) -> str:
    return re.sub(r"\(\d{4}\)\s*$", "", title)


def _json_list(text: str) -> list[str] | None:
    start = text.find("[")
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        return None
    if not isinstance(value, list):
        return None
    return [piece for piece in value if isinstance(piece, str)]
