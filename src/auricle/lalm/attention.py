"""Causal attention over packed sequences.

Rows of several sequences lie behind each other. Few long sequences are attended one by one, as
views; many short ones, or sequences on a GPU, are laid side by side with padding on the right,
which a causal query never reaches. Either way each row sees its own sequence up to itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

# One by one costs a call per sequence, side by side costs two copies of everything.
_FEW = 8


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

    def places(self, counts: tuple[int, ...]) -> Tensor:
        """Row of each packed row in the padded form ``[len(counts) * max(counts)]``."""
        if counts not in self._places:
            width = max(counts)
            rows = [torch.arange(count) + at * width for at, count in enumerate(counts)]
            self._places[counts] = torch.cat(rows).to(self.device)
        return self._places[counts]

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
        return torch.cat([_attend(a[None], b[None], c[None], None)[0] for a, b, c in parts])
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
