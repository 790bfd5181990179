"""Settings of the prompt; stored with every adapter, so that scoring asks exactly as training did."""

from dataclasses import dataclass
from typing import Literal

from core.config.base import Config, option


@dataclass(frozen=True, kw_only=True)
class PromptConfig(Config):
    """How a row is put into words."""

    style: Literal["paper", "evidence"] = option(
        "evidence",
        "paper: history with labels and keywords. evidence: the same plus counts known before the row.",
    )
    history_length: int = option(10, "Last items of the history that are shown.")
    keywords_per_item: int = option(3, "Keywords shown per history item; 0 shows none.")
    target_keywords: int = option(10, "Keywords shown of the item asked about; 0 shows none.")
    history_dislikes: bool = option(True, "Show items that were not liked, too.")

    prior_offset: bool = option(
        False,
        "With --prior: add the log odds of its chance to the logit of Yes, so that the model learns what the counts do "
        "not say.",
        before=False,
    )
    soft_tokens: int = option(
        0,
        "Input embeddings at the start of the question that are trained with the LoRA, as a soft prompt.",
    )

    def __post_init__(self) -> None:
        """Raises: ConfigError for negative lengths."""
        super().__post_init__()
        for name in ("history_length", "keywords_per_item", "target_keywords", "soft_tokens"):
            self.check(getattr(self, name) >= 0, f"{name} is negative", hint="Use 0 or more.")
