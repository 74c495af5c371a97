"""Attention by plain products against finite differences and against torch's own kernel."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from auricle.lalm.attention import Layout, Products

CPU = torch.device("cpu")


@pytest.mark.parametrize("block", [2, 5, 8])
def test_gradients_agree_with_finite_differences(block):
    torch.manual_seed(0)
    q, k, v = (torch.randn(5, heads, 4, dtype=torch.float64) for heads in (6, 2, 2))
    inputs = [x.requires_grad_() for x in (q, k, v)]
    assert torch.autograd.gradcheck(lambda *x: Products.apply(*x, block), inputs)


@pytest.mark.parametrize("lengths", [(3, 1, 70), (400,), (1100,)])
def test_bf16_attention_and_its_gradients_stay_near_the_exact_ones(lengths):
    torch.manual_seed(0)
    rows = sum(lengths)
    given = [torch.randn(rows, heads, 16).bfloat16().requires_grad_() for heads in (6, 2, 2)]
    dy = torch.randn(rows, 96).bfloat16()
    found = Layout(lengths, lengths, CPU).causal(*given)
    gradients = torch.autograd.grad(found, given, dy)

    exact = [x.detach().double().requires_grad_() for x in given]
    parts = []
    for a, b, c in zip(*(torch.split(x, lengths) for x in exact), strict=True):
        q, k, v = (x.transpose(0, 1)[None] for x in (a, b, c))
        y = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        parts.append(y[0].transpose(0, 1).flatten(1))
    expected = torch.cat(parts)
    wanted = torch.autograd.grad(expected, exact, dy.double())
    assert found.dtype is torch.bfloat16
    for ours, theirs in zip((found, *gradients), (expected, *wanted), strict=True):
        # bfloat16 keeps 8 bits; some roundings in a row stay below 2 % of the whole.
        assert (ours.double() - theirs).norm() < 0.02 * theirs.norm()
