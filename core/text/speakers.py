"""Where conversations are held: at an endpoint or with a model on this machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from core.errors import TeacherError
from core.text.chat import Conversation
from core.text.journal import Journal

T = TypeVar("T")


class LocalSettings(Protocol):
    """Settings of a model on this machine."""

    @property
    def batch_size(self) -> int: ...

    @property
    def temperature(self) -> float | None: ...

    @property
    def seed(self) -> int: ...


class RemoteSettings(Protocol):
    """Settings of an endpoint."""

    @property
    def endpoint(self) -> str | None: ...

    @property
    def temperature(self) -> float | None: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def request_timeout(self) -> float: ...

    @property
    def request_retries(self) -> int: ...

    @property
    def max_requests(self) -> int: ...

    @property
    def max_unanswered(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Held(Generic[T]):
    """What conversations gave."""

    results: list[T]
    facts: dict[str, Any]
    """For the manifest: model, device or requests sent, replies in the journal before."""


def hold_locally(
    conversations: Sequence[Conversation[T]],
    *,
    model: str,
    config: LocalSettings,
    journal_path: Path,
    done: Callable[[], None],
) -> Held[T]:
    """Hold conversations with a model on this machine.

    Args:
        model: a resource name, a folder or a hub id.
        done: called after each conversation.
    Raises: ModelFolderError, ResourceFetchError.
    """
    from core.llm.load import load_base
    from core.text.local import LocalChat

    base = load_base(model, by_layers=False)
    identity = {
        "teacher": "local",
        "model": base.digest,
        "temperature": config.temperature,
        "seed": config.seed,
        "batch_size": config.batch_size,
    }
    with Journal(journal_path, identity) as journal:
        replayed = len(journal)
        chat = LocalChat(
            base,
            journal,
            batch_size=config.batch_size,
            temperature=config.temperature,
            seed=config.seed,
        )
        results = chat.run(conversations, done)
    facts = {
        "model": model,
        "model_digest": base.digest,
        "device": str(base.device),
        "dtype": str(base.dtype).removeprefix("torch."),
        "replies_before": replayed,
    }
    return Held(results=results, facts=facts)


def hold_at_endpoint(
    conversations: Sequence[Conversation[T]],
    *,
    model: str,
    config: RemoteSettings,
    journal_path: Path,
    done: Callable[[], None],
) -> Held[T]:
    """Hold conversations at an OpenAI-compatible endpoint.

    Args:
        model: the endpoint's name of the model.
        done: called after each conversation.
    Raises: TeacherError, also if more requests than allowed were left unanswered: the rows of an outage
        that passed would else lack their answers for good.
    """
    from core.text.endpoint import EndpointChat, EndpointSettings

    settings = EndpointSettings(
        model=model,
        base_url=config.endpoint,
        temperature=config.temperature,
        concurrency=config.concurrency,
        timeout=config.request_timeout,
        retries=config.request_retries,
        most_requests=config.max_requests,
    )
    with Journal(journal_path, settings.identity()) as journal:
        replayed = len(journal)
        chat = EndpointChat(settings, journal)
        try:
            results = chat.run(conversations, done)
        finally:
            chat.close()
    if chat.unanswered > config.max_unanswered:
        raise TeacherError(
            f"the endpoint left {chat.unanswered} of {len(conversations)} questions unanswered: "
            f"{chat.last_problem}",
            hint="Give the same command again: it asks only for these, for replies are kept. If they stay so, "
            f"--max-unanswered {chat.unanswered} goes on without them.",
        )
    facts = {
        "model": model,
        "requests": chat.requests_sent,
        "requests_rejected": chat.rejected,
        "requests_unanswered": chat.unanswered,
        "replies_before": replayed,
    }
    return Held(results=results, facts=facts)
