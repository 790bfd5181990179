"""Settings of `thinkrec explain`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from core.config.base import Config, option, same_users_option, seed_option, skip_unknown_option


@dataclass(frozen=True, kw_only=True)
class ExplainConfig(Config):
    """Which pairs to explain, and how far to go."""

    user: str | None = option(None, "User to explain for.")
    item: str | None = option(None, "Item to explain.")
    history: str | None = option(
        None,
        "History of somebody who is not in the data: a file with columns item and label (or rating).",
        keyed=False,  # what is in it is
    )
    pairs: str | None = option(
        None,
        "Explain the pairs of a file with columns user and item, instead of one.",
        keyed=False,  # what is in it is
    )
    skip_unknown: bool = skip_unknown_option("--pairs and --history")
    sample: int = option(
        0,
        "Explain so many held-out rows that a teacher gave a reason for, instead of one pair; without influence. "
        "All of them if there are fewer.",
        least=0,
    )
    max_new_tokens: int = option(
        120, "Longest reason, in tokens; those of the teacher grounded have about 70.", least=1
    )
    grounded: bool = option(
        True,
        "Let a reason name only counts, shares, other numbers and quoted titles that the model read; otherwise it is "
        "checked once it is written.",
        before=False,
    )
    batch_size: int = option(32, "Reasons written at once.", keyed=False, least=1)
    influence: bool = option(True, "Score with each history item left out.")
    sample_seed: int = seed_option(
        "Seed of the sample; apart from the seeds of trainings, so that all explain the same rows."
    )
    same_users: bool = same_users_option()
    dtype: Literal["auto", "float32", "bfloat16"] = option(
        "auto",
        "Numbers of the frozen base; auto is float32 on a CPU where influences are asked for, which are rounding else.",
    )
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", keyed=False)

    def __post_init__(self) -> None:
        """Check that there is something to explain. Raises: ConfigError."""
        super().__post_init__()
        self.check(
            0 < self.max_new_tokens <= 1000,
            f"max_new_tokens = {self.max_new_tokens} is not between 1 and 1000",
            hint="A reason takes about 70 tokens.",
        )
        self.check(
            not (self.sample and self.pairs),
            "--sample and --pairs exclude each other",
            hint="Leave one of them out.",
        )
        if self.sample or self.pairs:
            whole = "--sample" if self.sample else "--pairs"
            self.check(
                not (self.user or self.item or self.history),
                f"{whole} says all that is explained, and a pair is named besides",
                hint=f"Leave --user, --item and --history out, or {whole}.",
            )
            return
        self.check(self.item is not None, "no item to explain", hint="Say which: --item ITEM")
        self.check(
            (self.user is None) != (self.history is None),
            "explain needs either a user or a history",
            hint="Give --user USER, or --history FILE for somebody who is not in the data.",
        )

    @property
    def asks_influence(self) -> bool:
        """Whether the score without each history item is asked for."""
        return self.influence and not self.sample

    def unused(self) -> Collection[str]:
        """Return what means nothing to a sample, or to pairs that are named."""
        if self.sample:
            return "influence", "skip_unknown"
        return ("sample_seed",) if self.pairs or self.history else ("sample_seed", "skip_unknown")
