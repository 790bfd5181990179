"""Facts of an explanation, by a tiny model of random weights; bases that see too little are refused."""

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from core.config.prompt import PromptConfig
from core.errors import ModelFolderError
from core.explaining.explain import Manner, Question, explain
from core.llm.decoder import Decoder
from core.scoring.language import LanguageScorer
from core.scoring.scorer import Scorer
from core.text.examples import Examples
from core.text.prompts import PromptBuilder
from tests.core.llm.adapters import open_tiny
from tests.core.llm.tiny import tiny_folder, tiny_tokenizer  # noqa: F401


@pytest.mark.parametrize("dislikes", [True, False])
@pytest.mark.parametrize("relevance", ["margin", "yes"])
def test_facts_say_what_was_shown_and_what_the_score_is(
    dataset,
    tiny_folder,  # noqa: F811
    dislikes,
    relevance,
):
    builder = PromptBuilder(
        tiny_tokenizer(), dataset, PromptConfig(history_dislikes=dislikes, style="paper")
    )
    examples = Examples(dataset)
    scorer = LanguageScorer(
        scorer=Scorer(Decoder(open_tiny(tiny_folder)), builder.answers),
        builder=builder,
        examples=examples,
        relevance=relevance,
    )
    labels = [1, 0, 0, 1]
    example = examples.of_history([1, 2, 3, 4], labels, [9], 4)[0]
    question = Question(example=example, full=example, user=None)
    [(_, facts)] = explain(scorer, [question], Manner(max_new_tokens=2, influence=True))
    yes, no = facts["yes_logit"], facts["no_logit"]
    assert facts["relevance"] == relevance
    assert facts["score"] == pytest.approx(yes if relevance == "yes" else yes - no)
    assert facts["answer"] == ("Yes" if yes > no else "No")
    for entry, liked in zip(facts["history"], labels, strict=True):
        assert entry["label"] == liked
        assert entry["shown"] == (f" {entry['title']}:" in facts["prompt"])
        assert entry["shown"] == (dislikes or liked == 1)
        if not entry["shown"]:
            assert entry["influence"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("positions", [1024, 2047, 2048])
def test_a_base_with_fewer_positions_than_the_guide_says_is_refused(positions):
    config = LlamaConfig(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=positions,
    )
    model = LlamaForCausalLM(config)
    if positions >= 2048:
        assert Decoder(model).layers == 1
        return
    with pytest.raises(ModelFolderError, match=f"only {positions} positions") as refused:
        Decoder(model)
    assert "2048 tokens" in refused.value.hint
