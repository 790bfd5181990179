"""synthesize and augment against a real OpenAI-compatible server on loopback, kills included."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response

from artifacts.store import Artifact, Store
from core.config.augment import AugmentConfig
from core.config.synthesize import SynthesizeConfig
from core.data.tables import read_rows
from core.errors import ConfigError, TeacherError
from core.stages import augment, synthesize
from core.stages.base import Context, Outcome, run_stage
from core.stages.kinds import KINDS
from core.text.chat import Message, Reply, Request
from core.text.endpoint import EndpointChat, EndpointSettings
from core.text.journal import Journal
from tests.conftest import Heard, write_dataset
from tests.core.text.openai_server import (
    Endpoint,
    completion,
    endpoint,
    failure,
    json_response,
    obedient,
)

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_key_of_the_machine(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-test")


@pytest.fixture
def store(tmp_path) -> Store:
    """A store with one data set."""
    opened = Store.open(tmp_path / "store", KINDS, "0")
    key = opened.key(kind="dataset", parameters={}, inputs={}, resources={})
    with opened.publish(
        kind="dataset", name="toy", key=key, parameters={}, inputs={}, resources={}
    ) as draft:
        write_dataset(draft.folder)
    return opened


def settings_of(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "teacher": "openai",
        "model": "teacher-1",
        "endpoint": url,
        "rows": 20,
        "held_out": 4,
        "concurrency": 4,
        "request_retries": 2,
        "request_timeout": 20.0,
        **changes,
    }


def explain(store: Store, url: str, *, force: bool = False, **changes: Any) -> Outcome:
    config = SynthesizeConfig(**settings_of(url, **changes))
    return run_stage(Context(store=store, force=force), synthesize.STAGE, config)


def traces(artifact: Artifact) -> list[dict[str, Any]]:
    return read_rows(artifact.file("traces.parquet"))


def journals(store_root: Path) -> list[Path]:
    return list(store_root.rglob(synthesize.JOURNAL))


# -- the loop, end to end ---------------------------------------------------------------------------


def test_teacher_that_errs_is_put_right_and_every_row_gets_its_reason(store):
    with endpoint(obedient) as server:
        artifact = explain(store, server.url).artifact
    rows = traces(artifact)
    assert Counter(row["split"] for row in rows) == {"train": 20, "test": 4}
    for row in rows:
        assert row["status"] == "ok"
        assert row["tries"] == (1 if row["label"] else 2)  # it says Yes until it is told better
        assert row["reason"].startswith("They rated things like this before")
        assert row["teacher"] == "openai:teacher-1"
    assert len(server.bodies) == sum(row["tries"] for row in rows)
    assert artifact.summary["requests"] == len(server.bodies)
    assert set(server.keys) == {"Bearer key-of-the-test"}
    assert "key-of-the-test" not in (artifact.folder / "manifest.json").read_text()


def test_same_work_is_a_hit_and_asks_nothing(store):
    with endpoint(obedient) as server:
        first = explain(store, server.url)
        asked = len(server.bodies)
        second = explain(store, server.url, concurrency=1, request_timeout=5.0)
        assert (second.hit, second.artifact.object_id) == (True, first.artifact.object_id)
        assert len(server.bodies) == asked


def test_empty_answers_get_more_tokens(store):
    def stingy(body: dict[str, Any], number: int) -> Response:
        return completion("", "length") if body["max_tokens"] < 1600 else obedient(body, number)

    with endpoint(stingy) as server:
        rows = traces(explain(store, server.url, max_tokens=400).artifact)
    assert all(row["status"] == "ok" for row in rows)
    assert {body["max_tokens"] for body in server.bodies} == {400, 800, 1600}


def test_rows_that_cannot_be_explained_are_marked_and_the_others_kept(store):
    kinds: dict[str, str] = {}

    def mixed(body: dict[str, Any], number: int) -> Response:
        question = body["messages"][1]["content"]
        about = re.sub(r"\n\(Try.*", "", question, flags=re.DOTALL)
        kind = kinds.setdefault(
            about, ("good", "noise", "refusal", "nothing", "stubborn")[len(kinds) % 5]
        )
        if kind == "noise":
            return completion("Perhaps.")
        if kind == "refusal":
            return completion(None, refusal="I cannot help with that.")
        if kind == "nothing":
            return completion(None)
        if kind == "stubborn":
            wrong = "No" if number % 2 else "Yes"
            return completion(f"{wrong}. Still unsure about the true answer.")
        return obedient(body, number)

    with endpoint(mixed) as server:
        rows = traces(explain(store, server.url, rows=30, held_out=0, max_tries=3).artifact)
    statuses = Counter(row["status"] for row in rows)
    assert statuses["ok"] >= 4
    assert statuses["refused"] >= 4
    assert statuses["malformed"] >= 8
    assert all(bool(row["reason"]) == (row["status"] == "ok") for row in rows)
    assert all(row["tries"] <= 3 for row in rows)


def test_too_few_reasons_is_a_failure_that_keeps_the_replies(store):
    def silent(body: dict[str, Any], number: int) -> Response:
        return completion("Perhaps.")

    with endpoint(silent) as server:
        with pytest.raises(TeacherError, match=r"gave 0 reasons of use for 24 rows") as caught:
            explain(store, server.url)
        assert caught.value.exit_code == 60
        asked = len(server.bodies)
        artifact = explain(store, server.url, min_ok=0).artifact
        assert len(server.bodies) == asked  # all of it was in the journal
        with pytest.raises(TeacherError, match="0 reasons of use") as caught:
            explain(store, server.url)  # what was accepted with 0 wanted is not enough for 1
        assert f"{artifact.reference} was made before: --force" in caught.value.hint
    assert {row["status"] for row in traces(artifact)} == {"malformed"}


def test_force_asks_anew_what_was_answered_badly(store):
    hints = []
    with endpoint(lambda body, number: completion("Perhaps.")) as server:
        for _ in range(2):
            with pytest.raises(TeacherError) as caught:
                explain(store, server.url)
            hints.append(caught.value.hint)
        assert len(server.bodies) == 5 * 24  # --max-tries of every row, and nothing twice
    assert ["120 replies were kept from a run before: --force" in hint for hint in hints] == [
        False,
        True,
    ]
    with endpoint(obedient) as server:
        assert {
            row["status"] for row in traces(explain(store, server.url, force=True).artifact)
        } == {"ok"}


def test_replay_with_the_server_off_gives_the_identical_artifact(store):
    with endpoint(obedient) as server:
        url = server.url
        with pytest.raises(TeacherError):
            explain(store, url, min_ok=1000)  # everything was answered, nothing published
    offline = explain(store, url).artifact
    with endpoint(obedient) as server:
        online = explain(store, server.url, force=True).artifact
        assert len(server.bodies) > 0
    assert online.object_id != offline.object_id
    assert online.file("traces.parquet").read_bytes() == offline.file("traces.parquet").read_bytes()
    assert offline.summary["requests"] == 0


# -- failures of the endpoint -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_refused_request_stops_at_once(store, status):
    with endpoint(lambda body, number: failure(status, "go away")) as server:
        with pytest.raises(TeacherError, match=rf"status {status}.*go away"):
            explain(store, server.url)
        assert len(server.bodies) <= 4  # one per thread at most


def test_used_up_quota_stops_at_once(store):
    def broke(body: dict[str, Any], number: int) -> Response:
        error = {"message": "You exceeded your quota", "code": "insufficient_quota"}
        return json_response({"error": error}, 429)

    with endpoint(broke) as server:
        with pytest.raises(TeacherError, match="exceeded your quota"):
            explain(store, server.url)
        assert len(server.bodies) <= 4


def test_passing_failures_are_ridden_out(store):
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def shaky(body: dict[str, Any], number: int) -> Response:
        with lock:
            seen[json.dumps(body["messages"])] += 1
            first_time = seen[json.dumps(body["messages"])] == 1
        if first_time and number % 3 == 0:
            return failure(500, "oops")
        if first_time and number % 5 == 0:
            return failure(429, "slow down", retry_after="0")
        return obedient(body, number)

    with endpoint(shaky) as server:
        rows = traces(explain(store, server.url).artifact)
    assert all(row["status"] == "ok" for row in rows)
    assert [row["tries"] for row in rows] == [1 if row["label"] else 2 for row in rows]


def test_dead_endpoint_fails_and_the_rerun_asks_only_for_the_rest(store):
    def dying(body: dict[str, Any], number: int) -> Response:
        return obedient(body, number) if number <= 10 else failure(503, "going down")

    with (
        endpoint(dying) as server,
        pytest.raises(TeacherError, match="does not answer: status 503"),
    ):
        explain(store, server.url, request_retries=0)
    with endpoint(obedient) as server:
        rows = traces(explain(store, server.url).artifact)
        assert len(server.bodies) == sum(row["tries"] for row in rows) - 10
    assert all(row["status"] == "ok" for row in rows)


def test_passing_outage_is_not_published_and_the_rerun_asks_only_for_what_is_missing(store):
    def shaky(body: dict[str, Any], number: int) -> Response:
        return failure(503, "out for lunch") if number in (5, 9) else obedient(body, number)

    with endpoint(shaky) as server:
        with pytest.raises(TeacherError, match=r"left 2 of 24 questions unanswered.*lunch"):
            explain(store, server.url, request_retries=0)
        asked = len(server.bodies)
        assert not store.artifacts(kind="traces")
        rows = traces(explain(store, server.url, request_retries=0).artifact)
    assert all(row["status"] == "ok" for row in rows)
    assert len(server.bodies) == sum(row["tries"] for row in rows) + 2
    assert asked < len(server.bodies)


def test_a_request_that_never_gets_an_answer_can_be_gone_on_without(store):
    stuck: list[str] = []

    def never(body: dict[str, Any], number: int) -> Response:
        asked = str(body["messages"])
        if number == 3:
            stuck.append(asked)
        return failure(500, "always") if asked in stuck else obedient(body, number)

    with endpoint(never) as server:
        for _ in range(2):  # the same one again
            with pytest.raises(TeacherError, match="left 1 of 24") as caught:
                explain(store, server.url, request_retries=0)
        assert "--max-unanswered 1" in caught.value.hint
        artifact = explain(store, server.url, request_retries=0, max_unanswered=1).artifact
        with pytest.raises(TeacherError, match="left 1 of its questions unanswered") as caught:
            explain(store, server.url, request_retries=0)
    assert "--max-unanswered 1 takes it" in caught.value.hint
    assert artifact.summary["requests_unanswered"] == 1
    assert Counter(row["status"] for row in traces(artifact)) == {"ok": 23, "gave_up": 1}


def test_rows_that_the_endpoint_refuses_are_given_up_and_told_once(store, caplog):
    cut_off: set[str] = set()  # the questions of two rows

    def strict(body: dict[str, Any], number: int) -> Response:
        if body["max_tokens"] > 400:
            return failure(400, "max_tokens is too large")
        if number > 2 and len(cut_off) < 2:
            cut_off.add(str(body["messages"]))
            return completion("", "length")
        return obedient(body, number)

    with endpoint(strict) as server:
        artifact = explain(store, server.url, max_tokens=400).artifact
    assert Counter(row["status"] for row in traces(artifact)) == {"ok": 22, "gave_up": 2}
    assert artifact.summary["requests_rejected"] == 2
    told = [record.message for record in caplog.records if "too large" in record.message]
    assert len(told) == 1


def test_time_out_names_its_option(store):
    over = threading.Event()

    def hanging(body: dict[str, Any], number: int) -> Response:
        over.wait(30)
        return obedient(body, number)

    with endpoint(hanging) as server:
        try:
            with pytest.raises(TeacherError, match=r"within 0\.3 s \(--request-timeout\)"):
                explain(store, server.url, request_timeout=0.3, request_retries=0)
        finally:
            over.set()


def test_budget_of_requests_is_kept(store):
    with endpoint(obedient) as server:
        with pytest.raises(TeacherError, match="budget of 7 requests is used up"):
            explain(store, server.url, max_requests=7)
        assert len(server.bodies) == 7
        rows = traces(explain(store, server.url).artifact)
        assert len(server.bodies) == sum(row["tries"] for row in rows)


def test_no_key_and_no_endpoint_is_said_before_anything_is_sent(store, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    config = SynthesizeConfig(teacher="openai", model="m")
    with pytest.raises(TeacherError, match="no OPENAI_API_KEY"):
        run_stage(Context(store=store), synthesize.STAGE, config)


def test_endpoint_that_is_no_address_is_refused(store):
    with pytest.raises(ConfigError, match="no web address"):
        explain(store, "localhost:8000/v1")


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000v1", "http://HOST:PORT/v1"])
def test_endpoint_with_an_impossible_port_is_refused(store, address):
    with pytest.raises(ConfigError, match="is no web address"):
        explain(store, address)


def test_blanks_around_the_key_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", " key-of-the-test\r\n")
    with endpoint(lambda body, number: completion("yes")) as server:
        assert ask(server, tmp_path / "j")[0].text == "yes"


@pytest.mark.parametrize("key", ["secret-é", "secret\nsecond"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(store, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigError) as refused:
        explain(store, "http://127.0.0.1:9/v1")
    assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_half_a_surrogate_pair_is_replaced(tmp_path):
    half = Response(
        '{"choices": [{"message": {"content": "a\\ud83d"}}]}', 200, media_type="application/json"
    )
    with endpoint(lambda body, number: half) as server:
        assert ask(server, tmp_path / "j")[0].text == "a?"


def test_endpoint_comes_from_the_environment_where_none_is_given(store, monkeypatch):
    with endpoint(obedient) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        changes = {**settings_of(""), "endpoint": None}
        run_stage(Context(store=store), synthesize.STAGE, SynthesizeConfig(**changes))
        assert server.bodies


# -- one request at a time ----------------------------------------------------------------------------


def ask(server: Endpoint, path: Path, **changes: Any) -> tuple[Reply, EndpointChat]:
    """Send one request; returns the reply and the chat."""
    settings = EndpointSettings(
        model="m", base_url=server.url, **{"first_pause": 0.01, "timeout": 10.0, **changes}
    )

    def talk():
        reply = yield Request(name="a", messages=(Message(role="user", content="?"),), max_tokens=5)
        return reply

    with Journal(path, settings.identity()) as journal:
        chat = EndpointChat(settings, journal)
        try:
            return chat.run([talk()], lambda: None)[0], chat
        finally:
            chat.close()


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_next_request_comes_no_sooner_than_the_server_allows(tmp_path, form):
    arrivals: list[float] = []

    def busy(body: dict[str, Any], number: int) -> Response:
        arrivals.append(time.monotonic())
        wait = "1.2" if form == "seconds" else formatdate(time.time() + 2.5, usegmt=True)
        return failure(429, "busy", retry_after=wait) if number == 1 else completion("ok")

    with endpoint(busy) as server:
        assert ask(server, tmp_path / "j")[0].text == "ok"
    # A date has whole seconds, so 2.5 seconds ahead means more than 1.2 in any case.
    assert arrivals[1] - arrivals[0] >= 1.2


def test_endless_pause_ends_the_run(tmp_path):
    def endless(body: dict[str, Any], number: int) -> Response:
        return failure(429, "come back next month", retry_after="1000000000")

    with endpoint(endless) as server:
        with pytest.raises(TeacherError, match="pause of 1000000000 seconds"):
            ask(server, tmp_path / "j")
        assert len(server.bodies) == 1


def test_client_does_not_retry_behind_our_back(tmp_path):
    with endpoint(lambda body, number: failure(500, "no")) as server:
        reply, chat = ask(server, tmp_path / "j", retries=2)
        assert reply.finish == "unanswered"
        assert len(server.bodies) == chat.requests_sent == 3


def test_hanging_server_is_left_at_the_deadline(tmp_path):
    release = threading.Event()

    def hanging(body: dict[str, Any], number: int) -> Response:
        if number == 1:
            release.wait(30)
        return completion("late")

    with endpoint(hanging) as server:
        assert ask(server, tmp_path / "j", timeout=0.5)[0].text == "late"
        assert len(server.bodies) == 2
        release.set()


def test_server_that_knows_only_the_newer_name_of_the_limit_is_understood(tmp_path):
    def newer(body: dict[str, Any], number: int) -> Response:
        if "max_tokens" in body:
            return failure(400, "Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return completion(str(body["max_completion_tokens"]))

    with endpoint(newer) as server:
        # One try and no repetition: asking again by the other name is none.
        reply, chat = ask(server, tmp_path / "j", retries=0)
        assert reply.text == "5"
        assert chat.requests_sent == 2


def test_all_requests_under_way_learn_the_newer_name_of_the_limit(store):
    together = threading.Barrier(4)

    def newer(body: dict[str, Any], number: int) -> Response:
        if "max_tokens" in body:
            together.wait(20)  # all four are sent before any is refused
            return failure(400, "Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return obedient(body, number)

    with endpoint(newer) as server:
        made = explain(store, server.url, request_retries=0)
    assert {trace["status"] for trace in traces(made.artifact)} == {"ok"}


@pytest.mark.parametrize(
    "odd",
    [
        json_response({"choices": [{"message": {"content": None}}], "error": None}),
        json_response({"choices": [{"message": {"content": 5}}]}),
        json_response({"choices": [{"message": {"content": [{"type": "text", "text": None}]}}]}),
    ],
)
def test_completion_without_text_counts_as_an_empty_answer_and_is_journalled(tmp_path, odd):
    with endpoint(lambda body, number: odd) as server:
        assert ask(server, tmp_path / "j")[0] == Reply(text="", finish="stop")
        assert ask(server, tmp_path / "j")[0] == Reply(text="", finish="stop")
        assert len(server.bodies) == 1


def test_flood_is_not_swallowed_whole(tmp_path):
    flood = Response(b'{"choices": "' + b"x" * 20_000_000, 200, media_type="application/json")
    with endpoint(lambda body, number: flood) as server:
        assert ask(server, tmp_path / "j", retries=0)[0].finish == "unanswered"
    assert (tmp_path / "j").stat().st_size < 10_000


# -- kills --------------------------------------------------------------------------------------------

RUN = """
import json, sys
from pathlib import Path
from artifacts.store import Store
from core.config.synthesize import SynthesizeConfig
from core.stages import synthesize
from core.stages.base import Context, run_stage
from core.stages.kinds import KINDS
store = Store.open(Path(sys.argv[1]), KINDS, "0")
config = SynthesizeConfig(**json.loads(sys.argv[2]))
print(run_stage(Context(store=store), synthesize.STAGE, config).artifact.reference)
"""


def start(root: Path, url: str) -> "subprocess.Popen[str]":
    settings = settings_of(url, rows=60, held_out=0)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(root), json.dumps(settings)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_killed_run_pays_again_for_no_more_than_was_in_flight(store, tmp_path):
    killed: dict[str, Any] = {"at": [15, 40, 70], "process": None}
    lock = threading.Lock()

    def deadly(body: dict[str, Any], number: int) -> Response:
        with lock:
            if killed["at"] and number >= killed["at"][0]:
                killed["at"].pop(0)
                os.kill(killed["process"].pid, signal.SIGKILL)
        time.sleep(0.01)
        return obedient(body, number)

    with endpoint(deadly) as server:
        runs = 0
        while True:
            runs += 1
            process = killed["process"] = start(tmp_path / "store", server.url)
            out, err = process.communicate(timeout=120)
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, err
            assert runs < 6
        artifact = store.resolve(out.strip())
        rows = traces(artifact)
        assert runs == 4
        assert all(row["status"] == "ok" for row in rows)
        assert len(rows) == 60
        repaid = len(server.bodies) - sum(row["tries"] for row in rows)
        assert 0 <= repaid <= 3 * 4  # kills times requests in flight
        again = explain(store, server.url, rows=60, held_out=0, force=True).artifact
    assert traces(again) == rows
    assert not journals(tmp_path / "store")  # a finished run leaves no journal behind


@pytest.mark.parametrize("seconds_between", [0.0, 0.5])
def test_first_interrupt_says_what_it_waits_for_and_the_second_leaves_at_once(
    store, tmp_path, seconds_between
):
    asked, over = threading.Event(), threading.Event()

    def hanging(body: dict[str, Any], number: int) -> Response:
        asked.set()
        over.wait(60)
        return obedient(body, number)

    with endpoint(hanging) as server:
        words = ["synthesize", "--teacher", "openai", "--model", "m", "--endpoint", server.url]
        process = subprocess.Popen(
            [sys.executable, "-m", "thinkrec_cli", "--store", str(tmp_path / "store"), *words],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert asked.wait(60)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = ""
            while "replies under way" not in said:
                said = process.stderr.readline()
                assert said
            assert "Ctrl-C again" in said
            time.sleep(seconds_between)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
            over.set()
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted; the same command continues where it stopped\n"


# -- keywords -----------------------------------------------------------------------------------------


def test_keywords_come_from_the_endpoint_and_from_the_metadata_where_it_gives_none(store):
    def listing(body: dict[str, Any], number: int) -> Response:
        question = body["messages"][0]["content"]
        if '"Film 3"' in question:
            return completion("I would rather not say anything about this particular item, sorry.")
        return completion("Heist; Slow Burn; heist")

    with endpoint(listing) as server:
        config = AugmentConfig(model="openai:writer", endpoint=server.url)
        heard = Heard()
        artifact = run_stage(Context(store=store, progress=heard), augment.STAGE, config).artifact
    rows = read_rows(artifact.file("keywords.parquet"))
    assert rows[0]["keywords"] == ["heist", "slow burn"]
    assert rows[3]["keywords"][:2] == ["horror", "1970s"]
    assert artifact.summary["fallen_back_to_tfidf"] == 1
    assert any("1 of 30 items fell back to TF-IDF" in line for line in heard.lines)
    assert artifact.reference == "keywords/writer@1"


def test_model_without_any_keywords_is_an_error(store):
    with endpoint(lambda body, number: completion("")) as server:
        config = AugmentConfig(model="openai:writer", endpoint=server.url, concurrency=1)
        with pytest.raises(TeacherError, match="no keywords for any of the first 20 items"):
            run_stage(Context(store=store), augment.STAGE, config)
        assert len(server.bodies) == 20  # of 30 items
        with pytest.raises(TeacherError) as caught:
            run_stage(Context(store=store), augment.STAGE, config)
        assert "--force asks anew" in caught.value.hint
        server.behaviour = lambda body, number: completion("heist, slow burn")
        again = run_stage(Context(store=store, force=True), augment.STAGE, config).artifact
    assert again.summary["fallen_back_to_tfidf"] == 0


def test_model_that_thinks_first_is_given_more_tokens_for_keywords(store):
    def thinking(body: dict[str, Any], number: int) -> Response:
        if body["max_tokens"] < 1000:
            return completion(None, "length")
        return completion("heist, slow burn")

    with endpoint(thinking) as server:
        config = AugmentConfig(model="openai:writer", endpoint=server.url)
        artifact = run_stage(Context(store=store), augment.STAGE, config).artifact
    assert Counter(body["max_tokens"] for body in server.bodies) == {120: 30, 480: 30, 1920: 30}
    assert artifact.summary["fallen_back_to_tfidf"] == 0
