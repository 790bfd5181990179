"""A real OpenAI-compatible endpoint on loopback, whose behaviour a test decides per request."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

Behaviour = Callable[[dict[str, Any], int], Response]
"""Takes the request's body and its number (1, 2, ...), returns the response."""


class Endpoint:
    """A running server: what it was asked, and how to reach it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self._lock = threading.Lock()
        app = FastAPI()

        @app.post("/v1/chat/completions")
        def complete(body: dict[str, Any], request: Request) -> Response:
            with self._lock:
                self.bodies.append(body)
                self.keys.append(request.headers.get("authorization", ""))
                number = len(self.bodies)
            return self.behaviour(body, number)

        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    @property
    def url(self) -> str:
        """Base URL for the client."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Close the port."""
        self._server.should_exit = True
        self._thread.join(10)


@contextlib.contextmanager
def endpoint(behaviour: Behaviour) -> Iterator[Endpoint]:
    """Run a server for the length of a block."""
    server = Endpoint(behaviour)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def completion(text: str | None, finish: str = "stop", **message: Any) -> Response:
    """Return an ordinary completion."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish,
    }
    return json_response(
        {"id": "c1", "object": "chat.completion", "created": 1, "choices": [choice]}
    )


def json_response(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return any JSON."""
    return Response(json.dumps(content), status, headers, "application/json")


def failure(status: int, message: str, **headers: str) -> Response:
    """Return an error as OpenAI words it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return json_response({"error": {"message": message, "code": None}}, status, named)


def obedient(body: dict[str, Any], number: int) -> Response:
    """Predict Yes always, and the true answer once it is told."""
    last = body["messages"][-1]["content"]
    told = re.search(r"(?:answer is|answer was|has to be) (Yes|No)\b", last)
    answer = told.group(1) if told else "Yes"
    reason = f"They rated things like this before, see request for {_asked_about(body)}."
    return completion(json.dumps({"answer": answer, "reason": reason}))


def _asked_about(body: dict[str, Any]) -> str:
    question: str = body["messages"][1]["content"]
    return question.split("<item>\n")[1].split("\n", maxsplit=1)[0]
