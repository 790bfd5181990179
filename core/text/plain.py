"""Untrusted text to token ids that can never be control tokens.

A title is data. A tokenizer, however, turns `<|im_end|>` inside a title into the very token that ends a chat turn.
Here text is encoded piece by piece, cut inside every string the tokenizer would take for an added token, so the
words survive and the control does not.
"""

import re
from collections.abc import Callable
from typing import Any

LONGEST_TITLE = 120
"""Characters of a title that prompts and reasons show."""


def ids_behind(tokenizer: Any, before: str, text: str) -> list[int] | None:
    """Return the ids of a text where another stands before it, None if that one's own ids change by it."""
    first = list(tokenizer.encode(before, add_special_tokens=False))
    whole = list(tokenizer.encode(before + text, add_special_tokens=False))
    return whole[len(first) :] if whole[: len(first)] == first else None


def inner_encoder(tokenizer: Any) -> Callable[[str], list[int]]:
    """Return what gives the ids of a text as they are where another stands before it, control tokens included.

    SentencePiece puts a blank before whatever it encodes. Pieces that are joined as ids would then have one at every
    seam, so they are encoded behind a line end, whose ids are dropped. Other tokenizers give the same ids without.
    """

    def plain(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    def behind(text: str) -> list[int]:
        ids = ids_behind(tokenizer, "\n", text)
        return plain(text) if ids is None else ids

    return plain if behind("Heat") == plain("Heat") else behind


class PlainEncoder:
    """Encodes text of others (titles, keywords, reasons) as plain text only."""

    def __init__(self, tokenizer: Any) -> None:
        """Take a fast tokenizer of transformers."""
        self._encode = inner_encoder(tokenizer)
        added = tokenizer.get_added_vocab()
        self._control_ids = set(added.values()) | set(tokenizer.all_special_ids)
        contents = sorted((c for c in added if c), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, contents))) if contents else None

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, none of which is an added or special token."""
        ids: list[int] = []
        for piece in self._pieces(printable(text)):
            ids += self._encode(piece)
        # An added token can also be matched through normalisation; what is left of it is dropped, never sent.
        return [i for i in ids if i not in self._control_ids]

    def is_safe(self, text: str) -> bool:
        """Whether a text holds no added token and is written in printable ASCII: it is encoded as it stands."""
        printable = text.isascii() and text.isprintable()
        return printable and (self._control is None or self._control.search(text) is None)

    def _pieces(self, text: str) -> list[str]:
        """Cut a text inside every occurrence of an added token, until no piece holds one."""
        if self._control is None:
            return [text]
        match = self._control.search(text)
        if match is None:
            return [text] if text else []
        cut = match.start() + max(1, len(match.group()) // 2)
        if len(match.group()) == 1:
            return self._pieces(text[: match.start()]) + self._pieces(text[match.end() :])
        return self._pieces(text[:cut]) + self._pieces(text[cut:])


def printable(text: str) -> str:
    """Drop control characters and bidirectional overrides; fold white space to single blanks, keep one leading."""
    kept = "".join(c for c in text if c.isprintable() or c.isspace())
    lead = " " if kept[:1].isspace() else ""
    return lead + " ".join(kept.split())
