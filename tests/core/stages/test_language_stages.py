"""All stages around the language model, from a dataset to an explanation, on a tiny model in one process."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from peft import PeftModel

from core.config.augment import AugmentConfig
from core.config.cluster import ClusterConfig
from core.config.encode import EncodeConfig
from core.config.explain import ExplainConfig
from core.config.fuse import FuseConfig
from core.config.score import ScoreConfig
from core.config.synthesize import SynthesizeConfig
from core.config.training import TrainExpertsConfig, TrainGlobalConfig
from core.data.dataset import Dataset
from core.data.tables import read_rows, write_table
from core.errors import (
    ConfigError,
    EmptySplitError,
    MismatchError,
    UnknownItemError,
    UnknownUserError,
)
from core.stages import (
    augment,
    cluster,
    encode,
    explain,
    fuse,
    language,
    score,
    scorers,
    synthesize,
    train_experts,
    train_global,
)
from core.stages.base import Context, plan_stage, run_stage
from core.stages.kinds import DATASET, KINDS
from core.stages.scorers import column_offsets, open_scorer
from core.text.examples import Examples
from core.training.loop import ValidationRecord
from core.training.projection import Projection
from core.training.schedule import draw_rows
from core.training.validation import prompts_of_rows
from tests.conftest import Heard, write_dataset
from tests.core.llm.adapters import open_tiny
from tests.core.llm.tiny import tiny_folder  # noqa: F401
from tests.core.stages.making import (
    PROJECTOR,
    SHORT,
    Killed,
    Watched,
    bias_encoder,
    grouped,
    opened,
    opening_of,
)


@pytest.fixture(scope="module")
def made(tiny_folder, tmp_path_factory):  # noqa: F811
    made = grouped(tmp_path_factory.mktemp("store"), tiny_folder)
    config = TrainGlobalConfig(
        base=made.base, history_length=4, lr_peak=2e-2, lr_final=1e-2, **SHORT
    )
    made.run(train_global.STAGE, config)
    made.run(
        train_experts.STAGE, TrainExpertsConfig(layers=2, lr_peak=2e-2, lr_final=1e-2, **SHORT)
    )
    # A low temperature would send everybody to one expert: this one gives all routes.
    made.run(
        fuse.STAGE, FuseConfig(projector="off", tau=0.8, averaged_share=0.999, dtype="float32")
    )
    return made


def test_scores_of_a_split_equal_each_users_exported_adapter(made, tmp_path):
    scores = made.run(
        score.STAGE, ScoreConfig(split="test", dtype="float32"), references=made.by_model
    )
    rows = read_rows(scores.file("scores.parquet"))
    assert scores.summary["dtype"] == "float32"
    scorer = opened(made, made["model"])
    dataset = scorer.examples.dataset
    assert [row["row"] for row in rows] == dataset.rows("test").tolist()
    routes = {row["route"] for row in rows}
    assert {"concentrated", "fused"} <= routes
    for route in sorted(routes):
        row = next(row for row in rows if row["route"] == route)
        folder = fuse.export_user(made.context, made["model"], row["user"], tmp_path / route)
        peft = PeftModel.from_pretrained(open_tiny(made.base), folder).eval()
        example = scorer.examples.of_rows(np.array([row["row"]]), 4)[0]
        prompt, answers = scorer.builder.build(example), scorer.builder.answers
        with torch.inference_mode():
            logits = peft(torch.tensor([prompt.ids])).logits[0, -1]
        offset = json.loads((folder / "contract.json").read_text())["yes_offset"]
        assert (offset != 0) == (route in ("concentrated", "fused"))
        assert row["yes_logit"] == pytest.approx(float(logits[answers.yes]) + offset, abs=1e-4)
        assert row["no_logit"] == pytest.approx(float(logits[answers.no]), abs=1e-4)
        assert row["score"] == pytest.approx(row["yes_logit"] - row["no_logit"])
        assert row["probability"] == pytest.approx(1 / (1 + np.exp(-row["score"])))


def test_the_authors_rule_of_fusion_goes_through_to_the_scores(made, tiny_folder, tmp_path):  # noqa: F811
    settings = {"projector": "off", "tau": 0.8, "averaged_share": 0.999, "centre": False}
    exact, linear = (
        run_stage(made.context, fuse.STAGE, FuseConfig(fusion=rule, dtype="float32", **settings))
        for rule in ("exact", "peft-linear")
    )
    by_exact, by_linear = (opened(made, outcome.artifact) for outcome in (exact, linear))
    rows = by_linear.examples.dataset.rows("test")
    found, plain = by_linear.score_rows(rows), by_exact.score_rows(rows)
    fused = [n for n, route in enumerate(found.route) if route == "fused"]
    alone = [n for n, route in enumerate(found.route) if route == "concentrated"]
    np.testing.assert_allclose(found.yes[alone], plain.yes[alone], atol=1e-4)
    assert np.abs(found.yes[fused] - plain.yes[fused]).max() > 1e-3
    # The same as PEFT's own combination for one of the fused users.
    row = fused[0]
    dataset = by_linear.examples.dataset
    weights = {r["user"]: r["weights"] for r in read_rows(linear.artifact.file("weights.parquet"))}
    user = dataset.users[dataset.user[rows[row]]]
    experts = made["experts"].file("experts")
    peft = PeftModel.from_pretrained(open_tiny(tiny_folder), experts / "0", adapter_name="0")
    names, shares = [], []
    for name, weight in enumerate(weights[user]):
        if name:
            peft.load_adapter(experts / str(name), str(name))
        names.append(str(name))
        shares.append(weight)
    peft.add_weighted_adapter(names, shares, "user", combination_type="linear")
    peft.set_adapter("user")
    example = by_linear.examples.of_rows(rows[row : row + 1], 4)[0]
    prompt, answers = by_linear.builder.build(example), by_linear.builder.answers
    with torch.inference_mode():
        logits = peft.eval()(torch.tensor([prompt.ids])).logits[0, -1]
    assert found.yes[row] == pytest.approx(float(logits[answers.yes]), abs=1e-4)
    with pytest.raises(ConfigError, match="peft-linear"):
        fuse.export_user(made.context, linear.artifact, user, tmp_path / "user")


def test_the_score_of_the_paper_is_the_logit_of_yes(made):
    config = TrainGlobalConfig(base=made.base, relevance="yes", history_length=4, **SHORT)
    adapter = run_stage(made.context, train_global.STAGE, config, name="as-the-paper").artifact
    scores = run_stage(
        made.context,
        score.STAGE,
        ScoreConfig(split="test", limit=20, dtype="float32"),
        references={"scorer": [adapter.reference]},
    ).artifact
    for row in read_rows(scores.file("scores.parquet")):
        assert row["score"] == row["yes_logit"] != row["yes_logit"] - row["no_logit"]


def test_experts_are_centred_on_the_adapter_they_started_from(made):
    """Over a group's valid rows the mean score of its expert is that of the global adapter."""
    plain = run_stage(
        made.context,
        fuse.STAGE,
        FuseConfig(projector="off", tau=0.8, averaged_share=0.999, dtype="float32", centre=False),
        name="plain",
    ).artifact
    centred, uncentred = opened(made, made["model"]), opened(made, plain)
    start = opened(made, made["adapter"])
    data = start.examples.dataset
    offsets = np.array([0.0, *json.loads(made["model"].file("fusion.json").read_text())["offsets"]])
    table = read_rows(made["experts"].file("representations.parquet"))
    assert offsets[1:].tolist() == [row["offset"] for row in table]
    rows = data.rows("test")
    columns = centred.columns([int(user) for user in data.user[rows]])
    np.testing.assert_allclose(
        centred.score_rows(rows).score,
        uncentred.score_rows(rows).score + columns @ offsets,
        atol=1e-4,
    )
    groups = read_rows(made["groups"].file("groups.parquet"))
    for row in table:
        members = [one["user_index"] for one in groups if one["group"] == row["group"]]
        valid = data.rows("valid")
        valid = valid[np.isin(data.user[valid], members)]
        valid = draw_rows(valid, SHORT["valid_rows"], 0)
        alone = np.zeros((len(valid), len(offsets)))
        alone[:, 1 + row["group"]] = 1
        prompts = prompts_of_rows(centred.examples, centred.builder, valid)
        expert = centred.scorer.score(prompts, alone).score("margin")
        assert expert.mean() == pytest.approx(start.score_rows(valid).score.mean(), abs=1e-4)


