"""Builds of models that the loop over the layers runs give transformers' own logits; others are refused."""

import pytest
import torch
import transformers

from core.errors import ConfigError, DeviceMemoryError, MismatchError, ModelFolderError
from core.llm.decoder import Decoder, require_stock_logits
from core.llm.load import load_base
from core.llm.projector import Projector
from core.llm.ragged import Layout, Trunk
from core.llm.soft import SoftPrompt
from tests.core.llm.tiny import tiny_tokenizer

SMALL = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SCALES = {
    "embedding_multiplier": 6.0,
    "residual_multiplier": 0.4,
    "attention_multiplier": 0.2,
    "logits_scaling": 3.0,
}


def _model(name: str, **settings):
    config = getattr(transformers, f"{name}Config")(**SMALL | settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(transformers, f"{name}ForCausalLM")(config).eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Llama", {}),
        ("Mistral", {"sliding_window": None}),
        ("Mistral", {"sliding_window": 11}),  # tokens of the longest prompt
        ("Qwen2", {}),
        ("Qwen3", {"head_dim": 12}),
        ("Granite", SCALES),
        ("Cohere", {"logit_scale": 0.3}),
        ("Gemma", {"head_dim": 12}),
        ("Phi3", {}),
        ("Phi3", {"sliding_window": 11}),
        ("Olmo2", {}),
        ("SmolLM3", {}),
        ("Mixtral", {"num_local_experts": 2, "sliding_window": None}),
    ],
)
def test_supported_builds_give_the_stock_logits_of_every_prompt(name, settings):
    model = _model(name, **settings)
    require_stock_logits(model)
    prompts = [[5, 9, 200, 31, 7], [8, 250, 3], [17] * 11]
    layout = Layout.of([Trunk(ids=ids) for ids in prompts], device=torch.device("cpu"))
    decoder = Decoder(model)
    with torch.inference_mode():
        ours = decoder.logits(decoder.run(decoder.embed(layout.ids), layout))
        stock = torch.cat([model(torch.tensor([ids])).logits[0] for ids in prompts])
        chosen = decoder.logits(
            decoder.run(decoder.embed(layout.ids), layout, rows=layout.ends.cpu()),
            torch.tensor([4, 6]),
        )
    torch.testing.assert_close(ours, stock, rtol=1e-3, atol=1e-4)
    ends = torch.tensor([len(ids) for ids in prompts]).cumsum(0) - 1
    torch.testing.assert_close(chosen, stock[ends][:, [4, 6]], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings", "why"),
    [
        ("Gemma2", {"head_dim": 12, "sliding_window": 4096}, "cannot be run one by one"),
        ("StableLm", {}, "cannot be run one by one"),
        ("OPT", {}, "has no embed_tokens, layers, norm, rotary_emb"),
        ("GPTNeoX", {}, "has no embed_tokens, layers, norm, rotary_emb"),
    ],
)
def test_other_builds_are_refused_in_one_line(name, settings, why):
    with pytest.raises(ModelFolderError, match=why) as refused:
        require_stock_logits(_model(name, **settings))
    assert "\n" not in str(refused.value)


def test_vectors_beside_the_vocabulary_are_as_large_as_the_layers_get_its_own():
    """Gemma multiplies what stands in its table by the root of its width."""
    sizes = {}
    for name in ("Gemma", "Llama"):
        embed = _model(name, **({"head_dim": 12} if name == "Gemma" else {})).get_input_embeddings()
        words = embed(torch.arange(len(embed.weight)))
        soft = SoftPrompt.drawn(3, embed, seed=0).weight
        assert all((words == row).all(1).any() for row in soft.detach())
        torch.manual_seed(0)
        projector = Projector(4, embed.weight.shape[1])
        before = projector.user[2].weight.detach().clone()
        projector.match_scale(embed)
        grown = (projector.user[2].weight / before).detach()
        torch.testing.assert_close(grown, words.std().expand_as(grown), rtol=1e-4, atol=0)
        sizes[name] = float(words.norm() / embed.weight.norm())
    assert sizes["Gemma"] > 2
    assert sizes["Llama"] == 1


def test_who_only_writes_may_be_of_any_build(tmp_path):
    _model("Gemma2", head_dim=12, sliding_window=4096, vocab_size=700).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelFolderError, match="cannot be run one by one"):
        load_base(str(tmp_path), device="cpu")
    base = load_base(str(tmp_path), device="cpu", by_layers=False)
    assert base.model.generate(torch.tensor([[5, 6]]), max_new_tokens=2).shape[1] > 2


def test_a_model_that_does_more_than_its_layers_say_is_refused():
    model = _model("Llama")
    model.model.register_forward_hook(lambda module, given, out: _doubled(out))
    with pytest.raises(ModelFolderError, match=r"llama.*otherwise than transformers"):
        require_stock_logits(model)


def _doubled(out):
    out.last_hidden_state = out.last_hidden_state * 1.5
    return out


def test_a_prompt_longer_than_the_sliding_window_is_refused():
    decoder = Decoder(_model("Mistral", sliding_window=16))
    decoder.require_room([16, 3])
    with pytest.raises(MismatchError, match="17 tokens, and the base model sees 16"):
        decoder.require_room([3, 17])
    Decoder(_model("Qwen2", sliding_window=16, use_sliding_window=False)).require_room([17])


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (
            "CUDA error: no kernel image\nCompile with",
            ConfigError,
            "cpu cannot be used.*no kernel image",
        ),
        ("cuBLAS failed", ConfigError, "cpu cannot be used: cuBLAS failed"),
        ("CUDA error: out of memory", DeviceMemoryError, "memory of the GPU is full: CUDA error"),
        ("CUBLAS_STATUS_ALLOC_FAILED", DeviceMemoryError, "memory of the GPU is full"),
        ("sizes differ\nat 3", ModelFolderError, r"\(RuntimeError: sizes differ\)"),
        ("", ModelFolderError, r"\(RuntimeError: RuntimeError\)"),
    ],
)
def test_trouble_of_the_trial_is_told_and_kept(monkeypatch, words, error, told):
    """No GPU is needed to see what is said of its errors: they are made up."""
    trouble = RuntimeError(words)

    def fails(*_, **__):
        raise trouble

    monkeypatch.setattr(Decoder, "run", fails)
    with pytest.raises(error, match=told) as refused:
        require_stock_logits(_model("Llama"))
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is trouble
