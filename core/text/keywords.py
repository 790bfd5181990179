"""Keywords of items: an extractor that needs only metadata, and the reading of models' answers.

The extractor keeps an order that a reader (and a language model) can use: categories first, then
the decade, then what the description is about, and words of the title last, because the title is
shown beside the keywords anyway.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.text.chat import Conversation, Message, Request, without_thinking

_TITLE_TERMS = 3  # more of them would only repeat the title
_COMMON_SHARE = (
    0.5  # a category of more than half of the items tells them apart badly: it goes last
)
_DESCRIPTION_SHARE = (
    0.2  # a word in more than a fifth of the descriptions is no keyword of any of them
)
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
        names = [name for name in map(_clean, texts.categories[index]) if name]
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


def parse_keywords(answer: str, *, limit: int) -> list[str]:
    """Read keywords out of a model's answer: a JSON list, or commas, bullets, numbers or lines.

    Returns: up to `limit` lower-case keywords without duplicates; empty if the answer holds none.
    """
    text = without_thinking(answer)
    pieces = _json_list(text)
    if pieces is None:
        text = re.sub(r"(?im)^[^\n:]{0,60}\bkeywords?\b[^\n:]*:", "", text.replace("```", "\n"))
        pieces = re.split(r"[,;\n|•]+", text)
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


def ask_keywords(
    texts: ItemTexts, index: int, *, limit: int, max_tokens: int
) -> Conversation[list[str]]:
    """Ask a model for the keywords of one item; the result is empty if its answer held none."""
    reply = yield Request(
        name=f"item-{index}",
        messages=(Message(role="user", content=keyword_question(texts, index, limit=limit)),),
        max_tokens=max_tokens,
    )
    return parse_keywords(reply.text, limit=limit)


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
