"""Causal attention over packed sequences.

Rows of several sequences lie behind each other. Few long sequences are attended one by one, as
views; many short ones, or sequences on a GPU, are laid side by side with padding on the right,
which a causal query never reaches. Either way each row sees its own sequence up to itself.

torch's own kernel is slow in bfloat16 on a CPU, above all backward. There short sequences are
attended by plain products (`Products`), twice as fast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import scaled_dot_product_attention

# One by one costs a call per sequence, side by side costs two copies of everything.
_FEW = 8
# From here on torch's kernel wins: it never computes the scores that no row may see.
_LONG = 640


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
        self.tails = tails
        self.split = device.type == "cpu" and len(lengths) <= _FEW
        self.device = device
        self._places: dict[tuple[int, ...], Tensor] = {}
        self._mask: Tensor | None = None
        self._causal: dict[int, Tensor] = {}

    def places(self, counts: tuple[int, ...]) -> Tensor:
        """Row of each packed row in the padded form ``[len(counts) * max(counts)]``."""
        if counts not in self._places:
            width = max(counts)
            rows = [torch.arange(count) + at * width for at, count in enumerate(counts)]
            self._places[counts] = torch.cat(rows).to(self.device)
        return self._places[counts]

    def causal(self, length: int) -> Tensor:
        """0 where a row may look and -inf elsewhere: float32 ``[length, length]``."""
        if length not in self._causal:
            shape = (length, length)
            self._causal[length] = torch.full(shape, -torch.inf, device=self.device).triu(1)
        return self._causal[length]

    def tail_mask(self) -> Tensor:
        """True where a padded tail row may look: bool ``[sequences, 1, max tail, max length]``."""
        if self._mask is None:
            keys = torch.arange(max(self.lengths))
            rows = torch.arange(max(self.tails))
            first = torch.tensor(self.lengths) - torch.tensor(self.tails)
            last = first[:, None] + rows[None, :]
            self._mask = (keys[None, None, :] <= last[:, :, None]).unsqueeze(1).to(self.device)
        return self._mask


def causal_attention(q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Tensor:
    """Each row attends to its own sequence up to itself.

    Args:
        q: ``[N, heads, width]``.
        k: ``[N, key heads, width]``.
        v: ``[N, key heads, width]``.
        layout: Of the N rows.

    Returns:
        ``[N, heads * width]``.
    """
    if layout.split:
        parts = zip(*(torch.split(x, list(layout.lengths)) for x in (q, k, v)), strict=True)
        return torch.cat([_one(a, b, c, layout) for a, b, c in parts])
    count, width = len(layout.lengths), max(layout.lengths)
    places = layout.places(layout.lengths)
    q, k, v = (_pad(x, places, count, width) for x in (q, k, v))
    return _attend(q, k, v, None).flatten(0, 1).index_select(0, places)


def tail_attention(q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Tensor:
    """The same for the last rows of each sequence alone.

    Args:
        q: ``[K, heads, width]``: the ``layout.tails`` last rows of each sequence.
        k: ``[N, key heads, width]``.
        v: ``[N, key heads, width]``.
        layout: Of the N rows.

    Returns:
        ``[K, heads * width]``.
    """
    count, width, tail = len(layout.lengths), max(layout.lengths), max(layout.tails)
    places = layout.places(layout.lengths)
    k, v = (_pad(x, places, count, width) for x in (k, v))
    tails = layout.places(layout.tails)
    q = _pad(q, tails, count, tail)
    return _attend(q, k, v, layout.tail_mask()).flatten(0, 1).index_select(0, tails)


def _one(q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Tensor:
    """A single sequence: ``[L, heads, width]`` to ``[L, heads * width]``."""
    if q.dtype is torch.bfloat16 and len(q) < _LONG:
        apply: Any = Products.apply
        result: Tensor = apply(q, k, v, layout.causal(len(q)))
        return result
    return _attend(q[None], k[None], v[None], None)[0]


class Products(Function):
    """Causal attention of one sequence; its scores are made again for the gradient.

    Scores have the dtype of ``causal``, float32 where the products are bfloat16.

    The query heads of one key head lie behind each other as its rows, so that no key is copied.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: Tensor) -> Tensor:
        """``q [L, heads, width]``, the others with the key heads, to ``[L, heads * width]``."""
        groups = q.shape[1] // k.shape[1]
        rows, keys, values = _by_key_head(q, groups), _by_key_head(k, 1), _by_key_head(v, 1)
        mixed = torch.bmm(_weights(rows, keys, causal).to(q.dtype), values)
        ctx.groups = groups
        ctx.save_for_backward(rows, keys, values, mixed, causal)
        return _by_row(mixed, groups).flatten(1)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of the queries, keys and values."""
        rows, keys, values, mixed, causal = ctx.saved_tensors
        groups: int = ctx.groups
        dmixed = _by_key_head(dy.view(len(causal), -1, rows.shape[-1]), groups)
        weights = _weights(rows, keys, causal)
        dvalues = torch.bmm(weights.to(rows.dtype).transpose(1, 2), dmixed)
        # Softmax's gradient: p (dp - sum p dp), and the sum equals that of dy y (Dao et al., 2022).
        exact = causal.dtype
        dscores = torch.bmm(dmixed, values.transpose(1, 2)).to(exact)
        dscores.sub_((dmixed.to(exact) * mixed.to(exact)).sum(-1, keepdim=True)).mul_(weights)
        dscores = dscores.mul_(rows.shape[-1] ** -0.5).to(rows.dtype)
        drows = _by_row(torch.bmm(dscores, keys), groups)
        dkeys = torch.bmm(dscores.transpose(1, 2), rows)
        return drows, dkeys.transpose(0, 1), dvalues.transpose(0, 1), None


def _weights(rows: Tensor, keys: Tensor, causal: Tensor) -> Tensor:
    """How much each row takes of each key: ``[key heads, groups * L, L]``."""
    scores = torch.bmm(rows, keys.transpose(1, 2)).to(causal.dtype)
    scores = scores.mul_(rows.shape[-1] ** -0.5).view(len(keys), -1, *causal.shape).add_(causal)
    return torch.softmax(scores, -1).flatten(1, 2)


def _by_key_head(x: Tensor, groups: int) -> Tensor:
    """``[L, key heads * groups, width]`` to ``[key heads, groups * L, width]``."""
    length, heads, width = x.shape
    split = x.view(length, heads // groups, groups, width)
    return split.permute(1, 2, 0, 3).reshape(heads // groups, groups * length, width)


def _by_row(x: Tensor, groups: int) -> Tensor:
    """And back."""
    key_heads, rows, width = x.shape
    split = x.view(key_heads, groups, rows // groups, width)
    return split.permute(2, 0, 1, 3).reshape(rows // groups, key_heads * groups, width)


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
