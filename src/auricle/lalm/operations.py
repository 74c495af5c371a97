"""The linear layers and rotations of a block, with backward passes written by hand.

A frozen weight gets no gradient, and layers that read the same input are one product. Their
adapters ride along: right of the weights lie columns for ``scale * B``, right of the input its
rank-8 products, so that one product gives layers and adapters together, forward and backward.

Positions are rows: every tensor is ``[positions, width]``, sequences packed behind each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from auricle.lalm.matmul import multiply
from auricle.lalm.sources import Source


@dataclass(frozen=True, slots=True)
class Adapters:
    """Low-rank adapters of a group (Hu et al., 2021, "LoRA"): ``scale * drop(x) A^T B^T`` each."""

    down: Tensor
    """The A matrices stacked: ``[layers * rank, in]``."""
    up: Tensor
    """The B matrices stacked: ``[sum of sizes, rank]``."""
    scale: float
    """alpha / rank."""


@dataclass(frozen=True, slots=True)
class Group:
    """Linear layers that read the same input, side by side as one, with their adapters."""

    weight: Tensor
    """``[sum of sizes, in]``; with adapters ``[sum of sizes, in + layers * rank]``, where the
    columns on the right are written anew at each use."""
    sizes: list[int]
    """Output width of each layer."""
    adapters: Adapters | None = None

    @property
    def layers(self) -> Tensor:
        """The layers' own weights ``[sum of sizes, in]``."""
        if self.adapters is None:
            return self.weight
        return self.weight[:, : self.adapters.down.shape[1]]

    def part(self, first: int, stop: int) -> Group:
        """Some of the layers, by number; a copy."""
        here = slice(sum(self.sizes[:first]), sum(self.sizes[:stop]))
        sizes = self.sizes[first:stop]
        if self.adapters is None:
            return Group(self.weight[here], sizes)
        down, up = self.adapters.down, self.adapters.up
        rank = up.shape[1]
        weight = self.weight.new_zeros(sum(sizes), down.shape[1] + rank * len(sizes))
        weight[:, : down.shape[1]] = self.layers[here]
        chosen = Adapters(down[first * rank : stop * rank], up[here], self.adapters.scale)
        return Group(weight, sizes, chosen)

    def merged(self) -> Tensor:
        """``W + scale * B A``: one plain weight that does what layers and adapters do."""
        weight = self.layers.detach().clone()
        if self.adapters is not None:
            ups = torch.split(self.adapters.up.detach(), self.sizes)
            downs = torch.split(self.adapters.down.detach(), self.adapters.up.shape[1])
            for rows, up, down in zip(torch.split(weight, self.sizes), ups, downs, strict=True):
                rows.add_((up @ down).to(weight.dtype), alpha=self.adapters.scale)
        return weight


