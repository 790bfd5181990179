"""The heart of the matter: mixed rows of a batch equal PEFT with each user's own combined adapter."""

import numpy as np
import pytest
import torch
from peft import PeftModel

from core.errors import MismatchError, ModelFolderError
from core.fusion.adapters import LoraWeights, write_combined
from core.fusion.mixture import MixtureLinear, install_mixture, merge_adapter
from core.llm.decoder import Decoder
from core.scoring.scorer import Scorer
from core.text.answers import AnswerTokens
from core.text.prompts import Prompt
from tests.core.llm.adapters import open_tiny, write_adapters
from tests.core.llm.tiny import tiny_folder  # noqa: F401

ANSWERS = AnswerTokens(yes=40, no=41)
# Columns: global, expert 0, expert 1. The three routes of the gate, and one more fused user.
COLUMNS = np.array([[1.0, 0, 0], [0, 0, 1], [0, 0.7, 0.3], [0, 0.35, 0.65]])


@pytest.fixture(scope="module")
def folders(tiny_folder, tmp_path_factory):  # noqa: F811
    return write_adapters(tiny_folder, tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="module")
def prompts():
    rng = np.random.default_rng(3)
    prefix = rng.integers(50, 300, 20).tolist()  # shared by all: gates still differ
    made = [Prompt(ids=prefix + rng.integers(50, 300, n).tolist(), prefix=20) for n in (3, 9, 5, 4)]
    return made + [Prompt(ids=rng.integers(50, 300, 31).tolist(), prefix=20) for _ in range(4)]


def _mixed(tiny_folder, folders, rule="exact"):  # noqa: F811
    model = open_tiny(tiny_folder)
    gates = install_mixture(model, [LoraWeights.open(f) for f in folders], rule)
    return Scorer(Decoder(model), ANSWERS, gates=gates)


def _peft_logits(model, prompt):
    with torch.inference_mode():
        logits = model(torch.tensor([prompt.ids])).logits[0, -1]
    return [float(logits[ANSWERS.yes]), float(logits[ANSWERS.no])]


def _combined(tiny_folder, folders, weights, kind):  # noqa: F811
    model = PeftModel.from_pretrained(open_tiny(tiny_folder), folders[0], adapter_name="c0")
    for index, folder in enumerate(folders[1:], 1):
        model.load_adapter(folder, f"c{index}")
    used = [(f"c{i}", w) for i, w in enumerate(weights) if w]
    names, shares = [n for n, _ in used], [w for _, w in used]
    model.add_weighted_adapter(names, shares, "user", combination_type=kind)
    model.set_adapter("user")
    return model.eval()


@pytest.mark.parametrize(("rule", "kind"), [("exact", "cat"), ("peft-linear", "linear")])
def test_mixed_batch_equals_peft_with_each_users_adapter(tiny_folder, folders, prompts, rule, kind):  # noqa: F811
    columns = np.concatenate([COLUMNS, COLUMNS])
    found = _mixed(tiny_folder, folders, rule).score(prompts, columns)
    got = np.stack([found.yes, found.no], 1)
    expected = np.array(
        [
            _peft_logits(_combined(tiny_folder, folders, weights, kind), prompt)
            for weights, prompt in zip(columns, prompts, strict=True)
        ]
    )
    np.testing.assert_allclose(got, expected, atol=1e-4)
    # The comparison means something only if the users' adapters really differ.
    plain = _mixed(tiny_folder, folders, rule).score(prompts, np.tile([1.0, 0, 0], (8, 1)))
    assert np.abs(plain.yes[1:4] - found.yes[1:4]).min() > 0.01


def test_experts_in_every_linear_layer_are_mixed_like_those_in_two(tiny_folder, prompts, tmp_path):  # noqa: F811
    attention, feed = (
        ("q_proj", "k_proj", "v_proj", "o_proj"),
        ("gate_proj", "up_proj", "down_proj"),
    )
    folders = write_adapters(tiny_folder, tmp_path, targets=attention + feed)
    columns = np.concatenate([COLUMNS, COLUMNS])
    found = _mixed(tiny_folder, folders).score(prompts, columns)
    for row, prompt in enumerate(prompts):
        model = _combined(tiny_folder, folders, columns[row], "cat")
        expected = _peft_logits(model, prompt)
        assert [found.yes[row], found.no[row]] == pytest.approx(expected, abs=1e-3)


def test_the_two_rules_of_fusion_differ(tiny_folder, folders, prompts):  # noqa: F811
    columns = np.tile(COLUMNS[2], (8, 1))
    exact = _mixed(tiny_folder, folders, "exact").score(prompts, columns)
    linear = _mixed(tiny_folder, folders, "peft-linear").score(prompts, columns)
    assert np.abs(exact.yes - linear.yes).max() > 0.05


def test_a_row_does_not_depend_on_its_batch_mates(tiny_folder, folders, prompts):  # noqa: F811
    columns = np.concatenate([COLUMNS, COLUMNS])
    scorer = _mixed(tiny_folder, folders)
    together = scorer.score(prompts, columns)
    for row, prompt in enumerate(prompts):
        alone = scorer.score([prompt], columns[row : row + 1])
        assert alone.yes[0] == pytest.approx(together.yes[row], abs=1e-5)


def test_layers_below_the_experts_are_merged_once(tiny_folder, folders):  # noqa: F811
    model = open_tiny(tiny_folder)
    install_mixture(model, [LoraWeights.open(f) for f in folders], "exact")
    mixed = {n.split(".")[2] for n, m in model.named_modules() if isinstance(m, MixtureLinear)}
    assert mixed == {"2", "3"}


def test_merged_adapter_equals_peft(tiny_folder, folders, prompts):  # noqa: F811
    model = open_tiny(tiny_folder)
    merge_adapter(model, LoraWeights.open(folders[1]))
    found = Scorer(Decoder(model), ANSWERS).score(prompts[:1])
    peft = PeftModel.from_pretrained(open_tiny(tiny_folder), folders[1]).eval()
    assert found.yes[0] == pytest.approx(_peft_logits(peft, prompts[0])[0], abs=1e-4)


@pytest.mark.parametrize("row", range(4))
def test_exported_adapter_scores_like_the_fused_user(tiny_folder, folders, prompts, row, tmp_path):  # noqa: F811
    adapters = [LoraWeights.open(f) for f in folders]
    write_combined(tmp_path, adapters, COLUMNS[row].tolist(), "tiny")
    peft = PeftModel.from_pretrained(open_tiny(tiny_folder), tmp_path).eval()
    fused = _mixed(tiny_folder, folders).score(prompts[:1], COLUMNS[row : row + 1])
    expected = [float(fused.yes[0]), float(fused.no[0])]
    np.testing.assert_allclose(_peft_logits(peft, prompts[0]), expected, atol=1e-4)


def test_a_mixture_without_gates_refuses_to_run(tiny_folder, folders):  # noqa: F811
    model = open_tiny(tiny_folder)
    install_mixture(model, [LoraWeights.open(f) for f in folders], "exact")
    with pytest.raises(RuntimeError, match="Gates"):
        model(torch.tensor([[60, 61]]))


def test_adapters_of_other_layers_are_refused(tiny_folder, folders):  # noqa: F811
    whole = LoraWeights.open(folders[0])
    part = LoraWeights(
        pairs=dict(list(whole.pairs.items())[1:]), scaling=whole.scaling, config=whole.config
    )
    with pytest.raises(MismatchError, match="same layers"):
        install_mixture(open_tiny(tiny_folder), [whole, part], "exact")


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(ModelFolderError, match="no PEFT adapter"):
        LoraWeights.open(tmp_path)