def test_experts_of_before_centring_are_refused_by_name():
    assert language.offsets_of([{"offset": 0.5}, {"offset": -1}], "experts/new@1") == [0.5, -1]
    with pytest.raises(ConfigError, match="experts/old@1 has nothing to centre") as refused:
        language.offsets_of([{"vector": [1.0]}], "experts/old@1")
    assert "--no-centre" in refused.value.hint


def test_a_model_fused_before_centring_has_no_offsets():
    assert column_offsets({"experts": 2}).tolist() == [0, 0, 0]
    assert column_offsets({"experts": 2, "offsets": [0.5, -1]}).tolist() == [0, 0.5, -1]
    assert column_offsets({"experts": 0, "offsets": []}).tolist() == [0]


def test_without_valid_rows_there_is_nothing_to_centre_by():
    nothing = ValidationRecord(
        stage="expert 0", step=0, auc=np.nan, uauc=np.nan, log_loss=np.nan, rows=0, best=False
    )
    assert train_experts.centring_offset([nothing, nothing]) == 0


def test_experts_differ_from_the_global_adapter_in_the_last_layers_only(made):
    from safetensors.torch import load_file

    start = load_file(made["adapter"].file("best") / "adapter_model.safetensors")
    for name in ("0", "1"):
        expert = load_file(made["experts"].file("experts") / name / "adapter_model.safetensors")
        changed = {
            key.split(".layers.")[1][0] for key in start if not torch.equal(start[key], expert[key])
        }
        assert changed == {"2", "3"}


def test_a_group_is_added_without_touching_the_others(made):
    before = made["experts"]
    groups = run_stage(made.context, cluster.STAGE, ClusterConfig(k=3), name="anew").artifact
    added = run_stage(
        made.context,
        train_experts.STAGE,
        TrainExpertsConfig(layers=2, add_group=2, **SHORT),
        references={"experts": [before.reference], "groups": [groups.reference]},
    ).artifact
    for name in ("0", "1"):
        part = f"experts/{name}/adapter_model.safetensors"
        assert (added.folder / part).read_bytes() == (before.folder / part).read_bytes()
    assert (added.folder / "experts" / "2").is_dir()
    assert [row["group"] for row in read_rows(added.file("representations.parquet"))] == [0, 1, 2]
    model = run_stage(
        made.context,
        fuse.STAGE,
        FuseConfig(projector="off", dtype="float32"),
        references={"experts": [added.reference]},
        name="three",
    ).artifact
    weights = [row["weights"] for row in read_rows(model.file("weights.parquet")) if row["weights"]]
    assert {len(w) for w in weights} == {3}


def test_what_does_not_belong_to_the_experts_is_refused(made):
    other = made.run(encode.STAGE, EncodeConfig(encoder="mf", dim=8, epochs=5, seed=1))
    given = {"experts": [made["experts"].reference], "encoder": [other.reference]}
    with pytest.raises(MismatchError, match=f"{other.reference} does not go with it"):
        run_stage(made.context, fuse.STAGE, FuseConfig(projector="off"), references=given)
    settings = TrainGlobalConfig(base=made.base, lora_dropout=0.0, max_steps=1, **SHORT)
    adapter = run_stage(made.context, train_global.STAGE, settings, name="another").artifact
    given = {"experts": [made["experts"].reference], "adapter": [adapter.reference]}
    config = TrainExpertsConfig(layers=2, add_group=1, **SHORT)
    with pytest.raises(MismatchError, match="adapter/another@1 does not go with it"):
        run_stage(made.context, train_experts.STAGE, config, references=given)


def test_a_group_that_has_an_expert_gets_no_second_one(made):
    given = {name: [made[name].reference] for name in ("experts", "groups")}
    config = TrainExpertsConfig(layers=2, add_group=1, **SHORT)
    with pytest.raises(ConfigError, match=f"group 1 has an expert in {given['experts'][0]}"):
        run_stage(made.context, train_experts.STAGE, config, references=given)


def test_experts_to_keep_without_a_group_to_add_are_refused(made):
    given = {"experts": [made["experts"].reference]}
    with pytest.raises(ConfigError, match=f"{made['experts'].reference} would not be looked at"):
        run_stage(made.context, train_experts.STAGE, TrainExpertsConfig(**SHORT), references=given)


def test_experts_learn_what_their_adapter_learnt(made, monkeypatch):
    """Neither the latest reasons of the store nor a mix of losses of their own, unless it is given."""
    from core.training import finetune

    made.run(synthesize.STAGE, SynthesizeConfig(rows=20, held_out=5))
    plain = TrainGlobalConfig(base=made.base, theta=0.8, gamma=0.3, max_steps=1, **SHORT)
    given = {"traces": ["none"], "keywords": ["none"]}
    adapter = run_stage(
        made.context, train_global.STAGE, plain, references=given, name="no-reasons"
    ).artifact
    seen = []
    monkeypatch.setattr(
        finetune.FineTune,
        "run",
        lambda tuning, title, run=finetune.FineTune.run: (
            seen.append((tuning.loss.theta, tuning.loss.gamma, len(tuning.reasons)))
            or run(tuning, title)
        ),
    )
    for changes in ({}, {"theta": 1.0}):
        run_stage(
            made.context,
            train_experts.STAGE,
            TrainExpertsConfig(layers=2, only_groups=(0,), max_steps=1, **changes, **SHORT),
            references={"adapter": [adapter.reference]},
            name="no-reasons",
        )
    assert seen == [(0.8, 0.3, 0), (1.0, 0.3, 0)]


