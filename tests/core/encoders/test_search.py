"""The search: every combination once, the best by valid AUC, nothing done twice after a kill."""

import dataclasses
import json
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from artifacts.store import Store
from core.config.encode import EncodeConfig
from core.data.dataset import Dataset
from core.data.histories import Histories
from core.data.tables import read_table
from core.encoders import search as search_module
from core.encoders.load import make_encoder
from core.encoders.search import search
from core.errors import ConfigError, EmptySplitError, TrainingDivergedError
from core.progress import Silent
from core.stages.base import Context, run_stage
from core.stages.encode import STAGE
from core.stages.kinds import KINDS
from tests.conftest import write_dataset

GRID = {
    "search": True,
    "search_learning_rates": (1e-1, 1e-2),
    "search_dims": (4, 8),
    "search_weight_decays": (1e-4,),
    "epochs": 3,
    "batch_size": 256,
}


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return Dataset.open(write_dataset(folder, users=40, items=30, rows=3000))


def find(data, folder, **settings):
    config = EncodeConfig(encoder="mf", **GRID | settings)
    return search(config, data, Histories.of(data), folder, Silent())


def figures(found):
    return [
        (t.learning_rate, t.dim, t.weight_decay, t.best_epoch, t.valid_auc) for t in found.trials
    ]


def test_the_usual_grid_is_the_papers():
    trials = EncodeConfig(encoder="mf", search=True).trials()
    found = {(t.learning_rate, t.dim, t.weight_decay) for t in trials}
    assert len(found) == len(trials) == 3 * 3 * 6
    assert (1e-2, 64, 1e-7) in found
    assert (1e-4, 256, 1e-2) in found


def test_a_value_given_twice_is_tried_once():
    config = EncodeConfig(encoder="mf", **GRID | {"search_dims": (4, 4)})
    assert len(config.trials()) == 2


def test_each_trial_is_the_training_of_its_settings_alone(data, tmp_path):
    found = find(data, tmp_path)
    assert [(t.learning_rate, t.dim) for t in found.trials] == [
        (1e-1, 4),
        (1e-1, 8),
        (1e-2, 4),
        (1e-2, 8),
    ]
    for trial in found.trials:
        alone = EncodeConfig(
            encoder="mf",
            learning_rate=trial.learning_rate,
            dim=trial.dim,
            weight_decay=trial.weight_decay,
            epochs=3,
            batch_size=256,
        )
        (tmp_path / f"alone-{trial.trial}").mkdir()
        encoder = make_encoder(alone, data, Histories.of(data))
        course = encoder.fit(tmp_path / f"alone-{trial.trial}", Silent())
        assert (trial.valid_auc, trial.best_epoch) == (course.valid_auc, course.best_epoch)


def test_the_encoder_found_is_the_one_of_the_highest_valid_auc(data, tmp_path):
    found = find(data, tmp_path)
    assert found.best.valid_auc == max(trial.valid_auc for trial in found.trials)
    assert found.encoder.config.dim == found.best.dim
    assert found.training.valid_auc == found.best.valid_auc
    rows = data.rows("valid")
    auc = roc_auc_score(data.label[rows], found.encoder.score_rows(rows))
    assert auc == found.best.valid_auc