@dataclass(frozen=True, slots=True)
class Dropout:
    """Dropout before the adapters: one mask per layer, from a generator of the step's own.

    An input is kept by comparing 16 random bits, so the rate is exact to 1 / 65,536.
    """

    rate: float
    generator: torch.Generator

    def masks(self, layers: int, positions: int, width: int) -> Tensor:
        """True where an input is kept: bool ``[layers, positions, width]``."""
        count = layers * positions * width
        words = torch.empty(-(-count // 4), dtype=torch.int64, device=self.generator.device)
        # Without bounds random_ would leave the sign bit of each word at 0.
        words.random_(-(2**63), None, generator=self.generator)
        limit = round(self.rate * 65536) - 32768
        bits = words.view(torch.int16)[:count]
        return (bits >= limit).view(layers, positions, width)


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
    down = up = masks = None
    scale = 0.0
    if group.adapters is not None:
        down, up, scale = group.adapters.down, group.adapters.up, group.adapters.scale
        if dropout is not None and dropout.rate > 0:
            masks = dropout.masks(len(group.sizes), len(x), down.shape[1])
            scale /= 1.0 - dropout.rate
    plan = _Plan(group.sizes, scale, masks, source, dtype)
    apply: Any = _Linear.apply
    result: Tensor = apply(x, norm, group.weight, down, up, plan)
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
        width = plan.source.width(x)
        wide = torch.empty(len(x), weight.shape[1], dtype=plan.dtype, device=x.device)
        h, inner = wide[:, :width], wide[:, width:]
        kept = plan.source.make(x, norm, h)
        matrix = weight.to(plan.dtype)
        if down is not None and up is not None:
            _place(matrix[:, width:], up, plan)
            _inner(h, down.to(plan.dtype), plan.masks, out=inner)
        # The matrix goes along outside autograd's guard: its right columns change at each use.
        ctx.plan, ctx.matrix, ctx.weight_dtype = plan, matrix, weight.dtype
        inner = inner.clone()
        ctx.save_for_backward(x, norm, down, up, kept, inner, plan.masks)
        return multiply(wide, matrix.t())

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        x, norm, down, up, kept, inner, masks = ctx.saved_tensors
        width = plan.source.width(x)
        dy = dy.to(plan.dtype).contiguous()
        dweight = ddown = dup = dx = dnorm = None
        wants_input = ctx.needs_input_grad[0] or ctx.needs_input_grad[1] or down is not None
        if wants_input:
            dwide = multiply(dy, ctx.matrix)
            dh, dinner = dwide[:, :width], dwide[:, width:]
        if ctx.needs_input_grad[2] or down is not None:
            h = torch.empty(len(x), width, dtype=plan.dtype, device=x.device)
            plan.source.again(x, norm, kept, h)
            if ctx.needs_input_grad[2]:
                dweight = multiply(dy.t(), h).to(ctx.weight_dtype)
            if down is not None:
                dup = _up_gradient(dy, inner, up, plan)
                dinner = dinner.contiguous()
                ddown = _down_gradient(dh, h, dinner, down.to(plan.dtype), masks).to(down.dtype)
        if wants_input:
            dx, dnorm = plan.source.backward(dh, x, norm, kept)
        return dx, dnorm, dweight, ddown, dup, None


def _place(columns: Tensor, up: Tensor, plan: _Plan) -> None:
    """Write ``scale * B`` of each layer into its own rows and columns; the rest stays zero."""
    scaled = up.detach() * plan.scale
    ups = torch.split(scaled, plan.sizes)
    blocks = zip(torch.split(columns, plan.sizes), ups, strict=True)
    for place, (rows, matrix) in enumerate(blocks):
        rows[:, place * up.shape[1] : (place + 1) * up.shape[1]] = matrix


def _inner(h: Tensor, down: Tensor, masks: Tensor | None, *, out: Tensor) -> None:
    """Write ``drop(h) A^T`` of each layer: ``[n, layers * rank]``."""
    if masks is None:
        out.copy_(multiply(h, down.t()))
        return
    rank = down.shape[0] // len(masks)
    rows = zip(masks, torch.split(down, rank), torch.split(out, rank, 1), strict=True)
    for mask, matrix, place in rows:
        place.copy_(multiply(h * mask, matrix.t()))


def _up_gradient(dy: Tensor, inner: Tensor, up: Tensor, plan: _Plan) -> Tensor:
    """Gradient of the stacked B matrices."""
    # All layers' products at once; each layer's own block is what is wanted of them.
    every = multiply(inner.t(), dy)
    rows = torch.split(every, up.shape[1])
    blocks = [torch.split(row, plan.sizes, 1)[place].t() for place, row in enumerate(rows)]
    return torch.cat(blocks).to(up.dtype).mul_(plan.scale)


def _down_gradient(
    dh: Tensor, h: Tensor, dinner: Tensor, down: Tensor, masks: Tensor | None
) -> Tensor:
    """Gradient of the stacked A matrices; adds the adapters' part to ``dh`` in place."""
    if masks is None:
        dh.add_(multiply(dinner, down))
        return multiply(dinner.t(), h)
    rank = down.shape[0] // len(masks)
    downs, dinners = torch.split(down, rank), torch.split(dinner, rank, 1)
    found = []
    for mask, matrix, dz in zip(masks, downs, dinners, strict=True):
        dh.addcmul_(multiply(dz, matrix), mask)
        found.append(multiply(dz.t(), h * mask))
    return torch.cat(found)


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
