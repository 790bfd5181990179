"""Settings of `thinkrec augment`."""

from collections.abc import Collection
from dataclasses import dataclass

from core.config.base import Config, option, seed_option
from core.config.synthesize import OF_ENDPOINT


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Config):
    """How items get their keywords."""

    limit: int = option(10, "most keywords per item")
    model: str | None = option(
        None,
        "model that writes the keywords: a resource name, a folder, a hub id, or openai:MODEL for "
        "an OpenAI-compatible endpoint; without it TF-IDF extracts them from the metadata",
        flag="--with",
        folder=True,
    )
    max_tokens: int = option(
        120,
        "longest answer of the model, in tokens; an endpoint is asked again with more where its "
        "answer was cut off before any keyword",
    )
    temperature: float | None = option(
        None,
        "sampling temperature; left out: the endpoint's own, greedy for a local model",
        least=0,
    )
    seed: int = seed_option("seed of sampling with a local model")
    endpoint: str | None = option(
        None,
        "base URL of the endpoint, ending in /v1 [default: OPENAI_BASE_URL]; not part of the key: the model's name "
        "stands for what answers, wherever it is served",
        keyed=False,
    )
    concurrency: int = option(8, "requests to the endpoint at a time", keyed=False)
    batch_size: int = option(8, "items at a time through a local model")
    request_timeout: float = option(
        600.0, "longest wait for one reply of the endpoint, in seconds", keyed=False, above=0
    )
    request_retries: int = option(
        5,
        "how often a request is repeated after an overload, a server error or a lost connection",
        keyed=False,
        least=0,
    )
    max_requests: int = option(
        100_000, "most requests to the endpoint in one run, repeated ones included", keyed=False
    )
    max_unanswered: int = option(
        0,
        "items that may go without a reply of the endpoint when all its repetitions failed; with more of them the "
        "command fails, and given again asks only for these",
        keyed=False,
        least=0,
    )

    def __post_init__(self) -> None:
        """Check ranges. Raises: ConfigError."""
        super().__post_init__()
        for name in ("limit", "max_tokens", "concurrency", "batch_size", "max_requests"):
            value = getattr(self, name)
            self.check(
                value > 0,
                f"{name} = {value} is not above 0",
                hint="Give a whole number of 1 or more.",
            )
        self.check(
            self.model != "openai:",
            "--with openai: names no model",
            hint="Write for instance --with openai:gpt-5-mini.",
        )

    def unused(self) -> Collection[str]:
        """Return what only a model uses, where there is none, and what only a local one does, or only an endpoint."""
        if self.model is None:
            return ("max_tokens", "temperature", "seed", "batch_size", *OF_ENDPOINT)
        if self.model.startswith("openai:"):
            return ("seed", "batch_size")
        # Without a temperature the model takes the likeliest words, which are the same for all seeds.
        return OF_ENDPOINT if self.temperature else ("seed", *OF_ENDPOINT)
