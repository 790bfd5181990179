"""Conversations with a language model that writes text for us.

A conversation is a generator: it yields a request, is sent the reply, and returns its result. So
the same conversation runs in threads against an endpoint or in batches through a local model, and
is replayed from a journal.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")
Finish = Literal["stop", "length", "refused", "rejected", "unanswered"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing to ask."""

    name: str
    """Row or item and number of the try: equal questions with two names are asked twice."""
    messages: tuple[Message, ...]
    max_tokens: int
    """Longest answer, in tokens of the model that answers."""
    begin_with: tuple[str, ...] = ()
    """Words of which one has to begin the answer, with a full stop; only a local model can be held to it."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back."""

    text: str
    finish: Finish
    """length: cut off at max_tokens; refused: by the model or a filter of content; rejected: the
    endpoint does not take this request; unanswered: no reply after all retries."""


Conversation = Generator[Request, Reply, T]


def without_thinking(text: str) -> str:
    """Drop the part of an answer in which a model thinks aloud (`<think> ... </think>`).

    Where the thinking was cut off, nothing of the answer is left.
    """
    if "</think>" in text:
        text = text.rsplit("</think>", 1)[1]
    return re.sub(r"<think>.*", "", text, flags=re.DOTALL).strip()
