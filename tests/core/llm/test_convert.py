"""A quantised GGUF file becomes a model folder with the same weights and the same tokens."""

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize

from core.llm.convert import _convert
from core.llm.load import load_base
from tests.core.llm.tiny import tiny_folder  # noqa: F401

PACKED = gguf.GGMLQuantizationType.Q4_1
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def rotated(weight: np.ndarray, heads: int) -> np.ndarray:
    """Order the rows of a query or key matrix as GGUF has them: the halves of a head in turn."""
    rows = weight.shape[0] // heads // 2
    parts = weight.reshape(heads, 2, rows, *weight.shape[1:])
    return parts.swapaxes(1, 2).reshape(weight.shape)


def write_gguf(folder: Path, target: Path) -> None:
    """Write a Llama folder as a GGUF file, its matrices in 4 bits; the folder's model gets what they stand for."""
    base = load_base(str(folder), dtype="float32", device="cpu")
    model, config, tokenizer = base.model, base.model.config, base.tokenizer
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, tokenizer)
    for name, tensor in model.named_parameters():
        values = tensor.detach().numpy()
        place = _place(name)
        if values.ndim == 1:
            writer.add_tensor(place, values)
            continue
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
        turned = heads.get(place.split(".")[-2])
        packed = quantize(rotated(values, turned) if turned else values, PACKED)
        writer.add_tensor(place, packed, raw_dtype=PACKED)
        # Quantising goes by rows, so it may as well be done before they are put in order.
        tensor.data = torch.from_numpy(dequantize(quantize(values, PACKED), PACKED).copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model.save_pretrained(folder)


def _place(name: str) -> str:
    if ".layers." not in name:
        return {
            "model.embed_tokens.weight": "token_embd.weight",
            "model.norm.weight": "output_norm.weight",
        }[name]
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: object) -> None:
    content = json.loads(tokenizer.backend_tokenizer.to_str())  # type: ignore[attr-defined]
    vocabulary = dict(content["model"]["vocab"])
    special = {token["content"] for token in content["added_tokens"]}
    vocabulary |= {token["content"]: token["id"] for token in content["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in content["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)  # type: ignore[attr-defined]
    writer.add_eos_token_id(tokenizer.eos_token_id)  # type: ignore[attr-defined]
    writer.add_unk_token_id(tokenizer.unk_token_id)  # type: ignore[attr-defined]
    writer.add_chat_template(tokenizer.chat_template)  # type: ignore[attr-defined]


def test_a_converted_model_is_the_quantised_one(tiny_folder: Path, tmp_path: Path) -> None:  # noqa: F811
    folder = shutil.copytree(tiny_folder, tmp_path / "plain")
    write_gguf(folder, tmp_path / "model.gguf")
    _convert(tmp_path / "model.gguf", tmp_path / "converted")
    plain, found = (
        load_base(str(tmp_path / name), dtype="float32", device="cpu")
        for name in ("plain", "converted")
    )
    text = "Would the user enjoy this film? Yes."
    ids = plain.tokenizer(text)["input_ids"]
    assert found.tokenizer(text)["input_ids"] == ids
    with torch.inference_mode():
        logits = [base.model(torch.tensor([ids])).logits for base in (plain, found)]
    torch.testing.assert_close(logits[1], logits[0], atol=1e-4, rtol=1e-4)
    assert logits[0].std() > 0.1
    messages = [{"role": "user", "content": "Hello"}]
    prompts = [
        base.tokenizer.apply_chat_template(messages, tokenize=False) for base in (plain, found)
    ]
    assert prompts[0] == prompts[1] != ""
