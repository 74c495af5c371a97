"""Batches of few shapes: the same loss and gradients, few shapes, nothing read back."""

import pytest
import torch
from lalm_material import DIM
from test_device import META, OneDevice

from auricle.lalm.batch import block_batches, pack
from auricle.lalm.fixed import NO_LABEL, fixed_shape, widen
from auricle.lalm.model import build_lalm

WHOLE = {"lora": None, "train__train_decoder": True}


def batch_of(material, tokens, *, first: int = 0):
    examples = block_batches([material.draw(i) for i in range(first, first + 4)], tokens, 4)[0]
    return pack(examples, [material.read(e.window) for e in examples], concat=1)


@pytest.mark.parametrize("changes", [{}, WHOLE])
def test_a_widened_batch_has_the_same_loss_and_gradients(
    make_recipe, tokens, material, changes
) -> None:
    lalm = build_lalm(make_recipe(**changes), tokens=tokens, feature_dim=DIM, seed=0)
    lalm.set_precision(torch.float64)
    parameters = [piece.parameter for piece in lalm.pieces()]
    generator = torch.Generator().manual_seed(1)
    for parameter in parameters:  # adapters that do nothing yet would hide most of a gradient
        parameter.data.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    batch = batch_of(material, tokens)
    expected = lalm.loss(batch)
    gradients = torch.autograd.grad(expected, parameters)
    wide = widen(batch)
    assert len(wide.tokens) > len(batch.positions)
    assert len(wide.labels) > len(batch.labels)
    found = lalm.fixed_loss(wide)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for one, other in zip(torch.autograd.grad(found, parameters), gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_what_lies_in_the_rows_of_nothing_changes_nothing(make_recipe, tokens, material) -> None:
    lalm = build_lalm(make_recipe(), tokens=tokens, feature_dim=DIM, seed=0)
    batch = batch_of(material, tokens)
    wide, other = widen(batch), widen(batch)
    filled = wide.sequences == len(batch.lengths)
    assert filled.any()
    other.features[~wide.is_audio] = 1e3
    other.tokens[filled | wide.is_audio] = 7
    other.is_audio[filled] = True
    assert torch.equal(lalm.fixed_loss(other), lalm.fixed_loss(wide))


def test_shapes_are_few_and_at_most_an_eighth_is_nothing(material, tokens) -> None:
    sizes = [fixed_shape([count], 1)[0] for count in range(1, 4097)]
    assert len(set(sizes)) <= 30
    assert all(size >= count for count, size in enumerate(sizes, 1))
    assert all(size % 64 == 0 for size in sizes)
    assert all(size - count < max(128, count / 8) for count, size in enumerate(sizes, 1))
    assert sizes == sorted(sizes)
    batch = batch_of(material, tokens)
    wide = widen(batch)
    assert wide.shape == (128, 256, 5, 64)
    assert int((wide.labels != NO_LABEL).sum()) == len(batch.labels)


def test_each_row_has_a_slot_beside_those_of_its_sequence(material, tokens) -> None:
    batch = batch_of(material, tokens)
    wide = widen(batch)
    assert wide.rows.flatten()[wide.slots].tolist() == list(range(len(wide.tokens)))
    for number, length in enumerate(batch.lengths):
        own = wide.rows[number, :length]
        assert wide.sequences[own].tolist() == [number] * length
        assert wide.positions[own].tolist() == list(range(length))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_step_moves_nothing_between_devices(make_recipe, tokens, material, precision) -> None:
    lalm = build_lalm(
        make_recipe(precision=precision), tokens=tokens, feature_dim=DIM, seed=0, device=META
    )
    inputs = widen(batch_of(material, tokens)).to(META)
    parameters = [piece.parameter for piece in lalm.pieces()]

    class NoMoves(OneDevice):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = super().__torch_dispatch__(func, types, args, kwargs)
            if isinstance(result, torch.Tensor):
                assert result.device == META, func
            return result

    with NoMoves() as watch:
        torch.autograd.grad(lalm.fixed_loss(inputs), parameters)
    assert watch.operations > 300
