"""The training mixture: draw i is computed from (data lock, crop, seed, i) alone (law 2).

A draw takes eight raw words at its own place of a counter-based stream: task by share, clip
uniformly within the task, window on the crop grid, one of the clip's texts, one of the task's
prompts. Nothing is shuffled and nothing is remembered, so draw 70,000 costs what draw 0 costs, and
any worker count or restart point sees the same data.

A clip that cannot be decoded is replaced by the next decodable one of its task (cyclically): the
replacement is a function of the draw and of which clips are damaged, hence the same on any machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auricle.catalog.spec import Task
from auricle.data.clips import ClipTable, Window, by_content
from auricle.errors import DataError
from auricle.seeding import random_words, stream_key, unit_floats

_COUNTERS_PER_DRAW = 2


@dataclass(frozen=True, slots=True)
class Draw:
    """One training example."""

    index: int
    task: str
    window: Window
    prompt: str
    text: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Crop:
    """Training windows of clips longer than ``length_s`` start on a grid of ``grid_s``."""

    length_s: float
    grid_s: float

    def starts(self, num_samples: int, sample_rate: int) -> tuple[int, int, int]:
        """How a clip is cut, in source samples.

        Returns:
            Number of windows, distance of their starts, length of each; a clip that is not longer
            than ``length_s`` is one window of its own length.
        """
        length = round(self.length_s * sample_rate)
        if num_samples <= length:
            return 1, 0, num_samples
        grid = max(1, round(self.grid_s * sample_rate))
        return (num_samples - length) // grid + 1, grid, length


@dataclass(frozen=True, slots=True)
class MixturePart:
    """One task of the mixture with its training clips and its share of the draws."""

    task: Task
    table: ClipTable
    share: float


class Mixture:
    """Random access to the draws of a training mixture."""

    def __init__(self, parts: Sequence[MixturePart], *, crop: Crop, seed: int) -> None:
        self.parts = tuple(parts)
        self.crop = crop
        self._key = stream_key("draws", seed)
        self._edges = np.cumsum([part.share for part in parts])
        self._edges /= self._edges[-1:]  # a mixture without parts has no draws
        self._undecodable: set[tuple[str, int]] = set()
        self._replaced: dict[tuple[int, int], int] = {}

    def draws(self, first: int, stop: int) -> list[Draw]:
        """Draws ``first`` to ``stop - 1``, unsorted.

        Raises:
            DataError: A clip lacks its label's field, or no clip of a task can be decoded.
        """
        return [self._draw(first + j, row) for j, row in enumerate(self._rows(first, stop))]

    def windows(self, first: int, stop: int) -> Iterator[Window]:
        """The draws' windows, without reading a label."""
        for row in self._rows(first, stop):
            part, clip = self._clip(row)
            yield self._window(part, clip, row[2])

    def all_windows(self, part: MixturePart) -> list[Window]:
        """Every window of a task that a draw of any seed can ask for, in content's order."""
        return by_content(
            self._window(part, clip, (place + 0.5) / count)
            for clip in range(len(part.table))
            if part.table.readable(clip)
            for count in [self._crop_of(part.table, clip)[0]]
            for place in range(count)
        )

    def count_windows(self) -> int:
        """How many windows there are in all tasks together."""
        return sum(
            self._crop_of(part.table, clip)[0]
            for part in self.parts
            for clip in range(len(part.table))
            if part.table.readable(clip)
        )

    def mark_undecodable(self, windows: Iterable[Window]) -> int:
        """Replace these windows' clips from now on; returns how many clips were not yet known."""
        before = len(self._undecodable)
        self._undecodable.update((w.shard, w.position) for w in windows)
        if len(self._undecodable) != before:
            self._replaced.clear()
        return len(self._undecodable) - before

    def unreadable_clips(self) -> dict[str, int]:
        """How many training clips of each task cannot be decoded, as far as is known."""
        counts: dict[str, int] = {}
        for part in self.parts:
            bad = sum(self._damaged(part.table, clip) for clip in range(len(part.table)))
            if bad:
                counts[part.task.name] = bad
        return counts

    def _rows(self, first: int, stop: int) -> NDArray[np.float64]:
        words = random_words(
            self._key, first * _COUNTERS_PER_DRAW, (stop - first) * _COUNTERS_PER_DRAW
        )
        return unit_floats(words).reshape(stop - first, -1)

    def _draw(self, index: int, row: NDArray[np.float64]) -> Draw:
        part, clip = self._clip(row)
        window = self._window(part, clip, row[2])
        fields = part.table.fields(clip)
        texts = _texts(part.task, part.table, clip, "train", fields)
        return Draw(
            index=index,
            task=part.task.name,
            window=window,
            prompt=_prompt(part.task, fields, row[4]),
            text=texts[int(row[3] * len(texts))],
            duration_s=window.duration_s,
        )

    def _clip(self, row: NDArray[np.float64]) -> tuple[MixturePart, int]:
        place = min(int(np.searchsorted(self._edges, row[0], side="right")), len(self.parts) - 1)
        part = self.parts[place]
        chosen = int(row[1] * len(part.table))
        if (place, chosen) not in self._replaced:
            self._replaced[place, chosen] = self._next_decodable(part, chosen)
        return part, self._replaced[place, chosen]

    def _next_decodable(self, part: MixturePart, chosen: int) -> int:
        count = len(part.table)
        for step in range(count):
            clip = (chosen + step) % count
            if not self._damaged(part.table, clip):
                return clip
        raise DataError(
            f"None of the {count} training clips of task {part.task.name} can be decoded. "
            "Fetch or make its shards anew, or leave the task out."
        )

    def _damaged(self, table: ClipTable, clip: int) -> bool:
        if not table.readable(clip):
            return True
        if not self._undecodable:
            return False
        shard, row = table.place(clip)
        return (table.shards[shard].sha256, row) in self._undecodable

    def _crop_of(self, table: ClipTable, clip: int) -> tuple[int, int, int]:
        shard, row = table.place(clip)
        index = table.indexes[shard]
        return self.crop.starts(int(index.num_samples[row]), int(index.sample_rate[row]))

    def _window(self, part: MixturePart, clip: int, word: float) -> Window:
        count, grid, length = self._crop_of(part.table, clip)
        return part.table.window(clip, first=int(word * count) * grid, count=length)


