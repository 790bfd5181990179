"""Training that was stopped and resumed equals training that was not, bit for bit."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config.prompt import PromptConfig
from core.config.training import TrainGlobalConfig
from core.errors import DeviceMemoryError, TrainingDivergedError
from core.llm.decoder import Decoder
from core.llm.load import load_base
from core.progress import Silent
from core.text.examples import Examples
from core.text.prompts import PromptBuilder
from core.training.checkpoint import load_checkpoint
from core.training.finetune import FineTune, new_lora, new_soft
from core.training.language import LanguageLoss
from tests.conftest import Heard
from tests.core.llm.tiny import tiny_folder  # noqa: F401

CONFIG = TrainGlobalConfig(
    dtype="float32",
    train_rows=40,
    batch_size=4,
    max_steps=9,
    eval_steps=3,
    checkpoint_steps=2,
    valid_rows=20,
    lr_peak=5e-3,
    lr_final=1e-3,
    warmup_steps=2,
    patience=0,
)
REASONS = {row: f"Because of number {row}." for row in range(10, 20)}


class Stop(Exception):
    """Stands for a kill between two steps."""


class StopAfter(Silent):
    """Raises once so many steps were done in this process."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @contextmanager
    def bar(self, title, total, unit, *, done=0):
        outer = self

        class Counting:
            def advance(self, amount=1, **figures):
                if "loss" in figures:
                    outer.left -= 1
                    if outer.left == 0:
                        raise Stop

        yield Counting()


def _tuning(
    base_folder: Path, dataset, folder: Path, progress=None, config=CONFIG, **changes
) -> FineTune:
    base = load_base(str(base_folder), dtype="float32", device="cpu")
    prompt = PromptConfig(history_length=4, soft_tokens=config.soft_tokens)
    return FineTune(
        soft=new_soft(base, config),
        model=new_lora(base, config),
        examples=Examples(dataset),
        builder=PromptBuilder(base.tokenizer, dataset, prompt),
        reasons=REASONS,
        loss=config,
        optim=config,
        folder=folder,
        progress=progress or Silent(),
        **changes,
    )


def _facts(run):
    steps = [
        (s.step, s.loss, s.rec_loss, s.think_loss, s.gradient_norm, s.tokens) for s in run.steps
    ]
    return steps, [(v.step, v.auc, v.best) for v in run.validations]


def _same(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def straight(tiny_folder, tmp_path_factory):  # noqa: F811
    from core.data.dataset import Dataset
    from tests.conftest import write_dataset

    dataset = Dataset.open(write_dataset(tmp_path_factory.mktemp("straight") / "data"))
    return dataset, _tuning(tiny_folder, dataset, tmp_path_factory.mktemp("run")).run("global")


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 6, 8])
def test_resumed_equals_uninterrupted(tiny_folder, straight, tmp_path, stop):  # noqa: F811
    dataset, expected = straight
    with pytest.raises(Stop):
        _tuning(tiny_folder, dataset, tmp_path, StopAfter(stop)).run("global")
    resumed = _tuning(tiny_folder, dataset, tmp_path).run("global")
    assert _facts(resumed) == _facts(expected)
    assert _same(resumed.parameters, expected.parameters)
    assert _same(resumed.best, expected.best)


@pytest.mark.parametrize("stop", [3, 5])
def test_a_soft_prompt_resumes_bit_for_bit(tiny_folder, straight, tmp_path, stop):  # noqa: F811
    dataset, _ = straight
    config = TrainGlobalConfig(**{**vars(CONFIG), "soft_tokens": 3})
    tuned = _tuning(tiny_folder, dataset, tmp_path / "straight", config=config)
    start = tuned.soft.weight.detach().clone()
    expected = tuned.run("global")
    assert not torch.equal(expected.parameters["soft_prompt.weight"], start)
    with pytest.raises(Stop):
        _tuning(tiny_folder, dataset, tmp_path / "cut", StopAfter(stop), config).run("global")
    resumed = _tuning(tiny_folder, dataset, tmp_path / "cut", config=config).run("global")
    assert _facts(resumed) == _facts(expected)
    assert _same(resumed.parameters, expected.parameters)
    assert _same(resumed.best, expected.best)


def test_kept_activations_hold_a_frozen_soft_prompt(tiny_folder, straight, tmp_path):  # noqa: F811
    dataset, _ = straight
    config = TrainGlobalConfig(**{**vars(CONFIG), "soft_tokens": 3, "max_steps": 3})
    runs = []
    for name, scale, size in (("kept", 1.0, 10**9), ("computed", 1.0, 0), ("other", 3.0, 0)):
        kept = {"first_layer": 2, "cache_bytes": size, "config": config}
        tuning = _tuning(tiny_folder, dataset, tmp_path / name, **kept)
        tuning.soft.weight.requires_grad = False
        with torch.no_grad():
            tuning.soft.weight.mul_(scale)
        runs.append(tuning.run("expert"))
        assert "soft_prompt.weight" not in runs[-1].parameters
    assert _facts(runs[0]) == _facts(runs[1])
    assert _facts(runs[0]) != _facts(runs[2])


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tiny_folder, straight, tmp_path):  # noqa: F811
    dataset, expected = straight
    with pytest.raises(Stop):
        _tuning(tiny_folder, dataset, tmp_path, StopAfter(7)).run("global")
    newest = tmp_path / "checkpoint-00000006" / "tensors.safetensors"
    damaged = bytearray(newest.read_bytes())
    damaged[-1] ^= 1
    newest.write_bytes(damaged)
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.state["step"] == 4
    assert _same(
        _tuning(tiny_folder, dataset, tmp_path).run("global").parameters, expected.parameters
    )


def test_another_seed_trains_to_other_weights(tiny_folder, straight, tmp_path):  # noqa: F811
    dataset, expected = straight
    other = TrainGlobalConfig(**{**vars(CONFIG), "seed": 1})
    found = _tuning(tiny_folder, dataset, tmp_path, config=other).run("global")
    assert not _same(found.parameters, expected.parameters)


def test_training_lowers_the_loss(straight):
    losses = [step.rec_loss for step in straight[1].steps]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_kept_activations_change_nothing(tiny_folder, straight, tmp_path):  # noqa: F811
    dataset, _ = straight
    runs = [
        _tuning(tiny_folder, dataset, tmp_path / str(size), first_layer=2, cache_bytes=size).run(
            "expert"
        )
        for size in (0, 100_000, 10**9)
    ]
    assert all(".layers.0." not in name and ".layers.1." not in name for name in runs[0].parameters)
    for run in runs[1:]:
        assert _facts(run) == _facts(runs[0])


def test_only_what_comes_again_is_kept_and_given_back_at_the_end(
    tiny_folder,  # noqa: F811
    straight,
    tmp_path,
    monkeypatch,
):
    dataset, _ = straight
    most = []
    real = LanguageLoss.forget
    monkeypatch.setattr(
        LanguageLoss, "forget", lambda loss: most.append(len(loss._kept)) or real(loss)
    )
    for epochs in (1.0, 2.0):
        config = TrainGlobalConfig(**{**vars(CONFIG), "train_rows": 12, "epochs": epochs})
        kept = {"first_layer": 2, "cache_bytes": 10**9, "config": config}
        run = _tuning(tiny_folder, dataset, tmp_path / str(epochs), **kept).run("expert")
        assert not run.loss._kept
        counts = np.unique(run.batches, return_counts=True)[1]
        assert most[-1] == (counts > 1).sum()
    assert most[0] < most[1]


def test_an_expert_with_kept_activations_resumes_bit_for_bit(tiny_folder, straight, tmp_path):  # noqa: F811
    dataset, _ = straight
    config = TrainGlobalConfig(
        **{**vars(CONFIG), "train_rows": 12, "epochs": 3.0}
    )  # instances come again after the stop
    kept = {"first_layer": 2, "cache_bytes": 10**9, "config": config}
    expected = _tuning(tiny_folder, dataset, tmp_path / "straight", **kept).run("expert")
    with pytest.raises(Stop):
        _tuning(tiny_folder, dataset, tmp_path / "cut", StopAfter(5), **kept).run("expert")
    resumed = _tuning(tiny_folder, dataset, tmp_path / "cut", **kept).run("expert")
    assert _facts(resumed) == _facts(expected)
    assert _same(resumed.parameters, expected.parameters)


def test_a_loss_that_is_no_number_stops_with_the_step(tiny_folder, straight, tmp_path):  # noqa: F811
    dataset, _ = straight
    tuning = _tuning(tiny_folder, dataset, tmp_path)
    with torch.no_grad():
        next(p for n, p in tuning.model.named_parameters() if "lora_A" in n).fill_(float("nan"))
    with pytest.raises(TrainingDivergedError, match="step 0"):
        tuning.run("global")


def test_a_batch_in_pieces_has_the_gradients_of_the_whole(tiny_folder, straight, tmp_path):  # noqa: F811
    """Without dropout, which alone draws other numbers; with it, a resumed run still repeats the uninterrupted one."""
    dataset, _ = straight
    plain = TrainGlobalConfig(**{**vars(CONFIG), "lora_dropout": 0.0})
    pieces = TrainGlobalConfig(**{**vars(plain), "micro_batch_tokens": 120})
    assert pieces.parameters() == plain.parameters()  # the same artifact
    whole = _tuning(tiny_folder, dataset, tmp_path / "whole", config=plain).run("global")
    split = _tuning(tiny_folder, dataset, tmp_path / "split", config=pieces).run("global")
    assert max(split.loss.lengths) > 60  # so that a batch of four goes in several pieces
    for one, other in zip(whole.steps, split.steps, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.rec_loss == pytest.approx(one.rec_loss, rel=1e-4)
        assert other.gradient_norm == pytest.approx(one.gradient_norm, rel=1e-3)
        assert other.tokens == one.tokens
    for name, weight in whole.parameters.items():
        assert torch.allclose(split.parameters[name], weight, atol=1e-4), name
    with pytest.raises(Stop):
        _tuning(tiny_folder, dataset, tmp_path / "cut", StopAfter(3), pieces).run("global")
    resumed = _tuning(tiny_folder, dataset, tmp_path / "cut", config=pieces).run("global")
    assert _facts(resumed) == _facts(split)


def test_a_batch_that_a_gpu_cannot_hold_goes_in_pieces(
    tiny_folder,  # noqa: F811
    straight,
    tmp_path,
    monkeypatch,
):
    """The full memory is made up; what comes of it is the training with pieces from the start."""
    dataset, _ = straight
    plain = TrainGlobalConfig(**{**vars(CONFIG), "lora_dropout": 0.0})
    whole = _tuning(tiny_folder, dataset, tmp_path / "whole", config=plain).run("global")
    runs, room = LanguageLoss.__call__, max(whole.loss.lengths) + 10
    through = []

    def bounded(self, batch):
        tokens = sum(self.lengths[i] for i in batch.tolist())
        through.append(tokens)
        if tokens > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return runs(self, batch)

    monkeypatch.setattr(LanguageLoss, "__call__", bounded)
    heard = Heard()
    split = _tuning(tiny_folder, dataset, tmp_path / "split", heard, plain).run("global")
    assert sum("in pieces of" in line for line in heard.lines) == sum(n > room for n in through) > 0
    assert split.most_tokens <= room
    for name, weight in whole.parameters.items():
        assert torch.allclose(split.parameters[name], weight, atol=1e-4), name
    assert [s.tokens for s in split.steps] == [s.tokens for s in whole.steps]


def test_a_run_that_goes_on_with_other_numbers_says_so(
    tiny_folder,  # noqa: F811
    straight,
    tmp_path,
    monkeypatch,
):
    dataset, _ = straight
    with pytest.raises(Stop):
        _tuning(tiny_folder, dataset, tmp_path, StopAfter(3)).run("global")
    shutil.copytree(tmp_path, tmp_path.with_name("again"))
    heard = []
    for folder, numbers in (
        (tmp_path, "cpu float32"),
        (tmp_path.with_name("again"), "cuda bfloat16"),
    ):
        monkeypatch.setattr(Decoder, "numbers", numbers)
        progress = Heard()
        _tuning(tiny_folder, dataset, folder, progress).run("global")
        heard.append([line for line in progress.lines if "rounding" in line])
    assert heard == [
        [],
        [
            "train global: goes on with cuda bfloat16 where it was at cpu float32: its figures differ by rounding"
        ],
    ]


def test_frozen_layers_give_the_same_for_several_at_once(tiny_folder, straight, tmp_path):  # noqa: F811
    """As a GPU runs them."""
    dataset, _ = straight
    loss = _tuning(tiny_folder, dataset, tmp_path, first_layer=2, cache_bytes=9).run("expert").loss
    together = loss._frozen([0, 3, 1])
    assert list(together) == [0, 3, 1]
    for position, found in together.items():
        assert torch.allclose(found, loss._frozen([position])[position], atol=1e-5)
    loss.cache_bytes, loss.recurring = 10**6, None
    kept = loss._frozen([0, 3, 1])
    assert {p: len(hidden) for p, hidden in loss._kept.items()} == {
        p: loss.lengths[p] for p in kept
    }
    for hidden in loss._kept.values():
        assert hidden.untyped_storage().nbytes() == hidden.numel() * hidden.element_size()


@pytest.mark.parametrize("cache", [(0, 9), (2, 0), (2, 9)])
def test_a_full_gpu_is_told_with_what_takes_less(
    tiny_folder,  # noqa: F811
    straight,
    tmp_path,
    monkeypatch,
    cache,
):
    """The error is made up: no GPU is needed to see what is said."""
    dataset, _ = straight
    tuning = _tuning(tiny_folder, dataset, tmp_path, first_layer=cache[0], cache_bytes=cache[1])

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 4 GiB"
        )

    monkeypatch.setattr("core.training.language.LanguageLoss.__call__", full)
    with pytest.raises(DeviceMemoryError, match=r"full: CUDA out of memory$") as caught:
        tuning.run("global")
    assert "a GPU with more memory" in caught.value.hint
    assert ("--activation-cache-mb" in caught.value.hint) == all(cache)


@pytest.mark.parametrize(
    ("changes", "reasons", "told"),
    [
        ({}, {}, []),
        ({"reason_share": 0.5}, REASONS, []),
        ({"reason_share": 0.0, "alpha": 0.5}, {}, []),
        ({"reason_share": 0.5}, {}, ["reason_share changes nothing"]),
        ({"alpha": 0.5, "beta": 0.5}, {}, ["alpha, beta change nothing"]),
    ],
)
def test_settings_for_reasons_are_told_where_there_are_none(
    tiny_folder,  # noqa: F811
    straight,
    tmp_path,
    changes,
    reasons,
    told,
):
    class Listening(Silent):
        def say(self, line):
            said.append(line)

    said = []
    config = TrainGlobalConfig(**{**vars(CONFIG), "max_steps": 1, **changes})
    tuning = _tuning(tiny_folder, straight[0], tmp_path, Listening(), config)
    tuning.reasons = reasons
    tuning.run("global")
    start = "train global: no reasons to learn from, so "
    assert [line.removeprefix(start) for line in said if "nothing" in line] == told
