"""Counts as plain sentences: what the prompt style `evidence` adds to the paper's prompt (method, section 10).

Every sentence is also given in parts, cut where a number or a category begins or ends: of the parts there are few,
of the sentences as many as rows, so that core/text/sentences.py can keep the token ids of parts.
"""

import math
from collections.abc import Sequence

from core.data.counts import Evidence
from core.text.plain import LONGEST_TITLE

Parts = list[str]
_TOLD = 4
"""Most categories of an item that are told."""


def user_sentence(evidence: Evidence, position: int) -> str:
    """Say what is known about the user before the row; the same for every item asked then."""
    return "".join(user_parts(evidence, position))


def user_parts(evidence: Evidence, position: int) -> Parts:
    """Return user_sentence in parts."""
    told = evidence.told
    seen = told.user_seen[position]
    if not seen:
        return ["Nothing is known of this person's taste."]
    return [
        "This person enjoyed",
        f" {told.user_percent[position]}",
        "% of",
        f" {seen}",
        " items and",
        f" {told.recent_likes[position]}",
        " of the last",
        f" {told.recent_seen[position]}",
        "; other people enjoy",
        f" {told.crowd_percent[position]}",
        "% of the same items.",
    ]


def item_sentence(evidence: Evidence, position: int) -> str:
    """Say what is known about the item, and of the user's record with its categories."""
    return "".join(item_parts(evidence, position))


def item_parts(evidence: Evidence, position: int) -> Parts:
    """Return item_sentence in parts; every category is a part with the mark that follows it."""
    told = evidence.told
    seen = told.item_seen[position]
    if seen:
        parts = [f"{told.item_percent[position]}", "% of", f" {seen}", " other people enjoyed it."]
    else:
        parts = ["Nobody else rated it."]
    known = told_categories(evidence.genres_of(position))
    if known:
        parts.append(" This person enjoyed")
        for name, likes, with_category in known:
            parts += (f" {likes}", " of", f" {with_category}", f" {name.lower()},")
        parts[-1] = parts[-1][:-1] + "."
    return parts


def told_categories(counted: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Return the categories that are told of (category, likes, seen): the first that the user knows, long names cut."""
    known = [(name[:LONGEST_TITLE], likes, seen) for name, likes, seen in counted if seen]
    return known[:_TOLD]


def prior_sentence(chance: float) -> str:
    """Say what the counts alone give, as the bias encoder weighs them: in a word, and in per cent.

    A small model reads the word at once; the number it has to learn.
    """
    word = next(word for bound, word in _CHANCES if chance < bound)
    return f"By counts alone a Yes is {word} ({round(100 * float(chance))}%)."


_CHANCES = (
    (0.2, "very unlikely"),
    (0.4, "unlikely"),
    (0.6, "open"),
    (0.8, "likely"),
    (math.inf, "very likely"),
)
