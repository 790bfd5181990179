"""Which items of the history moved the score: each is left out once, all in one batch."""

import dataclasses

import numpy as np
import numpy.typing as npt

from core.data.counts import RECENT
from core.scoring.language import LanguageScorer
from core.text.examples import Example


def influences(scorer: LanguageScorer, example: Example, full: Example) -> npt.NDArray[np.float64]:
    """Return (h,) score with each shown item minus score without it, oldest first.

    Leaving an item out takes it from the history shown and from every count about the user.

    Args:
        scorer: the model.
        example: the question as it was asked, with the h items shown.
        full: the same question with the whole history, from which counts are made anew.
    """
    shown, whole = len(example.history), len(full.history)
    if not shown:
        return np.zeros(0)
    variants = [_asked(scorer, full, None)]
    variants += [_asked(scorer, full, whole - shown + n) for n in range(shown)]
    scores = scorer.score_examples(variants).score
    moved: npt.NDArray[np.float64] = scores[0] - scores[1:]
    return moved


def _asked(scorer: LanguageScorer, full: Example, without: int | None) -> Example:
    keep = np.ones(len(full.history), dtype=bool)
    length = scorer.builder.config.history_length
    if without is not None:
        keep[without] = False
        # The item before the window does not move in: the difference is that of one item alone.
        length -= 1
    example = scorer.examples.of_history(
        full.history[keep].tolist(), full.labels[keep].tolist(), [full.item], length, user=full.user
    )[0]
    # Nor does the row before the last ten move into their count.
    recent = full.labels[-RECENT:][keep[-RECENT:]]
    evidence = dataclasses.replace(
        example.evidence,
        recent_likes=np.array([recent.sum()]),
        recent_seen=np.array([len(recent)]),
    )
    return dataclasses.replace(example, evidence=evidence)
