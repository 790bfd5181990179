"""Which weights the training loop calls the best, told by what the valid split says of each."""

import math

import torch

from core.config.training import OptimConfig
from core.progress import Silent
from core.training.loop import TrainingRun, train
from core.training.losses import Losses
from core.training.schedule import plan_batches
from tests.conftest import Heard


def _run(folder, aucs, *, keep_start=True, progress=None, **changes):
    """Train one number towards 5 for three steps, with these valid AUCs; four of them begin before the first step."""
    weight = torch.nn.Parameter(torch.zeros(1))
    found = iter(aucs)
    run = TrainingRun(
        stage="expert 0",
        parameters={"weight": weight},
        batches=plan_batches(
            steps=3, batch_size=1, recommendation=3, lengths=[1] * 3, reason_share=0.0, seed=0
        ),
        loss=lambda batch: (Losses((weight - 5).square().sum(), weight.sum(), weight.sum()), 1),
        validate=lambda: {
            "auc": next(found),
            "uauc": 0.5,
            "log_loss": 1.0,
            "mean_score": 0.1,
            "rows": 4,
        },
        config=OptimConfig(eval_steps=1, batch_size=1, warmup_steps=0, lr_peak=0.1, **changes),
        folder=folder,
        progress=progress or Silent(),
        look_first=len(aucs) == 4,
        keep_start=keep_start,
    )
    train(run)
    return run


def test_the_start_stays_the_best_if_no_step_is_better(tmp_path):
    run = _run(tmp_path, [0.7, 0.6, 0.65, 0.7])
    assert [(v.step, v.best) for v in run.validations] == [
        (0, True), (1, False), (2, False), (3, False),
    ]  # fmt: skip
    assert run.best["weight"].item() == 0
    assert run.parameters["weight"].item() > 0.1
    assert run.best_auc == 0.7


def test_a_step_that_is_better_than_the_start_is_taken(tmp_path):
    run = _run(tmp_path, [0.7, 0.6, 0.71, 0.7])
    assert [v.step for v in run.validations if v.best] == [0, 2]
    assert 0 < run.best["weight"].item() < run.parameters["weight"].item()


def test_without_a_look_at_the_start_the_best_step_is_taken(tmp_path):
    run = _run(tmp_path, [0.6, 0.65, 0.5])
    assert [v.step for v in run.validations] == [1, 2, 3]
    assert run.best["weight"].item() > 0


def test_a_start_that_is_seen_but_not_to_be_kept_is_no_candidate(tmp_path):
    run = _run(tmp_path, [0.9, 0.6, 0.65, 0.5], keep_start=False)
    assert [(v.step, v.best) for v in run.validations] == [
        (0, False), (1, True), (2, True), (3, False),
    ]  # fmt: skip
    assert run.best_auc == 0.65
    assert run.best["weight"].item() > 0


def test_where_nothing_can_be_chosen_the_start_stays_if_it_may_be_kept_and_nothing_trains(tmp_path):
    nothing, heard = [math.nan] * 4, Heard()
    kept = _run(tmp_path / "kept", nothing, progress=heard)
    assert kept.best["weight"].item() == kept.parameters["weight"].item() == 0
    assert [(v.step, v.best) for v in kept.validations] == [(0, True)]
    assert kept.steps == []
    assert any("--no-keep-start" in line for line in heard.lines)
    last = _run(tmp_path / "last", nothing, keep_start=False)
    assert last.best["weight"].item() == last.parameters["weight"].item() > 0
    assert [v.step for v in last.validations if v.best] == [1, 2, 3]


def test_patience_counts_from_the_start(tmp_path):
    run = _run(tmp_path, [0.7, 0.6, 0.65, 0.9], patience=2)
    assert run.step == 2
    assert run.best["weight"].item() == 0


def test_a_resumed_run_does_not_look_at_the_start_again(tmp_path):
    _run(tmp_path, [0.7, 0.6, 0.65, 0.7], checkpoint_steps=1)
    again = _run(tmp_path, [0.9, 0.9, 0.9, 0.9], checkpoint_steps=1)
    assert again.step == 3
    assert [v.auc for v in again.validations] == [0.7, 0.6, 0.65, 0.7]
