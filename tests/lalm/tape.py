"""A capturer for the CPU that keeps a CUDA graph's rules, so that captured steps can be tested.

It notes each operation with the very tensors that it read and wrote, and replays the list: what
Python decided while it was captured stays decided, inputs are read where they lay, results go to
where they went. Reading a number back, or making a tensor from numbers in Python, is refused, as
both are while a GPU captures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ATEN = torch.ops.aten
REFUSED = {
    ATEN._local_scalar_dense.default,
    ATEN.nonzero.default,
    ATEN.lift_fresh.default,
    ATEN.equal.default,
}


class _Notes(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in REFUSED:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self.done.append((func, args, kwargs, result))
        return result


class Tape:
    """See the module."""

    def __init__(self) -> None:
        self.captured = 0
        self.replayed = 0

    def warm_up(self, work: Callable[[], None]) -> None:
        work()

    def capture(
        self, work: Callable[[], None], generator: torch.Generator | None
    ) -> Callable[[], None]:
        state = None if generator is None else generator.get_state()
        with _Notes() as notes:
            work()
        if generator is not None and state is not None:
            generator.set_state(state)
        self._forget(notes)
        self.captured += 1

        @torch.no_grad()
        def replay() -> None:
            self.replayed += 1
            for func, args, kwargs, result in notes.done:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)

        return replay

    def _forget(self, notes: _Notes) -> None:
        """Capturing computes nothing on a GPU: leave numbers that would show up everywhere."""
        inputs = {x.untyped_storage().data_ptr() for x in self._outside(notes)}
        for _, _, _, result in notes.done:
            for x in tree_leaves(result):
                own = isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in inputs
                if own and x.is_floating_point():
                    x.detach().fill_(torch.nan)

    def _outside(self, notes: _Notes) -> list[Tensor]:
        """Tensors that were there before the capture."""
        made: set[int] = set()
        found = []
        for _, args, kwargs, result in notes.done:
            for x in tree_leaves((args, kwargs)):
                if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in made:
                    found.append(x)
            made |= {
                x.untyped_storage().data_ptr() for x in tree_leaves(result) if isinstance(x, Tensor)
            } - {x.untyped_storage().data_ptr() for x in found}
        return found
