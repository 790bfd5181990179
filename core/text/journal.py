"""A journal of replies, so that no reply is asked for, and paid for, twice.

One JSON line per reply, appended and fsynced before the reply is used. A line that a kill tore is
cut off when the journal is opened again. The key of a reply is the whole request and who answers
it: another prompt, model or temperature finds nothing here.
"""

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.files import sync
from core.text.chat import Reply, Request

_LONGEST_TEXT = 200_000  # characters of a reply that are kept


class Journal:
    """Replies on disk by request; safe to use from several threads of one process."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Open or make a journal.

        Args:
            path: the file.
            identity: what a reply depends on besides its request: model, temperature, seed.
        """
        self._path = path
        self._identity = dict(identity)
        self._lock = threading.Lock()
        self._replies: dict[str, Reply] = {}
        is_new = not path.exists()
        self._read()
        self._file = path.open("ab")
        if is_new:
            sync(path.parent)

    def __len__(self) -> int:
        return len(self._replies)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def find(self, request: Request) -> Reply | None:
        """Return the reply to a request that was answered before, or None."""
        return self._replies.get(self._key(request))

    def add(self, requests: Sequence[Request], replies: Sequence[Reply]) -> list[Reply]:
        """Keep replies for good; returns them as a later run will find them. Raises: OSError."""
        entries = [
            (self._key(request), Reply(text=reply.text[:_LONGEST_TEXT], finish=reply.finish))
            for request, reply in zip(requests, replies, strict=True)
        ]
        lines = [
            json.dumps({"key": key, "text": reply.text, "finish": reply.finish}) + "\n"
            for key, reply in entries
        ]
        with self._lock:
            self._file.write("".join(lines).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._replies.update(entries)
        return [reply for _, reply in entries]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _key(self, request: Request) -> str:
        content = {
            **self._identity,
            "name": request.name,
            "messages": [[message.role, message.content] for message in request.messages],
            "max_tokens": request.max_tokens,
            "begin_with": request.begin_with,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _read(self) -> None:
        """Load whole lines; cut off what follows the last of them."""
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self._path.open("r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())
        for line in content[:whole].splitlines():
            try:
                entry = json.loads(line)
                reply = Reply(text=entry["text"], finish=entry["finish"])
                self._replies[entry["key"]] = reply
            except (ValueError, KeyError, TypeError):
                continue  # a damaged line costs one reply, not the run
