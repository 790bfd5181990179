"""Settings of `thinkrec synthesize`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from core.config.base import Config, option, seed_option

OF_ENDPOINT = (
    "endpoint",
    "concurrency",
    "request_timeout",
    "request_retries",
    "max_requests",
    "max_unanswered",
)
"""Settings that only an endpoint uses."""
_POSITIVE = (
    "max_tries",
    "max_tokens",
    "most_tokens",
    "reason_words",
    "concurrency",
    "batch_size",
    "max_requests",
)
_NOT_NEGATIVE = ("rows", "valid_rows", "held_out", "history_length", "least_history", "min_ok")


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig(Config):
    """Which rows get a reason, and who gives it."""

    teacher: Literal["grounded", "local", "openai"] = option(
        "grounded",
        "grounded: reasons made of the data's own facts. local: a language model on this machine. "
        "openai: an OpenAI-compatible endpoint",
    )
    model: str | None = option(
        None,
        "local: a resource name, a folder or a hub id [default: smollm2-135m-instruct]; "
        "openai: the endpoint's name of the model",
        folder=True,
    )
    rows: int = option(400, "training rows to explain; the paper uses a few thousand")
    valid_rows: int = option(0, "validation rows to explain")
    held_out: int = option(50, "test rows to explain, to compare generated reasons with")
    balance: bool = option(
        False, "half of the rows liked, half not, instead of the data's own rate"
    )
    least_history: int = option(
        3, "prefer rows with at least this many earlier ratings of the user"
    )
    history_length: int = option(10, "last items of the history that the teacher sees")
    show_counts: bool = option(
        True,
        "let the teacher use the counts that the prompt style evidence tells; without them it goes by the items shown, "
        "as a model must that is trained with the style paper",
    )
    max_tries: int = option(
        5, "most answers per row; after a wrong one the true answer is hinted at"
    )
    reason_words: int = option(60, "words a model is asked to use; twice as many are kept")
    answer_first: bool = option(
        True,
        "make a local model begin with Yes or No, which small models do not do by themselves; "
        "thinking models do better without",
    )
    max_tokens: int = option(
        400, "longest answer in tokens; thinking models need more, for they think inside it"
    )
    token_growth: float = option(2.0, "factor of max-tokens after an empty or cut-off answer")
    most_tokens: int = option(8000, "longest answer in tokens that growth leads to")
    temperature: float | None = option(
        None,
        "sampling temperature; left out: the endpoint's own, greedy for a local model",
        least=0,
    )
    seed: int = seed_option("seed of the choice of rows, of wording and of sampling")
    batch_size: int = option(8, "rows at a time through a local model")
    endpoint: str | None = option(
        None,
        "base URL of the endpoint, ending in /v1 [default: OPENAI_BASE_URL]; not part of the key: the model's name "
        "stands for what answers, wherever it is served",
        keyed=False,
    )
    concurrency: int = option(8, "requests to the endpoint at a time", keyed=False)
    request_timeout: float = option(
        600.0, "longest wait for one whole reply of the endpoint, in seconds", keyed=False
    )
    request_retries: int = option(
        5,
        "repetitions of a request after overload, a server error or a lost connection",
        keyed=False,
    )
    max_requests: int = option(
        100_000, "most requests to the endpoint in one run, repeated ones included", keyed=False
    )
    max_unanswered: int = option(
        0,
        "rows that may go without a reply of the endpoint when all its repetitions failed; with more of them the "
        "command fails, and given again asks only for these",
        keyed=False,
        least=0,
    )
    min_ok: int = option(
        1, "fewer accepted reasons than this is a failure; the replies are kept", keyed=False
    )

    def __post_init__(self) -> None:
        """Check ranges and what the teacher needs. Raises: ConfigError."""
        super().__post_init__()
        for name in _POSITIVE:
            value = getattr(self, name)
            self.check(value > 0, f"{name} = {value} is not above 0", hint="Give 1 or more.")
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            self.check(value >= 0, f"{name} = {value} is negative", hint="Give 0 or more.")
        self.check(
            self.rows + self.valid_rows + self.held_out > 0,
            "rows, valid-rows and held-out are all 0: there is nothing to explain",
            hint="Give --rows 400 or so.",
        )
        self.check(
            self.request_timeout > 0 and self.token_growth >= 1 and self.request_retries >= 0,
            "request-timeout must be above 0, token-growth at least 1, request-retries at least 0",
            hint="Leave them out to get the defaults.",
        )
        self.check(
            self.teacher != "openai" or bool(self.model),
            "the teacher openai needs the name of a model",
            hint="Add --model NAME, as the endpoint calls it.",
        )
        self.check(
            self.teacher != "grounded" or self.model is None,
            f"the teacher grounded uses no model, but model = {self.model!r}",
            hint="Add --teacher local or --teacher openai, or leave --model out.",
        )

    def unused(self) -> Collection[str]:
        """Return what the teacher does not use: grounded asks no model, an endpoint takes no batches."""
        local = ("batch_size", "answer_first")
        asking = ("max_tries", "reason_words", "temperature")
        length = ("max_tokens", "token_growth", "most_tokens")
        grounded = (*local, *asking, *length, *OF_ENDPOINT)
        return {"grounded": grounded, "openai": local, "local": OF_ENDPOINT}[self.teacher]

    def implied(self) -> Collection[str]:
        """See Config: the teacher grounded told counts before it could leave them out."""
        return ("show_counts",) if self.teacher == "grounded" and self.show_counts else ()
