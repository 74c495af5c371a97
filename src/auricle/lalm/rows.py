"""The rows of a chunk that are being answered: whose they are, what they said, their cache.

A row is a slot of the cache. Questions take slots in their order; where the cache has none left
they wait, and take the slots that become free. All of it follows from the questions' lengths and
answers, so a chunk's rows meet the same others whenever it is answered (law 4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auricle.lalm.capture import round_up
from auricle.lalm.greedy import NOTHING, Settings, check_tokens

# Positions that enter together: what they need at once stays small, and the products large.
_PIECE = 2_048
# Slots that a captured step computes at least: few sizes make few captures.
LEAST_SLOTS = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """What a cache holds."""

    layers: int
    key_heads: int
    head_dim: int
    dtype: torch.dtype
    positions: int
    """Of all slots together; one slot there always is."""


class Cache:
    """Keys and values of the rows: for each layer ``[slots, key heads, room, width]``."""

    def __init__(self, shape: Shape, device: torch.device, *, stays: bool = False) -> None:
        """Hold nothing yet.

        Args:
            shape: What is cached, and room for how many positions.
            device: Where.
            stays: Use the same memory for every chunk, and few sizes, as captured steps need it.
        """
        self.device = device
        self.times_made = 0
        self._shape = shape
        self._stays = stays
        self._memory: list[Tensor] = []

    def lay_out(self, questions: int, room: int) -> tuple[int, list[Tensor], list[Tensor]]:
        """Make room for a chunk.

        Args:
            questions: Of the chunk.
            room: Positions that the longest of them needs, its answer included.

        Returns:
            How many can be answered at a time; keys and values of each layer.
        """
        shape = self._shape
        if self._stays:
            room = round_up(room, least=64, sizes=4)
        most = max(1, shape.positions // room)
        if self._stays and most > LEAST_SLOTS:  # down to one of the sizes, which keeps the budget
            most = 1 << (most.bit_length() - 1)
        slots = min(questions, most)
        size = (slots, shape.key_heads, room, shape.head_dim)
        if self._stays:
            size = (round_up(slots, least=LEAST_SLOTS, sizes=1), *size[1:])
            memory = self._kept(math.prod(size))
        else:
            # Memory of zeros is taken when it is first written to, so unused room costs nothing.
            memory = self._make(math.prod(size))
        views = [flat[: math.prod(size)].view(size) for flat in memory]
        return slots, views[: shape.layers], views[shape.layers :]

    def _kept(self, numbers: int) -> list[Tensor]:
        if not self._memory or len(self._memory[0]) < numbers:
            self._memory = []  # goes before more is asked for
            self._memory = self._make(numbers)
            self.times_made += 1
        return self._memory

    def _make(self, numbers: int) -> list[Tensor]:
        shape = self._shape
        return [
            torch.zeros(numbers, dtype=shape.dtype, device=self.device)
            for _ in range(2 * shape.layers)
        ]


class Rows:
    """Row j of the cache belongs to question ``owners[j]`` and holds ``sizes[j]`` positions."""

    def __init__(self, lengths: Sequence[int], settings: Settings, cache: Cache) -> None:
        """Nobody has a slot yet.

        Args:
            lengths: Positions of each question.
            settings: Of the generation.
            cache: Laid out for them; no other rows use it meanwhile.
        """
        self.settings = settings
        self.answers: list[list[int]] = [[] for _ in lengths]
        self.owners: list[int] = []
        self.sizes: list[int] = []
        self._lengths = lengths
        self._admitted = 0
        self._fresh = range(0)
        room = max(lengths) + settings.max_new_tokens
        self._slots, self.keys, self.values = cache.lay_out(len(lengths), room)
        self._said = torch.full(
            (self._slots, settings.max_new_tokens), NOTHING, device=cache.device
        )

    def admit(self) -> bool:
        """Give free slots to those who wait; False where nobody is left to answer."""
        first = len(self.owners)
        while self._admitted < len(self._lengths) and len(self.owners) < self._slots:
            self._said[len(self.owners)] = NOTHING
            self.owners.append(self._admitted)
            self.sizes.append(self._lengths[self._admitted])
            self._admitted += 1
        self._fresh = range(first, len(self.owners))
        return bool(self.owners)

    def pieces(self) -> Iterator[list[int]]:
        """The slots that were just given, a bounded number of positions at a time."""
        piece: list[int] = []
        for slot in self._fresh:
            if piece and sum(self.sizes[j] for j in piece) + self.sizes[slot] > _PIECE:
                yield piece
                piece = []
            piece.append(slot)
        if piece:
            yield piece

    def said(self) -> Tensor:
        """What each row has said, as `auricle.lalm.greedy.choose` reads it."""
        most = max(len(self.answers[owner]) for owner in self.owners)
        return self._said[: len(self.owners), :most]

    def keep(self, chosen: Tensor, *, vocabulary: int) -> Tensor:
        """Note what each row says next; the last rows take the places of those that end.

        Returns:
            The tokens of the rows that go on.

        Raises:
            TrainingError: A row's logits were not numbers.
        """
        tokens = chosen.tolist()
        check_tokens(tokens, self.owners, vocabulary)
        spoken = [len(self.answers[owner]) for owner in self.owners]
        every = torch.arange(len(tokens), device=chosen.device)
        self._said[every, torch.tensor(spoken, device=chosen.device)] = chosen
        goes_on = []
        for owner, token in zip(self.owners, tokens, strict=True):
            ended = token == self.settings.eos_id
            if not ended:
                self.answers[owner].append(token)
            goes_on.append(not ended and len(self.answers[owner]) < self.settings.max_new_tokens)
        return self._close_up(chosen, goes_on)

    def _close_up(self, chosen: Tensor, goes_on: Sequence[bool]) -> Tensor:
        count = sum(goes_on)
        holes = [slot for slot in range(count) if not goes_on[slot]]
        movers = [slot for slot in range(count, len(goes_on)) if goes_on[slot]]
        for hole, mover in zip(holes, movers, strict=True):
            self.owners[hole] = self.owners[mover]
            self.sizes[hole] = size = self.sizes[mover]
            for cached in (*self.keys, *self.values):
                cached[hole, :, :size] = cached[mover, :, :size]
            self._said[hole] = self._said[mover]
            chosen[hole] = chosen[mover]
        del self.owners[count:], self.sizes[count:]
        return chosen[:count]
