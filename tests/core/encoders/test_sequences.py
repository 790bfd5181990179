"""Pieces of train histories: every row once, with a history that ends strictly before it."""

import numpy as np
import pytest

from core.encoders.sequences import TrainSequences


@pytest.mark.parametrize(("length", "rows_per_batch"), [(4, 40), (10, 10), (50, 1000)])
def test_every_train_row_is_trained_once_on_its_own_past(dataset, length, rows_per_batch):
    sequences = TrainSequences(dataset, length)
    batches = sequences.batches(np.random.default_rng(1), rows_per_batch)
    trained = np.concatenate([batch.row for batch in batches])
    assert sorted(trained) == dataset.rows("train").tolist()
    for batch in batches:
        for row, piece, slot in zip(batch.row, batch.piece, batch.slot, strict=True):
            past = np.flatnonzero(
                (dataset.user == dataset.user[row])
                & (dataset.time < dataset.time[row])
                & (dataset.split == 0)
            )
            if piece < 0:
                assert not len(past)
                continue
            seen = batch.history[piece, : slot + 1]
            seen = seen[seen >= 0]
            assert 1 <= len(seen) <= length
            np.testing.assert_array_equal(seen, past[-len(seen) :])


def test_each_epoch_cuts_elsewhere(dataset):
    sequences = TrainSequences(dataset, 10)
    one, other = (sequences.batches(np.random.default_rng(seed), 100)[0] for seed in (1, 2))
    assert not np.array_equal(one.history, other.history)
