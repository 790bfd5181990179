"""Token ids of sentences of counts, put together from the ids of their parts.

A tokenizer that splits text at blanks and marks before it merges gives the same ids for the whole and for the parts
joined. Whether this one does is tried out, once; where it does not, or where a category is not made of plain words,
sentences are encoded as a whole. Either way the ids are those of the whole sentence.
"""

import re
from collections.abc import Callable

from core.text.evidence import Parts
from core.text.plain import PlainEncoder

KEPT = 200_000
"""Texts whose ids are kept at most."""
# A category as item_parts gives it, with the blank before and the mark after.
_PLAIN_CATEGORY = re.compile(r" [a-z]+(?:[ '&/-][a-z]+)*[,.]")
_OWN = re.compile(
    r" ?\d+|% of| of| items and| of the last|; other people enjoy|% of the same items\.| other people enjoyed it\."
    r"| This person enjoyed|This person enjoyed|Nobody else rated it\.|Nothing is known of this person's taste\."
)


class SentenceEncoder:
    """Encodes sentences given in parts; category names in them are words of others, so all of it is plain text."""

    def __init__(self, plain: PlainEncoder, lead: list[int]) -> None:
        """Take the encoder of plain text, and the ids that stand before every sentence."""
        self._plain = plain
        self._lead = lead
        self._parts: dict[str, list[int]] = {}
        self._unsafe: set[str] = set()
        self._wholes: dict[str, list[int]] = {}
        self.joins = self._try_out()

    def encode(self, parts: Parts) -> list[int]:
        """Return the ids of a sentence, with those that stand before it."""
        if not self.joins:
            return self.encode_whole("".join(parts))
        known = self._parts
        ids = self._lead.copy()
        try:
            for part in parts:
                ids += known[part]
        except KeyError:
            return self._learn(parts)
        return ids

    def encode_whole(self, text: str) -> list[int]:
        """Return the ids of a sentence that is not given in parts."""
        found = self._wholes.get(text)
        if found is None:
            found = self._lead + self._plain.encode(text.strip())
            if len(self._wholes) < KEPT:
                self._wholes[text] = found
        return found

    def _learn(self, parts: Parts) -> list[int]:
        for part in parts:
            if part in self._unsafe or not self._may_join(part):
                self._unsafe.add(part)
                return self.encode_whole("".join(parts))
            if part not in self._parts:
                self._parts[part] = self._plain.encode(part)
        ids = [*self._lead, *(i for part in parts for i in self._parts[part])]
        if len(self._parts) > KEPT:
            self._parts.clear()
        return ids

    def _may_join(self, part: str) -> bool:
        """Whether a part is our own words, or a category of plain words that hold no control token."""
        if _OWN.fullmatch(part):
            return True
        # The neighbours count as well: a control token could reach over the cut.
        return bool(_PLAIN_CATEGORY.fullmatch(part)) and self._plain.is_safe(f" 3{part} 4 of")

    def _try_out(self) -> bool:
        """Compare parts with wholes for every percentage, and for numbers of one to seven digits."""
        encode: Callable[[str], list[int]] = self._plain.encode
        for number in range(101):
            large = (7919 * number + 1) % 10 ** (number % 7 + 1)
            for parts in _samples(number, large):
                joined = [i for part in parts for i in encode(part)]
                if joined != encode("".join(parts)):
                    return False
        return True


def _samples(percent: int, large: int) -> tuple[Parts, Parts]:
    few = percent % 11
    user = ["This person enjoyed", f" {percent}", "% of", f" {large}", " items and", f" {few}"]
    user += [
        " of the last",
        f" {few}",
        "; other people enjoy",
        f" {percent}",
        "% of the same items.",
    ]
    item = [f"{percent}", "% of", f" {large}", " other people enjoyed it.", " This person enjoyed"]
    item += [
        f" {few}",
        " of",
        f" {large}",
        " drama,",
        f" {large}",
        " of",
        f" {percent}",
        " film-noir.",
    ]
    return user, item
