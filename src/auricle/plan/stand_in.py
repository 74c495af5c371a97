"""Stand-ins for what is not on this machine yet, so that a plan goes the same walk without it.

A side of a task that is to be fetched is a table of as many clips, all of one length, as the
catalog says (`Task.size`); its audio is noise, its labels are words without a meaning, about as
many as such labels have. The official decoder is one of its shape that knows nothing.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from auricle.catalog.recipe import MINI_DECODER, DecoderConfig
from auricle.catalog.spec import Task
from auricle.data.clips import AudioSource, ClipTable, Window
from auricle.data.index import LeftOut, ShardIndex
from auricle.data.shards import LockedShard
from auricle.data.tables import open_tables
from auricle.job import Data, Job, join_data
from auricle.lalm.tokens import Tokens
from auricle.progress import Progress, SilentProgress
from auricle.records.plan import PlannedSide

_RATE = 16_000
_WORDS = ("audio", "sound", "voice", "music", "noise", "tone", "beat", "rain", "wind", "drum")
_WORDS_OF_A_LABEL = {"accuracy": 2, "mAP": 4, "FENSE": 12, "DATE": 40, "ROUGE-L": 12}
_WORDS_OF_A_SECOND = {"iWER": 3.5, "iCER": 9.0}
"""In the decoder's tokens, about: 2.7 English words, 4 Chinese characters."""
_SHAPES = {
    "HuggingFaceTB/SmolLM2-135M": DecoderConfig(
        hidden_size=576,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1_536,
        max_position_embeddings=8_192,
        vocab_size=49_152,
    )
}


class StandInTable(ClipTable):
    """The clips of a side of a task, as the catalog describes them."""

    def __init__(self, task: Task, side: str) -> None:
        size = task.size_of(side)
        assert size is not None, "see can_stand_in"
        count, nothing = size.clips, np.zeros(size.clips, np.int64)
        index = ShardIndex(
            keys=tuple(f"{clip:07d}" for clip in range(count)),
            suffixes=("flac",) * count,
            audio_offset=nothing,
            audio_size=nothing,
            json_offset=nothing,
            json_size=nothing,
            num_samples=np.full(count, max(1, round(size.hours * 3600 / count * _RATE))),
            sample_rate=np.full(count, _RATE, np.int32),
            digest=np.arange(count, dtype=np.uint64),
            flaw=np.zeros(count, np.uint8),
            left_out=LeftOut(),
        )
        name = f"{task.name}/{side}"
        digest = sha256(f"stand-in for {name}".encode()).hexdigest()
        shard = LockedShard("", "", name, Path(name), digest, size.bytes, None)
        super().__init__([shard], [index])
        self._field = task.label_fields(side)[0]
        seconds, metric = size.hours * 3600 / count, task.metric or "accuracy"
        words = _WORDS_OF_A_LABEL.get(metric) or _WORDS_OF_A_SECOND[metric] * seconds
        self._texts = [_text(start, round(words)) for start in range(task.num_classes or 50)]

    def fields(self, clip: int) -> dict[str, Any]:
        """A label, and a prompt for a task whose clips bring their own."""
        text = self._texts[self.place(clip)[1] % len(self._texts)]
        return {"prompt": _text(clip, 8), self._field: text}

    def select(self, clips: Iterable[int]) -> ClipTable:
        """See `ClipTable`."""
        part = copy(self)
        part._chosen = [self.place(clip) for clip in clips]
        return part


class _Source(AudioSource):
    """Noise for the clips that are not there."""

    def __init__(self, tables: Sequence[ClipTable]) -> None:
        super().__init__(tables)
        absent = [table for table in tables if isinstance(table, StandInTable)]
        self._absent = {shard.sha256 for table in absent for shard in table.shards}

    def encoded(self, window: Window) -> tuple[bytes, str]:
        """See `AudioSource`."""
        if window.shard not in self._absent:
            return super().encoded(window)
        return _noise(int(self._shards[window.shard][1].num_samples[window.position])), "flac"


def can_stand_in(job: Job, sides: Iterable[PlannedSide]) -> bool:
    """Whether the catalog describes everything that is not there."""
    tasks = {task.name: task for task in job.tasks}
    return all(tasks[one.task].size_of(one.side) for one in absent(sides))


def absent(sides: Iterable[PlannedSide]) -> list[PlannedSide]:
    """The sides of which shards are not there, or cannot be looked for."""
    return [one for one in sides if one.missing or one.problem]


def open_with_stand_ins(job: Job, sides: Iterable[PlannedSide], progress: Progress) -> Data:
    """Open what is there, and stand-ins for the rest; see `open_data`."""
    lacking = {(one.task, one.side) for one in absent(sides)}
    opened: dict[str, dict[str, ClipTable]] = {"train": {}, "test": {}}
    for side, task in itertools.product(job.sides, job.tasks):
        if (task.name, side) in lacking:
            opened[side][task.name] = StandInTable(task, side)
        elif task.expanded_shards(side):
            opened[side] |= open_tables(
                [task], side, home=job.home, workers=job.workers, progress=progress
            )
    data = join_data(job, opened, SilentProgress())
    tables = [*opened["train"].values(), *opened["test"].values()]
    return replace(data, texts=list(dict.fromkeys(data.texts)), source=_Source(tables))


def with_stand_in_decoder(job: Job) -> Job | None:
    """A job with a decoder of the official one's shape; None of another."""
    shape = _SHAPES.get(job.recipe.decoder)
    if shape is None:
        return None
    settings = {"decoder": MINI_DECODER, "decoder_config": shape}
    return replace(job, recipe=job.recipe.model_copy(update=settings))


def wide_tokens(job: Job, tokens: Tokens) -> Tokens:
    """A small tokenizer that says it is as large as a job's decoder was made for."""
    assert job.recipe.decoder_config is not None
    return _WideTokens(tokens, job.recipe.decoder_config.vocab_size)


class _WideTokens(Tokens):
    def __init__(self, tokens: Tokens, size: int) -> None:
        super().__init__(tokens._tokenizer)
        self._size = size

    def __len__(self) -> int:
        return self._size


def _text(start: int, count: int) -> str:
    """Some words; another beginning gives others."""
    return " ".join(_WORDS[(start + number * 3) % len(_WORDS)] for number in range(max(1, count)))


@lru_cache(maxsize=64)
def _noise(count: int) -> bytes:
    values = 0.05 * np.random.default_rng(0).standard_normal(count)
    file = io.BytesIO()
    soundfile.write(file, values, _RATE, format="FLAC")
    return file.getvalue()