def test_an_encoder_is_not_asked_about_another_data_set(made, tmp_path):
    """Though that has as many users and items: its vectors stand by position."""
    key = made.store.key(kind="dataset", parameters={"x": 1}, inputs={}, resources={})
    settings = {"kind": "dataset", "name": "twin", "key": key, "parameters": {"x": 1}}
    with made.store.publish(**settings, inputs={}, resources={}) as draft:
        write_dataset(draft.folder)
    given = {"scorer": [made["encoder"].reference], "dataset": [draft.artifact.reference]}
    with pytest.raises(MismatchError, match="not of dataset/twin@1"):
        run_stage(made.context, score.STAGE, ScoreConfig(), references=given)


def test_the_projector_stage_trains_only_the_projector_and_scores_with_it(made):
    settings = {"train_rows": 40, "batch_size": 8, "eval_steps": 5, "valid_rows": 20}
    config = FuseConfig(projector="on", dtype="float32", **settings)
    model = run_stage(made.context, fuse.STAGE, config, name="projected").artifact
    assert model.summary["projector"]["kept"]
    scorer = opened(made, model)
    rows = scorer.examples.dataset.rows("test")[:12]
    with_vectors = scorer.score_rows(rows).score
    alone = [scorer.score_rows(rows[n : n + 1]).score[0] for n in range(len(rows))]
    np.testing.assert_allclose(with_vectors, alone, atol=1e-4)
    plain = opened(made, made["model"]).score_rows(rows).score
    assert np.abs(with_vectors - plain).max() > 1e-3
    with pytest.raises(ConfigError, match="projected vectors"):
        fuse.export_user(made.context, model, "u1", made.store.root / "nowhere")


def test_auto_keeps_the_projector_only_for_a_gain_beyond_its_error(made, monkeypatch):
    settings = {"train_rows": 40, "batch_size": 8, "eval_steps": 2, "valid_rows": 30}

    def trained(rate):
        config = FuseConfig(dtype="float32", lr_peak=rate, lr_final=1e-9, lr_start=0, **settings)
        model = run_stage(made.context, fuse.STAGE, config, name="auto").artifact
        assert (model.folder / "projector.safetensors").exists() == model.summary["projector"][
            "kept"
        ]
        return model.summary["projector"]

    for rate in (1e-9, 0.3):
        found = trained(rate)
        assert found["valid_auc"] - found["valid_auc_without"] == pytest.approx(
            found["valid_auc_gain"]
        )
        assert found["valid_auc_gain"] < found["gain_standard_error"]
        assert not found["kept"]
    # So few rows teach no projector that much: from here on it is as if it knew the answers.
    real = Projection.valid_with

    def all_right(projection, run):
        rows = real(projection, run)
        return dataclasses.replace(rows, score=rows.label.astype(float))

    monkeypatch.setattr(Projection, "valid_with", all_right)
    found = trained(0.2)
    assert found["valid_auc_gain"] > found["gain_standard_error"] > 0
    assert found["kept"]


@pytest.mark.parametrize(
    ("stage", "config", "of", "title"),
    [
        (
            train_experts.STAGE,
            TrainExpertsConfig(layers=2, checkpoint_steps=1, **SHORT),
            ("adapter", "groups"),
            "train expert 1",
        ),
        (
            fuse.STAGE,
            FuseConfig(projector="on", dtype="float32", checkpoint_steps=1, **PROJECTOR),
            ("experts",),
            "train projector",
        ),
    ],
    ids=["the second expert", "the projector"],
)
def test_a_stage_stopped_in_training_goes_on_to_the_same_artifact(made, stage, config, of, title):
    references = {kind: [made[kind].reference] for kind in of}

    def run(progress):
        # Forced, since the same work is done more than once.
        context = Context(store=made.store, progress=progress, force=True)
        return run_stage(context, stage, config, references=references).artifact

    straight = run(Watched())
    with pytest.raises(Killed):
        run(Watched(title, steps=3))
    goes_on = Watched()
    resumed = run(goes_on)
    # What came before is there to its end, and of the third step nothing was kept.
    assert goes_on.done.pop(title) == 2
    assert all(done > 2 for done in goes_on.done.values())
    weights = [path for path in straight.manifest.files if path.endswith(".safetensors")]
    assert weights
    for path in weights:
        assert (resumed.folder / path).read_bytes() == (straight.folder / path).read_bytes()
    first, second = (
        [{**row, "seconds": None} for row in read_rows(one.file("steps.parquet"))]
        for one in (straight, resumed)
    )
    assert first == second


def test_frozen_histories_are_those_of_a_users_first_row_and_are_shared(made):
    found = {
        frozen: run_stage(
            made.context,
            score.STAGE,
            ScoreConfig(split="test", frozen_history=frozen, dtype="float32"),
            references=made.by_model,
        ).artifact
        for frozen in (True, False)
    }
    assert found[True].name == f"{found[False].name}-frozen"
    frozen, rolling = (
        {row["row"]: row["score"] for row in read_rows(found[way].file("scores.parquet"))}
        for way in (True, False)
    )
    data = Dataset.open(made["dataset"].folder)
    test = data.rows("test")
    _, places = np.unique(data.user[test], return_index=True)
    first = test[places]
    # Rows of the same second as a user's first have its history anyway.
    at_once = [
        r
        for r in test
        if any(data.user[r] == data.user[f] and data.time[r] == data.time[f] for f in first)
    ]
    for row in at_once:
        assert frozen[row] == pytest.approx(rolling[row], abs=1e-4)
    others = [row for row in test if row not in at_once]
    assert max(abs(frozen[row] - rolling[row]) for row in others) > 1e-3
    tokens = [found[way].summary["tokens"] / len(test) for way in (True, False)]
    assert tokens[0] < 0.9 * tokens[1]


def test_train_rows_cannot_be_asked_with_frozen_histories():
    with pytest.raises(ConfigError, match="train rows without any history"):
        ScoreConfig(split="train", frozen_history=True)


def test_top_items_of_a_user_are_unseen_and_ranked(made):
    config = ScoreConfig(user="u3", top=4, candidates=6, dtype="float32")
    rows = read_rows(
        run_stage(made.context, score.STAGE, config, references=made.by_model).artifact.file(
            "scores.parquet"
        )
    )
    dataset = Dataset.open(made["dataset"].folder)
    seen = {dataset.items[i] for i in dataset.item[dataset.user == dataset.user_index("u3")]}
    assert not seen & {row["item"] for row in rows}
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)


