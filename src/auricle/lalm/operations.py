"""The differentiable steps of a Llama block, with backward passes written by hand.

Each step saves the little that cannot be computed again cheaply: a norm keeps its input and one
number per position, the gated unit its two inputs, an adapter its rank-8 product. A frozen weight
gets no gradient, and several linear layers that read the same input are one product.

Positions are rows: every tensor is ``[positions, width]``, sequences packed behind each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F  # noqa: N812

from auricle.lalm.matmul import multiply


@dataclass(frozen=True, slots=True)
class Group:
    """Linear layers that read the same input, side by side as one, with their adapters.

    ``y = x W^T + scale * drop(x) A^T B^T``, layer by layer (Hu et al., 2021, "LoRA").
    """

    weight: Tensor
    """``[sum of sizes, in]``."""
    sizes: list[int]
    """Output width of each layer."""
    down: Tensor | None = None
    """The layers' A matrices stacked: ``[layers * rank, in]``, or None without adapters."""
    up: Tensor | None = None
    """The layers' B matrices stacked: ``[sum of sizes, rank]``."""
    scale: float = 0.0
    """alpha / rank."""

    def part(self, first: int, stop: int) -> Group:
        """Some of the layers, by number."""
        here = slice(sum(self.sizes[:first]), sum(self.sizes[:stop]))
        if self.down is None or self.up is None:
            return Group(self.weight[here], self.sizes[first:stop])
        rank = self.up.shape[1]
        down = self.down[first * rank : stop * rank]
        return Group(self.weight[here], self.sizes[first:stop], down, self.up[here], self.scale)

    def merged(self) -> Tensor:
        """``W + scale * B A``: one plain weight that does what the layers and adapters do."""
        weight = self.weight.detach().clone()
        if self.down is not None and self.up is not None:
            rank = self.up.shape[1]
            ups = torch.split(self.up.detach(), self.sizes)
            downs = torch.split(self.down.detach(), rank)
            for rows, up, down in zip(torch.split(weight, self.sizes), ups, downs, strict=True):
                rows.add_((up @ down).to(weight.dtype), alpha=self.scale)
        return weight


@dataclass(frozen=True, slots=True)
class Dropout:
    """Dropout before the adapters: one mask per layer, from a generator of the step's own."""

    rate: float
    generator: torch.Generator

    def masks(self, group: Group, positions: int) -> Tensor:
        """True where an input is kept: bool ``[layers, positions, in]``."""
        shape = (len(group.sizes), positions, group.weight.shape[1])
        mask = torch.empty(shape, dtype=torch.bool, device=group.weight.device)
        return mask.bernoulli_(1.0 - self.rate, generator=self.generator)


