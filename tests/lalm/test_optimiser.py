"""The schedule against transformers' own, and which parameters decay."""

from __future__ import annotations

import pytest
import torch

from auricle.lalm.optimiser import Optimiser, learning_rate
from auricle.lalm.pieces import whole


@pytest.mark.parametrize(("steps", "warmup"), [(20, 5), (20, 0), (5, 5), (3, 10)])
def test_schedule_is_that_of_transformers(make_recipe, steps, warmup):
    from transformers import get_linear_schedule_with_warmup

    train = make_recipe(train__steps=steps, train__warmup=warmup, train__lr=0.5).train
    plain = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = get_linear_schedule_with_warmup(plain, warmup, steps)
    for step in range(steps):
        assert learning_rate(step, train=train) == pytest.approx(schedule.get_last_lr()[0])
        plain.step()
        schedule.step()


def test_first_step_of_a_warm_up_changes_nothing(make_recipe):
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimiser = Optimiser([whole("weight", weight)], train=make_recipe().train)
    weight.grad = torch.ones(2, 2)
    norm = optimiser.step(0)
    assert norm.item() == pytest.approx(2.0)
    assert torch.equal(weight.detach(), torch.ones(2, 2))
    assert weight.grad is None


def test_matrices_decay_and_vectors_do_not(make_recipe):
    matrix, vector = (torch.nn.Parameter(torch.ones(*shape)) for shape in ((2, 2), (2,)))
    train = make_recipe(train__lr=0.1, train__warmup=0, train__weight_decay=0.5).train
    optimiser = Optimiser([whole("matrix", matrix), whole("vector", vector)], train=train)
    for parameter in (matrix, vector):
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step(0)
    # AdamW: w <- w (1 - lr * decay); a gradient of zero adds nothing.
    assert torch.allclose(matrix.detach(), torch.full((2, 2), 0.95))
    assert torch.equal(vector.detach(), torch.ones(2))


def test_moments_come_back(make_recipe):
    def fresh() -> tuple[torch.nn.Parameter, Optimiser]:
        weight = torch.nn.Parameter(torch.ones(2, 2))
        train = make_recipe(train__lr=0.1, train__warmup=0).train
        return weight, Optimiser([whole("weight", weight)], train=train)

    weight, optimiser = fresh()
    for step in range(3):
        weight.grad = torch.full((2, 2), float(step + 1))
        optimiser.step(step)
    saved = {name: tensor.clone() for name, tensor in optimiser.state().items()}
    other, continued = fresh()
    other.data.copy_(weight.data)
    continued.load(saved, steps_done=3)
    for w, o in ((weight, optimiser), (other, continued)):
        w.grad = torch.full((2, 2), 0.3)
        o.step(3)
    assert torch.equal(weight, other)
