"""The clips of one side of a task, and the windows that encoders are given.

Clips are numbered by shard, then by place in it (law 2). A window names its samples by content
(the shard's hash and the place), never by a path, so the same clip in two tasks is encoded once.
"""

from __future__ import annotations

import json
import os
import threading
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.data.containers import Flaw
from auricle.data.decode import DECODER_VERSION, SOXR, Heard, hear
from auricle.data.index import INDEX_VERSION, LeftOut, ShardIndex
from auricle.data.shards import LockedShard, data_lock
from auricle.errors import DataError
from auricle.records.manifest import DataLock


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """(clip, start, length): what the encoder is given. Two windows of equal samples are equal."""

    shard: str
    """SHA-256 of the shard's plain tar."""
    position: int
    """Place of the clip in the shard."""
    first: int
    """First source sample."""
    count: int
    """Number of source samples."""
    sample_rate: int
    """Source samples per second."""
    clip_id: str = field(compare=False)
    """``<shard path without suffix>/<key>``, for people."""
    digest: int = field(default=0, compare=False)
    """Of the clip's audio file, as the index keeps it."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.count / self.sample_rate

    @property
    def key(self) -> str:
        """What the window is, as text; equal for equal windows on any machine."""
        return f"{self.shard}:{self.position}:{self.first}:{self.count}"

    @property
    def order(self) -> tuple[bytes, bytes]:
        """What windows are sorted by before they are encoded or asked.

        It depends on the audio file and the cut alone, so an encoder that counts what it is given
        learns nothing of the table that the clips came from. Equal audio files of two clips are in
        the order of a hash of their places.
        """
        content = f"{self.digest:016x}:{self.first}:{self.count}"
        return _hash(content), _hash(self.key)

    @property
    def length_order(self) -> tuple[float, int, tuple[bytes, bytes]]:
        """What windows are sorted by before they are cut into batches and chunks: longest first."""
        return -self.duration_s, self.sample_rate, self.order

    def __str__(self) -> str:
        if self.first == 0:
            return self.clip_id
        start = self.first / self.sample_rate
        return f"{self.clip_id} [{start:g} to {start + self.duration_s:g} s]"


class ClipTable:
    """All clips of one side of a task; clip j is a function of the data lock and j."""

    def __init__(self, shards: Sequence[LockedShard], indexes: Sequence[ShardIndex]) -> None:
        self.shards = tuple(shards)
        self.indexes = tuple(indexes)
        self._ends = list(accumulate(len(index) for index in self.indexes))
        self._stems = [_stem(shard.name) for shard in self.shards]
        self._chosen: list[tuple[int, int]] | None = None

    def __len__(self) -> int:
        if self._chosen is not None:
            return len(self._chosen)
        return self._ends[-1] if self._ends else 0

    def lock(self) -> DataLock:
        """What the table resolved to on this machine, for a manifest, and how it is read.

        A run that was begun on other lengths or samples is another run.
        """
        lock = data_lock(self.shards, clips=len(self))
        return lock.with_fields(index=INDEX_VERSION, decoder=DECODER_VERSION)

    @property
    def left_out(self) -> LeftOut:
        """Members of the shards that are in no clip; nothing of a part of the clips."""
        if self._chosen is not None:
            return LeftOut()
        total = LeftOut()
        for index in self.indexes:
            total = total.plus(index.left_out)
        return total

    def place(self, clip: int) -> tuple[int, int]:
        """Shard number and place in it."""
        if self._chosen is not None:
            return self._chosen[clip]
        shard = bisect_right(self._ends, clip)
        return shard, clip - (self._ends[shard - 1] if shard else 0)

    def select(self, clips: Iterable[int]) -> ClipTable:
        """Some of the clips, renumbered in the given order."""
        part = ClipTable(self.shards, self.indexes)
        part._chosen = [self.place(clip) for clip in clips]
        return part

    def clip_id(self, clip: int) -> str:
        """``<shard path without suffix>/<key>``."""
        shard, row = self.place(clip)
        return f"{self._stems[shard]}/{self.indexes[shard].keys[row]}"

    def digests(self) -> NDArray[np.uint64]:
        """First 8 bytes of the SHA-256 of each clip's audio file, uint64 ``[clips]``."""
        every = np.concatenate([np.zeros(0, np.uint64), *(i.digest for i in self.indexes)])
        return every if self._chosen is None else every[self._rows()]

    def _rows(self) -> list[int]:
        """The chosen clips' places among all clips of the shards."""
        starts = [0, *self._ends]
        return [starts[shard] + row for shard, row in self._chosen or ()]

    def durations_s(self) -> NDArray[np.float64]:
        """Length of each clip; NaN where its header cannot be read."""
        lengths = [
            np.where(i.num_samples > 0, i.num_samples / np.maximum(i.sample_rate, 1), np.nan)
            for i in self.indexes
        ]
        every = np.concatenate([np.zeros(0), *lengths])
        return every if self._chosen is None else every[self._rows()]

    def readable(self, clip: int) -> bool:
        """Whether the clip's audio header could be read when the shard was indexed."""
        shard, row = self.place(clip)
        return bool(self.indexes[shard].num_samples[row] > 0)

    def flawed(self, flaw: Flaw) -> list[int]:
        """The clips that differ from their headers in one way."""
        found = np.concatenate([np.zeros(0, bool), *(i.flaw == flaw for i in self.indexes)])
        if self._chosen is None:
            return [int(clip) for clip in np.flatnonzero(found)]
        starts = [0, *self._ends]
        places = enumerate(self._chosen)
        return [clip for clip, (shard, row) in places if found[starts[shard] + row]]

    def window(self, clip: int, *, first: int = 0, count: int | None = None) -> Window:
        """A window of a readable clip; the whole clip by default."""
        shard, row = self.place(clip)
        index = self.indexes[shard]
        total = int(index.num_samples[row])
        return Window(
            shard=self.shards[shard].sha256,
            position=row,
            first=first,
            count=total - first if count is None else count,
            sample_rate=int(index.sample_rate[row]),
            clip_id=self.clip_id(clip),
            digest=int(index.digest[row]),
        )

    def fields(self, clip: int) -> dict[str, Any]:
        """The clip's JSON.

        Raises:
            DataError: The JSON cannot be read as an object.
        """
        shard, row = self.place(clip)
        index = self.indexes[shard]
        data = _files.read(
            self.shards[shard].tar, int(index.json_offset[row]), int(index.json_size[row])
        )
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"The JSON of clip {self.clip_id(clip)} cannot be read ({error}). "
                "Make or fetch its shard anew."
            ) from error
        if not isinstance(value, dict):
            raise DataError(
                f"The JSON of clip {self.clip_id(clip)} is a {type(value).__name__}, "
                "expected an object with the label's field. Make or fetch its shard anew."
            )
        return value


