"""Conversations with an OpenAI-compatible endpoint, bounded in time, requests and loss by a kill.

The client's own retries are off, for they hide what is spent. Here every request has a deadline;
overload, server errors, lost connections and bodies that are no completion are repeated after a
growing pause or the one the server asks for; a refused key ends the run at once, and so does a bad
request while nothing has been answered; and a reply reaches the journal before anything else
happens.
"""

import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import openai

from core.errors import ConfigError, TeacherError
from core.text.chat import Conversation, Reply, Request
from core.text.completion import NoCompletion, error_text, reply_of, wait_asked
from core.text.journal import Journal

_log = logging.getLogger(__name__)

T = TypeVar("T")
_UNANSWERED_IN_A_ROW = 3  # requests given up one after the other before the endpoint counts as down
_REJECTED_IN_A_ROW = 20  # and one per thread: then it is not the rows that are at fault
_QUEUED_IN_A_ROW = 200  # told to wait their turn, and no reply between: then no turn will come
_LOOKS_UP = 0.2  # seconds; how late an interrupt is heard at most while replies are awaited
_LONGEST_PAUSE = 30.0  # seconds between two tries, unless the server asks for more
_LONGEST_CONNECT = 10.0  # seconds; the time-out of a reply is far too long for a wrong address
_SPREAD = 0.25  # of a pause asked for: threads that wake together are refused together
_MOST_BYTES = 8_000_000  # of one reply's body
_LENGTH_NAMES = ("max_tokens", "max_completion_tokens")  # newer models know only the latter
_REPEATED = (408, 409, 425, 429)  # and everything from 500 up
_REJECTED = (400, 413, 422)  # may be the fault of one request: its length, its token limit


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
        self.rejected = 0  # requests that cost their own row only
        self.unanswered = 0
        self.last_problem = ""  # why the last of the unanswered is that
        self._settings = settings
        self._journal = journal
        self._client = _client(base_url, key, settings.timeout)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._not_before = (
            0.0  # monotonic seconds; every thread waits when the server says so to one
        )
        self._answered = len(journal) > 0  # by this run, or by one before that was interrupted
        self._unanswered_in_a_row = 0
        self._rejected_in_a_row = 0
        self._queued_in_a_row = 0
        self._told: set[str] = set()
        self._length_name = _LENGTH_NAMES[0]

    def run(self, conversations: Sequence[Conversation[T]], done: Callable[[], None]) -> list[T]:
        """Return the results of conversations in the order given; `done` is called after each.

        Raises: TeacherError as soon as the endpoint is of no use; replies that are under way still
            reach the journal.
        """
        self._stop.clear()
        pool = ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="teacher")
        futures: list[Future[T]] = []
        try:
            for conversation in conversations:
                futures.append(pool.submit(self._hold, conversation))  # noqa: PERF401 - an interrupt must know them
            for future in _as_completed(futures):
                if not isinstance(future.exception(), _Stopped):
                    future.result()
                    done()
            results = [future.result() for future in futures]
        except KeyboardInterrupt:
            self._stop.set()  # not in `finally`: a second interrupt leaves at once from here on
            _log.info("waiting for the replies under way; Ctrl-C again leaves without them")
            _let_end(pool, futures)
            raise
        except Exception:
            self._stop.set()
            _let_end(pool, futures)
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
            self._rejected_in_a_row = 0
            return known
        tries = failures = 0
        while True:
            self._wait_turn()
            try:
                reply = self._ask(request)
            except _Rejected as refusal:
                return self._give_up(refusal)
            except _Repeatable as failure:
                self._heed(failure)
                tries += 0 if failure.is_queue else 1
                if tries > self._settings.retries:
                    return self._leave_unanswered(str(failure))
                self._back_off(failures)
                failures += 1
                continue
            self._answered = True
            self._unanswered_in_a_row = self._rejected_in_a_row = self._queued_in_a_row = 0
            return self._journal.add([request], [reply])[0]

    def _leave_unanswered(self, problem: str) -> Reply:
        """Go on without a reply. Raises: TeacherError if the endpoint seems to be down."""
        with self._lock:
            self.unanswered += 1
            self.last_problem = problem
            self._unanswered_in_a_row += 1
        if self._unanswered_in_a_row >= _UNANSWERED_IN_A_ROW:
            raise TeacherError(
                f"the endpoint {self._client.base_url} does not answer: {problem}",
                hint="Check the server and that the endpoint ends in /v1, then give the same "
                "command again: replies so far are kept.",
            )
        return Reply(text="", finish="unanswered")

    def _give_up(self, refusal: "_Rejected") -> Reply:
        """Go on without one row. Raises: the refusal itself if it seems to hold for every row."""
        with self._lock:
            self._rejected_in_a_row += 1
            most = _REJECTED_IN_A_ROW + self._settings.concurrency
            if not self._answered or self._rejected_in_a_row > most:
                raise refusal
            self.rejected += 1
        self._tell_once("rejected", f"{refusal}; what is refused goes without an answer")
        return Reply(text="", finish="rejected")

    def _tell_once(self, subject: str, line: str) -> None:
        with self._lock:
            is_new = subject not in self._told
            self._told.add(subject)
        if is_new:
            _log.warning("%s", line)

    def _wait_turn(self) -> None:
        """Wait as long as the server asked for; count the request. Raises: TeacherError."""
        while (left := self._not_before - time.monotonic()) > 0:
            if self._stop.wait(left * random.uniform(1.0, 1.0 + _SPREAD)):
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

    def _heed(self, failure: "_Repeatable") -> None:
        """Hold all threads as long as the server asks. Raises: TeacherError if that is too long."""
        if failure.wait > self._settings.longest_wait:
            raise TeacherError(
                f"the endpoint asks for a pause of {failure.wait:.0f} seconds: {failure}",
                hint="Give the same command again after that: replies so far are kept.",
            )
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + failure.wait)
            self._queued_in_a_row += failure.is_queue
        if self._queued_in_a_row > _QUEUED_IN_A_ROW:
            raise TeacherError(
                f"the endpoint {self._client.base_url} has put off {_QUEUED_IN_A_ROW} requests and answered none: "
                f"{failure}",
                hint="Lower --concurrency, or give the same command again later: replies so far are kept.",
            )
        if failure.is_queue:
            self._tell_once(
                "queue", f"the endpoint limits the rate, waiting as it asks ({failure})"
            )

    def _back_off(self, failures: int) -> None:
        """Wait before the next try of this thread, whatever the server asks for."""
        pause = min(_LONGEST_PAUSE, self._settings.first_pause * 2 ** min(failures, 16))
        self._stop.wait(pause * random.uniform(0.8, 1.2))

    def _ask(self, request: Request) -> Reply:
        """Send one request. Raises: _Repeatable, TeacherError."""
        length_name = self._length_name
        try:
            return reply_of(self._body(request, length_name))
        except openai.APIStatusError as failure:
            if length_name != _LENGTH_NAMES[-1] and _asks_for(_LENGTH_NAMES[-1], failure):
                self._length_name = _LENGTH_NAMES[-1]
                self._wait_turn()
                return self._ask(request)
            if failure.status_code == 400 and "content_filter" in str(failure.body):
                return Reply(text="", finish="refused")
            raise _judged(failure) from failure
        except NoCompletion as failure:
            raise _Repeatable(str(failure)) from failure
        except _lost_connections() as failure:
            cause = failure.__cause__ or failure
            text = " ".join(str(cause).split()) or type(failure).__name__
            if isinstance(cause, (TimeoutError, *_http_errors("ReadTimeout"))):
                text = f"no whole reply within {self._settings.timeout:g} s (--request-timeout)"
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
                    raise TimeoutError
                if len(body) > _MOST_BYTES:
                    break  # not JSON any more, so it will count as no completion
        return bytes(body)