@pytest.mark.parametrize("trials", [0, 1, 3])
def test_killed_search_trains_only_what_is_left(trials, data, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = find(data, tmp_path / "whole")
    begun = []

    def count(config, *others):
        begun.append(config.dim)
        if len(begun) > trials:
            raise Killed
        return make_encoder(config, *others)

    monkeypatch.setattr(search_module, "make_encoder", count)
    with pytest.raises(Killed):
        find(data, tmp_path / "killed")
    begun.clear()
    monkeypatch.setattr(
        search_module, "make_encoder", lambda *given: (begun.append(1), make_encoder(*given))[1]
    )
    resumed = find(data, tmp_path / "killed")
    assert len(begun) == 4 - trials
    assert figures(resumed) == figures(whole)
    for name, tensor in whole.encoder.module.state_dict().items():
        assert tensor.equal(resumed.encoder.module.state_dict()[name]), name


def test_the_best_model_is_opened_on_the_device_that_was_asked_for(data, tmp_path, monkeypatch):
    done = [
        dataclasses.asdict(
            search_module.Trial(
                trial=number, learning_rate=0.1, dim=4, weight_decay=0.0, status="done", epochs=0,
                best_epoch=0, valid_auc=0.6, valid_uauc=0.6, seconds=0.0,
            )
        )
        for number in (1, 2, 3, 4)
    ]  # fmt: skip
    (tmp_path / search_module.JOURNAL).write_text(json.dumps(done))
    (tmp_path / "best-1").mkdir()
    (tmp_path / "best-1" / search_module.COURSE).write_text('{"epochs": [], "best_epoch": 0}')
    monkeypatch.setattr(search_module, "open_encoder", lambda *given, device="auto": device)
    assert find(data, tmp_path, device="cpu").encoder == "cpu"


def test_only_the_best_model_stays_on_the_disk(data, tmp_path):
    found = find(data, tmp_path)
    find(data, tmp_path)  # once more, now that all are done
    models = sorted(path.name for path in tmp_path.glob("best-*"))
    assert f"best-{found.best.trial}" in models
    assert len(models) <= 2  # the best, and the last before it is tidied away


def test_a_trial_that_diverges_is_recorded_and_the_others_go_on(data, tmp_path):
    found = find(data, tmp_path, search_learning_rates=(1e30, 1e-2))
    assert [trial.status for trial in found.trials] == ["diverged", "diverged", "done", "done"]
    assert found.trials[0].valid_auc is None
    assert found.best.learning_rate == 1e-2


def test_a_search_in_which_all_trials_diverge_says_so(data, tmp_path):
    with pytest.raises(TrainingDivergedError, match="all 2 trials"):
        find(data, tmp_path, search_learning_rates=(1e30,))


def test_without_both_labels_in_valid_nothing_can_be_chosen(data, tmp_path):
    blind = dataclasses.replace(
        data, label=np.where(data.split == 1, 1, data.label).astype(np.int8)
    )
    with pytest.raises(EmptySplitError, match="no trial can be better"):
        find(blind, tmp_path)


def test_artifact_holds_every_trial_and_sql_finds_the_best(tmp_path):
    store = Store.open(tmp_path / "store", KINDS, "test")
    key = store.key(kind="dataset", parameters={}, inputs={}, resources={})
    with store.publish(
        kind="dataset", name="films", key=key, parameters={}, inputs={}, resources={}
    ) as draft:
        write_dataset(draft.folder, users=40, items=30, rows=1500)
    context = Context(store=store)
    config = EncodeConfig(encoder="lightgcn", **GRID)
    artifact = run_stage(context, STAGE, config).artifact
    trials = read_table(artifact.file("trials.parquet"))
    assert list(trials["encoder"]) == ["lightgcn"] * 4
    assert sum(trials["best"]) == 1
    best = int(np.argmax(trials["best"]))
    facts = json.loads(artifact.file("encoder.json").read_text())
    assert facts["settings"]["learning_rate"] == trials["learning_rate"][best]
    assert facts["valid_auc"] == trials["valid_auc"][best] == max(trials["valid_auc"])
    assert all(math.isfinite(value) for value in trials["valid_uauc"])
    assert artifact.summary["trials"] == 4
    alone = run_stage(context, STAGE, EncodeConfig(encoder="mf", epochs=1)).artifact
    assert "trials.parquet" not in alone.manifest.files


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"search": True, "learning_rate": 1e-3}, "learning_rate = 0.001 asks for one"),
        ({"search": True, "dim": 32}, "dim = 32 asks for one"),
        ({"search": True, "weight_decay": 0.0}, "weight_decay = 0.0 asks for one"),
        ({"search": True, "encoder": "bias"}, "nothing to search"),
        ({"search_dims": (64,)}, "nothing is searched"),
        ({"search": True, "search_dims": ()}, "search_dims is empty"),
        ({"search": True, "search_dims": (0,)}, "nothing can be trained"),
        ({"search": True, "search_learning_rates": (0.0,)}, "nothing can be trained"),
        ({"search": True, "search_learning_rates": ("much",)}, "not a number"),
        ({"search": True, "search_dims": (1.5,)}, "not a whole number"),
        ({"search": True, "search_dims": (64, 65), "heads": 2}, "dim = 65 cannot be divided"),
    ],
)
def test_a_search_that_cannot_be_is_refused(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        EncodeConfig(**settings)


@pytest.mark.parametrize("encoder", ["bias", "mf", "lightgcn"])
def test_heads_are_nothing_to_encoders_without_attention(encoder):
    assert EncodeConfig(encoder=encoder, dim=50, heads=4).parameters() == (
        EncodeConfig(encoder=encoder, dim=50).parameters()
    )
    with pytest.raises(ConfigError, match="cannot be divided"):
        EncodeConfig(encoder="sasrec", dim=50, heads=4)
