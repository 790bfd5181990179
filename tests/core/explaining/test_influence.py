"""Leaving an item out takes that item alone from the history shown and from every count."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.explaining.influence import influences
from core.text.evidence import user_sentence
from core.text.examples import Examples

SHOWN = 12
"""More than the ten that count as recent, so that some of those left out are not among them."""


def asked(examples: Examples, full, shown: int):
    """Return the questions that influences asks: all of the history, then each item left out."""
    seen = []

    def score(variants):
        seen.extend(variants)
        return SimpleNamespace(score=np.arange(len(variants), dtype=float))

    scorer = SimpleNamespace(
        examples=examples,
        builder=SimpleNamespace(config=SimpleNamespace(history_length=shown)),
        score_examples=score,
    )
    example = examples.of_history(
        full.history.tolist(), full.labels.tolist(), [full.item], shown, user=full.user
    )[0]
    moved = influences(scorer, example, full)
    assert moved.tolist() == [-float(n) for n in range(1, len(seen))]
    return seen


@pytest.mark.parametrize("rows", [5, 10, 11, 25])
def test_no_row_moves_into_the_window_or_the_last_ten(dataset, rows):
    examples = Examples(dataset)
    user = int(np.bincount(dataset.user).argmax())
    mine = np.flatnonzero(dataset.user == user)[:rows]
    assert len(mine) == rows
    items, labels = dataset.item[mine].tolist(), dataset.label[mine].tolist()
    full = examples.of_history(items, labels, [7], rows, user=user)[0]
    whole, *variants = asked(examples, full, SHOWN)
    window = list(range(max(0, rows - SHOWN), rows))
    last = list(range(max(0, rows - 10), rows))
    assert f"{sum(labels[n] for n in last)} of the last {len(last)};" in user_sentence(
        whole.evidence, whole.position
    )
    assert len(variants) == len(window)
    for left, variant in zip(window, variants, strict=True):
        assert variant.history.tolist() == [items[n] for n in window if n != left]
        assert variant.labels.tolist() == [labels[n] for n in window if n != left]
        kept = [labels[n] for n in last if n != left]
        told = user_sentence(variant.evidence, variant.position)
        assert f"% of {rows - 1} items and {sum(kept)} of the last {len(kept)};" in told
        assert variant.evidence.user_likes[0] == sum(labels) - labels[left]