def test_what_picked_the_candidates_is_told(made):
    config = ScoreConfig(user="u5", top=2, candidates=6, dtype="float32")
    for encoder, told in (
        (made["encoder"].reference, f"picked by {made['encoder'].reference}"),
        ("none", "the most rated items (no encoder)"),
    ):
        heard = Heard()
        references = {**made.by_model, "encoder": [encoder]}
        run_stage(
            Context(store=made.store, progress=heard), score.STAGE, config, references=references
        )
        assert f"candidates: {told}" in heard.lines


def test_the_pairs_of_a_file_are_explained_as_each_alone(made, tmp_path):
    dataset = Dataset.open(made["dataset"].folder)
    row = int(dataset.rows("test")[0])
    user, item = dataset.users[dataset.user[row]], dataset.items[dataset.item[row]]
    other = next(name for name in dataset.users if name != user)
    file = tmp_path / "pairs.csv"
    file.write_text(f"item,user\n{item},{user}\n{item},{other}\n")
    given = {"scorer": [made["adapter"].reference]}
    settings = {"max_new_tokens": 6, "dtype": "float32", "batch_size": 1}

    def explained(**asked):
        config = ExplainConfig(**settings, **asked)
        artifact = run_stage(made.context, explain.STAGE, config, references=given).artifact
        return artifact, json.loads(artifact.file("explanation.json").read_text())

    artifact, whole = explained(pairs=str(file))
    assert artifact.name == f"{made['adapter'].name}-pairs"
    assert artifact.summary["pairs"] == 2
    found = {one["user"]: one for one in whole["explanations"]}
    assert set(found) == {user, other}
    assert found[user]["row"] == int(
        np.flatnonzero((dataset.user == dataset.user[row]) & (dataset.item == dataset.item[row]))[
            -1
        ]
    )
    for name, one in found.items():
        _, alone = explained(user=name, item=item)
        same = ("item", "row", "answer", "reason", "prompt", "reference", "route")
        assert [one[key] for key in same] == [alone[key] for key in same]
        assert one["score"] == pytest.approx(alone["score"], abs=1e-4)
        moved = [[entry["influence"] for entry in told["history"]] for told in (one, alone)]
        assert moved[0] == pytest.approx(moved[1], abs=1e-4)
    file.write_text(f"item,user\n{item},nobody\n")
    with pytest.raises(UnknownUserError, match="row 1: no user 'nobody'"):
        explained(pairs=str(file))


@pytest.mark.parametrize("of", ["user", "users"])
def test_rated_items_are_asked_as_before_they_were_rated(made, tmp_path, of):
    (tmp_path / "users.csv").write_text("user\nu3\n")
    asked = {"user": {"user": "u3"}, "users": {"users": str(tmp_path / "users.csv")}}[of]
    references = {"scorer": [made["adapter"].reference]}
    config = ScoreConfig(seen=True, candidates=0, top=1000, dtype="float32", **asked)
    artifact = run_stage(made.context, score.STAGE, config, references=references).artifact
    dataset = Dataset.open(made["dataset"].folder)
    mine = np.flatnonzero(dataset.user == dataset.user_index("u3"))
    last = {dataset.items[dataset.item[row]]: int(row) for row in mine}
    found = {row["item"]: row for row in read_rows(artifact.file("scores.parquet"))}
    assert {item: row["row"] for item, row in found.items() if row["row"] is not None} == last
    scorer = opened(made, made["adapter"])
    wanted = scorer.score_rows(np.array(list(last.values()))).score
    assert [found[item]["score"] for item in last] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("scorer_of", ["model", "encoder"])
def test_top_items_of_several_users_are_those_of_each_alone(made, tmp_path, scorer_of):
    given = {"scorer": [made[scorer_of].reference]}
    file = tmp_path / "users.csv"
    file.write_text("user\nu3\nu1\nu3\n")
    settings = {"top": 4, "candidates": 6, "dtype": "float32", "block_rows": 5}

    def ranked(**changes):
        config = ScoreConfig(**settings, **changes)
        artifact = run_stage(made.context, score.STAGE, config, references=given).artifact
        return {
            (row["user"], row["item"]): (row["rank"], pytest.approx(row["score"], abs=1e-4))
            for row in read_rows(artifact.file("scores.parquet"))
        }

    both = ranked(users=str(file))
    assert both == ranked(user="u3") | ranked(user="u1")
    assert len(both) == 8


def test_users_of_a_file_that_are_not_there_are_told_with_their_row(made, tmp_path):
    file = tmp_path / "users.csv"
    file.write_text("user\nu3\nu333\n")
    config = ScoreConfig(users=str(file))
    with pytest.raises(UnknownUserError, match=r"users.csv: row 2: .*u333"):
        run_stage(made.context, score.STAGE, config, references=made.by_model)
    with pytest.raises(ConfigError, match="--user and --users exclude each other"):
        ScoreConfig(user="u3", users=str(file))


@pytest.mark.parametrize("scorer_of", ["model", "encoder"])
def test_a_path_means_itself_whatever_it_spells(made, tmp_path, scorer_of):
    """Neither a pattern of other files nor a folder that looks like a column."""
    folder = tmp_path / "user=u9"
    folder.mkdir()
    (folder / "pairs[1].csv").write_text("user,item\nu3,i1\n")
    (folder / "pairs1.csv").write_text("user,item\nu1,i2\n")
    artifact = run_stage(
        made.context,
        score.STAGE,
        ScoreConfig(pairs=str(folder / "pairs[1].csv"), dtype="float32"),
        references={"scorer": [made[scorer_of].reference]},
        name="spelled",
    ).artifact
    (row,) = read_rows(artifact.file("scores.parquet"))
    assert (row["user"], row["item"]) == ("u3", "i1")


