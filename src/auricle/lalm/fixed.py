"""Batches of few shapes, as a captured step needs them.

A step that a GPU has captured repeats the same operations at the same addresses, so a batch is
widened to one of few sizes: rows of nothing behind the last sequence, labels that do not count
behind the last label, sequences side by side up to a common length for attention alone. What
belongs to whom is said by numbers on the device instead of lengths in Python. Nothing that counts
changes: no row sees another sequence's rows, and the mean is over the real labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from auricle.lalm.batch import Batch
from auricle.lalm.capture import round_up

NO_LABEL = -100
"""A label that does not count, as torch's cross entropy has it."""


@dataclass(frozen=True, slots=True)
class FixedBatch:
    """A batch widened to N rows and K labels; sequences side by side take S slots of one length."""

    features: Tensor
    """float ``[N, D * concat]``: those of the audio rows, zeros elsewhere."""
    tokens: Tensor
    """int64 ``[N]``: those of the token rows, 0 elsewhere."""
    is_audio: Tensor
    """bool ``[N]``."""
    positions: Tensor
    """int64 ``[N]``: place of each row in its own sequence."""
    sequences: Tensor
    """int64 ``[N]``: number of each row's sequence; the rows of nothing are one of their own."""
    slots: Tensor
    """int64 ``[N]``: slot of each row."""
    rows: Tensor
    """int64 ``[sequences, length]``: row of each slot, -1 where a sequence has ended."""
    label_places: Tensor
    """int64 ``[K]``: rows whose next token is a label."""
    labels: Tensor
    """int64 ``[K]``, `NO_LABEL` where there is none."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, K and what S is made of: batches with the same are computed alike."""
        return len(self.tokens), len(self.labels), *self.rows.shape

    def to(self, device: torch.device) -> FixedBatch:
        """A copy on a device."""
        return FixedBatch(*(tensor.to(device, copy=True) for tensor in self._tensors()))

    def copy_(self, other: FixedBatch) -> None:
        """Take over a batch of the same shape; from the CPU to a GPU without waiting."""
        for mine, theirs in zip(self._tensors(), other._tensors(), strict=True):
            source = theirs.pin_memory() if mine.is_cuda and not theirs.is_cuda else theirs
            mine.copy_(source, non_blocking=True)

    def _tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def fixed_shape(lengths: Sequence[int], labels: int) -> tuple[int, int, int, int]:
    """N, K, sequences and their common length for a batch.

    At most an eighth of many rows is nothing; labels are few and slots cost little each, so that
    they come in fewer sizes (benchmarks/shapes.py).

    Args:
        lengths: Rows of each sequence.
        labels: Of all together.
    """
    wide = round_up(sum(lengths), least=128, sizes=8)
    longest = round_up(max(*lengths, wide - sum(lengths)), least=64, sizes=2)
    return wide, round_up(labels, least=256, sizes=1), len(lengths) + 1, longest


def widen(batch: Batch) -> FixedBatch:
    """Widen a batch; what shape it gets depends on its own sizes alone.

    Args:
        batch: On the CPU.
    """
    count, labels = len(batch.positions), len(batch.labels)
    wide, room, _, longest = fixed_shape(batch.lengths, labels)
    lengths = [*batch.lengths, wide - count]
    features = batch.features.new_zeros(wide, batch.features.shape[1])
    features[batch.audio_places] = batch.features
    tokens = torch.zeros(wide, dtype=torch.int64)
    tokens[batch.token_places] = batch.tokens
    is_audio = torch.zeros(wide, dtype=torch.bool)
    is_audio[batch.audio_places] = True
    positions = torch.cat([batch.positions, torch.arange(wide - count)])
    sequences = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    slots = sequences * longest + positions
    rows = torch.full((len(lengths) * longest,), -1)
    rows[slots] = torch.arange(wide)
    return FixedBatch(
        features=features,
        tokens=tokens,
        is_audio=is_audio,
        positions=positions,
        sequences=sequences,
        slots=slots,
        rows=rows.view(len(lengths), longest),
        label_places=torch.cat([batch.label_places, torch.zeros(room - labels, dtype=torch.int64)]),
        labels=torch.cat([batch.labels, torch.full((room - labels,), NO_LABEL)]),
    )


