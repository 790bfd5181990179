"""What the paper's baselines and studies need: models without experts, soft prompts, training on chosen groups."""

import json

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from core.config.augment import AugmentConfig
from core.config.explain import ExplainConfig
from core.config.fuse import FuseConfig
from core.config.score import ScoreConfig
from core.config.synthesize import SynthesizeConfig
from core.config.training import TrainExpertsConfig, TrainGlobalConfig
from core.data.tables import read_rows
from core.errors import ConfigError, MismatchError
from core.llm.soft import FILE
from core.stages import (
    augment,
    explain,
    fuse,
    score,
    synthesize,
    train_experts,
    train_global,
)
from core.stages.base import Context, run_stage
from core.stages.recipe import read_recipe
from tests.conftest import Heard, write_dataset
from tests.core.llm.adapters import open_tiny
from tests.core.llm.tiny import tiny_folder  # noqa: F401
from tests.core.stages.making import (
    PROJECTOR,
    SHORT,
    bias_encoder,
    grouped,
    opened,
)

LIKES_ONLY = {
    "style": "paper",
    "history_length": 6,
    "history_dislikes": False,
    "keywords_per_item": 0,
    "target_keywords": 0,
    "theta": 1.0,
    "gamma": 0.0,
    "reason_share": 0.0,
    "lr_peak": 2e-2,
    "lr_final": 1e-2,
}


@pytest.fixture(scope="module")
def made(tiny_folder, tmp_path_factory):  # noqa: F811
    """A data set, an encoder with groups, and two adapters: with and without a soft prompt."""
    made = grouped(tmp_path_factory.mktemp("store"), tiny_folder)
    plain = TrainGlobalConfig(base=made.base, **LIKES_ONLY, **SHORT)
    made.artifacts["plain"] = made.run(train_global.STAGE, plain, name="plain")
    soft = TrainGlobalConfig(base=made.base, soft_tokens=3, **LIKES_ONLY, **SHORT)
    made.artifacts["soft"] = made.run(train_global.STAGE, soft, name="soft")
    return made


def _fused(made, adapter, **settings):
    config = FuseConfig(dtype="float32", **settings)
    references = {"adapter": [made[adapter].reference]}
    return run_stage(made.context, fuse.STAGE, config, references=references).artifact


def _test_rows(scorer, count=16):
    return scorer.examples.dataset.rows("test")[:count]


def test_likes_only_prompts_hold_titles_and_no_dislikes(made):
    scorer = opened(made, made["plain"])
    data = scorer.examples.dataset
    for example in scorer.examples.of_rows(_test_rows(scorer), 6):
        text = scorer.builder.decode(scorer.builder.build(example).ids)
        shown = [f"{data.titles[item]}: Yes" for item in example.history[example.labels == 1]]
        assert text.count(": Yes") == len(shown)
        assert all(title in text for title in shown)
        assert ": No" not in text
        assert "(" not in text.replace("(nothing yet)", "")


def test_a_model_without_experts_scores_like_its_adapter(made):
    model = _fused(made, "plain", projector="off")
    assert (model.name, model.summary["experts"]) == ("plain", 0)
    adapter, fused = opened(made, made["plain"]), opened(made, model)
    rows = _test_rows(adapter)
    scored = fused.score_rows(rows)
    np.testing.assert_allclose(scored.score, adapter.score_rows(rows).score, atol=1e-5)
    assert scored.route == ["global"] * len(rows)
    weights = read_rows(model.file("weights.parquet"))
    assert {(row["route"], row["expert"], len(row["weights"])) for row in weights} == {
        ("global", None, 0)
    }


def test_without_experts_a_gate_is_idle_and_a_projector_needs_vectors(made):
    heard = Heard()
    context = Context(store=made.store, progress=heard)
    given = {"adapter": [made["plain"].reference]}
    config = FuseConfig(projector="off", tau=0.3, centre=False)
    run_stage(context, fuse.STAGE, config, references=given)
    assert any("--tau, --centre" in line and "no gate" in line for line in heard.lines)
    bias = bias_encoder(made)
    for projector in ("auto", "on"):
        config = FuseConfig(projector=projector, dtype="float32", **PROJECTOR)
        with pytest.raises(MismatchError, match="no vectors for a projector") as caught:
            run_stage(
                made.context,
                fuse.STAGE,
                config,
                references={**given, "encoder": [bias.reference]},
            )
        assert "encode --encoder sasrec" in caught.value.hint


