"""Where sentences end, in text that was cut off."""

import re

# Marks and what closes after them; a small letter after the blank goes on: “Who's Afraid of Virginia Woolf?” and more.
_END = re.compile(r"[.!?]+[”’\"')\]]*(?= [^a-z]|$)")
_ABBREVIATION = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|Vol|vs)\.$")


def whole_sentences(text: str) -> str:
    """Return a text that was cut off up to its last whole sentence, nothing if none is whole.

    Args:
        text: with single blanks.
    """
    for match in reversed(list(_END.finditer(text))):
        kept = text[: match.end()]
        if _inside_quotes(kept) or _ABBREVIATION.search(kept):
            continue
        # At the very end, a point after a digit may stand within a number.
        if kept == text and re.search(r"\d\.$", kept):
            continue
        return kept
    return ""


def _inside_quotes(text: str) -> bool:
    return text.count("“") > text.count("”") or text.count('"') % 2 == 1
