"""Settings of `thinkrec eval`."""

from dataclasses import dataclass
from typing import Any, Literal

from core.config.base import Config, option, seed_option

LEAST_DRAWS = 40
"""Below, no p can be under .05."""


@dataclass(frozen=True, kw_only=True)
class EvalConfig(Config):
    """What is measured and how."""

    k: tuple[int, ...] = option(
        (5,), "Cut-off of NDCG, MAP and hit rate: ranks that count; repeat the option for several."
    )
    bootstrap_samples: int = option(
        1000, "How often users are drawn for the 95 % intervals, at least 40; 0 gives none."
    )
    seed: int = seed_option("Seed of these draws.")
    slices: bool = option(
        True, "Also measure warm and cold rows, history lengths, groups and routes on their own."
    )
    on_different_rows: Literal["refuse", "intersect"] = option(
        "refuse", "What to do where scores do not cover the same rows: refuse, or take common rows."
    )
    meteor: bool = option(True, "Measure reasons by METEOR too, which fetches WordNet once.")
    # Where the checkpoint lies is not part of the key: what is in it is (the stage's resources).
    bleurt: str | None = option(
        None,
        "Measure reasons by BLEURT too: folder of a checkpoint for PyTorch, for instance BLEURT-20.",
        keyed=False,
    )
    examples: int = option(
        3,
        "Explained pairs shown in the report: of the explanations given, then of others that the store has by then "
        "(--force for later ones).",
    )

    def __post_init__(self) -> None:
        """Check ranges. Raises: ConfigError."""
        super().__post_init__()
        self.check(
            min(self.k, default=0) >= 1,
            f"k = {', '.join(map(str, self.k)) or 'nothing'} ranks nothing",
            hint="Use at least 1.",
        )
        self.check(
            self.bootstrap_samples == 0 or self.bootstrap_samples >= LEAST_DRAWS,
            f"bootstrap_samples = {self.bootstrap_samples} is too few for 95 % intervals",
            hint=f"Use 1000, at least {LEAST_DRAWS}, or 0 for no intervals.",
        )
        self.check(
            self.examples >= 0,
            f"examples = {self.examples} is negative",
            hint="Use 3, or 0 for none.",
        )

    def parameters(self) -> dict[str, Any]:
        """Return the keyed settings; cut-offs in any order are the same, a single one is the number that it was."""
        cut_offs = sorted(set(self.k))
        return super().parameters() | {"k": cut_offs if len(cut_offs) > 1 else cut_offs[0]}