def _as_completed(futures: Sequence["Future[T]"]) -> Iterator["Future[T]"]:
    """Yield futures as they end.

    Looks up while it waits: an interrupt that comes just before Python begins to wait would be heard after it only.
    """
    ended: SimpleQueue[Future[T]] = SimpleQueue()
    for future in futures:
        future.add_done_callback(ended.put)
    left = len(futures)
    while left:
        try:
            yield ended.get(timeout=_LOOKS_UP)
        except Empty:
            continue
        left -= 1


def _let_end(pool: ThreadPoolExecutor, futures: "Sequence[Future[T]]") -> None:
    """Begin nothing more, and wait for what has begun."""
    pool.shutdown(wait=False, cancel_futures=True)
    for _ in _as_completed(futures):
        pass


class _Stopped(Exception):
    """Another conversation ended the run."""


class _Repeatable(Exception):
    """A request that failed in a way that may pass."""

    def __init__(self, text: str, wait: float = 0.0, *, is_queue: bool = False) -> None:
        super().__init__(text)
        self.wait = wait  # seconds the server asks for
        self.is_queue = is_queue  # it only has to wait for its turn: that is no failed try


class _Rejected(TeacherError):
    """A request that the endpoint does not take, where it may take others."""


def _judged(failure: openai.APIStatusError) -> Exception:
    """Tell what is worth another try from what ends the run."""
    status, text = failure.status_code, error_text(failure.body, failure.message)
    if status >= 500 or (status in _REPEATED and "insufficient_quota" not in text):
        wait = wait_asked(failure.response.headers)
        is_queue = status == 429 and wait > 0
        return _Repeatable(f"status {status}: {text}", wait, is_queue=is_queue)
    hint = {
        401: "Set OPENAI_API_KEY to a key of this endpoint.",
        403: "Use a key that may use this model.",
        404: "Check the model's name and that the endpoint ends in /v1.",
        429: "The account's quota is used up; add to it, then give the same command again.",
    }.get(status, "Check the model's name and its settings (temperature, max-tokens).")
    kind = _Rejected if status in _REJECTED else TeacherError
    return kind(f"the endpoint refuses the request (status {status}): {text}", hint=hint)


def _asks_for(length_name: str, failure: openai.APIStatusError) -> bool:
    """Whether a request was refused because its limit of tokens goes by another name."""
    return failure.status_code == 400 and length_name in error_text(failure.body, failure.message)


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
            base_url=base_url,
            api_key=key or "none",
            max_retries=0,
            timeout=openai.Timeout(timeout, connect=min(timeout, _LONGEST_CONNECT)),
        )
    except _http_errors("InvalidURL") as failure:
        raise refused from failure


def _lost_connections() -> tuple[type[Exception], ...]:
    """Return the errors of a connection that fails, in mid-reply too."""
    return (openai.APIConnectionError, TimeoutError, *_http_errors("HTTPError"))


def _http_errors(name: str) -> tuple[type[Exception], ...]:
    """Return an error of the client's HTTP library, which is httpx or httpx2 by its version."""
    libraries = [sys.modules[each] for each in ("httpx2", "httpx") if each in sys.modules]
    return tuple(getattr(library, name) for library in libraries)
