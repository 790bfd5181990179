"""Groups of users with similar collaborative vectors (method, section 6)."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt

from core.config.cluster import ClusterConfig
from core.errors import ConfigError

SILHOUETTE_SAMPLE = 5000
"""Users that a silhouette is computed on at most; it costs the square of that."""
WARD_LIMIT = 20000
"""Most users for Ward, which needs memory for every pair of them: 1.6 GB here."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Users by group; groups are numbered by size, the largest is 0."""

    group: npt.NDArray[np.int32]
    """(n,) group of each user."""
    representations: npt.NDArray[np.float32]
    """(k, d) E_g: mean of the group's vectors as they are, not standardised."""
    sizes: list[int]
    cohens_d: float | None
    """Separation of the groups in the standardised vectors; None where it is not defined."""
    silhouettes: dict[int, float] = field(default_factory=dict)
    """Number of groups -> mean silhouette, for each number that was tried."""

    @property
    def k(self) -> int:
        """Number of groups."""
        return len(self.sizes)


def group_users(vectors: npt.NDArray[np.float32], config: ClusterConfig) -> Groups:
    """Group users by their standardised vectors.

    Args:
        vectors: (n, d) one row per user who has train rows.
    Raises: ConfigError if there are fewer different vectors than groups, or too many users for Ward.
    """
    standard = standardise(vectors)
    different = len(np.unique(standard, axis=0))
    wanted = config.k or 2
    if different < wanted:
        raise ConfigError(
            f"{wanted} groups cannot be made of {len(vectors)} users with {different} different vectors",
            hint=f"Use -k {max(different, 1)} or fewer, or an encoder trained on more users.",
        )
    if config.method == "ward" and len(vectors) > WARD_LIMIT:
        raise ConfigError(
            f"ward compares every pair of users, and {len(vectors)} users are too many for that",
            hint="Use --method kmeans.",
        )
    counts = [config.k] if config.k else list(range(2, min(config.k_max, different - 1) + 1)) or [2]
    found = {count: _cluster(standard, count, config) for count in counts}
    scores = {
        count: s
        for count, g in found.items()
        if (s := _silhouette(standard, g, config.seed)) is not None
    }
    best = max(scores, key=lambda count: (scores[count], -count)) if scores else counts[0]
    group = renumber(found[best])
    sizes = np.bincount(group)
    return Groups(
        group=group,
        representations=representations(vectors, group),
        sizes=sizes.tolist(),
        cohens_d=cohens_d(standard, group),
        silhouettes=scores,
    )


def standardise(vectors: npt.NDArray[np.float32]) -> Floats:
    """Return (n, d) with mean 0 and standard deviation 1 in each dimension; constant ones become 0."""
    values = vectors.astype(np.float64)
    deviation = values.std(0)
    # A dimension that differs by rounding alone says nothing; scaled up it would decide everything.
    constant = deviation <= 1e-7 * np.maximum(np.abs(values).max(0, initial=0.0), 1e-30)
    standard: Floats = (values - values.mean(0)) / np.where(constant, 1.0, deviation)
    standard[:, constant] = 0.0
    return standard


def renumber(group: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Number groups by size, the largest 0; equal sizes by their first user."""
    names, first, inverse, size = np.unique(
        group, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(names), dtype=np.int32)
    rank[np.lexsort((first, -size))] = np.arange(len(names))
    return rank[inverse]


def representations(
    vectors: npt.NDArray[np.float32], group: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """Return (k, d) E_g: the mean vector of every group."""
    means = [vectors[group == g].astype(np.float64).mean(0) for g in range(group.max() + 1)]
    return np.stack(means).astype(np.float32)


_VARIES = 1e-6
"""Least standard deviation, in vectors of standard deviation 1, that is more than rounding."""


def cohens_d(values: Floats, group: npt.NDArray[np.int32]) -> float | None:
    """Return the separation of groups: |mean difference| / pooled standard deviation, averaged.

    The average is over dimensions and pairs of groups. The pooled variance weighs each group's unbiased variance by
    its size less one. Pairs of groups of one user each, and dimensions in which a pair does not vary, are left
    out; None if nothing remains.

    Args:
        values: (n, d) vectors.
        group: (n,) group of each.
    """
    found: list[float] = []
    for one, other in combinations(range(int(group.max()) + 1), 2):
        a, b = values[group == one], values[group == other]
        freedom = len(a) + len(b) - 2
        if freedom < 1:
            continue
        squares = ((a - a.mean(0)) ** 2).sum(0) + ((b - b.mean(0)) ** 2).sum(0)
        pooled = np.sqrt(squares / freedom)
        # The mean of equal numbers may differ from them in the last digit.
        varies = pooled > _VARIES
        found += (np.abs(a.mean(0) - b.mean(0))[varies] / pooled[varies]).tolist()
    return float(np.mean(found)) if found else None


def _cluster(standard: Floats, count: int, config: ClusterConfig) -> npt.NDArray[np.int32]:
    if count == 1:
        return np.zeros(len(standard), dtype=np.int32)
    if config.method == "ward":
        from sklearn.cluster import AgglomerativeClustering

        labels = AgglomerativeClustering(n_clusters=count, linkage="ward").fit_predict(standard)
    else:
        from sklearn.cluster import KMeans

        labels = KMeans(n_clusters=count, n_init=10, random_state=config.seed).fit_predict(standard)
    return np.asarray(labels, dtype=np.int32)


def _silhouette(standard: Floats, group: npt.NDArray[np.int32], seed: int) -> float | None:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(group)) < len(group):
        return None
    chosen = np.arange(len(group))
    if len(group) > SILHOUETTE_SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(group), SILHOUETTE_SAMPLE, replace=False)
    if not 2 <= len(np.unique(group[chosen])) < len(chosen):
        return None
    return float(silhouette_score(standard[chosen], group[chosen]))
