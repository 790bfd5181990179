"""Layers by hand against transformers' own: outputs, gradients of LoRA weights and of inputs, and what is left out."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from core.llm import linear
from core.llm.decoder import Decoder
from core.llm.fused import FusedLayer
from core.llm.linear import Adapted
from core.llm.load import load_base
from core.llm.ragged import Layout, Trunk
from core.training.lora import LoraSettings, attach, select_layers
from tests.core.llm.tiny import tiny_folder  # noqa: F401

SEQUENCES = ([5, 9, 12, 7, 30], [8], [11, 6, 14, 20, 9, 3, 25])
TARGETS = (("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj"))


def _tuned(folder, targets, dropout=0.0):
    base = load_base(str(folder), dtype="float32", device="cpu")
    settings = LoraSettings(rank=4, alpha=8, dropout=dropout, target_modules=targets)
    model = attach(base.model, settings, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # a fresh B is zero, and everything behind it would go unseen
                parameter.normal_(0, 0.1, generator=generator)
    return model, select_layers(model, 0)


def _stock_loss(model):
    """Loss of the last position of each sequence by transformers and PEFT, one sequence at a time."""
    logits = [model(input_ids=torch.tensor([ids])).logits[0, -1] for ids in SEQUENCES]
    return cross_entropy(torch.stack(logits), torch.tensor([3, 4, 5]))


@pytest.mark.parametrize("targets", TARGETS)
def test_loss_and_lora_gradients_equal_transformers_and_peft(tiny_folder, targets):  # noqa: F811
    model, parameters = _tuned(tiny_folder, targets)
    expected = _stock_loss(model)
    expected.backward()
    wanted = {name: p.grad.clone() for name, p in parameters.items()}
    model.zero_grad()
    decoder = Decoder(model.get_base_model())
    layout = Layout.of([Trunk(ids=ids) for ids in SEQUENCES])
    assert all(isinstance(layer, FusedLayer) for layer in decoder._fused)
    hidden = decoder.run(decoder.embed(layout.ids), layout, rows=layout.ends)
    found = cross_entropy(decoder.logits(hidden), torch.tensor([3, 4, 5]))
    found.backward()
    torch.testing.assert_close(found, expected)
    for name, parameter in parameters.items():
        torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-6, rtol=1e-4)


def test_gradients_reach_the_input_embeddings(tiny_folder):  # noqa: F811
    model, _ = _tuned(tiny_folder, TARGETS[0])
    decoder = Decoder(model.get_base_model())
    layout = Layout.of([Trunk(ids=SEQUENCES[0])])
    given = decoder.embed(layout.ids).detach().requires_grad_()
    decoder.run(given, layout).square().sum().backward()
    stock = given.detach().clone().requires_grad_()
    body = model.get_base_model().model
    hidden, positions = stock[None], layout.positions[None]
    rotary = body.rotary_emb(hidden, position_ids=positions)
    for layer in body.layers:
        hidden = layer(
            hidden,
            attention_mask=None,
            position_ids=positions,
            position_embeddings=rotary,
            layout=layout,
        )
    hidden.square().sum().backward()
    assert (given.grad - stock.grad).norm() < 1e-5 * stock.grad.norm()


def test_rows_of_the_last_layer_are_those_of_the_whole(tiny_folder):  # noqa: F811
    base = load_base(str(tiny_folder), dtype="float32", device="cpu")
    decoder = Decoder(base.model)
    layout = Layout.of([Trunk(ids=SEQUENCES[0], branches=[SEQUENCES[1], SEQUENCES[2]])])
    with torch.inference_mode():
        whole = decoder.run(decoder.embed(layout.ids), layout)
        some = decoder.run(decoder.embed(layout.ids), layout, rows=layout.ends)
    torch.testing.assert_close(some, whole[layout.ends])


def test_a_build_of_torch_without_joined_products_does_without(monkeypatch):
    def fails(*_):
        raise RuntimeError("not on this processor")

    monkeypatch.setattr(linear, "has_bfloat16", lambda: True)
    for operators in (SimpleNamespace(), SimpleNamespace(_linear_pointwise=fails)):
        monkeypatch.setattr(linear, "_MKLDNN", operators)
        assert not linear._has_joined_products.__wrapped__()


@pytest.mark.parametrize("joins", [False, True])
def test_products_joined_with_what_follows_are_those_of_float32(tiny_folder, monkeypatch, joins):  # noqa: F811
    # Only a CPU with bfloat16 instructions joins them; the others look at the plain way twice.
    able = linear._has_joined_products()
    monkeypatch.setattr(linear, "_has_joined_products", lambda: joins and able)
    base, exact = (
        load_base(str(tiny_folder), dtype=dtype, device="cpu") for dtype in ("bfloat16", "float32")
    )
    layout = Layout.of([Trunk(ids=SEQUENCES[0], branches=[SEQUENCES[1], SEQUENCES[2]])])
    with torch.inference_mode():
        decoders = [Decoder(one.model) for one in (base, exact)]
        found, wanted = (d.run(d.embed(layout.ids), layout).float() for d in decoders)
        x = torch.randn(4, decoders[0].width, dtype=torch.bfloat16)
        layer = decoders[0]._fused[0]
        assert (linear.gated(layer.gate, layer.up, x) is not None) == (joins and able)
    assert (found - wanted).norm() < 0.02 * wanted.norm()


def test_what_layers_add_up_to_is_rounded_only_where_something_trains(tiny_folder):  # noqa: F811
    base = load_base(str(tiny_folder), dtype="bfloat16", device="cpu")
    layout = Layout.of([Trunk(ids=SEQUENCES[0], branches=[SEQUENCES[1], SEQUENCES[2]])])
    decoder = Decoder(base.model)
    given = decoder.embed(layout.ids)
    rounded = decoder.run(given.clone().requires_grad_(), layout).detach()
    with torch.inference_mode():
        found = decoder.run(given, layout)
        below = decoder.run(given, layout, stop=2)
        # The same rounded weights, in float32.
        wide = Decoder(base.model.float())
        wanted = wide.run(wide.embed(layout.ids), layout)
    assert (found.dtype, rounded.dtype, below.dtype) == (
        torch.float32,
        torch.bfloat16,
        torch.bfloat16,
    )
    # Not by how much it is nearer: on so few numbers that depends on how a CPU multiplies.
    assert not torch.equal(found, found.bfloat16().float())
    assert (found - wanted).norm() < 0.02 * wanted.norm()


@pytest.mark.parametrize("targets", TARGETS)
def test_dropout_is_drawn_from_the_seed_and_goes_through_both_passes(tiny_folder, targets):  # noqa: F811
    model, parameters = _tuned(tiny_folder, targets, dropout=0.5)
    decoder = Decoder(model.get_base_model())
    layout = Layout.of([Trunk(ids=ids) for ids in SEQUENCES])

    def loss():
        torch.manual_seed(3)
        return (
            decoder.run(decoder.embed(layout.ids), layout, rows=layout.ends)
            .square()
            .double()
            .mean()
        )

    name, parameter = next((n, p) for n, p in parameters.items() if "lora_A" in n)
    first = loss()
    first.backward()
    assert torch.equal(first, loss())
    step = 1e-5 * torch.sign(parameter.grad)
    parameter.data.add_(step)
    above = loss()
    parameter.data.sub_(2 * step)
    below = loss()
    expected = float((parameter.grad * 2 * step).sum())
    assert float(above - below) == pytest.approx(expected, rel=0.02), name


def test_layers_of_another_build_are_left_to_transformers(tiny_folder):  # noqa: F811
    base = load_base(str(tiny_folder), dtype="float32", device="cpu")
    odd = base.model.model.layers[0].mlp
    odd.act_fn = torch.nn.GELU()
    decoder = Decoder(base.model)
    assert not isinstance(decoder._fused[0], FusedLayer)
    assert isinstance(decoder._fused[1], FusedLayer)
    layout = Layout.of([Trunk(ids=SEQUENCES[0])])
    with torch.inference_mode():
        ours = decoder.logits(decoder.run(decoder.embed(layout.ids), layout))
        stock = base.model(input_ids=torch.tensor([SEQUENCES[0]])).logits[0]
    torch.testing.assert_close(ours, stock, atol=1e-5, rtol=1e-4)


def test_an_embedding_is_no_linear_layer():
    assert not Adapted.fits(torch.nn.Embedding(3, 4))