def texts_of(task: Task, table: ClipTable, clip: int, side: str) -> list[str]:
    """The target texts (train) or references (test) of a clip.

    Raises:
        DataError: The clip's JSON lacks the field; names the clip, what was seen and expected.
    """
    return _texts(task, table, clip, side, table.fields(clip))


def _texts(
    task: Task, table: ClipTable, clip: int, side: str, fields: dict[str, object]
) -> list[str]:
    try:
        return task.texts(fields, side)
    except DataError as error:
        raise DataError(f"Clip {table.clip_id(clip)} of task {task.name}: {error}") from error


def prompt_at_test(task: Task, table: ClipTable, clip: int) -> str:
    """The prompt that a test clip is asked with: the task's first one, the clip's own, or none."""
    own = not task.prompt and task.prompt_field
    return _prompt(task, table.fields(clip) if own else {}, 0.0)


def _prompt(task: Task, fields: dict[str, object], word: float) -> str:
    if isinstance(task.prompt, list):
        return task.prompt[int(word * len(task.prompt))]
    if task.prompt or not task.prompt_field:
        return task.prompt
    own = fields.get(task.prompt_field)
    if not isinstance(own, str):
        raise DataError(
            f"Task {task.name} has an empty prompt, so each clip brings its own in the JSON field "
            f"'{task.prompt_field}'; a clip has {sorted(fields)} instead. Add the field, give the "
            "task a prompt, or ask nothing with prompt_field: ''."
        )
    return own