def by_content(windows: Iterable[Window]) -> list[Window]:
    """Windows in the order of their contents, the same wherever and however they are packed."""
    return sorted(windows, key=lambda window: window.order)


class AudioSource:
    """Reads windows from any of the tables it was given; safe to use from several threads."""

    def __init__(self, tables: Iterable[ClipTable], *, resampler: str = SOXR) -> None:
        self.resampler = resampler
        self._shards: dict[str, tuple[Path, ShardIndex]] = {}
        for table in tables:
            for shard, index in zip(table.shards, table.indexes, strict=True):
                self._shards.setdefault(shard.sha256, (shard.tar, index))

    def encoded(self, window: Window) -> tuple[bytes, str]:
        """The clip's audio file as it lies in the shard, and its suffix."""
        tar, index = self._shards[window.shard]
        row = window.position
        data = _files.read(tar, int(index.audio_offset[row]), int(index.audio_size[row]))
        return data, index.suffixes[row]

    def samples(self, window: Window) -> NDArray[np.float32]:
        """Decode a window: float32 ``[n]``, 16 kHz, mono.

        Raises:
            DataError: It cannot be decoded.
        """
        return self.hear(window).samples

    def hear(self, window: Window) -> Heard:
        """Decode a window; its flaw is one that the index does not know of.

        Raises:
            DataError: It cannot be decoded.
        """
        data, suffix = self.encoded(window)
        heard = hear(data, suffix, first=window.first, count=window.count, resampler=self.resampler)
        known = bool(self._shards[window.shard][1].flaw[window.position])
        return replace(heard, flaw=Flaw.NONE) if known else heard


class _OpenFiles:
    """Open files by path, read by offset, shared by the whole process.

    The official suites have 1,153 shards, and most systems allow 1,024 open files: at most
    `_MOST_OPEN` are kept, and of those that nobody reads the one used longest ago is closed first.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()
        self._readers: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def read(self, path: Path, offset: int, size: int) -> bytes:
        with self._lock:
            descriptor = self._open.pop(path, None)
            if descriptor is None:
                self._close_idle(_MOST_OPEN - 1)
                descriptor = os.open(path, os.O_RDONLY)
            self._open[path] = descriptor
            self._readers[path] += 1
        try:
            data = os.pread(descriptor, size, offset)
        finally:
            with self._lock:
                self._readers[path] -= 1
                if not self._readers[path]:
                    del self._readers[path]
        if len(data) != size:
            raise DataError(
                f"{path} is shorter than when it was indexed; give the command again to re-check it"
            )
        return data

    def close(self) -> None:
        """Close all that nobody reads; they are opened again when asked for."""
        with self._lock:
            self._close_idle(0)

    def _close_idle(self, most: int) -> None:
        for path in [path for path in self._open if not self._readers[path]]:
            if len(self._open) <= most:
                return
            os.close(self._open.pop(path))


_MOST_OPEN = 48
_files = _OpenFiles()


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


def _stem(name: str) -> str:
    for suffix in (".tar.gz", ".tgz", ".tar"):
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name