@pytest.mark.parametrize("scorer_of", ["model", "encoder"])
@pytest.mark.parametrize("mix", ["both", "rated", "new"])
def test_pairs_of_a_file_are_asked_as_they_stood_or_as_of_now(made, tmp_path, scorer_of, mix):
    opening = opening_of(made)
    scorer, data = open_scorer(made[scorer_of], opening), opening.examples.dataset
    rated = [(int(data.user[row]), int(data.item[row])) for row in (3, 50, 90)]
    unrated = [
        (user, int(np.setdiff1d(np.arange(len(data.items)), data.item[data.user == user])[0]))
        for user in (2, 1)
    ]
    pairs = {"both": rated + unrated, "rated": rated, "new": unrated}[mix]
    file = tmp_path / "pairs.csv"
    lines = [f"{data.users[user]},{data.items[item]},7,7,7" for user, item in pairs]
    # Files made from the store's own tables have positions, too: they are columns like any other.
    file.write_text("\n".join(["user,item,user_index,item_index,row", *lines]) + "\n")
    artifact = run_stage(
        made.context,
        score.STAGE,
        ScoreConfig(pairs=str(file), dtype="float32"),
        references={"scorer": [made[scorer_of].reference]},
    ).artifact
    found = {(r["user"], r["item"]): r for r in read_rows(artifact.file("scores.parquet"))}
    assert len(found) == len(pairs)
    for user, item in pairs:
        line = found[data.users[user], data.items[item]]
        rows = np.flatnonzero((data.user == user) & (data.item == item))
        if len(rows):
            wanted = scorer.score_rows(rows[-1:])
            assert (line["row"], line["label"]) == (rows[-1], data.label[rows[-1]])
        else:
            wanted = scorer.score_pairs(np.array([user]), np.array([item]))
            assert (line["row"], line["label"]) == (None, None)
        assert line["score"] == pytest.approx(wanted.score[0], abs=1e-4)
        if scorer_of == "model":
            assert line["yes_logit"] == pytest.approx(wanted.yes[0], abs=1e-4)
            assert line["route"] == wanted.route[0]
        else:
            assert line["yes_logit"] is line["route"] is None


def test_a_killed_scoring_continues_after_its_last_block(made, tmp_path, monkeypatch):
    from core.scoring import blocks

    done = []
    real = blocks._score
    monkeypatch.setattr(
        blocks, "_score", lambda scorer, block: done.append(len(block)) or real(scorer, block)
    )
    config = ScoreConfig(split="valid", limit=40, block_rows=16, dtype="float32")

    with pytest.raises(Killed):
        run_stage(
            Context(store=made.store, progress=Watched("score valid, 40 of 60 rows", steps=32)),
            score.STAGE,
            config,
            references=made.by_model,
        )
    assert done == [16, 16]
    rows = read_rows(
        run_stage(made.context, score.STAGE, config, references=made.by_model).artifact.file(
            "scores.parquet"
        )
    )
    assert done == [16, 16, 8]
    assert len(rows) == 40


def test_explanation_holds_the_answer_the_route_and_each_items_influence(made):
    scorer = opened(made, made["model"])
    data = scorer.examples.dataset
    user = data.user_index("u4")
    item = int(np.setdiff1d(np.arange(len(data.items)), data.item[data.user == user])[0])
    config = ExplainConfig(user="u4", item=data.items[item], max_new_tokens=8, dtype="float32")
    artifact = made.run(explain.STAGE, config, references=made.by_model)
    found = json.loads(artifact.file("explanation.json").read_text())
    score_now = scorer.score_pairs(np.array([user]), np.array([item])).score[0]
    assert found["score"] == pytest.approx(score_now, abs=1e-4)
    assert found["reason"].startswith(found["answer"] + ".")
    assert found["answer"] == ("Yes" if score_now > 0 else "No")
    history = scorer.examples.histories.latest(user)
    assert [h["item"] for h in found["history"]] == [data.items[i] for i in data.item[history[-4:]]]
    # Leaving the newest item out by hand.
    kept = history[:-1]
    [without] = scorer.examples.of_history(data.item[kept], data.label[kept], [item], 3, user=user)
    # The row before the last ten does not move into their count.
    recent = data.label[kept[-9:]]
    evidence = dataclasses.replace(
        without.evidence,
        recent_likes=np.array([recent.sum()]),
        recent_seen=np.array([len(recent)]),
    )
    without = dataclasses.replace(without, evidence=evidence)
    expected = score_now - scorer.score_examples([without]).score[0]
    assert found["history"][-1]["influence"] == pytest.approx(expected, abs=1e-4)
    assert len(found["token_ids"]) == found["prompt_token_count"]


@pytest.mark.parametrize(
    ("room", "settings", "numbers"),
    [
        (True, {}, "float32"),
        (True, {"influence": False}, "auto"),
        (True, {"dtype": "bfloat16"}, "bfloat16"),
        (False, {}, "auto"),
        (False, {"dtype": "float32"}, "float32"),
    ],
)
def test_influences_are_differences_of_float32_where_it_has_room(
    made, monkeypatch, room, settings, numbers
):
    opened_with = []

    def opening_is_enough(artifact, opening):
        opened_with.append(opening.dtype)
        raise Killed

    monkeypatch.setattr(scorers, "open_language_scorer", opening_is_enough)
    monkeypatch.setattr("core.llm.load.float32_has_room", lambda *_: room)
    config = ExplainConfig(user="u1", item="i1", **settings)
    with pytest.raises(Killed):
        run_stage(made.context, explain.STAGE, config, references=made.by_model)
    assert opened_with == [numbers]


def _adapter_that_shows_keywords(made):
    data = {"dataset": [made["dataset"].reference]}
    words = run_stage(made.context, augment.STAGE, AugmentConfig(), references=data, name="home")
    config = TrainGlobalConfig(base=made.base, history_length=4, max_steps=1, **SHORT)
    given = {**data, "keywords": [words.artifact.reference]}
    return run_stage(
        made.context, train_global.STAGE, config, references=given, name="shows"
    ).artifact


def test_an_explanation_says_with_what_another_data_set_was_asked(made):
    later, adapter = _publish_later_state(made), _adapter_that_shows_keywords(made)
    words = run_stage(
        made.context, augment.STAGE, AugmentConfig(), references={"dataset": [later.reference]}
    ).artifact
    facts = {"dataset": later.reference, "keywords": words.reference, "same_users": True}
    given = {"dataset": [later.reference], "keywords": [words.reference]}
    config = ExplainConfig(
        user="u1", item="i1", max_new_tokens=1, influence=False, dtype="float32", same_users=True
    )

    def asked(**references):
        references |= {"scorer": [adapter.reference]}
        found = run_stage(made.context, explain.STAGE, config, references=references).artifact
        content = json.loads(found.file("explanation.json").read_text())
        return {name: content[name] for name in facts if name in content}

    assert asked(**given) == facts
    assert asked() == {}


def test_a_pair_of_the_data_is_explained_as_it_stood_before(made):
    data = Dataset.open(made["dataset"].folder)
    row = int(data.rows("test")[-1])
    user, item = data.users[data.user[row]], data.items[data.item[row]]
    config = ExplainConfig(user=user, item=item, max_new_tokens=2, influence=False, dtype="float32")
    artifact = run_stage(made.context, explain.STAGE, config, references=made.by_model).artifact
    found = json.loads(artifact.file("explanation.json").read_text())
    before = Examples(data).histories.before(row, 4)
    assert found["row"] == row
    assert [h["item"] for h in found["history"]] == [data.items[i] for i in data.item[before]]


def _questions(made, scorer, count):
    from core.explaining.explain import Question

    data = scorer.examples.dataset
    rows = data.rows("test")[:count]
    examples = scorer.examples.of_rows(rows, 4)
    return [
        Question(example=example, full=example, user=data.users[example.user], row=int(row))
        for row, example in zip(rows, examples, strict=True)
    ]


