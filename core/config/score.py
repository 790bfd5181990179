"""Settings of `thinkrec score`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from core.config.base import Config, option, same_users_option, seed_option, skip_unknown_option

_ASKED = ("user", "users", "history", "pairs", "given")
"""What may stand in place of a split, or say which of its rows are taken."""


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(Config):
    """What to score, and in which portions."""

    split: Literal["train", "valid", "test"] = option(
        "test", "Split to score, without --user, --users and --pairs."
    )
    user: str | None = option(None, "Score items for this user as asked now.")
    users: str | None = option(
        None,
        "Score items for each user of this file (CSV, JSONL or Parquet with a column user).",
        keyed=False,  # what is in it is
    )
    history: str | None = option(
        None,
        "Score items for somebody who is not in the data, by a file of his history with columns item and label (or "
        "rating), in the order of its times, else oldest first; the most rated items are the candidates.",
        keyed=False,  # what is in it is
    )
    top: int = option(
        10, "With --user, --users and --history: how many of a user's best items to keep."
    )
    candidates: int = option(
        200,
        "With --user, --users and --history: items that are picked for the model to score, for users of the data by an "
        "encoder; 0 takes all.",
    )
    seen: bool = option(
        False,
        "With --user and --users: score items the user has rated, too, each as before he did.",
    )
    pairs: str | None = option(
        None,
        "File of pairs (CSV, JSONL or Parquet with columns user and item). A pair that is in the data is asked as it "
        "stood before that row, any other as of now.",
        keyed=False,  # what is in it is
    )
    given: str | None = option(
        None,
        "File of scores that another program gave (CSV, JSONL or Parquet with columns user, item and score): those of "
        "--split become scores to evaluate beside others. No scorer is asked.",
        keyed=False,  # what is in it is
    )
    skip_unknown: bool = skip_unknown_option("--pairs, --users and --history")
    frozen_history: bool = option(
        False,
        "With --split: ask all rows of a user with the history before the first of them in the split, as candidates of "
        "one moment; without it each row is asked with all that came before it.",
        before=False,
    )
    sample_users: int = option(
        0, "Score only so many users of the split, drawn by sample_seed; 0 takes all."
    )
    limit: int = option(
        0, "Score only so many rows of the split, drawn by sample_seed; 0 takes all."
    )
    sample_seed: int = seed_option(
        "Seed of sample_users and limit; apart from the seeds of trainings, so that all are asked the same rows."
    )
    same_users: bool = same_users_option()
    dtype: Literal["auto", "float32", "bfloat16"] = option("auto", "Numbers of the frozen base.")
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", keyed=False)
    max_tokens: int | None = option(
        None,
        "Token budget of one forward pass; found from the model and the free memory if not given.",
        keyed=False,
        least=1,
    )
    block_rows: int | None = option(
        None,
        "Rows between two points from which a killed run continues; "
        "if not given 1,024, and 65,536 for encoders.",
        keyed=False,
    )

    def __post_init__(self) -> None:
        """Check ranges and contradictions. Raises: ConfigError."""
        super().__post_init__()
        given = [f"--{name}" for name in _ASKED if getattr(self, name)]
        self.check(
            len(given) < 2,
            f"{' and '.join(given)} exclude each other",
            hint="Leave all but one of them out.",
        )
        for name in ("top", "block_rows"):
            value = getattr(self, name)
            self.check(value is None or value > 0, f"{name} is not positive", hint="Use 1 or more.")
        for name in ("candidates", "sample_users", "limit"):
            self.check(getattr(self, name) >= 0, f"{name} is negative", hint="Use 0 or more.")
        self.check(
            not self.ranks or not 0 < self.candidates < self.top,
            f"top = {self.top} is more than the candidates = {self.candidates} that are scored",
            hint=f"Use --candidates {self.top} or more (0 takes all), or a lower --top.",
        )
        self.check(
            not self.freezes or self.split != "train",
            "frozen histories leave train rows without any history",
            hint="Score valid or test rows, or leave --frozen-history out.",
        )

    @property
    def ranks(self) -> bool:
        """Whether items are ranked for users."""
        return not self.user is self.users is self.history is None

    @property
    def freezes(self) -> bool:
        """Whether rows of a split are asked with the history before the first of them."""
        return self.frozen_history and not (self.ranks or self.pairs or self.given)

    def unused(self) -> Collection[str]:
        """Return what the way of asking (a user, a file of pairs, a split) leaves without effect."""
        of_user, of_split = (
            ("user", "top", "candidates", "seen"),
            ("split", "sample_users", "limit", "frozen_history"),
        )
        of_sample = () if self.sample_users or self.limit else ("sample_seed",)
        if self.user is not None:
            return (*of_split, "sample_seed", "skip_unknown")
        if self.users is not None:
            return (*of_split, "sample_seed")
        if self.history is not None:
            return (*of_split, "sample_seed", "seen")
        if self.pairs is not None:
            return (*of_user, *of_split, "sample_seed")
        if self.given is not None:
            asking = ("frozen_history", "same_users", "dtype", "device", "max_tokens")
            return (*of_user, *of_sample, *asking, "skip_unknown")
        return (*of_user, *of_sample, "skip_unknown")
