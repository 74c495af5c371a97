"""Matrix products, through the fastest library at hand.

On a CPU torch sends float32 products to MKL, which on processors that are not Intel's stays at
half of what oneDNN reaches (measured: docs/performance.md). torch ships oneDNN too, but offers it
for float32 only as an operator of its compiler; we call that one. The choice depends on shapes
alone, never on a timing, so that the same work gives the same bits again (law 4).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# oneDNN compiles a kernel for each shape that it meets, and batches of varying length bring new
# shapes at every step: below this many multiply-adds that costs more than the product gains
# (mini recipe: 58 ms of CPU a step through MKL, 65 to 75 through oneDNN, docs/log.md).
_WORTH_MULTIPLY_ADDS = 200_000_000


@functools.cache
def _onednn() -> Callable[..., Tensor] | None:
    space: Any = getattr(torch.ops, "mkldnn", None)
    available: Any = torch.backends.mkldnn.is_available
    if not available() or not hasattr(space, "_linear_pointwise"):
        return None
    operator: Callable[..., Tensor] = space._linear_pointwise
    return operator


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product without a gradient of its own.

    Args:
        left: ``[n, k]``, any strides.
        right: ``[k, m]``, the same dtype and device.

    Returns:
        ``[n, m]``, contiguous.
    """
    if left.dtype is torch.float32 and left.device.type == "cpu":
        work = left.shape[0] * left.shape[1] * right.shape[1]
        operator = _onednn() if work >= _WORTH_MULTIPLY_ADDS else None
        if operator is not None:
            return operator(left, right.t(), None, "none", [], "")
    return left @ right
