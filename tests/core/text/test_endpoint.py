"""What an endpoint may do to a request, against a real server on loopback."""

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response

from core.errors import TeacherError
from core.text.chat import Conversation, Message, Reply, Request
from core.text.endpoint import EndpointChat, EndpointSettings
from core.text.journal import Journal
from tests.core.text.openai_server import (
    Behaviour,
    Endpoint,
    completion,
    endpoint,
    failure,
    json_response,
)

TOO_LONG = "This model's maximum context length is 4096 tokens"


@pytest.fixture(autouse=True)
def _no_key_of_the_machine(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-test")


def question(number: int) -> Conversation[Reply]:
    reply = yield Request(
        name=str(number), messages=(Message(role="user", content=str(number)),), max_tokens=5
    )
    return reply


def ask(
    server: Endpoint, path: Path, count: int = 1, **changes: Any
) -> tuple[list[Reply], EndpointChat]:
    """Ask the questions 0, 1, ...; returns the replies and the chat."""
    settings = EndpointSettings(
        model="m",
        base_url=server.url,
        **{"first_pause": 0.01, "timeout": 10.0, "concurrency": 1, **changes},
    )
    with Journal(path, settings.identity()) as journal:
        chat = EndpointChat(settings, journal)
        try:
            return chat.run([question(n) for n in range(count)], lambda: None), chat
        finally:
            chat.close()


def refusing(*numbers: int, response: Response) -> Behaviour:
    """Answer every question but these."""
    return lambda body, _: (
        response
        if int(body["messages"][0]["content"]) in numbers
        else completion(body["messages"][0]["content"])
    )


def finishes(replies: list[Reply]) -> list[str]:
    return [reply.finish for reply in replies]


# -- bodies that are no completion ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            json_response({"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
            "Unexpected endpoint or method",
        ),
        (
            json_response({"error": {"message": "Upstream overloaded", "code": 502}}),
            "Upstream overloaded 502",
        ),
        (json_response({"error": {"message": "Half done"}, "choices": []}), "Half done"),
        (json_response({"detail": "Not Found"}), "Not Found"),
        (json_response([1, 2]), "1, 2"),
        (Response("<html>Sign in\nfirst</html>", 200, media_type="text/html"), "Sign in first"),
        (Response("{cut", 200, media_type="application/json"), "{cut"),
        (Response(b"[" * 100_000, 200, media_type="application/json"), r"\[\[\["),
        (Response(b"", 200, media_type="application/json"), "no reason given"),
        (json_response({"choices": []}), "without a message"),
        (json_response({"choices": [{"message": None}]}), "without a message: .*null"),
    ],
)
def test_body_that_is_no_completion_is_told_and_not_journalled(tmp_path, body, words):
    with endpoint(lambda asked, number: body) as server:
        with pytest.raises(TeacherError, match=f"does not answer: .*{words}") as caught:
            ask(server, tmp_path / "j", count=3, retries=1)
        assert len(server.bodies) == 6
    assert "/v1" in caught.value.hint
    assert (tmp_path / "j").read_bytes() == b""
    with endpoint(refusing(response=body)) as server:
        assert [reply.text for reply in ask(server, tmp_path / "j", count=3)[0]] == ["0", "1", "2"]


# -- limits of the rate -----------------------------------------------------------------------------


def test_limit_of_the_rate_costs_no_tries(tmp_path, caplog):
    lock = threading.Lock()
    free_at = 0.0

    def limited(body: dict[str, Any], number: int) -> Response:
        nonlocal free_at
        with lock:
            if (wait := free_at - time.monotonic()) > 0:
                return failure(429, "slow down", retry_after=f"{wait:.3f}")
            free_at = time.monotonic() + 0.1
        return completion("ok")

    with endpoint(limited) as server:
        replies, chat = ask(server, tmp_path / "j", count=12, concurrency=6, retries=0)
        assert chat.requests_sent == len(server.bodies) > 12
    assert finishes(replies) == ["stop"] * 12
    assert chat.unanswered == 0
    assert len([each for each in caplog.records if "limits the rate" in each.message]) == 1


def test_endless_limit_of_the_rate_ends_with_the_budget(tmp_path):
    with endpoint(lambda body, number: failure(429, "later", retry_after="0.01")) as server:
        with pytest.raises(TeacherError, match="budget of 6 requests"):
            ask(server, tmp_path / "j", retries=0, most_requests=6)
        assert len(server.bodies) == 6


def test_no_time_to_wait_still_means_a_pause_and_a_try(tmp_path):
    arrivals: list[float] = []

    def busy(body: dict[str, Any], number: int) -> Response:
        arrivals.append(time.monotonic())
        return failure(429, "busy", retry_after="0")

    with endpoint(busy) as server:
        replies, _ = ask(server, tmp_path / "j", retries=2, first_pause=0.2)
    assert finishes(replies) == ["unanswered"]
    assert len(arrivals) == 3
    assert arrivals[1] - arrivals[0] >= 0.2 * 0.8
    assert arrivals[2] - arrivals[1] >= 0.4 * 0.8


