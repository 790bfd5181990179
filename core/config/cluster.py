"""Settings of `thinkrec cluster`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from core.config.base import Config, option, seed_option


@dataclass(frozen=True, kw_only=True)
class ClusterConfig(Config):
    """Settings of grouping users by their vectors."""

    method: Literal["kmeans", "ward"] = option("kmeans", "How to group users.")
    k: int | None = option(
        None, "Number of groups; the best silhouette from 2 to k-max if not given.", flag="-k"
    )
    k_max: int = option(6, "Most groups to try if k is not given.")
    seed: int = seed_option("Seed of k-means, of the silhouette's sample and of t-SNE.")
    projection: Literal["pca", "tsne"] = option("pca", "How the picture lays users out in a plane.")

    def __post_init__(self) -> None:
        """Refuse group counts that mean nothing. Raises: ConfigError."""
        super().__post_init__()
        self.check(
            self.k is None or self.k >= 1,
            f"k = {self.k} groups cannot hold anybody",
            hint="Use -k 2 or more.",
        )
        self.check(
            self.k_max >= 2,
            f"k_max = {self.k_max} leaves no choice",
            hint="Use at least --k-max 2, or give -k.",
        )

    def unused(self) -> Collection[str]:
        """Return k_max where the number of groups is given."""
        return () if self.k is None else ("k_max",)