class Source(Protocol):
    """What a group's input is made from; the input itself is never stored, only made again."""

    def make(self, x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The group's input, and what its backward pass wants to keep."""

    def again(self, x: Tensor, weight: Tensor | None, kept: Tensor | None) -> Tensor:
        """The same input again."""

    def backward(
        self, dh: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Gradients of ``x`` and of ``weight``; may overwrite ``dh``."""


@dataclass(frozen=True, slots=True)
class Plain:
    """The input as it is."""

    def make(self, x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """See `Source`."""
        return x, None

    def again(self, x: Tensor, weight: Tensor | None, kept: Tensor | None) -> Tensor:
        """See `Source`."""
        return x

    def backward(
        self, dh: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Source`."""
        return dh, None


@dataclass(frozen=True, slots=True)
class Gated:
    """``silu(gate) * up`` of ``[n, 2 width]`` (Shazeer, 2020, "GLU variants")."""

    def make(self, x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """See `Source`."""
        gate, up = x.chunk(2, 1)
        return F.silu(gate).mul_(up), None

    def again(self, x: Tensor, weight: Tensor | None, kept: Tensor | None) -> Tensor:
        """See `Source`."""
        return self.make(x, weight)[0]

    def backward(
        self, dh: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Source`."""
        gate, up = x.chunk(2, 1)
        dx = torch.empty_like(x)
        dgate, dup = dx.chunk(2, 1)
        torch.mul(dh, F.silu(gate), out=dup)
        dgate.copy_(torch.ops.aten.silu_backward(dh.mul_(up), gate))
        return dx, None


@dataclass(frozen=True, slots=True)
class Normed:
    """Root-mean-square norm with a weight (Zhang & Sennrich, 2019), in the residual's dtype."""

    eps: float
    dtype: torch.dtype

    def make(self, x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """See `Source`."""
        inverse = inverse_rms(x, self.eps)
        return self.again(x, weight, inverse), inverse

    def again(self, x: Tensor, weight: Tensor | None, kept: Tensor | None) -> Tensor:
        """See `Source`."""
        assert weight is not None
        assert kept is not None
        return (x * kept).mul_(weight).to(self.dtype)

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


def linear(
    x: Tensor,
    group: Group,
    *,
    source: Source,
    norm: Tensor | None = None,
    dropout: Dropout | None = None,
    dtype: torch.dtype,
) -> Tensor:
    """Apply a group of linear layers to an input made from ``x``.

    Args:
        x: ``[n, width]``.
        group: The layers.
        source: How the group's input is made from ``x``.
        norm: The norm's weight ``[width]``, where the source is a norm.
        dropout: Dropout before the adapters, in training.
        dtype: Of the products.

    Returns:
        ``[n, sum of sizes]`` in ``dtype``.
    """
    masks = None
    scale = group.scale
    if dropout is not None and dropout.rate > 0 and group.down is not None:
        masks = dropout.masks(group, x.shape[0])
        scale /= 1.0 - dropout.rate
    plan = _Plan(group.sizes, scale, masks, source, dtype)
    apply: Any = _Linear.apply
    result: Tensor = apply(x, norm, group.weight, group.down, group.up, plan)
    return result


@dataclass(frozen=True, slots=True)
class _Plan:
    sizes: list[int]
    scale: float
    masks: Tensor | None
    source: Source
    dtype: torch.dtype


class _Linear(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        norm: Tensor | None,
        weight: Tensor,
        down: Tensor | None,
        up: Tensor | None,
        plan: _Plan,
    ) -> Tensor:
        h, kept = plan.source.make(x, norm)
        y = multiply(h, weight.to(plan.dtype).t())
        inner = None
        if down is not None and up is not None:
            inner = _inner(h, down.to(plan.dtype), up.shape[1], plan.masks)
            rows = zip(
                torch.split(y, plan.sizes, 1),
                torch.split(up.to(plan.dtype), plan.sizes),
                torch.split(inner, up.shape[1], 1),
                strict=True,
            )
            for part, matrix, z in rows:
                part.addmm_(z, matrix.t(), alpha=plan.scale)
        ctx.save_for_backward(x, norm, weight, down, up, kept, inner, plan.masks)
        ctx.plan = plan
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        x, norm, weight, down, up, kept, inner, masks = ctx.saved_tensors
        dy = dy.to(plan.dtype)
        dh = multiply(dy, weight.to(plan.dtype))
        dweight = ddown = dup = None
        if weight.requires_grad or down is not None:
            h = plan.source.again(x, norm, kept)
            if weight.requires_grad:
                dweight = multiply(dy.t(), h).to(weight.dtype)
            if down is not None:
                dup, dinner = _up_gradient(dy, inner, up, plan)
                ddown = _down_gradient(dh, h, dinner, down.to(plan.dtype), masks).to(down.dtype)
        dx, dnorm = plan.source.backward(dh, x, norm, kept)
        return dx, dnorm, dweight, ddown, dup, None


def _inner(h: Tensor, down: Tensor, rank: int, masks: Tensor | None) -> Tensor:
    """``drop(h) A^T`` of each layer: ``[n, layers * rank]``."""
    if masks is None:
        return h @ down.t()
    pieces = zip(masks, torch.split(down, rank), strict=True)
    return torch.cat([(h * mask) @ matrix.t() for mask, matrix in pieces], 1)


def _up_gradient(dy: Tensor, inner: Tensor, up: Tensor, plan: _Plan) -> tuple[Tensor, Tensor]:
    """Gradients of the stacked B matrices and of the adapters' inner product."""
    parts = torch.split(dy, plan.sizes, 1)
    inners = torch.split(inner, up.shape[1], 1)
    ups = torch.split(up.to(plan.dtype), plan.sizes)
    dup = torch.cat([dy_j.t() @ z for dy_j, z in zip(parts, inners, strict=True)])
    dinner = torch.cat([dy_j @ matrix for dy_j, matrix in zip(parts, ups, strict=True)], 1)
    return dup.to(up.dtype).mul_(plan.scale), dinner.mul_(plan.scale)


def _down_gradient(
    dh: Tensor, h: Tensor, dinner: Tensor, down: Tensor, masks: Tensor | None
) -> Tensor:
    """Gradient of the stacked A matrices; adds the adapters' part to ``dh`` in place."""
    if masks is None:
        dh.addmm_(dinner, down)
        return dinner.t() @ h
    rank = down.shape[0] // len(masks)
    downs, dinners = torch.split(down, rank), torch.split(dinner, rank, 1)
    pieces = list(zip(masks, downs, dinners, strict=True))
    for mask, matrix, dz in pieces:
        dh.add_((dz @ matrix).mul_(mask))
    return torch.cat([dz.t() @ (h * mask) for mask, _, dz in pieces])


class _Rotate(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(dy, cos, -sin), None, None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al., 2021), halves paired as Llama does.

    Args:
        x: ``[n, heads, width]``.
        cos: ``[n, 1, width / 2]``, in float32 or wider.
        sin: The same shape.

    Returns:
        The shape and dtype of ``x``.
    """
    apply: Any = _Rotate.apply
    result: Tensor = apply(x, cos, sin)
    return result


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    y = torch.empty(x.shape, dtype=cos.dtype, device=x.device)
    low, high = y.chunk(2, -1)
    torch.mul(first, cos, out=low).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=high).addcmul_(first, sin)
    return y.to(x.dtype)
