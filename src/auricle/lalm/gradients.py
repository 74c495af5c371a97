"""The loss of a batch and its gradients, on a CPU as they come, on a GPU as a captured step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from auricle.lalm.batch import Batch
from auricle.lalm.capture import Capturer, Captures, capturer_of
from auricle.lalm.fixed import FixedBatch, widen
from auricle.lalm.llama import LeanLlama
from auricle.lalm.model import LALM
from auricle.lalm.pieces import parameters_of


class Gradients(Protocol):
    """Trains nothing yet: leaves gradients in the parameters that train."""

    @property
    def slow_because(self) -> str:
        """A sentence on what makes the steps slow, empty where nothing does."""

    def release(self) -> None:
        """Give back the memory that further steps would use."""

    def __call__(self, batch: Batch, dropout_seed: int | None) -> Tensor:
        """Compute.

        Args:
            batch: On the CPU.
            dropout_seed: Seed of the adapters' dropout, or None for no dropout.

        Returns:
            The loss, a number on the parameters' device.
        """


def gradients_of(lalm: LALM) -> Gradients:
    """How to train a LALM where it lies.

    Args:
        lalm: Its parameters stay where they are from here on.
    """
    capturer = capturer_of(lalm.device)
    if capturer is not None and isinstance(lalm.decoder, LeanLlama):
        return FixedGradients(lalm, capturer)
    return PackedGradients(lalm)


class PackedGradients:
    """Steps as they come, without padding."""

    slow_because = ""

    def __init__(self, lalm: LALM) -> None:
        """Prepare."""
        self._lalm = lalm

    def release(self) -> None:
        """See `Gradients`; nothing is kept here."""

    def __call__(self, batch: Batch, dropout_seed: int | None) -> Tensor:
        """See `Gradients`."""
        loss = self._lalm.loss(batch.to(self._lalm.device), dropout_seed=dropout_seed)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class FixedGradients:
    """Steps of few shapes, each captured when its shape is first met.

    What a step gives depends on its batch alone, not on what was captured before it (law 4).
    """

    def __init__(self, lalm: LALM, capturer: Capturer) -> None:
        """Prepare.

        Args:
            lalm: With the lean decoder.
            capturer: Of its device.
        """
        self._lalm = lalm
        self._parameters = parameters_of(lalm.pieces())
        # Results of every shape go to the same place, so that shapes share the rest of the memory.
        self._found = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._loss = torch.zeros((), device=lalm.device)
        self._inputs: dict[tuple[int, ...], FixedBatch] = {}
        self._captures = Captures(capturer)
        self._generator = torch.Generator(lalm.device)

    @property
    def slow_because(self) -> str:
        """See `Gradients`."""
        return self._captures.given_up

    def release(self) -> None:
        """See `Gradients`."""
        self._captures.clear()
        self._inputs.clear()

    def __call__(self, batch: Batch, dropout_seed: int | None) -> Tensor:
        """See `Gradients`."""
        fixed = widen(batch)
        if fixed.shape not in self._inputs:
            self._inputs[fixed.shape] = fixed.to(self._lalm.device)
        inputs = self._inputs[fixed.shape]
        inputs.copy_(fixed)
        generator = None
        if dropout_seed is not None:
            # One that a failed capture has touched may refuse to be used outside of it.
            eager = bool(self._captures.given_up)
            generator = torch.Generator(self._lalm.device) if eager else self._generator
            generator.manual_seed(dropout_seed)
        self._captures.run(
            (fixed.shape, generator is None),
            lambda: self._compute(inputs, generator),
            lambda: [self._loss, *self._found],
            generator=generator,
        )
        for parameter, found in zip(self._parameters, self._found, strict=True):
            parameter.grad = found
        return self._loss.clone()

    def _compute(self, inputs: FixedBatch, generator: torch.Generator | None) -> None:
        with _repeatable():
            loss = self._lalm.fixed_loss(inputs, generator=generator)
            torch._foreach_copy_(self._found, torch.autograd.grad(loss, self._parameters))
            self._loss.copy_(loss.detach())


@contextmanager
def _repeatable() -> Iterator[None]:
    """Let no operation add in an order that changes from run to run, as attention's gradient does.

    torch leaves that gradient as it is where it is only to warn.
    """
    before = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # each a launch more
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=only_warns)
        memory.fill_uninitialized_memory = fills
