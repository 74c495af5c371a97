"""What a group of linear layers reads: a tensor as it is, its norm, or its gated product.

Such an input is never stored for the backward pass, only made again from what made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


class Source(Protocol):
    """How a group's input is made from ``x``, and how gradients come back."""

    def width(self, x: Tensor) -> int:
        """Columns of the input."""

    def make(self, x: Tensor, weight: Tensor | None, out: Tensor) -> Tensor | None:
        """Write the input to ``out``; returns what the backward pass wants to keep."""

    def again(self, x: Tensor, weight: Tensor | None, kept: Tensor | None, out: Tensor) -> None:
        """Write the same input again."""

    def backward(
        self, dh: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Gradients of ``x`` and of ``weight``; overwrites ``dh``."""


@dataclass(frozen=True, slots=True)
class Plain:
    """The input as it is."""

    def width(self, x: Tensor) -> int:
        """See `Source`."""
        return x.shape[1]

    def make(self, x: Tensor, weight: Tensor | None, out: Tensor) -> Tensor | None:
        """See `Source`."""
        out.copy_(x)
        return None

    def again(self, x: Tensor, weight: Tensor | None, kept: Tensor | None, out: Tensor) -> None:
        """See `Source`."""
        out.copy_(x)

    def backward(
        self, dh: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Source`."""
        return dh.to(x.dtype), None


@dataclass(frozen=True, slots=True)
class Gated:
    """``silu(gate) * up`` of ``[n, 2 width]`` (Shazeer, 2020, "GLU variants")."""

    def width(self, x: Tensor) -> int:
        """See `Source`."""
        return x.shape[1] // 2

    def make(self, x: Tensor, weight: Tensor | None, out: Tensor) -> Tensor | None:
        """See `Source`."""
        gate, up = x.chunk(2, 1)
        torch.mul(F.silu(gate), up, out=out)
        return None

    def again(self, x: Tensor, weight: Tensor | None, kept: Tensor | None, out: Tensor) -> None:
        """See `Source`."""
        self.make(x, weight, out)

    def backward(
        self, dh: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Source`."""
        gate, up = x.chunk(2, 1)
        dx = torch.empty_like(x)
        dgate, dup = dx.chunk(2, 1)
        torch.mul(dh, F.silu(gate), out=dup)
        torch.ops.aten.silu_backward.grad_input(dh.mul_(up), gate, grad_input=dgate)
        return dx, None


@dataclass(frozen=True, slots=True)
class Normed:
    """Root-mean-square norm with a weight (Zhang & Sennrich, 2019), in the residual's dtype."""

    eps: float

    def width(self, x: Tensor) -> int:
        """See `Source`."""
        return x.shape[1]

    def make(self, x: Tensor, weight: Tensor | None, out: Tensor) -> Tensor | None:
        """See `Source`."""
        inverse = inverse_rms(x, self.eps)
        self.again(x, weight, inverse, out)
        return inverse

    def again(self, x: Tensor, weight: Tensor | None, kept: Tensor | None, out: Tensor) -> None:
        """See `Source`."""
        assert weight is not None
        assert kept is not None
        torch.mul((x * kept), weight, out=out)

    def backward(
        self, dh: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Source`."""
        assert weight is not None
        assert kept is not None
        dh = dh.to(x.dtype)
        dweight = (x * kept).mul_(dh).sum(0) if weight.requires_grad else None
        g = dh.mul_(weight)
        dot: Tensor = torch.linalg.vecdot(g, x)
        factor = dot.unsqueeze(-1) * kept**3 / -x.shape[-1]
        return g.mul_(kept).addcmul_(x, factor), dweight


def inverse_rms(x: Tensor, eps: float) -> Tensor:
    """1 / root mean square of each row: ``[n, 1]``."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()


def normed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """The norm alone, with torch's own gradient: for the few rows before the head."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight
