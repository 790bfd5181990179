"""What encoders do where users and items are many: gradients of the batch's rows alone, larger batches."""

import dataclasses

import numpy as np
import pytest
import torch

from core.config.encode import EncodeConfig
from core.data.dataset import Dataset
from core.data.histories import Histories
from core.encoders import mf
from core.encoders.lightgcn import GraphModule
from core.encoders.load import make_encoder
from core.encoders.training import _Run
from core.progress import Silent
from tests.conftest import write_dataset
from tests.core.encoders.test_encoders import KillAfter, Killed

FEW = {
    "encoder": "mf",
    "dim": 8,
    "batch_size": 3,
    "epochs": 3,
    "learning_rate": 1e-2,
    "weight_decay": 0.01,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return Dataset.open(write_dataset(folder, users=60, items=40, rows=3000, seed=3))


def encoder(data, **settings):
    return make_encoder(EncodeConfig(**FEW | settings), data, Histories.of(data))


def gradients(made, batch):
    made.module.zero_grad(set_to_none=True)
    made.loss(batch).backward()
    return {name: weight.grad for name, weight in made.module.named_parameters()}


def test_sparse_and_full_gradients_equal_autograds_own(data, monkeypatch):
    batch = data.rows("train")[:3]
    sparse = gradients(encoder(data), batch)
    monkeypatch.setattr(mf, "SPARSE_FROM", 10**9)
    made = encoder(data)
    full = gradients(made, batch)
    assert sparse["user"].is_sparse
    assert not full["user"].is_sparse

    def plain(_sums, *tensors):
        user, item, user_bias, item_bias, u, i = tensors
        return (user[u] * item[i]).sum(1) + user_bias[u] + item_bias[i]

    monkeypatch.setattr(mf._Pairs, "apply", plain)
    for name, gradient in gradients(made, batch).items():
        torch.testing.assert_close(sparse[name].to_dense(), gradient)
        torch.testing.assert_close(full[name], gradient)


def test_a_step_moves_the_vectors_of_the_batch_alone_and_decays_them(data):
    made, train = encoder(data), data.rows("train")
    batch = np.concatenate([train[data.user[train] == 5][:2], train[data.user[train] == 7][:1]])
    before = made.module.user.detach().clone()
    of_loss = gradients(made, batch)["user"].to_dense() / len(batch)
    _Run(made, made.config.resolved())._step(batch, len(batch), 1)
    touched = np.array([5, 7])  # user 5 is in the batch twice, and decayed once
    moved = (made.module.user != before).any(1).numpy()
    np.testing.assert_array_equal(np.flatnonzero(moved), touched)
    wanted = of_loss[touched] + FEW["weight_decay"] * before[touched]
    torch.testing.assert_close(made.module.user.grad.to_dense()[touched], wanted)


@pytest.mark.parametrize("epochs", [0, 2])
def test_resume_with_sparse_gradients_equals_the_uninterrupted_run(data, tmp_path, epochs):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = encoder(data)
    assert whole.sparse_weights
    whole.fit(tmp_path / "whole", Silent())
    with pytest.raises(Killed):
        encoder(data).fit(tmp_path / "killed", KillAfter(epochs))
    resumed = encoder(data)
    resumed.fit(tmp_path / "killed", KillAfter(3 - epochs))  # once more would be from the beginning
    for name, tensor in whole.module.state_dict().items():
        assert tensor.equal(resumed.module.state_dict()[name]), name


@pytest.mark.parametrize(
    ("name", "rows", "wanted"),
    [
        ("mf", 1_000, 1024),
        ("mf", 20_000_000, 131_072),
        ("lightgcn", 65_536, 1024),
        ("lightgcn", 20_000_000, 524_288),
        ("sasrec", 20_000_000, 1024),
    ],
)
def test_batches_grow_with_the_rows_where_a_step_has_a_cost_of_its_own(data, name, rows, wanted):
    made = encoder(data, encoder=name, batch_size=None)
    made.train_rows = np.empty(rows, dtype=np.int8)
    assert made.batch_rows == wanted
    told = encoder(data, encoder=name, batch_size=100)
    told.train_rows = made.train_rows
    assert told.batch_rows == 100


def test_graph_gradient_equals_autograds_own(data):
    made = encoder(data, encoder="lightgcn")
    module = made.module
    assert isinstance(module, GraphModule)
    weight = torch.randn(len(data.users), 8)
    ((module.vectors()[0] * weight).sum()).backward()
    found = module.item.grad.clone()
    plain = module.graph.to_dense()
    module.zero_grad()
    layer = torch.cat([module.user, module.item])
    smoothed = (layer + plain @ layer + plain @ (plain @ layer)) / 3
    (smoothed[: len(data.users)] * weight).sum().backward()
    torch.testing.assert_close(found, module.item.grad)


def test_fitting_with_sparse_gradients_learns(data, tmp_path):
    settings = dataclasses.asdict(encoder(data).config) | {"epochs": 10}
    made = make_encoder(EncodeConfig(**settings), data, Histories.of(data))
    course = made.fit(tmp_path, Silent())
    assert course.epochs[-1].train_loss < 0.95 * course.epochs[0].train_loss
