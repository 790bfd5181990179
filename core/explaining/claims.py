"""What a reason claims that can be looked up: counts, shares and quoted titles, held against what the model read.

A small model learns to write reasons before it learns to copy numbers, and a reason that reads well may hold counts
that nobody told it.
"""

import re
from collections import defaultdict

_COUNT = re.compile(r"\b(\d+) (?:out )?of (?:the last )?(\d+)(?:(?: in)? ([^\W\d_][\w'’-]*))?")
_SHARE = re.compile(r"\b(\d+)(?: ?%| per ?cent\b)(?: of (\d+)\b)?")
_TITLE = re.compile(r"“([^”]+)”")


def claims_of(reason: str, prompt: str) -> dict[str, bool]:
    """Return the counts ("3 of 4 crime"), shares ("48%") and titles (in “ ”) of a reason: is each in its prompt?

    A count agrees with the prompt's count of the same thing, or with its share: 29 of 60 with "48% of 60"; so does a
    share with a count. What the count is of is compared where the prompt counts by that word, as it does by category.

    Args:
        reason: what the model wrote.
        prompt: all that it read.
    Returns: the claims as they are written, each once, counts first.
    """
    counted: dict[tuple[int, int], set[str]] = defaultdict(set)
    for k, n, word in _COUNT.findall(prompt):
        counted[int(k), int(n)].add(word.lower())
    by_word = set().union(*counted.values()) - {""}
    shares = {(int(percent), int(n) if n else None) for percent, n in _SHARE.findall(prompt)}
    shares |= {(round(100 * k / n), n) for k, n in counted if n}
    percents = {percent for percent, _ in shares}
    found: dict[str, bool] = {}
    for match in _COUNT.finditer(reason):
        k, n, word = int(match[1]), int(match[2]), (match[3] or "").lower()
        if word in by_word:
            known = word in counted.get((k, n), ())
        else:
            known = (k, n) in counted or (n > 0 and (round(100 * k / n), n) in shares)
        found[match[0]] = known
    for match in _SHARE.finditer(reason):
        percent = int(match[1])
        found[match[0]] = (percent, int(match[2])) in shares if match[2] else percent in percents
    read = _letters(prompt)
    found |= {match[0]: _letters(match[1]) in read for match in _TITLE.finditer(reason)}
    return found


def _letters(text: str) -> str:
    """Return the words alone, a blank around each: titles reach prompts with other marks, "Her" is not in "others"."""
    words = re.findall(r"\w+", text.lower())
    return f" {' '.join(words)} "