class FixedAttention:
    """Attention of a batch of fixed shape.

    Sequences lie side by side, so that a causal kernel needs no mask: with one, a GPU's gradient of
    attention would go through all rows one after another. The few rows with a label have a mask,
    and torch's own products instead of a kernel.
    """

    def __init__(self, batch: FixedBatch, dtype: torch.dtype) -> None:
        """Prepare.

        Args:
            batch: On the device.
            dtype: Of the products.
        """
        self._slots, self._rows = batch.slots, batch.rows.clamp(min=0)
        self._filled = (batch.rows >= 0).flatten()[:, None].to(dtype)
        places = batch.label_places
        rows = torch.arange(len(batch.tokens), device=places.device)
        own = batch.sequences[places][:, None] == batch.sequences[None, :]
        unseen = ~own | (rows[None, :] > places[:, None])
        mask = torch.zeros(unseen.shape, dtype=dtype, device=places.device)
        self._mask = mask.masked_fill_(unseen, -torch.inf)

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `auricle.lalm.attention.Attention`."""
        apply: Any = _Spread.apply
        groups = q.shape[1] // k.shape[1]
        q, k, v = (
            apply(x, self._rows, self._slots, repeats).transpose(1, 2)
            for x, repeats in ((q, 1), (k, groups), (v, groups))
        )
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True)
        gather: Any = _Gather.apply
        result: Tensor = gather(
            mixed.transpose(1, 2).flatten(2), self._rows, self._slots, self._filled
        )
        return result

    def tails(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `auricle.lalm.attention.Attention`."""
        # The query heads of one key head are a batch over which keys and values repeat.
        key_heads = k.shape[1]
        groups = q.shape[1] // key_heads
        queries = q.view(len(q), key_heads, groups, -1).permute(2, 1, 0, 3)
        keys, values = (x.transpose(0, 1).expand(groups, -1, -1, -1) for x in (k, v))
        with sdpa_kernel(SDPBackend.MATH):
            mixed = scaled_dot_product_attention(queries, keys, values, attn_mask=self._mask)
        return mixed.permute(2, 1, 0, 3).flatten(1)


class _Spread(Function):
    """Rows to slots: ``[N, heads, width]`` to ``[sequences, length, heads * repeats, width]``.

    An empty slot holds some row; no row that counts attends to it, and no gradient comes back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, slots: Tensor, repeats: int) -> Tensor:
        ctx.save_for_backward(slots)
        ctx.repeats = repeats
        y = x.index_select(0, rows.flatten())
        if repeats > 1:
            y = y.unsqueeze(2).expand(-1, -1, repeats, -1).flatten(1, 2)
        return y.view(*rows.shape, *y.shape[1:])

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None]:
        (slots,) = ctx.saved_tensors
        dx = dy.flatten(0, 1).index_select(0, slots)
        if ctx.repeats > 1:
            dx = dx.view(len(dx), -1, ctx.repeats, dx.shape[2]).sum(2)
        return dx, None, None, None


class _Gather(Function):
    """Slots to rows: ``[sequences, length, width]`` to ``[N, width]``."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, rows: Tensor, slots: Tensor, filled: Tensor) -> Tensor:
        ctx.save_for_backward(rows, filled)
        return y.flatten(0, 1).index_select(0, slots)

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor, None, None, None]:
        rows, filled = ctx.saved_tensors
        # Not written slot by slot: where results must repeat, a GPU sorts the slots before that.
        dy = dx.index_select(0, rows.flatten()).mul_(filled)
        return dy.view(*rows.shape, -1), None, None, None
