"""Conversations with an OpenAI-compatible endpoint, bounded in time, requests and loss by a kill.

The client's own retries are off, for they hide what is spent. Here every request has a deadline;
overload, server errors and lost connections are repeated after a growing pause or the one the
server asks for; a refused key or a bad request ends the run at once; and a reply reaches the
journal before anything else happens.
"""

import json
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import openai

from core.errors import ConfigError, TeacherError
from core.text.chat import Conversation, Reply, Request
from core.text.journal import Journal

_log = logging.getLogger(__name__)

T = TypeVar("T")
_UNANSWERED_IN_A_ROW = 3  # requests given up one after the other before the endpoint counts as down
_LONGEST_PAUSE = 30.0  # seconds between two tries, unless the server asks for more
_MOST_BYTES = 8_000_000  # of one reply's body
_LENGTH_NAMES = ("max_tokens", "max_completion_tokens")  # newer models know only the latter
_REPEATED = (408, 409, 425, 429)  # and everything from 500 up


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """How an endpoint is used."""

    model: str
    base_url: str | None = None
    """Ends in /v1; None: OPENAI_BASE_URL, else the client's own default."""
    temperature: float | None = None
    concurrency: int = 8
    timeout: float = 120.0
    """Seconds for one whole reply."""
    retries: int = 5
    most_requests: int = 100_000
    longest_wait: float = 120.0
    """Seconds; a server that asks for a longer pause ends the run."""
    first_pause: float = 0.5
    """Seconds before the first repetition; doubles with each."""

    def identity(self) -> dict[str, Any]:
        """What a reply depends on besides its request."""
        return {"teacher": "openai", "model": self.model, "temperature": self.temperature}


class EndpointChat:
    """Holds conversations in threads."""

    def __init__(self, settings: EndpointSettings, journal: Journal) -> None:
        """Prepare a client. Raises: TeacherError without key and endpoint; ConfigError."""
        base_url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or None
        key = _key()
        if not key and base_url is None:
            raise TeacherError(
                "no OPENAI_API_KEY is set and no endpoint is given",
                hint="Set OPENAI_API_KEY, or name your server: --endpoint http://HOST:PORT/v1.",
            )
        self.requests_sent = 0
        self._settings = settings
        self._journal = journal
        self._client = _client(base_url, key, settings.timeout)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._not_before = (
            0.0  # monotonic seconds; every thread waits when the server says so to one
        )
        self._unanswered = 0
        self._length_name = _LENGTH_NAMES[0]

    def run(self, conversations: Sequence[Conversation[T]], done: Callable[[], None]) -> list[T]:
        """Hold all conversations; see core.text.chat.Chat.

        Raises: TeacherError as soon as the endpoint is of no use; replies that are under way still
            reach the journal.
        """
        self._stop.clear()
        pool = ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="teacher")
        try:
            futures = [pool.submit(self._hold, conversation) for conversation in conversations]
            for future in as_completed(futures):
                if not isinstance(future.exception(), _Stopped):
                    future.result()
                    done()
            results = [future.result() for future in futures]
        except KeyboardInterrupt:
            self._stop.set()  # not in `finally`: a second interrupt leaves at once from here on
            _log.info("waiting for the replies under way; Ctrl-C again leaves without them")
            pool.shutdown(cancel_futures=True)
            raise
        except Exception:
            self._stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()
        return results

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _hold(self, conversation: Conversation[T]) -> T:
        try:
            request = next(conversation)
            while True:
                request = conversation.send(self._answer(request))
        except StopIteration as end:
            result: T = end.value
            return result
        except TeacherError:
            self._stop.set()
            raise

    def _answer(self, request: Request) -> Reply:
        """Return the reply from the journal, or ask until there is one or the tries are used up."""
        if (known := self._journal.find(request)) is not None:
            return known
        problem = ""
        for attempt in range(self._settings.retries + 1):
            self._wait_turn()
            try:
                reply = self._ask(request)
            except _Repeatable as failure:
                problem = str(failure)
                self._pause(attempt, failure)
                continue
            self._unanswered = 0
            return self._journal.add([request], [reply])[0]
        self._unanswered += 1
        if self._unanswered >= _UNANSWERED_IN_A_ROW:
            raise TeacherError(
                f"the endpoint {self._client.base_url} does not answer: {problem}",
                hint="Check the server, then give the same command again: replies so far are kept.",
            )
        return Reply(text="", finish="unanswered")

    def _wait_turn(self) -> None:
        """Wait as long as the server asked for; count the request. Raises: TeacherError."""
        while (left := self._not_before - time.monotonic()) > 0:
            if self._stop.wait(left):
                break
        with self._lock:
            if self._stop.is_set():
                raise _Stopped
            if self.requests_sent >= self._settings.most_requests:
                raise TeacherError(
                    f"the budget of {self._settings.most_requests} requests is used up",
                    hint="Raise --max-requests and repeat the command: replies so far are kept.",
                )
            self.requests_sent += 1

    def _pause(self, attempt: int, failure: "_Repeatable") -> None:
        """Wait before the next try. Raises: TeacherError if the server asks for too long."""
        if failure.wait is not None and failure.wait > self._settings.longest_wait:
            raise TeacherError(
                f"the endpoint asks for a pause of {failure.wait:.0f} seconds: {failure}",
                hint="Give the same command again after that: replies so far are kept.",
            )
        if failure.wait is not None:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + failure.wait)
        elif attempt < self._settings.retries:
            pause = min(_LONGEST_PAUSE, self._settings.first_pause * 2**attempt)
            self._stop.wait(pause * random.uniform(0.8, 1.2))

    def _ask(self, request: Request) -> Reply:
        """Send one request. Raises: _Repeatable, TeacherError."""
        length_name = self._length_name
        try:
            return _reply_of(self._body(request, length_name))
        except openai.APIStatusError as failure:
            if length_name != _LENGTH_NAMES[-1] and _asks_for(_LENGTH_NAMES[-1], failure):
                self._length_name = _LENGTH_NAMES[-1]
                self._wait_turn()
                return self._ask(request)
            raise _judged(failure) from failure
        except _lost_connections() as failure:
            text = " ".join(str(failure.__cause__ or failure).split()) or type(failure).__name__
            raise _Repeatable(text[:200]) from failure

    def _body(self, request: Request, length_name: str) -> bytes:
        """Send one request, read the whole body. Raises: what the client raises; TimeoutError."""
        settings: dict[str, Any] = {length_name: request.max_tokens}
        if self._settings.temperature is not None:
            settings["temperature"] = self._settings.temperature
        deadline = time.monotonic() + self._settings.timeout
        body = bytearray()
        messages: Any = [{"role": m.role, "content": m.content} for m in request.messages]
        with self._client.chat.completions.with_streaming_response.create(
            model=self._settings.model, messages=messages, **settings
        ) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no whole reply within {self._settings.timeout:g} seconds")
                if len(body) > _MOST_BYTES:
                    break  # not JSON any more, so it will count as malformed
        return bytes(body)


