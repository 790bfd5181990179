"""The stages encode and cluster through a real store."""

import json

import numpy as np
import pytest

from artifacts.store import Store
from core.config.cluster import ClusterConfig
from core.config.encode import DEFAULTS, EncodeConfig
from core.data.tables import read_table
from core.errors import ConfigError, MismatchError
from core.stages.base import Context, run_stage
from core.stages.cluster import STAGE as CLUSTER
from core.stages.encode import STAGE as ENCODE
from core.stages.kinds import KINDS
from tests.conftest import write_dataset


@pytest.fixture
def context(tmp_path):
    """A store that holds one data set."""
    store = Store.open(tmp_path / "store", KINDS, "test")
    key = store.key(kind="dataset", parameters={}, inputs={}, resources={})
    with store.publish(
        kind="dataset", name="films", key=key, parameters={}, inputs={}, resources={}
    ) as draft:
        write_dataset(draft.folder, users=40, items=30, rows=1500)
    return Context(store=store)


def encode(context, **settings):
    config = EncodeConfig(**{"epochs": 3, "dim": 8, "batch_size": 256} | settings)
    return run_stage(context, ENCODE, config).artifact


@pytest.mark.parametrize("name", ["bias", "mf", "sasrec"])
def test_encode_publishes_an_encoder_named_after_its_model(name, context):
    artifact = encode(context, encoder=name)
    assert artifact.reference == f"encoder/{name}@1"
    users = read_table(artifact.file("user_vectors.parquet"))
    assert {len(vector) for vector in users["vector"]} == {0 if name == "bias" else 8}
    assert users["trained"].any() == (name != "bias")
    assert artifact.summary["valid_auc"] > 0.5
    epochs = read_table(artifact.file("epochs.parquet"))
    assert epochs["epoch"].tolist() == list(range(1, len(epochs["epoch"]) + 1))


def test_same_settings_are_a_hit_and_device_does_not_matter(context):
    first = encode(context, encoder="mf")
    again = run_stage(
        context, ENCODE, EncodeConfig(encoder="mf", epochs=3, dim=8, batch_size=256, device="cpu")
    )
    assert (again.hit, again.artifact.object_id) == (True, first.object_id)


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        ({"encoder": "mf"}, {"dim": 64, "learning_rate": 1e-3, "weight_decay": 1e-4, "epochs": 100}),
        ({"encoder": "mf"}, {"layers": 5, "blocks": 1, "negatives": 9, "fit_on": "valid"}),
        ({"encoder": "sasrec"}, {"layers": 5, "calibration": 0.5}),
        ({"encoder": "bias"}, {"weight_decay": 1.0, "seed": 7, "dim": 8, "epochs": 3}),
        ({"encoder": "lightgcn", "search": True}, {"epochs": 100, "blocks": 1}),
    ],
)  # fmt: skip
def test_defaults_spelled_out_and_settings_of_other_encoders_are_the_same_work(asked, same):
    assert EncodeConfig(**asked).parameters() == EncodeConfig(**asked | same).parameters()


def test_key_holds_every_setting_that_is_used(monkeypatch):
    usual = EncodeConfig(encoder="gsasrec").parameters()
    assert (usual["dim"], usual["learning_rate"], usual["epochs"]) == (64, 1e-2, 60)
    assert not [name for name in usual if name.startswith("search") or name == "device"]
    for name, other in {"blocks": 3, "negatives": 9, "seed": 1, "user_bias": False}.items():
        assert EncodeConfig(encoder="gsasrec", **{name: other}).parameters() != usual
    searched = EncodeConfig(encoder="mf", search=True).parameters()
    assert searched["search"] is True
    assert searched["search_dims"] == [64, 128, 256]
    assert not {"dim", "learning_rate", "weight_decay"} & set(searched)
    assert EncodeConfig.from_mapping(searched, where="here").trials()
    later = {name: {**own, "epochs": 7} for name, own in DEFAULTS.items()}
    monkeypatch.setattr("core.config.encode.DEFAULTS", later)
    assert EncodeConfig(encoder="gsasrec").parameters() != usual


@pytest.mark.parametrize("settings", [{"k": 3}, {"k": 2, "method": "ward"}, {"projection": "tsne"}])
def test_cluster_publishes_groups_of_trained_users(settings, context):
    encode(context, encoder="mf")
    artifact = run_stage(context, CLUSTER, ClusterConfig(**settings)).artifact
    assert artifact.reference == f"groups/mf-{settings.get('k', 'auto')}@1"
    groups = read_table(artifact.file("groups.parquet"))
    summary = json.loads(artifact.file("summary.json").read_text())
    assert np.bincount(groups["group"]).tolist() == summary["sizes"]
    assert summary["sizes"] == sorted(summary["sizes"], reverse=True)
    assert summary["k"] == settings.get("k", summary["k"])
    picture = artifact.file("picture.svg").read_text()
    assert picture.startswith("<?xml")
    assert "group 0" in picture


def test_representation_is_the_mean_of_the_raw_vectors_of_its_group(context):
    encoder = encode(context, encoder="mf")
    artifact = run_stage(context, CLUSTER, ClusterConfig(k=2)).artifact
    groups = read_table(artifact.file("groups.parquet"))
    users = read_table(encoder.file("user_vectors.parquet"))
    found = read_table(artifact.file("representations.parquet"))
    vectors = np.array(users["vector"])
    for group, vector in zip(found["group"], found["vector"], strict=True):
        mine = groups["user_index"][groups["group"] == group]
        np.testing.assert_allclose(vector, vectors[mine].mean(0), atol=1e-6)


def test_encoder_without_vectors_cannot_be_grouped(context):
    encode(context, encoder="bias")
    with pytest.raises(MismatchError, match="no user vectors") as problem:
        run_stage(context, CLUSTER, ClusterConfig(k=2))
    assert "sasrec" in problem.value.hint


def test_more_groups_than_users_are_refused(context):
    encode(context, encoder="mf")
    with pytest.raises(ConfigError, match="41 groups"):
        run_stage(context, CLUSTER, ClusterConfig(k=41))
