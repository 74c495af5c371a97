"""Batches of few shapes, as a recorded step needs them.

A step that a GPU has recorded repeats the same operations at the same addresses, so a batch is
widened to one of few sizes: rows of nothing behind the last sequence, labels that do not count
behind the last label. What belongs to whom is said by numbers on the device instead of lengths in
Python. Nothing that counts changes: no row sees another sequence's rows, and the mean is over the
real labels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from auricle.lalm.batch import Batch
from auricle.lalm.matmul import ROUND_ROWS

NO_LABEL = -100
"""A label that does not count, as torch's cross entropy has it."""
# Sizes between a power of two and the next; so at most an eighth of the rows are nothing.
_SIZES = 8
_LEAST_LABELS = 32


@dataclass(frozen=True, slots=True)
class FixedBatch:
    """A batch widened to N rows and K labels."""

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
    label_places: Tensor
    """int64 ``[K]``: rows whose next token is a label."""
    labels: Tensor
    """int64 ``[K]``, `NO_LABEL` where there is none."""

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        return len(self.tokens), len(self.labels)

    def to(self, device: torch.device) -> FixedBatch:
        """A copy on a device."""
        return FixedBatch(*(tensor.to(device, copy=True) for tensor in self._tensors()))

    def copy_(self, other: FixedBatch) -> None:
        """Take over a batch of the same shape; from the CPU to a GPU without waiting."""
        for mine, theirs in zip(self._tensors(), other._tensors(), strict=True):
            source = theirs.pin_memory() if mine.is_cuda and not theirs.is_cuda else theirs
            mine.copy_(source, non_blocking=True)

    def attention(self, dtype: torch.dtype) -> MaskedAttention:
        """Who sees whom, for products of a dtype."""
        rows = torch.arange(len(self.tokens), device=self.tokens.device)
        own = self.sequences[:, None] == self.sequences[None, :]
        seen = own & (rows[None, :] <= rows[:, None])
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return MaskedAttention(mask.masked_fill_(~seen, -torch.inf), self.label_places)

    def _tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def widen(batch: Batch) -> FixedBatch:
    """Widen a batch; what shape it gets depends on its own sizes alone.

    Args:
        batch: On the CPU.
    """
    count, labels = len(batch.positions), len(batch.labels)
    rows, room = _rows(count), max(_LEAST_LABELS, 1 << (labels - 1).bit_length())
    features = batch.features.new_zeros(rows, batch.features.shape[1])
    features[batch.audio_places] = batch.features
    tokens = torch.zeros(rows, dtype=torch.int64)
    tokens[batch.token_places] = batch.tokens
    is_audio = torch.zeros(rows, dtype=torch.bool)
    is_audio[batch.audio_places] = True
    lengths = torch.tensor([*batch.lengths, rows - count])
    return FixedBatch(
        features=features,
        tokens=tokens,
        is_audio=is_audio,
        positions=torch.cat([batch.positions, torch.arange(rows - count)]),
        sequences=torch.repeat_interleave(torch.arange(len(lengths)), lengths),
        label_places=torch.cat([batch.label_places, torch.zeros(room - labels, dtype=torch.int64)]),
        labels=torch.cat([batch.labels, torch.full((room - labels,), NO_LABEL)]),
    )


def _rows(count: int) -> int:
    """The next of the sizes: multiples of `ROUND_ROWS`, further apart the larger they are."""
    step = max(ROUND_ROWS, (1 << (count - 1).bit_length()) // 2 // _SIZES)
    return -(-count // step) * step


class MaskedAttention:
    """Attention among all rows at once, where a mask says who sees whom."""

    def __init__(self, mask: Tensor, label_places: Tensor) -> None:
        """Prepare.

        Args:
            mask: ``[N, N]``: 0 where the row may look, -inf elsewhere.
            label_places: int64 ``[K]``: rows with a label.
        """
        self._mask = mask
        self._tail_mask = mask[label_places]

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `auricle.lalm.attention.Attention`."""
        return _attend(q, k, v, self._mask)

    def tails(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `auricle.lalm.attention.Attention`."""
        return _attend(q, k, v, self._tail_mask)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    # The query heads of one key head are taken as a batch over which keys and values repeat: the
    # kernels that take a mask know no grouped heads.
    key_heads = k.shape[1]
    groups = q.shape[1] // key_heads
    queries = q.view(len(q), key_heads, groups, -1).permute(2, 1, 0, 3)
    keys, values = (x.transpose(0, 1).expand(groups, -1, -1, -1) for x in (k, v))
    mixed = scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    return mixed.permute(2, 1, 0, 3).flatten(1)
