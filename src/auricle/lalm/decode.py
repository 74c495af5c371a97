"""Greedy generation with the lean decoder.

Adapters are merged into the weights once, and the weights laid out once for their products. A row
is one question: its audio and prompt pass through packed (no padding), its keys and values go to a
cache with one slot per row, and then all rows advance a token at a time. A row that ends is
replaced by the last row, so that no finished row is computed, and where the cache has no slot for
every question, those that wait take the places that become free. When a row enters is a function
of the chunk; what it answers does not depend on the others, float rounding of a batched product
excepted; ties go to the lowest token number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from auricle.lalm.attention import Layout
from auricle.lalm.capture import Capturer, Captures, capturer_of, round_up
from auricle.lalm.greedy import Settings, choose
from auricle.lalm.llama import LeanBlock, LeanLlama
from auricle.lalm.matmul import Packed
from auricle.lalm.operations import Group, rotate
from auricle.lalm.rows import LEAST_SLOTS, Cache, Rows, Shape
from auricle.lalm.sources import inverse_rms, normed

# Positions that the cache has room for: 3 GB in float32 for the official decoder.
CACHE_POSITIONS = 65_536


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv: Packed
    output: Packed
    gate_up: Packed
    down: Packed
    norm1: Tensor
    norm2: Tensor


@dataclass(frozen=True, slots=True)
class _FixedRows:
    """What a captured step of some slots reads and writes."""

    tokens: Tensor
    sizes: Tensor
    x: Tensor

    @classmethod
    def make(cls, slots: int, embedding: Tensor) -> _FixedRows:
        tokens, sizes = (embedding.new_zeros(slots, dtype=torch.int64) for _ in range(2))
        return cls(tokens, sizes, embedding.new_zeros(slots, embedding.shape[1]))


class Generator:
    """A decoder with its adapters merged, ready to answer."""

    def __init__(
        self,
        decoder: LeanLlama,
        *,
        cache_positions: int = CACHE_POSITIONS,
        capturer: Capturer | None = None,
    ) -> None:
        """Merge; later training of the decoder does not reach this copy where it has adapters.

        Args:
            decoder: Trained.
            cache_positions: Room for keys and values; at least one question is answered at a time.
            capturer: Of the decoder's device; the device's own where this is None.
        """
        self._decoder = decoder
        self._dtype = decoder.compute_dtype
        device = decoder.embedding.device
        capturer = capturer or capturer_of(device)
        self._captures = None if capturer is None else Captures(capturer, patience=2)
        self._fixed: dict[int, _FixedRows] = {}
        shape = Shape(
            layers=len(decoder.blocks),
            key_heads=decoder.heads[1],
            head_dim=decoder.head_dim,
            dtype=self._dtype,
            positions=cache_positions,
        )
        self._cache = Cache(shape, device, stays=capturer is not None)
        self._layers = [_layer(block, self._dtype) for block in decoder.lean_blocks()]
        self._head = Packed(decoder.head.detach())

    @torch.inference_mode()
    def generate(
        self, audio: Sequence[Tensor], prompts: Sequence[Sequence[int]], settings: Settings
    ) -> list[list[int]]:
        """Answer each question.

        Args:
            audio: Projected features, ``[positions, hidden]`` each.
            prompts: Token numbers.
            settings: Of the generation.

        Returns:
            Token numbers of each answer, EOS left out.
        """
        if not audio or settings.max_new_tokens == 0:
            return [[] for _ in audio]
        inputs = [self._input(a, p) for a, p in zip(audio, prompts, strict=True)]
        rows = Rows([len(x) for x in inputs], settings, self._cache)
        x = inputs[0].new_zeros(0, self._decoder.hidden_size)
        while rows.admit():
            fresh = [
                self._prefill([inputs[rows.owners[j]] for j in piece], piece, rows)
                for piece in rows.pieces()
            ]
            x = torch.cat([x, *fresh])
            logits = self._head.multiply(normed(x, self._decoder.norm, self._decoder.eps))
            chosen = rows.keep(self.choose(logits, rows), vocabulary=logits.shape[1])
            x = self._step(chosen, rows)
        return rows.answers

    def choose(self, logits: Tensor, rows: Rows) -> Tensor:
        """The next token of each row; a place to steer answers from, for measurements."""
        return choose(logits, rows.said(), rows.settings.repetition_penalty)

    def _input(self, audio: Tensor, prompt: Sequence[int]) -> Tensor:
        ids = torch.tensor(prompt, dtype=torch.int64, device=audio.device)
        text = F.embedding(ids, self._decoder.embedding)
        return torch.cat([audio.to(text.dtype), text])

    def _prefill(self, inputs: Sequence[Tensor], slots: Sequence[int], rows: Rows) -> Tensor:
        """Fill some slots of the cache; returns each row's last position ``[slots, hidden]``."""
        lengths = tuple(len(x) for x in inputs)
        x = torch.cat(list(inputs))
        layout = Layout(lengths, (1,) * len(slots), x.device)
        positions = torch.cat([torch.arange(n) for n in lengths]).to(x.device)
        slot_of = torch.repeat_interleave(torch.tensor(slots), torch.tensor(lengths)).to(x.device)
        rotation = self._decoder.rotation(positions)
        last = torch.tensor(lengths, device=x.device).cumsum(0) - 1
        for place, layer in enumerate(self._layers):
            q, k, v = self._qkv(layer, x, rotation)
            rows.keys[place][slot_of, :, positions] = k
            rows.values[place][slot_of, :, positions] = v
            mixed = layout.causal(q, k, v)
            if place == len(self._layers) - 1:
                x, mixed = x[last], mixed[last]
            x = self._after_attention(layer, x, mixed)
        return x

    def _step(self, tokens: Tensor, rows: Rows) -> Tensor:
        """One more token of each row; returns ``[rows, hidden]``."""
        if not rows.owners:
            return F.embedding(tokens, self._decoder.embedding)
        if self._captures is None:
            sizes = torch.tensor(rows.sizes, device=tokens.device)
            x = self._advance(tokens, sizes, rows, max(rows.sizes) + 1)
        else:
            x = self._fixed_step(tokens, rows, self._captures)
        rows.sizes = [size + 1 for size in rows.sizes]
        return x

    def _fixed_step(self, tokens: Tensor, rows: Rows, captures: Captures) -> Tensor:
        """The same with few shapes: free slots are computed along, and all of the room read."""
        count = len(rows.owners)
        wide = round_up(count, least=LEAST_SLOTS, sizes=1)
        room = rows.keys[0].shape[2]
        if wide not in self._fixed:
            self._fixed[wide] = _FixedRows.make(wide, self._decoder.embedding)
        fixed = self._fixed[wide]
        fixed.tokens[:count].copy_(tokens)
        sizes = torch.tensor([*rows.sizes, *[0] * (wide - count)])
        fixed.sizes.copy_(sizes.pin_memory() if tokens.is_cuda else sizes, non_blocking=True)
        captures.run(
            (wide, room, self._cache.times_made),
            lambda: fixed.x.copy_(self._advance(fixed.tokens, fixed.sizes, rows, room)),
            lambda: [fixed.x],
        )
        return fixed.x[:count]

    def _advance(self, tokens: Tensor, sizes: Tensor, rows: Rows, width: int) -> Tensor:
        """Tokens of the first slots to their rows ``[tokens, hidden]``; their keys are cached.

        Args:
            tokens: int64 ``[n]``.
            sizes: int64 ``[n]``: positions that each slot holds.
            rows: Their cache.
            width: Positions that are looked at; more than any slot holds.
        """
        x = F.embedding(tokens, self._decoder.embedding)
        count = len(tokens)
        heads, key_heads = self._decoder.heads
        rotation = self._decoder.rotation(sizes)
        hidden = torch.arange(width, device=x.device) > sizes[:, None]
        # Numbers that are added: torch would make them of truth values anew in each layer.
        mask = torch.zeros(count, 1, 1, width, dtype=self._dtype, device=x.device)
        mask.masked_fill_(hidden[:, None, None, :], -torch.inf)
        every = torch.arange(count, device=x.device)
        for place, layer in enumerate(self._layers):
            q, k, v = self._qkv(layer, x, rotation)
            keys, values = rows.keys[place], rows.values[place]
            keys[every, :, sizes] = k
            values[every, :, sizes] = v
            # The query heads of one key head are taken as its query positions.
            mixed = F.scaled_dot_product_attention(
                q.view(count, key_heads, heads // key_heads, -1),
                keys[:count, :, :width],
                values[:count, :, :width],
                attn_mask=mask,
            )
            x = self._after_attention(layer, x, mixed.reshape(count, -1))
        return x

    def _qkv(
        self, layer: _Layer, x: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        heads, key_heads = self._decoder.heads
        h = self._normed(x, layer.norm1)
        qkv = layer.qkv.multiply(h).view(len(x), -1, self._decoder.head_dim)
        qk, v = torch.split(qkv, [heads + key_heads, key_heads], 1)
        q, k = torch.split(rotate(qk, *rotation), [heads, key_heads], 1)
        return q, k, v

    def _after_attention(self, layer: _Layer, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + layer.output.multiply(mixed)
        gate, up = layer.gate_up.multiply(self._normed(x, layer.norm2)).chunk(2, 1)
        return x + layer.down.multiply(F.silu(gate).mul_(up))

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return (x * inverse_rms(x, self._decoder.eps)).mul_(weight).to(self._dtype)


def _layer(block: LeanBlock, dtype: torch.dtype) -> _Layer:
    qkv, output, gate_up, down = (_merged(stack.group(), dtype) for stack in block.stacks())
    return _Layer(qkv, output, gate_up, down, block.norm1.detach(), block.norm2.detach())


def _merged(group: Group, dtype: torch.dtype) -> Packed:
    weight = group.weight.detach() if group.adapters is None else group.merged()
    return Packed(weight.to(dtype))
