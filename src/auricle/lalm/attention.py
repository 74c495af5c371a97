"""Causal attention over packed sequences.

Rows of several sequences lie behind each other. Few long sequences are attended one by one, as
views; many short ones, or sequences on a GPU, are laid side by side with padding on the right,
which a causal query never reaches. Either way each row sees its own sequence up to itself.

torch's own kernel is slow in bfloat16 on a CPU, above all backward. There sequences are attended
by plain products of some rows at a time (`Products`), which is two to three times as fast.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import scaled_dot_product_attention

# One by one costs a call per sequence, side by side costs two copies of everything.
_FEW = 8
# Rows of `Products` at a time: fewer cost a call each, more compute scores that no row may see.
_BLOCK = 160
# Longer sequences go to torch's kernel: `Products` keeps what each row takes of each key, which
# grows with the square (11 MB at this length for each of SmolLM2-135M's 30 layers).
_LONG = 1024


class Attention(Protocol):
    """Attention among the rows of one batch: N rows, K of them with a label."""

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Each row attends to its own sequence up to itself.

        Args:
            q: ``[N, heads, width]``.
            k: ``[N, key heads, width]``.
            v: ``[N, key heads, width]``.

        Returns:
            ``[N, heads * width]``.
        """

    def tails(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The same for the rows with a label alone: q is ``[K, heads, width]``."""


class Layout:
    """Where the rows of packed sequences lie; made once per step."""

    def __init__(
        self, lengths: tuple[int, ...], tails: tuple[int, ...], device: torch.device
    ) -> None:
        """Prepare.

        Args:
            lengths: Rows of each sequence.
            tails: How many of each sequence's last rows carry a label.
            device: Of the rows.
        """
        self.lengths = lengths
        self.tail_counts = tails
        self.split = device.type == "cpu" and len(lengths) <= _FEW
        self.device = device
        self._places: dict[tuple[int, ...], Tensor] = {}
        self._mask: Tensor | None = None

    def places(self, counts: tuple[int, ...]) -> Tensor:
        """Row of each packed row in the padded form ``[len(counts) * max(counts)]``."""
        if counts not in self._places:
            width = max(counts)
            rows = [torch.arange(count) + at * width for at, count in enumerate(counts)]
            self._places[counts] = torch.cat(rows).to(self.device)
        return self._places[counts]

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `Attention`."""
        if self.split:
            parts = zip(*(torch.split(x, list(self.lengths)) for x in (q, k, v)), strict=True)
            return torch.cat([_one(*part) for part in parts])
        count, width = len(self.lengths), max(self.lengths)
        places = self.places(self.lengths)
        q, k, v = (_pad(x, places, count, width) for x in (q, k, v))
        return _attend(q, k, v, None).flatten(0, 1).index_select(0, places)

    def tails(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `Attention`; the K rows are the ``tails`` last ones of each sequence."""
        count, width, tail = len(self.lengths), max(self.lengths), max(self.tail_counts)
        places = self.places(self.lengths)
        k, v = (_pad(x, places, count, width) for x in (k, v))
        tails = self.places(self.tail_counts)
        q = _pad(q, tails, count, tail)
        return _attend(q, k, v, self._tail_mask()).flatten(0, 1).index_select(0, tails)

    def _tail_mask(self) -> Tensor:
        """True where a padded tail row may look: bool ``[sequences, 1, max tail, max length]``."""
        if self._mask is None:
            keys = torch.arange(max(self.lengths))
            rows = torch.arange(max(self.tail_counts))
            first = torch.tensor(self.lengths) - torch.tensor(self.tail_counts)
            last = first[:, None] + rows[None, :]
            self._mask = (keys[None, None, :] <= last[:, :, None]).unsqueeze(1).to(self.device)
        return self._mask


def _one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A single sequence: ``[L, heads, width]`` to ``[L, heads * width]``."""
    if q.dtype is torch.bfloat16 and len(q) < _LONG:
        apply: Any = Products.apply
        result: Tensor = apply(q, k, v, _BLOCK)
        return result
    return _attend(q[None], k[None], v[None], None)[0]


class Products(Function):
    """Causal attention of one sequence, a block of rows and the keys up to its end at a time.

    The query heads of one key head lie behind each other as its rows, so that no key is copied.
    What each row takes of each key is kept for the gradient, in the dtype of the products.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, size: int) -> Tensor:
        """As `Layout.causal`, ``size`` rows at a time."""
        key_heads, scale = k.shape[1], q.shape[-1] ** -0.5
        keys, values = k.transpose(0, 1).contiguous(), v.transpose(0, 1).contiguous()
        rows, weights, mixed = [], [], []
        for start, stop in _blocks(len(q), size):
            block = _by_key_head(q[start:stop] * scale, key_heads)
            scores = torch.bmm(block, keys[:, :stop].transpose(1, 2))
            inside = scores.view(-1, stop - start, stop)[..., start:]
            inside.add_(_causal(size, q.dtype)[: stop - start, : stop - start])
            rows.append(block)
            weights.append(torch.softmax(scores, -1))
            mixed.append(_by_row(torch.bmm(weights[-1], values[:, :stop]), stop - start))
        ctx.size = size
        ctx.save_for_backward(keys, values, *rows, *weights)
        return torch.cat(mixed).flatten(1)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of the queries, keys and values."""
        keys, values, *kept = ctx.saved_tensors
        key_heads, length, width = keys.shape
        blocks = _blocks(length, ctx.size)
        rows, weights = kept[: len(blocks)], kept[len(blocks) :]
        dy = dy.view(length, -1, width)
        # Blocks add up here, so in more digits than each has.
        exact = torch.promote_types(keys.dtype, torch.float32)
        dkeys, dvalues = (torch.zeros_like(keys, dtype=exact) for _ in range(2))
        dq = []
        for (start, stop), block, weight in zip(blocks, rows, weights, strict=True):
            dmixed = _by_key_head(dy[start:stop], key_heads)
            dvalues[:, :stop] += torch.bmm(weight.transpose(1, 2), dmixed)
            dweight = torch.bmm(dmixed, values[:, :stop].transpose(1, 2))
            dscores = torch._softmax_backward_data(dweight, weight, -1, weight.dtype)
            dq.append(_by_row(torch.bmm(dscores, keys[:, :stop]), stop - start))
            dkeys[:, :stop] += torch.bmm(dscores.transpose(1, 2), block)
        dk, dv = (x.to(dy.dtype).transpose(0, 1) for x in (dkeys, dvalues))
        return torch.cat(dq).mul_(width**-0.5), dk, dv, None


@cache
def _causal(size: int, dtype: torch.dtype) -> Tensor:
    """0 where a row of a block may look in it, -inf elsewhere: ``[size, size]``."""
    return torch.full((size, size), -torch.inf, dtype=dtype).triu(1)


def _blocks(length: int, size: int) -> list[tuple[int, int]]:
    """First row and the row after the last of each block."""
    return [(start, min(length, start + size)) for start in range(0, length, size)]


def _by_key_head(x: Tensor, key_heads: int) -> Tensor:
    """``[L, key heads * groups, width]`` to ``[key heads, groups * L, width]``."""
    length, _, width = x.shape
    split = x.view(length, key_heads, -1, width)
    return split.permute(1, 2, 0, 3).reshape(key_heads, -1, width)


def _by_row(x: Tensor, length: int) -> Tensor:
    """And back."""
    key_heads, _, width = x.shape
    split = x.view(key_heads, -1, length, width)
    return split.permute(2, 0, 1, 3).reshape(length, -1, width)


def _pad(x: Tensor, places: Tensor, count: int, width: int) -> Tensor:
    padded = x.new_zeros(count * width, *x.shape[1:]).index_copy(0, places, x)
    return padded.view(count, width, *x.shape[1:])


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """``[B, L, heads, width]`` to ``[B, L, heads * width]``; causal where no mask is given."""
    y = scaled_dot_product_attention(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        attn_mask=mask,
        is_causal=mask is None,
        enable_gqa=q.shape[2] != k.shape[2],
    )
    return y.transpose(1, 2).flatten(2)