@pytest.mark.parametrize("kind", ["model", "adapter"])
def test_reasons_written_together_are_those_written_one_by_one(made, kind):
    from core.explaining.explain import Manner, explain

    scorer = opened(made, made[kind])
    questions = _questions(made, scorer, 13)
    lengths = {len(scorer.builder.build(q.example).ids) for q in questions}
    assert len(lengths) > 3  # so that batches are padded
    alone, together = (
        dict(explain(scorer, questions, Manner(max_new_tokens=12, influence=False, batch_size=n)))
        for n in (1, 5)
    )
    assert [together[n]["reason"] for n in range(13)] == [alone[n]["reason"] for n in range(13)]
    assert [together[n]["row"] for n in range(13)] == [q.row for q in questions]
    assert len({one["reason"] for one in alone.values()}) > 3


def test_what_goes_on_after_a_kill_has_the_batch_mates_it_had(made, monkeypatch):
    from core.explaining import explain as explaining

    scorer = opened(made, made["model"])
    questions = _questions(made, scorer, 13)
    manner = explaining.Manner(max_new_tokens=2, influence=False, batch_size=5)
    batches = []
    real = explaining.generate_reasons

    def seen(speaker, prompts, *rest, **more):
        batches.append([prompt.ids for prompt in prompts])
        return real(speaker, prompts, *rest, **more)

    monkeypatch.setattr(explaining, "generate_reasons", seen)
    whole = [place for place, _ in explaining.explain(scorer, questions, manner)]
    first, *others = batches
    batches.clear()
    # One batch is done, and of the next one a part.
    later = [p for p, _ in explaining.explain(scorer, questions, manner, done=whole[:7])]
    assert later == whole[7:]
    assert batches == others
    assert first not in batches


def test_a_reason_is_what_the_users_exported_adapter_goes_on_with(made, tmp_path):
    from core.explaining.explain import Manner, explain
    from core.explaining.generate import REPETITION_PENALTY

    scorer = opened(made, made["model"])
    questions = _questions(made, scorer, 40)
    chosen = {scorer.routing.route[q.example.user]: q for q in questions}
    assert {"concentrated", "fused"} <= set(chosen)
    manner = Manner(max_new_tokens=6, influence=False, batch_size=8)
    found = dict(explain(scorer, list(chosen.values()), manner))
    for place, (route, question) in enumerate(chosen.items()):
        folder = fuse.export_user(made.context, made["model"], question.user, tmp_path / route)
        peft = PeftModel.from_pretrained(open_tiny(made.base), folder).eval()
        builder = scorer.builder
        label = int(found[place]["answer"] == "Yes")
        start = [*found[place]["token_ids"], *builder.answer(label), *builder.full_stop]
        embedded = peft.get_input_embeddings()(torch.tensor([start]))
        out = peft.generate(
            inputs_embeds=embedded,
            attention_mask=torch.ones(1, len(start)),
            max_new_tokens=6,
            do_sample=False,
            repetition_penalty=REPETITION_PENALTY,
        )
        said = " ".join(builder.tokenizer.decode(out[0], skip_special_tokens=True).split())
        reason = found[place]["reason"].removeprefix(found[place]["answer"] + ".").strip()
        reason = reason.removesuffix("…")  # of what the limit ended without a whole sentence
        assert reason
        assert said.startswith(reason)


def _publish_traces(made, rows, split="test"):
    from core.data.tables import write_table

    data = Dataset.open(made["dataset"].folder)
    types = KINDS["traces"].payload("traces.parquet").columns
    columns = {
        "row": rows,
        "user": [data.users[u] for u in data.user[rows]],
        "item": [data.items[i] for i in data.item[rows]],
        "split": [split] * len(rows),
        "label": data.label[rows],
        "reason": [f"Reason {row}." for row in rows],
        "teacher": ["t"] * len(rows),
        "tries": [1] * len(rows),
        "status": ["ok"] * len(rows),
    }
    inputs = {"dataset": [made["dataset"].object_id]}
    key = made.store.key(kind="traces", parameters={}, inputs=inputs, resources={})
    settings = {"kind": "traces", "name": "held", "key": key, "parameters": {}, "resources": {}}
    with made.store.publish(**settings, inputs=inputs) as draft:
        write_table(draft.folder / "traces.parquet", columns, types)
    return draft.artifact


def test_held_out_rows_are_explained_at_once_beside_the_teachers_reasons(made, monkeypatch):
    from core.explaining import explain as explaining

    rows = Dataset.open(made["dataset"].folder).rows("test")[:11]
    traces = _publish_traces(made, rows)
    batches = []
    real = explaining.generate_reasons

    def killed_in_the_third(speaker, prompts, *rest, **more):
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(len(prompts))
        return real(speaker, prompts, *rest, **more)

    settings = {"max_new_tokens": 4, "batch_size": 4, "dtype": "float32"}
    config = ExplainConfig(sample=100, **settings)
    monkeypatch.setattr(explaining, "generate_reasons", killed_in_the_third)
    # A model trained without reasons is asked about the rows of the latest traces.
    with pytest.raises(KeyboardInterrupt):
        run_stage(made.context, explain.STAGE, config, references=made.by_model)
    asked = []

    def counted(speaker, prompts, *rest, **more):
        asked.append(len(prompts))
        return real(speaker, prompts, *rest, **more)

    monkeypatch.setattr(explaining, "generate_reasons", counted)
    artifact = run_stage(made.context, explain.STAGE, config, references=made.by_model).artifact
    assert (batches, asked) == ([4, 4], [3])
    found = read_rows(artifact.file("explanations.parquet"))
    assert [row["row"] for row in found] == rows.tolist()
    assert [row["reference"] for row in found] == [f"Reason {row}." for row in rows]
    scores = opened(made, made["model"]).score_rows(rows).score
    np.testing.assert_allclose([row["score"] for row in found], scores, atol=1e-4)
    assert artifact.manifest.inputs["traces"] == [traces.object_id]
    assert artifact.summary["pairs"] == 11
    assert {row["influence"] for row in read_rows(artifact.file("influences.parquet"))} == {None}


def test_blocks_of_another_size_are_not_joined(made, tmp_path):
    from core.data.tables import read_table
    from core.progress import Silent
    from core.scoring.blocks import join_blocks, score_blocks
    from core.scoring.questions import of_split
    from core.stages.kinds import SCORES

    scorer = opened(made, made["adapter"])
    data = scorer.examples.dataset
    asked = of_split(ScoreConfig(split="valid", limit=20), data)
    for size in (8, 5):
        blocks, _ = score_blocks(scorer, asked, data, size, tmp_path, Silent())
    columns = SCORES.payload("scores.parquet").columns
    assert join_blocks(blocks, tmp_path / "out.parquet", columns, top=None) == (20, 20)
    assert len(set(read_table(tmp_path / "out.parquet", ["row"])["row"].tolist())) == 20


