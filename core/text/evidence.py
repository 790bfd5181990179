"""Counts as plain sentences: what the prompt style `evidence` adds to the paper's prompt (method, section 10)."""

import math

from core.data.counts import Evidence


def user_sentence(evidence: Evidence, position: int) -> str:
    """Say what is known about the user before the row; the same for every item asked then."""
    seen, likes = int(evidence.user_seen[position]), int(evidence.user_likes[position])
    if not seen:
        return "Nothing is known of this person's taste."
    recent_seen, recent = int(evidence.recent_seen[position]), int(evidence.recent_likes[position])
    others = _percent(evidence.crowd_likes_rate[position])
    return (
        f"This person enjoyed {_percent(likes / seen)} of {seen} items and {recent} of the last {recent_seen}; "
        f"other people enjoy {others} of the same items."
    )


def item_sentence(evidence: Evidence, position: int) -> str:
    """Say what is known about the item, and of the user's record with its categories."""
    seen, likes = int(evidence.item_seen[position]), int(evidence.item_likes[position])
    crowd = (
        f"{_percent(likes / seen)} of {seen} other people enjoyed it."
        if seen
        else "Nobody else rated it."
    )
    known = [(n, k, s) for n, k, s in evidence.genres_of(position) if s]
    if not known:
        return crowd
    listing = ", ".join(f"{likes_} of {seen_} {name.lower()}" for name, likes_, seen_ in known[:4])
    return f"{crowd} This person enjoyed {listing}."


def prior_sentence(chance: float) -> str:
    """Say what the counts alone give, as the bias encoder weighs them: in a word, and in per cent.

    A small model reads the word at once; the number it has to learn.
    """
    word = next(word for bound, word in _CHANCES if chance < bound)
    return f"By counts alone a Yes is {word} ({_percent(chance)})."


_CHANCES = (
    (0.2, "very unlikely"),
    (0.4, "unlikely"),
    (0.6, "open"),
    (0.8, "likely"),
    (math.inf, "very likely"),
)


def _percent(rate: float) -> str:
    return f"{round(100 * float(rate))}%"
