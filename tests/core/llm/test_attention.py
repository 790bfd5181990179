"""Ragged causal attention and its gradients against torch's own, one sequence at a time."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from core.llm.attention import ragged_causal_attention

LENGTHS = (5, 1, 17, 9)


def _inputs(dtype):
    torch.manual_seed(0)
    shapes = ((6, sum(LENGTHS), 8), (2, sum(LENGTHS), 8), (2, sum(LENGTHS), 8))
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


def _reference(query, key, value):
    parts = [
        scaled_dot_product_attention(
            q[None], k[None], v[None], is_causal=True, scale=0.3, enable_gqa=True
        )[0]
        for q, k, v in zip(*(x.split(LENGTHS, 1) for x in (query, key, value)), strict=True)
    ]
    return torch.cat(parts, 1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_output_and_gradients_equal_torch(dtype, tolerance):
    ours = _inputs(dtype)
    exact = [x.detach().float().requires_grad_() for x in ours]
    torch.manual_seed(1)
    direction = torch.randn(6, sum(LENGTHS), 8)
    out = ragged_causal_attention(*ours, LENGTHS, 0.3)
    expected = _reference(*exact)
    out.backward(direction.to(dtype))
    expected.backward(direction)
    torch.testing.assert_close(out.float(), expected, atol=tolerance, rtol=tolerance)
    for one, other in zip(ours, exact, strict=True):
        assert float((one.grad.float() - other.grad).norm() / other.grad.norm()) < tolerance