def test_a_projector_that_nothing_can_judge_is_not_trained(made):
    heard = Heard()
    config = FuseConfig(dtype="float32", **{**PROJECTOR, "valid_rows": 1})
    model = run_stage(
        Context(store=made.store, progress=heard),
        fuse.STAGE,
        config,
        references={"adapter": [made["plain"].reference]},
        name="unjudged",
    ).artifact
    assert model.summary["projector"] == {"kept": False}
    assert any("--projector on" in line for line in heard.lines)


def test_a_projector_on_an_adapter_alone_is_trained_and_read(made):
    model = _fused(made, "plain", projector="on", **PROJECTOR)
    assert model.summary["projector"]["kept"]
    with_vectors, without = opened(made, model), opened(made, made["plain"])
    rows = _test_rows(with_vectors)
    scores = with_vectors.score_rows(rows).score
    assert np.abs(scores - without.score_rows(rows).score).max() > 1e-3
    alone = [with_vectors.score_rows(rows[n : n + 1]).score[0] for n in range(len(rows))]
    np.testing.assert_allclose(scores, alone, atol=1e-4)


def test_a_model_without_experts_is_exported_and_explained(made, tmp_path):
    model = _fused(made, "plain", projector="off")
    folder = fuse.export_user(made.context, model, "u1", tmp_path / "u1")
    scorer = opened(made, model)
    prompt = scorer.builder.build(scorer.examples.of_rows(_test_rows(scorer, 1), 6)[0])
    peft = PeftModel.from_pretrained(open_tiny(made.base), folder).eval()
    with torch.inference_mode():
        logits = peft(torch.tensor([prompt.ids])).logits[0, -1]
    found = scorer.score_rows(_test_rows(scorer, 1))
    assert found.yes[0] == pytest.approx(float(logits[scorer.builder.answers.yes]), abs=1e-4)
    config = ExplainConfig(user="u1", item="i2", max_new_tokens=3, dtype="float32")
    artifact = run_stage(
        made.context, explain.STAGE, config, references={"scorer": [model.reference]}
    ).artifact
    told = json.loads(artifact.file("explanation.json").read_text())
    assert (told["route"], told["experts"], told["weights"]) == ("global", 0, [])


def test_experts_and_an_adapter_in_their_place_exclude_each_other(made):
    experts = run_stage(
        made.context,
        train_experts.STAGE,
        TrainExpertsConfig(layers=2, reason_share=0.0, **SHORT),
        references={"adapter": [made["plain"].reference]},
    ).artifact
    references = {"adapter": [made["plain"].reference], "experts": [experts.reference]}
    with pytest.raises(ConfigError, match="without experts"):
        run_stage(made.context, fuse.STAGE, FuseConfig(projector="off"), references=references)
    # The latest experts are not taken where an adapter is named.
    assert not _fused(made, "plain", projector="off").manifest.inputs["experts"]


def test_the_soft_prompt_is_trained_and_stands_before_the_question(made):
    from core.llm.load import load_base
    from core.training.finetune import new_soft

    best = load_file(made["soft"].file("best") / FILE)["weight"]
    base = load_base(made.base, dtype="float32", device="cpu")
    start = new_soft(base, TrainGlobalConfig(base=made.base, soft_tokens=3))
    assert best.shape == (3, base.model.config.hidden_size)
    vocabulary = base.model.get_input_embeddings().weight
    assert all((vocabulary == row).all(1).any() for row in start.weight)
    assert (best - start.weight).abs().max() > 1e-3
    scorer = opened(made, made["soft"])
    prompt = scorer.builder.build(scorer.examples.of_rows(_test_rows(scorer, 1), 6)[0])
    places = [slot.position for slot in prompt.slots]
    assert [(slot.kind, slot.index) for slot in prompt.slots] == [("soft", n) for n in range(3)]
    assert places == list(range(places[0], places[0] + 3))
    without = [i for n, i in enumerate(prompt.ids) if n not in places]
    plain = opened(made, made["plain"])
    same = plain.builder.build(plain.examples.of_rows(_test_rows(plain, 1), 6)[0])
    assert without == same.ids


