"""Matrix products, through the fastest library at hand.

On a CPU torch sends float32 products to MKL, which on processors that are not Intel's stays at
half of what oneDNN reaches, and on Intel's is the faster one (measured: docs/log.md). torch ships
oneDNN too, but offers it for float32 only as an operator of its compiler; we call that one. The
choice depends on shapes and the processor's vendor alone, never on a timing, so that the same work
on the same machine gives the same bits again (law 4).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Below this many multiply-adds the operator's own overhead costs more than it gains.
_WORTH_MULTIPLY_ADDS = 1_500_000
# oneDNN compiles and keeps a kernel for each shape that it meets, so it is asked for few shapes:
# the lean decoder rounds its rows up to ROUND_ROWS, and a size that is no multiple of 8 goes to
# MKL (without this the mini recipe was slower than through MKL alone, docs/log.md).
ROUND_ROWS = 64
_MULTIPLE = 8
# A smaller matrix stays in the cache as it is.
_WORTH_PACKING = 2**18


@functools.cache
def _onednn() -> Callable[..., Tensor] | None:
    space: Any = getattr(torch.ops, "mkldnn", None)
    available: Any = torch.backends.mkldnn.is_available
    if not available() or not hasattr(space, "_linear_pointwise"):
        return None
    operator: Callable[..., Tensor] = space._linear_pointwise
    return operator


@functools.cache
def _mkl_is_fast() -> bool:
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:  # not Linux
        return False


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product without a gradient of its own.

    Args:
        left: ``[n, k]``, any strides.
        right: ``[k, m]``, the same dtype and device.

    Returns:
        ``[n, m]``, contiguous.
    """
    if left.dtype is torch.float32 and left.device.type == "cpu" and not _mkl_is_fast():
        sizes = (*left.shape, right.shape[1])
        few_shapes = not any(size % _MULTIPLE for size in sizes)
        operator = _onednn() if few_shapes and math.prod(sizes) >= _WORTH_MULTIPLY_ADDS else None
        if operator is not None:
            return operator(_dense(left), _dense(right).t(), None, "none", [], "")
    return left @ right


class Packed:
    """A matrix for many products, laid out once as the fastest library wants it.

    Its products take any number of rows: the layout is chosen once, not for each shape.
    """

    def __init__(self, weight: Tensor) -> None:
        """Lay out.

        Args:
            weight: ``[m, k]``; not changed afterwards.
        """
        operator = _onednn() if weight.device.type == "cpu" else None
        fits = weight.dtype is torch.float32 or (
            weight.dtype is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
        self._operator = operator if fits and weight.numel() >= _WORTH_PACKING else None
        self._weight = weight
        if self._operator is not None:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)

    def multiply(self, left: Tensor) -> Tensor:
        """``left [n, k]`` times the transposed matrix: ``[n, m]``, in the matrix' dtype."""
        if self._operator is None:
            return multiply(left, self._weight.t())
        return self._operator(left.contiguous(), self._weight, None, "none", [], "")


def _dense(x: Tensor) -> Tensor:
    """The same matrix without gaps: with them the operator is a hundred times slower."""
    return x if x.is_contiguous() or x.t().is_contiguous() else x.contiguous()