def test_threads_do_not_come_back_all_at_once(tmp_path):
    together = threading.Barrier(8)
    arrivals: list[float] = []

    def busy(body: dict[str, Any], number: int) -> Response:
        if number <= 8:
            together.wait(20)
            return failure(429, "busy", retry_after="1")
        arrivals.append(time.monotonic())
        return completion("ok")

    with endpoint(busy) as server:
        ask(server, tmp_path / "j", count=8, concurrency=8)
    # Eight times uniform over a quarter of a second: they are closer than this once in a million.
    assert max(arrivals) - min(arrivals) > 0.025


# -- refused requests -------------------------------------------------------------------------------


def test_filter_of_content_is_a_refusal_and_journalled(tmp_path):
    error = {"message": "The response was filtered. " * 20, "code": "content_filter", "status": 400}
    filtering = refusing(0, 2, response=json_response({"error": error}, 400))
    with endpoint(filtering) as server:
        for _ in range(2):
            replies, chat = ask(server, tmp_path / "j", count=4)
            assert finishes(replies) == ["refused", "stop", "refused", "stop"]
            assert chat.rejected == 0
        assert len(server.bodies) == 4


def test_a_filter_that_leaves_no_message_is_a_refusal(tmp_path):
    filtered = json_response({"choices": [{"finish_reason": "content_filter"}]})
    with endpoint(refusing(1, response=filtered)) as server:
        assert finishes(ask(server, tmp_path / "j", count=2)[0]) == ["stop", "refused"]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_request_that_is_refused_after_an_answer_costs_its_own_row_only(tmp_path, status, caplog):
    strict = refusing(1, 3, response=failure(status, TOO_LONG))
    with endpoint(strict) as server:
        replies, chat = ask(server, tmp_path / "j", count=5)
        assert len(server.bodies) == 5
    assert finishes(replies) == ["stop", "rejected", "stop", "rejected", "stop"]
    assert chat.rejected == 2
    told = [each.message for each in caplog.records if TOO_LONG in each.message]
    assert len(told) == 1
    assert f"status {status}" in told[0]
    with endpoint(refusing(response=failure(status, ""))) as server:  # it was not journalled
        assert finishes(ask(server, tmp_path / "j", count=5)[0]) == ["stop"] * 5
        assert len(server.bodies) == 2


def test_rerun_after_an_interrupt_goes_on_past_a_refused_request(tmp_path):
    with endpoint(refusing(response=failure(400, ""))) as server:
        ask(server, tmp_path / "j", count=3)
    with endpoint(refusing(3, response=failure(400, TOO_LONG))) as server:
        assert finishes(ask(server, tmp_path / "j", count=5)[0])[3:] == ["rejected", "stop"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_key_or_model_that_is_refused_ends_the_run_after_answers_too(tmp_path, status):
    with endpoint(refusing(2, response=failure(status, "no"))) as server:
        with pytest.raises(TeacherError, match=f"status {status}"):
            ask(server, tmp_path / "j", count=5)
        assert len(server.bodies) == 3


def test_endpoint_that_comes_to_refuse_everything_ends_the_run(tmp_path):
    with endpoint(refusing(*range(2, 60), response=failure(400, "no model loaded"))) as server:
        with pytest.raises(TeacherError, match="no model loaded"):
            ask(server, tmp_path / "j", count=60)
        assert len(server.bodies) == 2 + 22


def test_endpoint_that_only_puts_off_is_left_alone_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("core.text.endpoint._QUEUED_IN_A_ROW", 6)

    def never(body: dict[str, Any], number: int) -> Response:
        return completion("ok") if number == 4 else failure(429, "busy, later", retry_after="0.01")

    with endpoint(never) as server:
        with pytest.raises(TeacherError, match=r"put off 6 requests and answered none.*busy"):
            ask(server, tmp_path / "j", count=2)
        assert len(server.bodies) == 4 + 7  # a reply begins the count anew


# -- interrupts ---------------------------------------------------------------------------------------


@pytest.fixture
def _interrupts_are_heard():
    """As in a program of a terminal: what a script starts in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts_are_heard")
def test_an_interrupt_is_heard_though_it_does_not_end_a_wait(tmp_path):
    asked, answers = threading.Event(), threading.Event()

    def hanging(body: dict[str, Any], number: int) -> Response:
        asked.set()
        answers.wait(30)
        return completion("Yes")

    def interrupt() -> None:
        """Let this thread get the signal: like one that comes just before a wait, it wakes nobody."""
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    def interrupt_twice() -> None:
        assert asked.wait(30)
        interrupt()
        time.sleep(0.5)
        interrupt()

    sender = threading.Thread(target=interrupt_twice)
    with endpoint(hanging) as server:
        sender.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                ask(server, tmp_path / "journal", count=3)
            assert len(server.bodies) == 1  # the others were not asked
        finally:
            answers.set()
            sender.join()
