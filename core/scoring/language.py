"""Score rows and pairs of a data set with the language model: examples, prompts, routes, logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.fusion.weights import Routing
from core.scoring.scorer import AnswerLogits, Scorer
from core.text.examples import Example, Examples
from core.text.prompts import PromptBuilder


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of n rows or pairs."""

    score: npt.NDArray[np.float64]
    """(n,) the relevance score s."""
    yes: npt.NDArray[np.float64] | None = None
    no: npt.NDArray[np.float64] | None = None
    route: list[str] | None = None


def merge(first: npt.NDArray[np.bool_], some: Scored, others: Scored) -> Scored:
    """Put together the scores of two parts of n pairs by one scorer.

    Args:
        first: (n,) which pairs `some` holds, in their order; `others` holds the rest.
    """

    def join(a: Any, b: Any) -> npt.NDArray[Any] | None:
        if a is None or b is None:
            return None
        joined = np.empty(len(first), dtype=object if isinstance(a, list) else np.float64)
        joined[first], joined[~first] = a, b
        return joined

    score, route = join(some.score, others.score), join(some.route, others.route)
    assert score is not None
    return Scored(
        score=score,
        yes=join(some.yes, others.yes),
        no=join(some.no, others.no),
        route=None if route is None else route.tolist(),
    )


@dataclass(frozen=True, kw_only=True)
class LanguageScorer:
    """A scorer with all it needs to turn rows into prompts and users into weights."""

    scorer: Scorer
    builder: PromptBuilder
    examples: Examples
    relevance: str
    routing: Routing | None = None
    """Of every user of the data set, if the model has experts."""

    @property
    def number_format(self) -> str:
        """Number format of the weights: float32, bfloat16."""
        return self.scorer.decoder.number_format

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(self.scorer.decoder.device)

    def score_rows(self, rows: npt.NDArray[np.int64]) -> Scored:
        """Score rows with what was known before each."""
        return self.score_examples(self.examples.of_rows(rows, self._length))

    def score_pairs(self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]) -> Scored:
        """Score pairs asked now: the history is everything the user did."""
        return self.score_examples(self.examples.of_pairs(users, items, self._length))

    def score_examples(self, examples: Sequence[Example]) -> Scored:
        """Score any examples."""
        logits: AnswerLogits = self.scorer.score(
            [self.builder.build(example) for example in examples],
            self.columns([example.user for example in examples]),
        )
        return Scored(
            score=logits.score(self.relevance),
            yes=logits.yes,
            no=logits.no,
            route=self.routes([example.user for example in examples]),
        )

    def columns(self, users: Sequence[int | None]) -> npt.NDArray[np.float64] | None:
        """Return (n, global + experts) weights of the users' rows; None for a model without experts."""
        if self.routing is None:
            return None
        table = self.routing.columns
        unknown = np.zeros(table.shape[1])
        unknown[0] = 1.0
        return np.stack([unknown if user is None else table[user] for user in users])

    def routes(self, users: Sequence[int | None]) -> list[str] | None:
        """Return the gate's route of each user; "cold" for somebody who is not in the data."""
        if self.routing is None:
            return None
        return ["cold" if user is None else self.routing.route[user] for user in users]

    @property
    def _length(self) -> int:
        return self.builder.config.history_length


@dataclass(frozen=True, kw_only=True)
class HistoryScorer:
    """A language model that is asked about one person, by a history given as it is."""

    speaker: LanguageScorer
    items: Sequence[int]
    """Of the history, oldest first."""
    labels: Sequence[int]

    @property
    def number_format(self) -> str:
        """Number format of the weights."""
        return self.speaker.number_format

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.speaker.device

    @property
    def scorer(self) -> Scorer:
        """What counts its work."""
        return self.speaker.scorer

    def score_rows(self, rows: npt.NDArray[np.int64]) -> Scored:
        """See RowOrPairScorer; a stranger has no rows."""
        raise NotImplementedError

    def score_pairs(self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]) -> Scored:
        """Score items; the users are nobody of the data."""
        length = self.speaker.builder.config.history_length
        examples = self.speaker.examples.of_history(self.items, self.labels, items.tolist(), length)
        return self.speaker.score_examples(examples)