def test_scores_with_a_soft_prompt_equal_peft_with_its_embeddings(made):
    scorer = opened(made, made["soft"])
    rows = _test_rows(scorer)
    found = scorer.score_rows(rows)
    soft = load_file(made["soft"].file("best") / FILE)["weight"]
    peft = PeftModel.from_pretrained(open_tiny(made.base), made["soft"].file("best")).eval()
    for n, example in enumerate(scorer.examples.of_rows(rows, 6)):
        prompt = scorer.builder.build(example)
        first = prompt.slots[0].position
        with torch.inference_mode():
            embedded = peft.get_input_embeddings()(torch.tensor([prompt.ids]))
            embedded[0, first : first + 3] = soft
            logits = peft(inputs_embeds=embedded).logits[0, -1]
        assert found.yes[n] == pytest.approx(float(logits[scorer.builder.answers.yes]), abs=1e-4)


def test_another_soft_prompt_gives_other_scores(made, tmp_path, monkeypatch):
    from core.llm.soft import SoftPrompt

    scorer = opened(made, made["soft"])
    rows = _test_rows(scorer)
    before = scorer.score_rows(rows).score
    weight = load_file(made["soft"].file("best") / FILE)["weight"]
    save_file({"weight": torch.zeros_like(weight)}, tmp_path / FILE)
    empty = SoftPrompt.open(tmp_path)
    monkeypatch.setattr(SoftPrompt, "open", lambda folder: empty)
    after = opened(made, made["soft"]).score_rows(rows).score
    assert np.abs(after - before).max() > 1e-3


def test_experts_and_projector_read_the_soft_prompt_and_leave_it_as_it_is(made):
    before = (made["soft"].file("best") / FILE).read_bytes()
    settings = {"layers": 2, "lr_peak": 2e-2, "lr_final": 1e-2, "reason_share": 0.0}
    experts = run_stage(
        made.context,
        train_experts.STAGE,
        TrainExpertsConfig(**settings, **SHORT),
        references={"adapter": [made["soft"].reference]},
    ).artifact
    assert not list(experts.file("experts").rglob(FILE))
    model = run_stage(
        made.context,
        fuse.STAGE,
        FuseConfig(projector="on", dtype="float32", **PROJECTOR),
        references={"experts": [experts.reference]},
    ).artifact
    assert (made["soft"].file("best") / FILE).read_bytes() == before
    scorer = opened(made, model)
    rows = _test_rows(scorer)
    example = scorer.examples.of_rows(rows[:1], 6)[0]
    kinds = {slot.kind for slot in scorer.builder.build(example).slots}
    assert kinds == {"soft", "user", "item"}
    together = scorer.score_rows(rows).score
    alone = [scorer.score_rows(rows[n : n + 1]).score[0] for n in range(len(rows))]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_soft_prompt_is_not_exported_as_a_plain_adapter(made, tmp_path):
    model = _fused(made, "soft", projector="off")
    with pytest.raises(ConfigError, match="soft prompt"):
        fuse.export_user(made.context, model, "u1", tmp_path / "u1")
    assert not (tmp_path / "u1").exists()


def test_training_on_chosen_groups_sees_their_users_alone(made, monkeypatch):
    from core.training import finetune

    seen = []
    real = finetune.recommendation_instances
    monkeypatch.setattr(
        finetune,
        "recommendation_instances",
        lambda examples, builder, rows: (
            seen.append(set(examples.dataset.user[rows].tolist())) or real(examples, builder, rows)
        ),
    )
    groups = read_rows(made["groups"].file("groups.parquet"))
    members = [{r["user_index"] for r in groups if r["group"] == g} for g in (0, 1)]
    short = {**SHORT, "train_rows": 0, "max_steps": 1}
    given = {"groups": [made["groups"].reference]}
    config = TrainGlobalConfig(base=made.base, only_groups=(1,), **LIKES_ONLY, **short)
    adapter = run_stage(made.context, train_global.STAGE, config, references=given).artifact
    experts = run_stage(
        made.context,
        train_experts.STAGE,
        TrainExpertsConfig(layers=2, only_groups=(1,), reason_share=0.0, **short),
        references={**given, "adapter": [adapter.reference]},
    ).artifact
    assert seen == [members[1], members[1]]
    table = read_rows(experts.file("representations.parquet"))
    assert [(row["group"], row["users"]) for row in table] == [(0, len(members[1]))]


def test_groups_that_are_not_there_are_refused(made):
    given = {"groups": [made["groups"].reference]}
    with pytest.raises(ConfigError, match="has no group 7") as problem:
        run_stage(
            made.context,
            train_global.STAGE,
            TrainGlobalConfig(base=made.base, only_groups=(7,), **SHORT),
            references=given,
        )
    assert "0, 1" in problem.value.hint
    with pytest.raises(ConfigError, match="none were given"):
        run_stage(
            made.context,
            train_global.STAGE,
            TrainGlobalConfig(base=made.base, only_groups=(1,), **SHORT),
        )
    with pytest.raises(ConfigError, match="exclude each other"):
        TrainExpertsConfig(only_groups=(0,), add_group=1)


