"""Attention in blocks, with prefixes that several branches share, against torch's own, and its gradients."""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from core.llm import attention, ragged
from core.llm.attention import attend, attend_backward
from core.llm.ragged import Layout, Trunk

HEADS, KEY_HEADS, SIZE = 6, 2, 8
TRUNKS = (
    Trunk(ids=range(5), branches=[range(3), range(1), range(7)]),
    Trunk(ids=range(1)),
    Trunk(ids=range(300), branches=[range(70), range(90), range(2)]),
    Trunk(ids=range(9), branches=[range(4)]),
    Trunk(ids=range(600)),
)
TOLERANCES = [(torch.float32, 1e-5), (torch.bfloat16, 0.02)]


@pytest.fixture(params=[False, True], ids=["vectors", "tiles"])
def tiles(request, monkeypatch):
    """The kernels of a CPU without and with tiles; both run on either, only not as fast."""
    monkeypatch.setattr(attention, "has_tiles", lambda: request.param)


def _batch(dtype):
    layout = Layout.of(TRUNKS)
    torch.manual_seed(0)
    shapes = ((layout.tokens, HEADS), (layout.tokens, KEY_HEADS), (layout.tokens, KEY_HEADS))
    return layout, [torch.randn(*shape, SIZE).mul(0.5).to(dtype) for shape in shapes]


def _sequences(layout):
    """Flat indices of every path from a trunk's first token to the last of a branch, or of the trunk alone."""
    starts = layout.starts()
    lengths = np.concatenate([layout.trunk_lengths, layout.branch_lengths])
    spans = [torch.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)]
    count = len(layout.trunk_lengths)
    trunks = [(span, len(span)) for span in spans[:count]]
    paths = zip(layout.owners, spans[count:], strict=True)
    return trunks + [(torch.cat([spans[owner], own]), len(own)) for owner, own in paths]


def _reference(layout, query, key, value):
    out = torch.zeros_like(query)
    for path, own in _sequences(layout):
        q, k, v = (x[path].transpose(0, 1)[None] for x in (query, key, value))
        seen = scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0, enable_gqa=True)
        out = out.index_put((path[-own:],), seen[0].transpose(0, 1)[-own:])
    return out


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_output_and_gradients_equal_torch_one_path_at_a_time(dtype, tolerance):
    layout, (query, key, value) = _batch(dtype)
    exact = [x.float().requires_grad_() for x in (query, key, value)]
    expected = _reference(layout, *exact)
    direction = torch.randn_like(expected)
    expected.backward(direction)
    swapped = [x.transpose(0, 1).contiguous() for x in (key, value)]
    blocks = layout.blocks(query)
    out = attend(query, *swapped, blocks)
    assert (out.float() - expected).norm() < tolerance * expected.norm()
    d_query, d_key, d_value = attend_backward(direction.to(dtype), out, (query, *swapped), blocks)
    found = (d_query, d_key.transpose(0, 1), d_value.transpose(0, 1))
    for one, other in zip(found, exact, strict=True):
        assert (one.float() - other.grad).norm() < tolerance * other.grad.norm()


@pytest.mark.usefixtures("tiles")
def test_no_block_computes_keys_that_none_of_its_queries_can_see():
    layout, (query, _, _) = _batch(torch.bfloat16)
    for block in layout.blocks(query):
        assert bool((block.mask == 0).any(0).all())
        assert block.keys.stop - block.keys.start <= max(layout.trunk_lengths)


@pytest.mark.parametrize("at_once", [1, 400, 1 << 17])
def test_rectangles_of_a_gpu_give_the_same_however_many_branches_go_at_once(monkeypatch, at_once):
    monkeypatch.setattr(ragged, "KEYS_AT_ONCE", at_once)
    layout, batch = _batch(torch.float32)
    exact = [x.clone().requires_grad_() for x in batch]
    expected = _reference(layout, *exact)
    ours = [x.clone().requires_grad_() for x in batch]
    shaped = [x.transpose(0, 1)[None] for x in ours]
    found, _ = ragged.ragged_attention(None, *shaped, None, layout=layout, scaling=1.0)
    assert (found[0] - expected).norm() < 1e-5 * expected.norm()
    direction = torch.randn_like(expected)
    expected.backward(direction)
    found[0].backward(direction)
    for one, other in zip(ours, exact, strict=True):
        assert (one.grad - other.grad).norm() < 1e-5 * other.grad.norm()


def test_gradients_of_rectangles_are_copies_and_no_sums_over_indices():
    # On a GPU such a sum sorts its indices anew in every layer of every step.
    layout = Layout.of([Trunk(ids=trunk.ids) for trunk in TRUNKS])  # a training has no branches
    shapes = ((1, HEADS, layout.tokens, SIZE), *[(1, KEY_HEADS, layout.tokens, SIZE)] * 2)
    shaped = [torch.randn(shape).requires_grad_() for shape in shapes]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        found, _ = ragged.ragged_attention(None, *shaped, None, layout=layout, scaling=1.0)
        found.sum().backward()
    names = {event.key for event in profile.key_averages()}
    assert "aten::index_copy" in names
    assert not names & {"aten::index_put_", "aten::_index_put_impl_", "aten::index_put"}


def test_masks_of_rectangles_have_rows_that_kernels_of_a_gpu_take_as_they_are():
    layout, (query, _, _) = _batch(torch.bfloat16)
    mask = layout.rectangles.mask(query)
    assert mask.shape[-1] % 8 == 0
    assert mask.dtype == query.dtype
    assert layout.rectangles.mask(query) is mask  # all layers share it
