"""Reading what an OpenAI-compatible endpoint sends back: completions, failures, pauses asked for."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from core.text.chat import Reply


class NoCompletion(Exception):
    """A body that is no completion, in the server's own words."""


def reply_of(body: bytes) -> Reply:
    """Read a completion; a message without text gives an empty reply, for it was paid all the same.

    Raises: NoCompletion with the server's words if the body is no completion, or one without a message.
    """
    choices = _choices_of(body)
    choice = choices[0] if choices and isinstance(choices[0], dict) else {}
    message, finish = choice.get("message"), choice.get("finish_reason")
    if message is None and finish == "content_filter":
        message = {}
    if not isinstance(message, dict):
        raise NoCompletion(f"a completion without a message: {_begin(body)}")
    content, refusal = message.get("content"), message.get("refusal")
    if isinstance(content, list):  # some servers send parts
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    # Half of a surrogate pair, which JSON can spell, could be neither kept nor sent back.
    text = content.encode("utf-8", "replace").decode() if isinstance(content, str) else ""
    if finish == "content_filter" or (refusal and not text):
        return Reply(text=text, finish="refused")
    return Reply(text=text, finish="length" if finish == "length" else "stop")


def _choices_of(body: bytes) -> list[Any]:
    """Return the choices of a completion. Raises: NoCompletion if there is no such list."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        whole = None
    choices = whole.get("choices") if isinstance(whole, dict) else None
    # Some servers report a failure of theirs, or a path they do not know, with status 200.
    if not isinstance(choices, list) or whole.get("error"):
        raise NoCompletion(f"a reply that is no completion: {error_text(whole, _begin(body))}")
    return choices


def _begin(body: bytes) -> str:
    """Return the beginning of a body in one line."""
    return " ".join(body[:1000].decode("utf-8", "replace").split())[:300]


def error_text(body: object, otherwise: str) -> str:
    """Return what the server said in a body of JSON, else the other text, in one short line."""
    inner = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(inner, dict):
        text = " ".join(str(inner[key]) for key in ("message", "code") if inner.get(key))
    else:
        text = str(inner or "")
    return " ".join((text or otherwise or "no reason given").split())[:300]


def wait_asked(headers: Mapping[str, str]) -> float:
    """Return the seconds of Retry-After, given as a number or as a date; 0 if there is none."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