def test_other_keywords_than_those_of_the_training_are_refused(made):
    trained, other = (
        run_stage(made.context, augment.STAGE, AugmentConfig(limit=limit)).artifact
        for limit in (4, 3)
    )
    config = TrainGlobalConfig(base=made.base, style="paper", max_steps=1, **SHORT)
    references = {"keywords": [trained.reference]}
    adapter = run_stage(made.context, train_global.STAGE, config, references=references).artifact
    for words, right in ((trained, True), (other, False)):
        given = {"scorer": [adapter.reference], "keywords": [words.reference]}
        asking = ScoreConfig(split="test", limit=4, dtype="float32")
        if right:
            run_stage(made.context, score.STAGE, asking, references=given)
        else:
            with pytest.raises(MismatchError, match=f"was trained with {trained.reference}"):
                run_stage(made.context, score.STAGE, asking, references=given)


@pytest.mark.parametrize(
    ("settings", "show_counts", "told"),
    [
        ({"style": "paper"}, True, ["counts"]),
        ({"style": "paper"}, False, []),
        ({"style": "evidence"}, True, []),
        ({"style": "evidence", "history_length": 4}, True, ["the last 10 items"]),
        (
            {"style": "paper", "history_length": 4, "history_dislikes": False},
            False,
            ["the last 10 items", "what was not liked"],
        ),
        ({"style": "paper", "history_length": 4, "reason_share": 0.0}, True, []),
    ],
)
def test_reasons_that_name_what_the_prompts_do_not_show_are_told(made, settings, show_counts, told):
    reasons = SynthesizeConfig(rows=20, held_out=0, show_counts=show_counts)
    traces = run_stage(made.context, synthesize.STAGE, reasons).artifact
    heard = Heard()
    run_stage(
        Context(store=made.store, progress=heard),
        train_global.STAGE,
        TrainGlobalConfig(base=made.base, max_steps=1, **settings, **SHORT),
        references={"traces": [traces.reference]},
    )
    said = [line for line in heard.lines if "learns to invent them" in line]
    assert len(said) == len(told)
    for line, what in zip(said, told, strict=True):
        assert f"may name {what}, which" in line


def test_keywords_of_the_data_set_at_home_are_not_shown_abroad(made):
    """Items of two data sets may share their ids, and the lineage of a scorer leads to the keywords of the first."""
    words = run_stage(made.context, augment.STAGE, AugmentConfig()).artifact
    config = TrainGlobalConfig(base=made.base, style="paper", max_steps=1, **SHORT)
    adapter = run_stage(
        made.context, train_global.STAGE, config, references={"keywords": [words.reference]}
    ).artifact
    key = made.store.key(kind="dataset", parameters={"abroad": 1}, inputs={}, resources={})
    settings = {"kind": "dataset", "name": "abroad", "key": key, "parameters": {}}
    with made.store.publish(**settings, inputs={}, resources={}) as draft:
        write_dataset(draft.folder, seed=4)
    references = {"scorer": [adapter.reference], "dataset": [draft.artifact.reference]}
    scored = [
        run_stage(
            made.context,
            score.STAGE,
            ScoreConfig(split="test", limit=20, dtype="float32"),
            references={**references, **more},
        ).artifact
        for more in ({}, {"keywords": ["none"]})
    ]
    by_lineage, without = (
        [row["score"] for row in read_rows(one.file("scores.parquet"))] for one in scored
    )
    np.testing.assert_allclose(by_lineage, without, atol=1e-6)


def test_a_recipe_fuses_an_adapter_though_experts_stand_before_it():
    steps = {
        "data": {"command": "ingest"},
        "mf": {"command": "encode", "encoder": "mf"},
        "lora": {"command": "train-global"},
        "groups": {"command": "cluster"},
        "experts": {"command": "train-experts"},
        "alone": {"command": "fuse", "adapter": "lora", "encoder": "mf"},
        "fused": {"command": "fuse"},
    }
    recipe = read_recipe({"step": steps}, where="test")
    by_id = {step.id: step for step in recipe.steps}
    assert "experts" not in recipe.depends_on(by_id["alone"])
    assert "experts" in recipe.depends_on(by_id["fused"])
