"""Hand-written gradients against numerical ones, and against torch's own layers."""

from __future__ import annotations

import pytest
import torch

from auricle.lalm import matmul
from auricle.lalm.matmul import Packed, multiply
from auricle.lalm.operations import Adapters, Dropout, Group, linear, rotate
from auricle.lalm.sources import Gated, Normed, Plain

F64 = torch.float64


def random(*shape: int, grad: bool = True) -> torch.Tensor:
    return torch.randn(*shape, dtype=F64).requires_grad_(grad)


def group_of(weight, sizes, down, up, scale=1.5) -> Group:
    room = weight.new_zeros(len(weight), len(down))
    return Group(torch.cat([weight, room], 1), sizes, Adapters(down, up, scale))


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("source", ["plain", "gated", "normed"])
def test_gradients_of_a_group_agree_with_finite_differences(source, rate):
    torch.manual_seed(0)
    made = {"plain": Plain(), "gated": Gated(), "normed": Normed(1e-5)}[source]
    x = random(5, 8 if source == "gated" else 4)
    norm = random(4) if source == "normed" else None

    frozen = random(7, 4, grad=False)

    def with_adapters(x, norm, down, up):
        group = group_of(frozen, [3, 4], down, up)
        dropout = Dropout(rate, torch.Generator().manual_seed(1))
        return linear(x, group, source=made, norm=norm, dropout=dropout, dtype=F64)

    def whole(x, norm, weight):
        return linear(x, Group(weight, [3, 4]), source=made, norm=norm, dtype=F64)

    assert torch.autograd.gradcheck(with_adapters, (x, norm, random(4, 4), random(7, 2)))
    assert torch.autograd.gradcheck(whole, (x, norm, random(7, 4)))


def test_group_equals_layers_with_adapters_one_by_one():
    torch.manual_seed(0)
    x, weight, down, up = random(5, 4), random(7, 4, grad=False), random(4, 4), random(7, 2)
    y = linear(x, group_of(weight, [3, 4], down, up), source=Plain(), dtype=F64)
    first = x @ weight[:3].T + 1.5 * x @ down[:2].T @ up[:3].T
    second = x @ weight[3:].T + 1.5 * x @ down[2:].T @ up[3:].T
    assert torch.allclose(y, torch.cat([first, second], 1))


def test_part_and_merged_weight_of_a_group_say_the_same_as_the_group():
    torch.manual_seed(0)
    x = random(5, 4)
    group = group_of(random(9, 4, grad=False), [3, 4, 2], random(6, 4), random(9, 2))
    whole = linear(x, group, source=Plain(), dtype=F64)
    assert torch.allclose(linear(x, group.part(1, 3), source=Plain(), dtype=F64), whole[:, 3:])
    assert torch.allclose(x @ group.merged().T, whole)


def test_dropout_keeps_the_expected_value():
    torch.manual_seed(0)
    x, group = random(4, 64), group_of(random(3, 64, grad=False), [3], random(2, 64), random(3, 2))
    exact = linear(x, group, source=Plain(), dtype=F64)
    generator = torch.Generator().manual_seed(3)
    runs = [
        linear(x, group, source=Plain(), dropout=Dropout(0.25, generator), dtype=F64)
        for _ in range(4000)
    ]
    spread = torch.stack(runs).std(0) / 4000**0.5
    assert ((torch.stack(runs).mean(0) - exact).abs() < 5 * spread).all()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_masks_drop_at_their_rate_and_independently(rate):
    masks = Dropout(rate, torch.Generator().manual_seed(1)).masks(7, 100, 300)
    kept = masks.double()
    noise = (rate * (1 - rate) / kept.numel()) ** 0.5
    assert abs(kept.mean().item() - (1 - rate)) < 4 * noise + 1 / 65536
    flat = kept.flatten() - (1 - rate)
    for distance in (1, 2, 3, 4, 300, 30_000):
        product = (flat[distance:] * flat[:-distance]).mean().item()
        assert abs(product) < 5 * rate * (1 - rate) / kept.numel() ** 0.5


def test_rotation_keeps_lengths_and_depends_on_distance_alone():
    torch.manual_seed(0)
    angles = torch.arange(6, dtype=F64)[:, None, None] * torch.tensor([1.0, 0.3], dtype=F64)
    q, k = random(1, 1, 4).expand(6, 1, 4), random(1, 1, 4).expand(6, 1, 4)
    q, k = (rotate(x, angles.cos(), angles.sin()) for x in (q, k))
    assert torch.allclose(q.norm(dim=-1), q[0].norm(dim=-1).expand(6, 1))
    scores = q[:, 0] @ k[:, 0].T
    for distance in range(-5, 6):
        diagonal = torch.diagonal(scores, distance)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal))
    x = random(6, 2, 4)
    assert torch.autograd.gradcheck(lambda x: rotate(x, angles.cos(), angles.sin()), (x,))


@pytest.mark.parametrize("intel", [False, True])
@pytest.mark.parametrize("shape", [(1, 4, 5), (300, 128, 384), (40, 1000, 200)])
def test_multiply_is_the_matrix_product_for_any_strides(shape, intel, monkeypatch):
    monkeypatch.setattr(matmul, "_mkl_is_fast", lambda: intel)
    n, k, m = shape
    left, right = torch.randn(n, k), torch.randn(k, m)
    expected = (left.double() @ right.double()).float()
    turned = right.t().contiguous().t()
    for a in (left, left.t().contiguous().t()):
        for b in (right, turned):
            assert torch.allclose(multiply(a, b), expected, atol=1e-3, rtol=1e-5)
    assert torch.equal(multiply(left, right), multiply(left, right))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_packed_matrix_gives_the_product_for_any_number_of_rows(dtype):
    torch.manual_seed(0)
    tolerance = {torch.float32: 1e-4, torch.bfloat16: 1.0, torch.float64: 1e-10}[dtype]
    for outputs, inputs in ((30, 20), (640, 512)):
        weight = torch.randn(outputs, inputs).to(dtype)
        packed = Packed(weight)
        for rows in (1, 3, 64, 70):
            x = torch.randn(inputs, rows).to(dtype).t()
            found = packed.multiply(x)
            assert found.dtype is dtype
            assert torch.allclose(found.double(), x.double() @ weight.double().t(), atol=tolerance)
            assert torch.equal(found, packed.multiply(x))