def test_blocks_of_another_number_format_are_not_joined(made, tmp_path):
    from core.progress import Silent
    from core.scoring.blocks import score_blocks
    from core.scoring.questions import of_split

    scorer = opened(made, made["adapter"])
    asked = of_split(ScoreConfig(split="valid", limit=20), scorer.examples.dataset)
    first, now = score_blocks(scorer, asked, scorer.examples.dataset, 8, tmp_path, Silent())
    assert (now, scorer.number_format) == (20, "float32")
    scorer.scorer.decoder.model.to(torch.bfloat16)
    second, now = score_blocks(scorer, asked, scorer.examples.dataset, 8, tmp_path, Silent())
    assert (now, scorer.number_format) == (20, "bfloat16")
    assert not set(first) & set(second)


def test_a_split_without_rows_is_told_before_anything_is_scored(made):
    from core.scoring.questions import of_split

    data = opened(made, made["adapter"]).examples.dataset
    without = dataclasses.replace(data, split=np.zeros_like(data.split))
    with pytest.raises(EmptySplitError, match="no valid rows"):
        of_split(ScoreConfig(split="valid"), without)


def test_keywords_that_would_not_be_shown_are_refused(made):
    later, plain, shows = (
        _publish_later_state(made), made["adapter"], _adapter_that_shows_keywords(made),
    )  # fmt: skip
    few = run_stage(
        made.context,
        augment.STAGE,
        AugmentConfig(limit=2),
        references={"dataset": [made["dataset"].reference]},
        name="few",
    ).artifact
    for scorer, dataset, problem in (
        (plain, made["dataset"], "was trained without keywords"),
        (plain, later, "was trained without keywords"),
        (shows, later, "keywords of other items"),
        (shows, made["dataset"], "was trained with keywords/home@1, not with"),
    ):
        opening = dataclasses.replace(opening_of(made), dataset=dataset, keywords=few)
        with pytest.raises(MismatchError, match=problem):
            open_scorer(scorer, opening)


def test_users_of_another_data_set_are_strangers(made, tmp_path):
    key = made.store.key(kind="dataset", parameters={"other": 1}, inputs={}, resources={})
    settings = {"kind": "dataset", "name": "other", "key": key, "parameters": {}}
    with made.store.publish(**settings, inputs={}, resources={}) as draft:
        write_dataset(draft.folder, users=25, items=40, rows=300, seed=9)
    config = ScoreConfig(split="test", limit=10, dtype="float32")
    references = {**made.by_model, "dataset": [draft.artifact.reference]}
    rows = read_rows(
        run_stage(made.context, score.STAGE, config, references=references).artifact.file(
            "scores.parquet"
        )
    )
    assert {row["route"] for row in rows} == {"cold"}
    # What the scorer was made from is of its own data set: no encoder picks candidates, no reasons are compared with.
    config = ScoreConfig(user="u1", candidates=5, top=5, dtype="float32")
    assert (
        plan_stage(made.context, score.STAGE, config, references=references).inputs["encoder"] == []
    )
    config = ExplainConfig(sample=3, dtype="float32")
    with pytest.raises(ConfigError, match="there are none"):
        run_stage(made.context, explain.STAGE, config, references=references)
    traces = _publish_traces(made, Dataset.open(made["dataset"].folder).rows("test")[:3])
    references["traces"] = [traces.reference]
    with pytest.raises(MismatchError, match="different data sets"):
        run_stage(made.context, explain.STAGE, config, references=references)
    with pytest.raises(MismatchError, match="different data sets"):
        run_stage(
            made.context,
            train_experts.STAGE,
            TrainExpertsConfig(**SHORT),
            references={
                "dataset": [draft.artifact.reference],
                "groups": [made["groups"].reference],
                "adapter": [made["adapter"].reference],
            },
        )


def _publish_later_state(made):
    """Publish the data set with one more user, item and test row, and all positions others."""
    home, facts = made["dataset"].folder, {"kind": "dataset", "name": "later"}
    key = made.store.key(kind="dataset", parameters={"later": 1}, inputs={}, resources={})
    with made.store.publish(**facts, key=key, parameters={}, inputs={}, resources={}) as draft:
        shutil.copytree(home, draft.folder, dirs_exist_ok=True)
        (draft.folder / "manifest.json").unlink(missing_ok=True)
        places = {}
        for what in ("user", "item"):
            columns = DATASET.payload(f"{what}s.parquet").columns
            rows = read_rows(home / f"{what}s.parquet")
            new = {**rows[0], what: f"{what}-new", "train_rows": 0, "rows": 1}
            rows = [new, *reversed(rows)]
            places[what] = {row[what]: at for at, row in enumerate(rows)}
            rows = [{**row, f"{what}_index": at} for at, row in enumerate(rows)]
            table = {name: [row[name] for row in rows] for name in columns}
            path = draft.folder / f"{what}s.parquet"
            path.unlink()
            write_table(path, table, columns)
        rows = read_rows(home / "interactions.parquet")
        last = {"user": "user-new", "item": "item-new", "row": len(rows), "split": "test"}
        rows.append({**rows[-1], **last, "warm": False})
        for row in rows:
            row["user_index"] = places["user"][row["user"]]
            row["item_index"] = places["item"][row["item"]]
        columns = DATASET.payload("interactions.parquet").columns
        path = draft.folder / "interactions.parquet"
        path.unlink()
        write_table(path, {name: [row[name] for row in rows] for name in columns}, columns)
    return draft.artifact


@pytest.mark.parametrize("kind", ["experts", "projector", "prior"])
def test_a_later_state_of_the_data_has_the_same_users_where_that_is_said(made, kind):
    if kind == "experts":
        scorer = made["model"]
    elif kind == "projector":
        config = FuseConfig(projector="on", dtype="float32", **PROJECTOR)
        scorer = run_stage(made.context, fuse.STAGE, config, name="projected").artifact
    else:
        bias = bias_encoder(made)
        config = TrainGlobalConfig(base=made.base, history_length=4, max_steps=1, **SHORT)
        given = {"prior": [bias.reference]}
        scorer = run_stage(
            made.context, train_global.STAGE, config, references=given, name="told"
        ).artifact
    later = _publish_later_state(made)
    asked = {"scorer": [scorer.reference]}

    def scores(references, **changes):
        config = ScoreConfig(split="test", dtype="float32", **changes)
        found = run_stage(made.context, score.STAGE, config, references=references).artifact
        return {
            row["row"]: (row["route"], row["score"])
            for row in read_rows(found.file("scores.parquet"))
        }

    home = scores(asked)
    there = scores({**asked, "dataset": [later.reference]}, same_users=True)
    new = there.pop(max(there))
    assert there.keys() == home.keys()
    for row, (route, value) in home.items():
        assert there[row] == (route, pytest.approx(value, abs=1e-4)), row
    assert new[0] == (None if kind == "prior" else "cold")
    if kind == "projector":
        with pytest.raises(MismatchError, match="vectors of its own data set") as caught:
            scores({**asked, "dataset": [later.reference]})
        assert "--same-users" in caught.value.hint
    else:
        strangers = scores({**asked, "dataset": [later.reference]})
        assert any(abs(strangers[row][1] - value) > 1e-3 for row, (_, value) in home.items())


