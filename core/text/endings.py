"""Where sentences end: in text that was cut off, and in text that says things twice."""

import re
from itertools import pairwise

# Marks and what closes after them; a small letter after the blank goes on: “Who's Afraid of Virginia Woolf?” and more.
_END = re.compile(r"[.!?]+[”’\"')\]]*(?= [^a-z]|$)")
_ABBREVIATION = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|Vol|vs)\.$")


def whole_sentences(text: str) -> str:
    """Return a text that was cut off up to its last whole sentence, nothing if none is whole.

    Args:
        text: with single blanks.
    """
    for end in reversed(_ends(text)):
        kept = text[:end]
        # At the very end, a point after a digit may stand within a number.
        if kept == text and re.search(r"\d\.$", kept):
            continue
        return kept
    return ""


def each_sentence_once(text: str) -> str:
    """Return a text without the sentences that it has said before.

    Args:
        text: with single blanks.
    """
    ends = [0, *_ends(text), len(text)]
    sentences = [text[start:end].strip() for start, end in pairwise(ends)]
    return " ".join(dict.fromkeys(one for one in sentences if one))


def _ends(text: str) -> list[int]:
    """Return where sentences end, in order; marks inside quotes and of abbreviations end none."""
    found = [match.end() for match in _END.finditer(text)]
    return [
        end for end in found if not (_inside_quotes(text[:end]) or _ABBREVIATION.search(text[:end]))
    ]


def _inside_quotes(text: str) -> bool:
    return text.count("“") > text.count("”") or text.count('"') % 2 == 1
