"""Which settings belong to a key: those that change the result, each in one spelling."""

import os
from pathlib import Path

import pytest

from core.config.augment import AugmentConfig
from core.config.cluster import ClusterConfig
from core.config.encode import EncodeConfig
from core.config.eval import EvalConfig
from core.config.explain import ExplainConfig
from core.config.fuse import FuseConfig
from core.config.ingest import IngestConfig, seconds
from core.config.score import ScoreConfig
from core.config.synthesize import SynthesizeConfig
from core.config.toml import read_toml
from core.config.training import TrainGlobalConfig
from core.errors import ConfigError

OPENAI = {"teacher": "openai", "model": "m"}
PAIR = {"user": "1", "item": "2"}


@pytest.mark.parametrize(
    ("config", "plain", "without_effect"),
    [
        (ScoreConfig, {}, {"top": 5}),
        (ScoreConfig, {}, {"candidates": 50}),
        (ScoreConfig, {}, {"seen": True}),
        (ScoreConfig, {}, {"sample_seed": 3}),
        (ScoreConfig, {"user": "1"}, {"split": "valid"}),
        (ScoreConfig, {"user": "1"}, {"frozen_history": True}),
        (ScoreConfig, {"user": "1"}, {"sample_users": 3, "sample_seed": 4}),
        (ScoreConfig, {"pairs": "a.csv"}, {"pairs": "./a.csv", "split": "valid", "top": 3}),
        (ClusterConfig, {"k": 2}, {"k_max": 9}),
        (FuseConfig, {"projector": "off"}, {"train_rows": 9, "lr_peak": 0.1, "seed": 3}),
        (FuseConfig, {"projector": "off"}, {"dtype": "float32"}),
        (AugmentConfig, {}, {"seed": 3, "max_tokens": 9, "temperature": 1.0, "batch_size": 2}),
        (AugmentConfig, {"model": "openai:m"}, {"seed": 3, "batch_size": 2}),
        (AugmentConfig, {"model": "m"}, {"seed": 3}),  # greedy
        (SynthesizeConfig, {}, {"max_tries": 2, "reason_words": 9, "temperature": 0.5}),
        (SynthesizeConfig, OPENAI, {"batch_size": 2, "answer_first": False}),
        (EvalConfig, {"k": (5, 10)}, {"k": (10, 5, 10)}),
        (ExplainConfig, {"sample": 9}, {"influence": False}),
        (ExplainConfig, PAIR, {"sample_seed": 3}),
        (ExplainConfig, {"history": "a", "item": "2"}, {"history": "./a"}),
    ],
)
def test_a_setting_without_effect_does_not_change_the_key(config, plain, without_effect):
    assert config(**plain).parameters() == config(**{**plain, **without_effect}).parameters()


@pytest.mark.parametrize(
    ("config", "plain", "other"),
    [
        (ScoreConfig, {}, {"split": "valid"}),
        (ScoreConfig, {}, {"limit": 9}),
        (ScoreConfig, {}, {"frozen_history": True}),
        (ScoreConfig, {"limit": 9}, {"sample_seed": 3}),
        (ScoreConfig, {"sample_users": 9}, {"sample_seed": 3}),
        (ScoreConfig, {"user": "1"}, {"top": 5}),
        (ScoreConfig, {"user": "1"}, {"seen": True}),
        (ScoreConfig, {"history": "a.csv"}, {"same_users": True}),
        (ClusterConfig, {}, {"k_max": 9}),
        (FuseConfig, {}, {"lr_peak": 0.1}),
        (FuseConfig, {}, {"dtype": "float32"}),
        (AugmentConfig, {"model": "m", "temperature": 1.0}, {"seed": 3}),
        (AugmentConfig, {"model": "openai:m"}, {"temperature": 1.0}),
        (SynthesizeConfig, {}, {"seed": 3}),
        (SynthesizeConfig, {}, {"show_counts": False}),
        (SynthesizeConfig, {"teacher": "local"}, {"batch_size": 2}),
        (SynthesizeConfig, OPENAI, {"max_tries": 2}),
        (FuseConfig, {"projector": "off"}, {"tau": 0.3}),
        (ExplainConfig, {"sample": 9}, {"sample_seed": 3}),
        (ExplainConfig, PAIR, {"influence": False}),
        (ExplainConfig, PAIR, {"grounded": False}),
    ],
)
def test_a_setting_with_an_effect_changes_it(config, plain, other):
    assert config(**plain).parameters() != config(**{**plain, **other}).parameters()