class _Stopped(Exception):
    """Another conversation ended the run."""


class _Repeatable(Exception):
    """A request that failed in a way that may pass."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait  # seconds the server asks for


def _judged(failure: openai.APIStatusError) -> Exception:
    """Tell what is worth another try from what ends the run."""
    status, text = failure.status_code, _error_text(failure)
    if status >= 500 or (status in _REPEATED and "insufficient_quota" not in text):
        return _Repeatable(f"status {status}: {text}", wait=_wait_asked(failure.response.headers))
    hint = {
        401: "Set OPENAI_API_KEY to a key of this endpoint.",
        403: "Use a key that may use this model.",
        404: "Check the model's name and that the endpoint ends in /v1.",
        429: "The account's quota is used up; add to it, then give the same command again.",
    }.get(status, "Check the model's name and its settings (temperature, max-tokens).")
    return TeacherError(f"the endpoint refuses the request (status {status}): {text}", hint=hint)


def _asks_for(length_name: str, failure: openai.APIStatusError) -> bool:
    """Whether a request was refused because its limit of tokens goes by another name."""
    return failure.status_code == 400 and length_name in _error_text(failure)


def _key() -> str:
    """Return the key of the environment, or nothing. Raises: ConfigError, which does not show it."""
    key = (os.environ.get("OPENAI_API_KEY") or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            "OPENAI_API_KEY holds a character that no key has",
            hint="Set it again: letters, digits and marks of ASCII only.",
        )
    return key


def _client(base_url: str | None, key: str, timeout: float) -> openai.OpenAI:
    """Return a client. Raises: ConfigError for an endpoint that is no web address."""
    refused = ConfigError(
        f"the endpoint {base_url!r} is no web address",
        hint="Write it like http://127.0.0.1:8000/v1.",
    )
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise refused
    try:
        return openai.OpenAI(
            base_url=base_url, api_key=key or "none", max_retries=0, timeout=timeout
        )
    except _http_errors("InvalidURL") as failure:
        raise refused from failure


def _reply_of(body: bytes) -> Reply:
    """Read a completion; what is none gives an empty reply, for it was paid all the same."""
    try:
        choice = json.loads(body)["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
        finish = choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return Reply(text="", finish="stop")
    if isinstance(content, list):  # some servers send parts
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    # Half of a surrogate pair, which JSON can spell, could be neither kept nor sent back.
    text = content.encode("utf-8", "replace").decode() if isinstance(content, str) else ""
    if finish == "content_filter" or (refusal and not text):
        return Reply(text=text, finish="refused")
    return Reply(text=text, finish="length" if finish == "length" else "stop")


def _lost_connections() -> tuple[type[Exception], ...]:
    """Return the errors of a connection that fails, in mid-reply too."""
    return (openai.APIConnectionError, TimeoutError, *_http_errors("HTTPError"))


def _http_errors(name: str) -> tuple[type[Exception], ...]:
    """Return an error of the client's HTTP library, which is httpx or httpx2 by its version."""
    libraries = [sys.modules[each] for each in ("httpx2", "httpx") if each in sys.modules]
    return tuple(getattr(library, name) for library in libraries)


def _error_text(failure: openai.APIStatusError) -> str:
    """Return what the server said, in one short line."""
    body = failure.body if isinstance(failure.body, dict) else {}
    inner = body.get("error", body)
    if isinstance(inner, dict):
        text = " ".join(str(inner[key]) for key in ("message", "code") if inner.get(key))
    else:
        text = str(inner)
    return " ".join((text or failure.message or "no reason given").split())[:300]


def _wait_asked(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After, given as a number or as a date, or None."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
