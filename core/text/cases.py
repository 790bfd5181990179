"""What a teacher is shown for one row: the user's past, the item, honest counts; and the label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.data.counts import Counts
from core.data.dataset import SPLITS, Dataset, SplitName
from core.data.histories import Histories
from core.text.plain import LONGEST_TITLE

_RESIDUAL_SMOOTHING = 5.0
"""Pseudo-rows without a lean that are added to a history before it is used to guess."""


@dataclass(frozen=True, kw_only=True)
class ItemFacts:
    """An item in words."""

    title: str
    year: int | None
    categories: tuple[str, ...]
    keywords: tuple[str, ...]

    @property
    def facets(self) -> tuple[str, ...]:
        """What items can share: categories, or keywords where there are none. Lower case."""
        return tuple(dict.fromkeys(name.lower() for name in self.categories)) or self.keywords


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One row of a history."""

    facts: ItemFacts
    liked: bool


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row to explain."""

    row: int
    user: str
    item: str
    split: SplitName
    label: int
    history: tuple[Seen, ...]
    """The last rows before this one, oldest first."""
    target: ItemFacts
    liked_so_far: int
    """Rows of the whole history that the user liked."""
    seen_so_far: int
    crowd_liked: int
    """Train rows of other users that liked the item."""
    crowd_seen: int
    by_category: tuple[tuple[str, int, int], ...]
    """Per category of the item: (name, rows of the whole history liked, all its rows)."""
    expectation: float
    """Guess at P(liked) from counts alone, without the row's own label."""


def build_cases(
    dataset: Dataset, rows: Sequence[int], *, keywords: Sequence[Sequence[str]], history_length: int
) -> list[Case]:
    """Put together what is known before each row.

    Args:
        dataset: the data set.
        rows: row numbers.
        keywords: per item its keywords; empty lists where there are none.
        history_length: how many of the last rows are shown.
    """
    histories = Histories.of(dataset)
    asked = np.asarray(rows, dtype=np.int64)
    evidence = Counts(dataset, histories).for_rows(asked)
    facts = [
        ItemFacts(
            title=" ".join(dataset.titles[index].split()),
            year=dataset.years[index],
            categories=tuple(dict.fromkeys(c[:LONGEST_TITLE] for c in dataset.categories[index])),
            keywords=tuple(keywords[index]),
        )
        for index in range(len(dataset.items))
    ]
    cases = []
    for place, row in enumerate(asked.tolist()):
        user, item = int(dataset.user[row]), int(dataset.item[row])
        seen = int(evidence.user_seen[place])
        lean = float(evidence.residual[place]) * seen / (seen + _RESIDUAL_SMOOTHING)
        cases.append(
            Case(
                row=row,
                user=dataset.users[user],
                item=dataset.items[item],
                split=SPLITS[int(dataset.split[row])],
                label=int(dataset.label[row]),
                history=tuple(
                    Seen(facts=facts[dataset.item[past]], liked=bool(dataset.label[past]))
                    for past in histories.before(row, history_length)
                ),
                target=facts[item],
                liked_so_far=int(evidence.user_likes[place]),
                seen_so_far=seen,
                crowd_liked=int(evidence.item_likes[place]),
                crowd_seen=int(evidence.item_seen[place]),
                by_category=tuple(evidence.genres_of(place)),
                expectation=float(evidence.item_likes_rate[place] + evidence.genre_affinity[place])
                + lean,
            )
        )
    return cases


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which rows of a split are explained."""

    count: int
    seed: int
    balance: bool
    """Half liked, half not; otherwise the split's own rate."""
    least_history: int
    """Rows with fewer history rows are taken only when the others do not suffice."""


def sample_rows(dataset: Dataset, split: SplitName, sampling: Sampling) -> npt.NDArray[np.int64]:
    """Draw rows of a split, stratified by label; the same for the same seed.

    A larger count keeps nearly all rows of a smaller one.
    Returns: sorted row numbers, at most as many as the split has.
    """
    rows = dataset.rows(split)
    wanted = min(sampling.count, len(rows))
    generator = np.random.default_rng([sampling.seed, SPLITS.index(split)])
    shuffled = generator.permutation(rows)
    lengths = Histories.of(dataset).counts(shuffled)
    shuffled = shuffled[np.argsort(lengths < sampling.least_history, kind="stable")]
    liked = shuffled[dataset.label[shuffled] == 1]
    others = shuffled[dataset.label[shuffled] == 0]
    share = 0.5 if sampling.balance else len(liked) / max(1, len(rows))
    take = min(len(liked), max(wanted - len(others), round(wanted * share)))
    chosen: npt.NDArray[np.int64] = np.sort(np.concatenate([liked[:take], others[: wanted - take]]))
    return chosen
