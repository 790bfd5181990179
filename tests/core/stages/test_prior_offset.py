"""A model that corrects the chance by counts: its log odds are part of the logit of Yes wherever the model is asked."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from peft import PeftModel

from core.config.explain import ExplainConfig
from core.config.fuse import FuseConfig
from core.config.score import ScoreConfig
from core.config.training import LossConfig, TrainExpertsConfig, TrainGlobalConfig
from core.data.tables import read_rows
from core.errors import ConfigError, MismatchError
from core.stages import explain, fuse, score, train_experts, train_global
from core.stages.base import run_stage
from core.stages.scorers import open_language_scorer
from core.training.instances import reasoning_instances, recommendation_instances
from core.training.language import LanguageLoss
from tests.conftest import Heard
from tests.core.llm.adapters import open_tiny
from tests.core.llm.tiny import tiny_folder  # noqa: F401
from tests.core.stages.making import (
    PROJECTOR,
    SHORT,
    bias_encoder,
    grouped,
    opened,
    opening_of,
)


@pytest.fixture(scope="module")
def made(tiny_folder, tmp_path_factory):  # noqa: F811
    made = grouped(tmp_path_factory.mktemp("store"), tiny_folder)
    made.artifacts["bias"] = bias_encoder(made)
    made.run(
        train_global.STAGE,
        TrainGlobalConfig(
            base=made.base,
            history_length=4,
            prior_offset=True,
            lr_peak=2e-2,
            lr_final=1e-2,
            **SHORT,
        ),
        references={"prior": [made["bias"].reference]},
    )
    return made


def _without(prompts):
    return [dataclasses.replace(prompt, offset=0.0) for prompt in prompts]


def test_the_log_odds_of_the_counts_are_in_the_logit_of_yes_alone(made):
    scorer = opened(made, made["adapter"])
    rows = scorer.examples.dataset.rows("test")[:8]
    prior = scorer.examples.prior.score_rows(rows)
    prompts = [scorer.builder.build(example) for example in scorer.examples.of_rows(rows, 4)]
    bare = scorer.scorer.score(_without(prompts))
    found = scorer.score_rows(rows)
    assert np.abs(prior).max() > 0.1
    np.testing.assert_allclose(found.yes, bare.yes + prior, atol=1e-4)
    np.testing.assert_allclose(found.no, bare.no, atol=1e-4)
    np.testing.assert_allclose(found.score, bare.yes + prior - bare.no, atol=1e-4)


@pytest.mark.parametrize("relevance", ["margin", "yes"])
def test_both_losses_see_the_logit_of_yes_as_scoring_has_it(made, relevance):
    scorer = opened(made, made["adapter"])
    rows = scorer.examples.dataset.rows("train")[:6]
    instances = recommendation_instances(scorer.examples, scorer.builder, rows[:3])
    reasons = {int(row): "They liked it." for row in rows[3:]}
    instances += reasoning_instances(scorer.examples, scorer.builder, reasons)
    loss = LanguageLoss(
        decoder=scorer.scorer.decoder,
        instances=instances,
        answers=scorer.builder.answers,
        config=LossConfig(relevance=relevance),
    )
    scores = scorer.score_rows(rows)
    margin = scores.yes if relevance == "yes" else scores.yes - scores.no
    for place, (one, told) in enumerate(zip(instances, margin, strict=True)):
        assert one.offset != 0
        with torch.no_grad():
            found, _ = loss(np.array([place]))
            hidden = scorer.scorer.embed_prompt(one.ids.tolist(), one.slots)
            logits = scorer.scorer.decoder.model(inputs_embeds=hidden[None]).logits[0].double()
        wanted = math.log1p(math.exp(-told if one.label else told))
        assert float(found.rec) == pytest.approx(wanted, abs=1e-4)
        at_answer = logits[len(logits) - len(one.answer) :]
        at_answer[0, scorer.builder.answers.yes] += one.offset
        chances = at_answer.log_softmax(1)[range(len(one.answer)), one.answer]
        assert float(found.think) == pytest.approx(-float(chances.mean()), abs=1e-4)


def test_experts_and_fused_models_correct_the_same_counts(made, tmp_path):
    experts = made.run(
        train_experts.STAGE, TrainExpertsConfig(layers=2, lr_peak=2e-2, lr_final=1e-2, **SHORT)
    )
    given = {"experts": [experts.reference]}
    config = FuseConfig(projector="on", dtype="float32", **PROJECTOR)
    model = run_stage(made.context, fuse.STAGE, config, references=given).artifact
    scorer = opened(made, model)
    rows = scorer.examples.dataset.rows("test")[:8]
    examples = scorer.examples.of_rows(rows, 4)
    prompts = [scorer.builder.build(example) for example in examples]
    bare = scorer.scorer.score(_without(prompts), scorer.columns([e.user for e in examples]))
    prior = scorer.examples.prior.score_rows(rows)
    np.testing.assert_allclose(scorer.score_rows(rows).yes, bare.yes + prior, atol=1e-4)

    plain = run_stage(
        made.context, fuse.STAGE, FuseConfig(projector="off", dtype="float32"), references=given
    ).artifact
    heard = Heard()
    context = dataclasses.replace(made.context, progress=heard)
    folder = fuse.export_user(context, plain, "u4", tmp_path / "exported")
    assert any("scores of encoder/bias@1" in line for line in heard.lines)
    assert json.loads((folder / "contract.json").read_text())["prompt"]["prior_offset"] is True
    fused = opened(made, plain)
    dataset = fused.examples.dataset
    row = dataset.rows("test")[dataset.user[dataset.rows("test")] == dataset.user_index("u4")][:1]
    (prompt,) = [fused.builder.build(example) for example in fused.examples.of_rows(row, 4)]
    peft = PeftModel.from_pretrained(open_tiny(made.base), folder).eval()
    with torch.inference_mode():
        logits = peft(torch.tensor([prompt.ids])).logits[0, -1]
    offset = json.loads((folder / "contract.json").read_text())["yes_offset"] + prompt.offset
    yes = float(logits[fused.builder.answers.yes]) + offset
    assert fused.score_rows(row).yes[0] == pytest.approx(yes, abs=1e-4)


@pytest.mark.parametrize("item", ["i7", "i1"])
def test_an_explanation_answers_by_the_same_score(made, item):
    asked = {"scorer": [made["adapter"].reference]}
    config = ExplainConfig(user="u4", item=item, max_new_tokens=2, dtype="float32")
    told = run_stage(made.context, explain.STAGE, config, references=asked).artifact
    content = json.loads(told.file("explanation.json").read_text())
    scorer = opened(made, made["adapter"])
    data = scorer.examples.dataset
    if content["row"] is None:
        pair = np.array([data.user_index("u4")]), np.array([data.item_index(item)])
        scored = scorer.score_pairs(*pair)
    else:
        scored = scorer.score_rows(np.array([content["row"]]))
    assert content["score"] == pytest.approx(float(scored.score[0]), abs=1e-4)
    assert content["answer"] == ("Yes" if content["score"] > 0 else "No")
    assert content["evidence"][-1].startswith("By counts alone a Yes is ")


def test_without_its_counts_there_is_nothing_to_correct(made):
    config = TrainGlobalConfig(base=made.base, prior_offset=True, max_steps=1, **SHORT)
    with pytest.raises(ConfigError, match="--prior-offset needs the encoder") as caught:
        run_stage(made.context, train_global.STAGE, config)
    assert "--encoder bias" in caught.value.hint
    abroad = dataclasses.replace(opening_of(made), dataset=made["groups"])
    with pytest.raises(MismatchError, match="corrects the counts") as caught:
        open_language_scorer(made["adapter"], abroad)
    assert "--same-users" in caught.value.hint


def test_scores_of_a_split_are_those_of_the_scorer(made):
    config = ScoreConfig(split="test", dtype="float32")
    given = {"scorer": [made["adapter"].reference]}
    found = run_stage(made.context, score.STAGE, config, references=given).artifact
    rows = read_rows(found.file("scores.parquet"))
    wanted = opened(made, made["adapter"]).score_rows(np.array([row["row"] for row in rows]))
    np.testing.assert_allclose([row["yes_logit"] for row in rows], wanted.yes, atol=1e-4)
    np.testing.assert_allclose([row["score"] for row in rows], wanted.score, atol=1e-4)