def test_a_file_that_changes_between_its_digest_and_its_reading_is_not_taken_for_what_it_was(
    made, tmp_path, monkeypatch
):
    pairs = tmp_path / "pairs.csv"
    reading = Dataset.open

    def written_to_meanwhile(folder):
        pairs.write_text("user,item\nu1,i1\nu2,i2\n")
        return reading(folder)

    monkeypatch.setattr(Dataset, "open", written_to_meanwhile)
    for stage, config, scorer in (
        (score.STAGE, ScoreConfig(pairs=str(pairs)), "encoder"),
        (explain.STAGE, ExplainConfig(pairs=str(pairs), dtype="float32"), "model"),
    ):
        pairs.write_text("user,item\nu1,i1\n")
        given = {"scorer": [made[scorer].reference]}
        with pytest.raises(MismatchError, match=r"pairs\.csv has changed while it was read"):
            run_stage(made.context, stage, config, references=given)


def test_items_are_ranked_for_somebody_who_is_not_in_the_data(made, tmp_path):
    history = tmp_path / "mine.csv"
    history.write_text("item,label\ni1,yes\ni2,no\n")
    config = ScoreConfig(history=str(history), top=3, candidates=8, dtype="float32")
    artifact = run_stage(
        made.context, score.STAGE, config, references={"scorer": [made["model"].reference]}
    ).artifact
    assert artifact.name == f"{made['model'].name}-history"
    found = read_rows(artifact.file("scores.parquet"))
    data = Dataset.open(made["dataset"].folder)
    rated = np.bincount(data.item, minlength=len(data.items))
    rated[[data.item_index("i1"), data.item_index("i2")]] = -1
    best = {data.items[i] for i in np.argsort(-rated, kind="stable")[:8]}
    assert [(row["user"], row["route"], row["rank"]) for row in found] == [
        (None, "cold", rank) for rank in (1, 2, 3)
    ]
    assert {row["item"] for row in found} < best
    one = ExplainConfig(
        history=str(history),
        item=found[0]["item"],
        max_new_tokens=1,
        influence=False,
        dtype="float32",
    )
    told = run_stage(
        made.context, explain.STAGE, one, references={"scorer": [made["model"].reference]}
    ).artifact
    content = json.loads(told.file("explanation.json").read_text())
    assert content["score"] == pytest.approx(found[0]["score"], abs=1e-4)
    with pytest.raises(ConfigError, match="knows no user who is not in the data"):
        run_stage(
            made.context, score.STAGE, config, references={"scorer": [made["encoder"].reference]}
        )


def test_a_history_from_a_file_goes_to_the_global_adapter(made, tmp_path):
    history = tmp_path / "mine.csv"
    history.write_text("item,label\ni1,yes\ni2,no\n")
    config = ExplainConfig(history=str(history), item="i9", max_new_tokens=4, dtype="float32")
    found = json.loads(
        run_stage(made.context, explain.STAGE, config, references=made.by_model)
        .artifact.file("explanation.json")
        .read_text()
    )
    assert found["route"] == "cold"
    assert [(h["item"], h["label"]) for h in found["history"]] == [("i1", 1), ("i2", 0)]


def test_unknown_ids_are_refused_with_the_nearest(made):
    with pytest.raises(UnknownUserError) as user:
        run_stage(made.context, explain.STAGE, ExplainConfig(user="u99", item="i1"))
    assert "u9" in user.value.hint
    with pytest.raises(UnknownItemError):
        run_stage(made.context, explain.STAGE, ExplainConfig(user="u1", item="nothing"))


def test_another_base_model_than_trained_on_is_refused(made, tmp_path):
    from core.stages.language import Contract

    contract = Contract.read(made["adapter"].file("contract.json"))
    other = dataclasses.replace(contract, base_digest="0" * 64)
    with pytest.raises(MismatchError, match="not the one"):
        other.open_base("float32", "cpu", made.context.progress)


def test_the_same_work_is_a_hit_and_other_settings_are_not(made):
    config = FuseConfig(projector="off", tau=0.8, averaged_share=0.999, dtype="float32")
    # Without naming inputs the latest experts are taken, and the test above made newer ones.
    references = {"experts": [made["experts"].reference]}
    again = run_stage(made.context, fuse.STAGE, config, references=references)
    assert (again.hit, again.artifact.object_id) == (True, made["model"].object_id)
    other = run_stage(
        made.context, fuse.STAGE, dataclasses.replace(config, tau=0.7), references=references
    )
    assert not other.hit


def test_a_prior_is_told_by_its_bias_encoder_wherever_the_adapter_asks(made):
    bias = bias_encoder(made)
    config = TrainGlobalConfig(base=made.base, history_length=2, max_steps=2, **SHORT)
    references = {"prior": [bias.reference]}
    adapter = run_stage(
        made.context, train_global.STAGE, config, references=references, name="primed"
    ).artifact
    scorer = opened(made, adapter)
    examples, dataset = scorer.examples, scorer.examples.dataset
    assert examples.prior is not None
    rows = dataset.rows("test")[:3]
    logits = examples.prior.score_rows(rows)
    for example, logit in zip(examples.of_rows(rows, 2), logits, strict=True):
        text = scorer.builder.decode(scorer.builder.build(example).ids)
        chance = round(100 / (1 + np.exp(-logit)))
        assert "\nBy counts alone a Yes is " in text
        assert f"likely ({chance}%)." in text or f"open ({chance}%)." in text
    config = ExplainConfig(user="u4", item="i7", max_new_tokens=2, dtype="float32")
    artifact = run_stage(
        made.context, explain.STAGE, config, references={"scorer": [adapter.reference]}
    ).artifact
    evidence = json.loads(artifact.file("explanation.json").read_text())["evidence"]
    assert evidence[-1].startswith("By counts alone a Yes is ")


def test_a_prior_that_saw_the_labels_is_refused(made):
    config = TrainGlobalConfig(base=made.base, max_steps=1, **SHORT)
    mf = next(a for a in made.store.artifacts("encoder") if a.name == "mf")
    with pytest.raises(MismatchError, match="type mf"):
        run_stage(made.context, train_global.STAGE, config, references={"prior": [mf.reference]})
