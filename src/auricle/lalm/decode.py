"""Greedy generation with the lean decoder.

Adapters are merged into the weights once. A row is one question: its audio and prompt pass through
packed (no padding), its keys and values go to a cache with one slot per row, and then all rows
advance a token at a time. A row that ends is replaced by the last row, so that no finished row is
computed. What a row answers does not depend on the others, float rounding of a batched product
excepted; ties go to the lowest token number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from auricle.lalm.attention import Layout, causal_attention
from auricle.lalm.greedy import Settings, check_tokens, choose
from auricle.lalm.llama import LeanBlock, LeanLlama
from auricle.lalm.matmul import multiply
from auricle.lalm.operations import Group, rotate
from auricle.lalm.sources import inverse_rms, normed


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv: Tensor
    output: Tensor
    gate_up: Tensor
    down: Tensor
    norm1: Tensor
    norm2: Tensor


class Generator:
    """A decoder with its adapters merged, ready to answer."""

    def __init__(self, decoder: LeanLlama) -> None:
        """Merge; later training of the decoder does not reach this copy where it has adapters."""
        self._decoder = decoder
        self._dtype = decoder.compute_dtype
        self._layers = [_layer(block, self._dtype) for block in decoder.lean_blocks()]

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
        answers: list[list[int]] = [[] for _ in audio]
        if not answers or settings.max_new_tokens == 0:
            return answers
        rows = [self._row(a, p) for a, p in zip(audio, prompts, strict=True)]
        state = _State(self._decoder, rows, settings, len(self._layers), self._dtype)
        x = self._prefill(rows, state)
        while True:
            chosen = state.choose(
                F.linear(normed(x, self._decoder.norm, self._decoder.eps), self._decoder.head)
            )
            said = chosen.tolist()
            check_tokens(said, state.owners, len(self._decoder.head))
            for owner, token in zip(state.owners, said, strict=True):
                if token != settings.eos_id:
                    answers[owner].append(token)
            chosen = state.drop_finished(chosen)
            if not state.owners:
                return answers
            x = self._step(chosen, state)

    def _row(self, audio: Tensor, prompt: Sequence[int]) -> Tensor:
        ids = torch.tensor(prompt, dtype=torch.int64, device=audio.device)
        text = F.embedding(ids, self._decoder.embedding)
        return torch.cat([audio.to(text.dtype), text])

    def _prefill(self, rows: Sequence[Tensor], state: _State) -> Tensor:
        """Fill the cache; returns each row's last position ``[rows, hidden]``."""
        lengths = tuple(len(row) for row in rows)
        x = torch.cat(list(rows))
        layout = Layout(lengths, (1,) * len(rows), x.device)
        positions = torch.cat([torch.arange(n) for n in lengths]).to(x.device)
        owners = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(lengths))
        owners = owners.to(x.device)
        rotation = self._decoder.rotation(positions)
        last = torch.tensor(lengths, device=x.device).cumsum(0) - 1
        for place, layer in enumerate(self._layers):
            q, k, v = self._qkv(layer, x, rotation)
            state.keys[place][owners, :, positions] = k
            state.values[place][owners, :, positions] = v
            mixed = causal_attention(q, k, v, layout)
            if place == len(self._layers) - 1:
                x, mixed = x[last], mixed[last]
            x = self._after_attention(layer, x, mixed)
        return x

    def _step(self, tokens: Tensor, state: _State) -> Tensor:
        """One more token of each row; returns ``[rows, hidden]``."""
        x = F.embedding(tokens, self._decoder.embedding)
        count = len(state.owners)
        heads, key_heads = self._decoder.heads
        lengths = state.lengths[:count]
        rotation = self._decoder.rotation(lengths)
        width = state.advance()
        mask = (torch.arange(width, device=x.device) <= lengths[:, None])[:, None, None, :]
        every = torch.arange(count, device=x.device)
        for place, layer in enumerate(self._layers):
            q, k, v = self._qkv(layer, x, rotation)
            keys, values = state.keys[place], state.values[place]
            keys[every, :, lengths] = k
            values[every, :, lengths] = v
            # The query heads of one key head are taken as its query positions.
            mixed = F.scaled_dot_product_attention(
                q.view(count, key_heads, heads // key_heads, -1),
                keys[:count, :, :width],
                values[:count, :, :width],
                attn_mask=mask,
            )
            x = self._after_attention(layer, x, mixed.reshape(count, -1))
        state.lengths[:count] += 1
        return x

    def _qkv(
        self, layer: _Layer, x: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        heads, key_heads = self._decoder.heads
        h = self._normed(x, layer.norm1)
        qkv = multiply(h, layer.qkv.t()).view(len(x), -1, self._decoder.head_dim)
        qk, v = torch.split(qkv, [heads + key_heads, key_heads], 1)
        q, k = torch.split(rotate(qk, *rotation), [heads, key_heads], 1)
        return q, k, v

    def _after_attention(self, layer: _Layer, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + multiply(mixed, layer.output.t())
        gate, up = multiply(self._normed(x, layer.norm2), layer.gate_up.t()).chunk(2, 1)
        return x + multiply(F.silu(gate).mul_(up), layer.down.t())

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return (x * inverse_rms(x, self._decoder.eps)).mul_(weight).to(self._dtype)


class _State:
    """Cache, lengths and what each row has said; row j of everything belongs to ``owners[j]``."""

    def __init__(
        self,
        decoder: LeanLlama,
        rows: Sequence[Tensor],
        settings: Settings,
        layers: int,
        dtype: torch.dtype,
    ) -> None:
        device = rows[0].device
        self._settings = settings
        self._longest = max(len(row) for row in rows)
        room = self._longest + settings.max_new_tokens
        shape = (len(rows), decoder.heads[1], room, decoder.head_dim)
        self.owners = list(range(len(rows)))
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.lengths = torch.tensor([len(row) for row in rows], device=device)
        self._said = torch.zeros(len(rows), decoder.head.shape[0], dtype=torch.bool, device=device)
        self._tokens_done = 0

    def choose(self, logits: Tensor) -> Tensor:
        """The next token of each row."""
        self._tokens_done += 1
        said = self._said[: len(self.owners)]
        return choose(logits, said, self._settings.repetition_penalty)

    def drop_finished(self, chosen: Tensor) -> Tensor:
        """Remove rows that said EOS or are full; the last rows take their places."""
        if self._tokens_done >= self._settings.max_new_tokens:
            self.owners = []
            return chosen[:0]
        ended = (chosen == self._settings.eos_id).tolist()
        alive = [place for place, end in enumerate(ended) if not end]
        count = len(alive)
        holes = [place for place in range(count) if ended[place]]
        movers = [place for place in alive if place >= count]
        for hole, mover in zip(holes, movers, strict=True):
            self.owners[hole] = self.owners[mover]
            for tensor in (*self.keys, *self.values, self.lengths, self._said, chosen):
                tensor[hole] = tensor[mover]
        self.owners = self.owners[:count]
        return chosen[:count]

    def advance(self) -> int:
        """Cache slots in use after the coming token."""
        return self._longest + self._tokens_done


def _layer(block: LeanBlock, dtype: torch.dtype) -> _Layer:
    qkv, output, gate_up, down = (_merged(stack.group(), dtype) for stack in block.stacks())
    return _Layer(qkv, output, gate_up, down, block.norm1.detach(), block.norm2.detach())


def _merged(group: Group, dtype: torch.dtype) -> Tensor:
    if group.adapters is None:
        return group.weight.detach().to(dtype)
    return group.merged().to(dtype)