@pytest.mark.parametrize(
    ("config", "before"),
    [
        (ScoreConfig(), {"frozen_history": False}),
        (ExplainConfig(**PAIR, grounded=False), {"grounded": False}),
        (SynthesizeConfig(), {"show_counts": True}),
    ],
)
def test_what_was_made_before_a_setting_was_one_is_found(config, before):
    assert not before.keys() & config.parameters().keys()
    assert before.keys() <= set(config.implied())


def test_an_endpoint_could_always_be_told_no_counts():
    assert SynthesizeConfig(**OPENAI).parameters()["show_counts"] is True


def test_a_folder_has_one_spelling(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    spelled = ["model", "./model", f"{tmp_path}/model", f"../{tmp_path.name}/model/"]
    keys = [TrainGlobalConfig(base=word).parameters()["base"] for word in spelled]
    assert set(keys) == {os.path.realpath("model")}
    assert AugmentConfig(model="./model").parameters()["model"] == keys[0]
    assert TrainGlobalConfig(base="smollm2-135m-instruct").parameters()["base"] == (
        "smollm2-135m-instruct"
    )
    assert TrainGlobalConfig(base="~nobody-of-this-name/x").parameters()["base"].startswith("~")


@pytest.mark.parametrize("config", [ClusterConfig, EncodeConfig, TrainGlobalConfig, FuseConfig])
def test_a_seed_beyond_what_libraries_take_is_refused(config):
    assert config(seed=2**32 - 1).seed == 2**32 - 1
    with pytest.raises(ConfigError, match="seed = 4294967296 is above 4294967295"):
        config(seed=2**32)


def test_more_threads_than_a_machine_has_are_refused():
    with pytest.raises(ConfigError, match="threads = 100000 is above 1024"):
        IngestConfig(path="x", threads=100_000)


def test_a_list_of_one_is_given_by_its_entry():
    assert EvalConfig.from_mapping({"k": 10}, where="step") == EvalConfig(k=(10,))
    with pytest.raises(ConfigError, match="step: k = True is not a whole number"):
        EvalConfig.from_mapping({"k": True}, where="step")


@pytest.mark.parametrize("name", ["user", "users", "history", "pairs", "given"])
def test_an_empty_text_is_refused_and_not_taken_for_nothing_said(name):
    with pytest.raises(ConfigError, match=f"{name} is an empty text"):
        ScoreConfig(**{name: ""})
    assert IngestConfig(source="table", interactions="x", quote="").quote == ""  # which means none


@pytest.mark.parametrize("value", ["1" + "0" * 400, "1" + "0" * 19])
def test_a_number_that_no_library_holds_is_refused(value: str) -> None:
    for name, config in (("threshold", IngestConfig), ("min_user_rows", IngestConfig)):
        given = {"source": "ml-100k", name: int(value)}
        with pytest.raises(ConfigError, match="more than 18 digits"):
            config.from_mapping(given, where="step.data")


@pytest.mark.parametrize("text", ["a = " + "1" * 5000, "a = " + "[" * 5000 + "]" * 5000])
def test_a_file_that_python_has_no_room_for_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"too (long|deep)"):
        read_toml(path, what="recipe", missing="", broken=ConfigError)


def test_dates_at_the_ends_of_the_calendar_are_refused() -> None:
    for date in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"):
        with pytest.raises(ConfigError, match="outside the years"):
            seconds(date)
