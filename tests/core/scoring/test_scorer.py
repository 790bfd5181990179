"""Shared prefixes and ragged batches give what one sequence at a time gives, for less work."""

import numpy as np
import pytest
import torch

from core.errors import MismatchError
from core.llm.decoder import Decoder
from core.llm.ragged import Layout, Trunk
from core.scoring.batches import group_prompts, pack
from core.scoring.scorer import Scorer
from core.text.answers import AnswerTokens
from core.text.prompts import Prompt
from tests.core.llm.adapters import open_tiny
from tests.core.llm.tiny import tiny_folder  # noqa: F401

ANSWERS = AnswerTokens(yes=40, no=41)


def _prompts(seed: int, users: int, candidates: int) -> list[Prompt]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(users):
        prefix = rng.integers(50, 300, rng.integers(5, 40)).tolist()
        made += [
            Prompt(
                ids=prefix + rng.integers(50, 300, rng.integers(1, 9)).tolist(), prefix=len(prefix)
            )
            for _ in range(candidates)
        ]
    return made


def _one_by_one(model, prompts):
    with torch.inference_mode():
        rows = [model(torch.tensor([p.ids])).logits[0, -1, [40, 41]] for p in prompts]
    return torch.stack(rows).double().numpy()


@pytest.mark.parametrize(("users", "candidates"), [(6, 1), (3, 7), (1, 30)])
@pytest.mark.parametrize("max_tokens", [40, 4096])
def test_scores_equal_transformers_one_prompt_at_a_time(tiny_folder, users, candidates, max_tokens):  # noqa: F811
    model = open_tiny(tiny_folder)
    prompts = _prompts(1, users, candidates)
    expected = _one_by_one(model, prompts)
    found = Scorer(Decoder(model), ANSWERS, max_tokens=max_tokens).score(prompts)
    np.testing.assert_allclose(np.stack([found.yes, found.no], 1), expected, atol=1e-4)


def test_order_of_prompts_changes_nothing(tiny_folder):  # noqa: F811
    scorer = Scorer(Decoder(open_tiny(tiny_folder)), ANSWERS, max_tokens=200)
    prompts = _prompts(2, 4, 5)
    order = np.random.default_rng(0).permutation(len(prompts))
    straight = scorer.score(prompts).yes
    shuffled = scorer.score([prompts[n] for n in order]).yes
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-5)


def test_a_shared_history_goes_through_the_model_once(tiny_folder):  # noqa: F811
    scorer = Scorer(Decoder(open_tiny(tiny_folder)), ANSWERS)
    prompts = _prompts(3, 1, 20)
    scorer.score(prompts)
    prefix = prompts[0].prefix
    assert scorer.work.tokens == prefix + sum(len(p.ids) - prefix for p in prompts)
    assert (scorer.work.batches, scorer.work.logit_rows) == (1, 20)


def test_rows_of_two_owners_never_share_a_prefix():
    prompts = [Prompt(ids=[1, 2, 3, n], prefix=3) for n in range(4)]
    groups = group_prompts(prompts, ["a", "b", "a", "b"], max_tokens=100)
    assert sorted(group.rows for group in groups) == [[0, 2], [1, 3]]


def test_batches_keep_to_the_budget_and_lose_nothing():
    prompts = _prompts(4, 10, 6)
    groups = group_prompts(prompts, [None] * len(prompts), max_tokens=60)
    batches = list(pack(groups, 60))
    assert all(sum(g.tokens for g in batch) <= 60 for batch in batches if len(batch) > 1)
    assert sorted(row for batch in batches for g in batch for row in g.rows) == list(range(60))


def test_layout_places_every_token_once():
    layout = Layout.of([Trunk(ids=[1, 2, 3], branches=[[4, 5], [6]]), Trunk(ids=[7])])
    assert layout.ids.tolist() == [1, 2, 3, 7, 4, 5, 6]
    assert layout.positions.tolist() == [0, 1, 2, 0, 3, 4, 3]
    assert layout.trunk_of_token.tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert layout.ends.tolist() == [2, 3, 5, 6]
    assert layout.starts().tolist() == [0, 3, 4, 6]


def test_a_prompt_beyond_the_first_length_of_a_long_rope_is_refused(tiny_folder):  # noqa: F811
    """One would turn the positions of all its batch mates by other factors."""
    decoder = Decoder(open_tiny(tiny_folder))
    facts = {"rope_type": "longrope", "original_max_position_embeddings": 100}
    decoder.model.config.rope_parameters = {**decoder.model.config.rope_parameters, **facts}
    decoder.require_room([100])
    with pytest.raises(MismatchError, match="101 tokens, and the base model sees 100"):
        decoder.require_room([101])


def test_a_prompt_longer_than_the_model_sees_is_refused(tiny_folder):  # noqa: F811
    scorer = Scorer(Decoder(open_tiny(tiny_folder)), ANSWERS)
    fits, long = (Prompt(ids=[50] * count, prefix=0) for count in (2048, 2049))
    assert np.isfinite(scorer.score([fits]).yes).all()
    with pytest.raises(MismatchError, match="2,049 tokens, and the base model sees 2,048"):
        scorer.score([fits, long])
