"""From draws to batches: sort inside a block, cut, pack; the next batch while this one runs.

Draws come unsorted (law 2). Inside each block of 128 they are sorted from long to short, where
long is tokens plus seconds as in the reference, and cut into batches. A batch holds no padding:
the sequences ``[audio][prompt][target]`` lie behind each other as rows. The closing EOS is a label
only: nothing follows it, so as an input it could change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import Tensor

from auricle.catalog.recipe import BLOCK, Recipe
from auricle.lalm.tokens import Tokens


class DrawLike(Protocol):
    """One training example as the mixture gives it."""

    @property
    def index(self) -> int:
        """Number of the draw."""

    @property
    def window(self) -> object:
        """What was encoded; its text names the clip."""

    @property
    def prompt(self) -> str:
        """The question."""

    @property
    def text(self) -> str:
        """The target."""

    @property
    def duration_s(self) -> float:
        """Length of the window."""


@dataclass(frozen=True, slots=True)
class Example:
    """A draw with its tokens."""

    index: int
    window: object
    duration_s: float
    prompt: tuple[int, ...]
    target: tuple[int, ...]
    """EOS included."""

    @property
    def length(self) -> float:
        """What the protocol sorts by: text tokens plus seconds."""
        return len(self.prompt) + len(self.target) + self.duration_s


@dataclass(frozen=True, slots=True)
class Batch:
    """Packed sequences; N positions, A of them audio, T of them tokens, K with a label."""

    names: tuple[str, ...]
    """The windows, as text."""
    lengths: tuple[int, ...]
    """Positions of each sequence; they sum to N."""
    label_counts: tuple[int, ...]
    """Labels of each sequence: those of its last positions; they sum to K."""
    features: Tensor
    """float ``[A, D * concat]``."""
    audio_places: Tensor
    """int64 ``[A]``: rows of the N that are audio."""
    tokens: Tensor
    """int64 ``[T]``."""
    token_places: Tensor
    """int64 ``[T]``."""
    positions: Tensor
    """int64 ``[N]``: place of each row in its own sequence."""
    label_places: Tensor
    """int64 ``[K]``: rows whose next token is a label."""
    labels: Tensor
    """int64 ``[K]``."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device, without waiting for the copy."""
        if device.type == "cpu":
            return self
        names = [
            "features",
            "audio_places",
            "tokens",
            "token_places",
            "positions",
            "label_places",
            "labels",
        ]
        tensors = {name: getattr(self, name) for name in names}
        if device.type == "cuda":  # only from pinned memory does a copy not wait
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        moved = {name: t.to(device, non_blocking=True) for name, t in tensors.items()}
        return replace(self, **moved)


def draws_of_steps(first: int, stop: int, *, recipe: Recipe) -> tuple[int, int]:
    """Draws that the training steps ``first`` to ``stop - 1`` sort and use, as a range.

    Args:
        first: The first step.
        stop: The step after the last one.
        recipe: Its training uses draws 0 to ``steps * batch_size - 1``.
    """
    size = recipe.train.batch_size
    begin = first * size // BLOCK * BLOCK
    end = -(-stop * size // BLOCK) * BLOCK
    return begin, min(end, recipe.train.steps * size)


def block_batches(
    draws: Sequence[DrawLike], tokens: Tokens, batch_size: int
) -> list[list[Example]]:
    """Sort one block's draws and cut it into batches.

    Returns:
        Batches in the order of training: descending by prompt, target and EOS tokens plus seconds,
        ties by the draw's number.
    """
    examples = [
        Example(
            index=draw.index,
            window=draw.window,
            duration_s=draw.duration_s,
            prompt=tuple(tokens.encode(draw.prompt)),
            target=(*tokens.encode(draw.text), tokens.eos_id),
        )
        for draw in draws
    ]
    examples.sort(key=lambda example: (-example.length, example.index))
    return [examples[at : at + batch_size] for at in range(0, len(examples), batch_size)]


def stack_frames(features: Tensor, concat: int) -> Tensor:
    """Join ``concat`` frames per position, the last group filled with zeros.

    Args:
        features: ``[T', D]``.
        concat: Frames per position.

    Returns:
        ``[ceil(T' / concat), D * concat]``.
    """
    if concat == 1:
        return features
    missing = -features.shape[0] % concat
    if missing:
        features = torch.cat([features, features.new_zeros(missing, features.shape[1])])
    return features.reshape(-1, concat * features.shape[1])


def pack(examples: Sequence[Example], features: Sequence[Tensor], *, concat: int) -> Batch:
    """Lay the sequences of one batch behind each other.

    Args:
        examples: The batch.
        features: Of each example's window: ``[T', D]``.
        concat: Frames per position.
    """
    audio = [stack_frames(item, concat) for item in features]
    texts = [(*example.prompt, *example.target[:-1]) for example in examples]
    lengths = [len(a) + len(t) for a, t in zip(audio, texts, strict=True)]
    starts = [0, *accumulate(lengths)]
    audio_places: list[Tensor] = []
    token_places: list[Tensor] = []
    label_places: list[Tensor] = []
    for example, a, start, stop in zip(examples, audio, starts, starts[1:], strict=False):
        audio_places.append(torch.arange(start, start + len(a)))
        token_places.append(torch.arange(start + len(a), stop))
        label_places.append(torch.arange(stop - len(example.target), stop))
    return Batch(
        names=tuple(str(example.window) for example in examples),
        lengths=tuple(lengths),
        label_counts=tuple(len(example.target) for example in examples),
        features=torch.cat(audio),
        audio_places=torch.cat(audio_places),
        tokens=torch.tensor([token for text in texts for token in text], dtype=torch.int64),
        token_places=torch.cat(token_places),
        positions=torch.cat([torch.arange(length) for length in lengths]),
        label_places=torch.cat(label_places),
        labels=torch.tensor([t for example in examples for t in example.target]),
    )


class BatchSource:
    """Makes the batches of a training; step s always gets the same batch."""

    def __init__(
        self,
        *,
        draws: Callable[[int, int], Sequence[DrawLike]],
        read: Callable[[Any], Tensor],
        tokens: Tokens,
        recipe: Recipe,
    ) -> None:
        """Prepare.

        Args:
            draws: Draws of a range of numbers, unsorted.
            read: Features of a window: ``[T', D]`` on the CPU.
            tokens: The decoder's tokenizer.
            recipe: Steps, batch size, frames per position.
        """
        self._draws = draws
        self._read = read
        self._tokens = tokens
        self._recipe = recipe
        self._block: tuple[int, list[list[Example]]] = (-1, [])

    def examples(self, step: int) -> list[Example]:
        """The examples of one step, without their features."""
        size = self._recipe.train.batch_size
        block, place = divmod(step * size, BLOCK)
        if self._block[0] != block:
            first = block * BLOCK
            stop = min(first + BLOCK, self._recipe.train.steps * size)
            batches = block_batches(self._draws(first, stop), self._tokens, size)
            self._block = (block, batches)
        return self._block[1][place // size]

    def batch(self, step: int) -> Batch:
        """The batch of one step."""
        examples = self.examples(step)
        features = [self._read(example.window) for example in examples]
        return pack(examples, features, concat=self._recipe.features.concat)

    def batches(self, first: int, stop: int) -> Iterator[Batch]:
        """Batches of the steps ``first`` to ``stop - 1``; one is prepared ahead, none beyond."""
        if first >= stop:
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
            coming = pool.submit(self.batch, first)
            for step in range(first, stop):
                batch = coming.result()
                if step + 1 < stop:
                    coming = pool.submit(self.batch, step + 1)
                yield batch
