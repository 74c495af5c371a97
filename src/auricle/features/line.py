"""Keeps an encoder busy, and cuts in two what does not fit into its memory.

While it works on one call the next one already lies before it, and the one before is stored here.
A batch is one call unless it once ran out of memory: then it is cut in half by the order of its
windows, as often as needed, and `FeatureStore.write_parts` makes that final before a part is
encoded. The batch stays what it is, with its hash, its file and its order (law 1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from auricle.errors import EncoderMemoryError
from auricle.features.batches import Batch
from auricle.features.store import FeatureStore

_CALLS = 2


class EncodedWindow(Protocol):
    """Frames of one window, masked ones dropped."""

    @property
    def frames(self) -> NDArray[Any]:
        """``[T', D]``; bfloat16 as its 16 bits."""

    @property
    def dtype(self) -> str:
        """float32, float16 or bfloat16."""


class Encoder(Protocol):
    """Turns batches of audio into features; that it lives in another process is not seen here."""

    def begin(self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str]) -> None:
        """Hand a batch over and do not wait; ``labels`` name the windows in errors."""

    def finish(self) -> Sequence[EncodedWindow]:
        """Wait for the oldest batch that was begun.

        Raises:
            EncoderMemoryError: It did not fit; the encoder goes on with the next one.
        """


@dataclass(slots=True, eq=False)
class _Work:
    """A batch on its way; ``cuts`` are the ends of its parts."""

    batch: Batch
    audio: Sequence[NDArray[np.float32] | None]
    frames: list[NDArray[Any] | None]
    cuts: list[int]
    left: int
    remarks: Mapping[str, Sequence[int]]


class _Part(NamedTuple):
    """Windows ``first`` to ``stop - 1`` of a batch."""

    work: _Work
    first: int
    stop: int

    @property
    def rows(self) -> list[int]:
        """The windows whose audio could be decoded."""
        return [j for j in range(self.first, self.stop) if self.work.audio[j] is not None]


class EncodingLine:
    """Encodes batches and stores them.

    Args:
        encoder: At most two of its calls are under way.
        store: Where finished batches and the parts of split ones go.
        stored: Called with each finished batch.
    """

    def __init__(
        self, encoder: Encoder, store: FeatureStore, *, stored: Callable[[Batch], None]
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._stored = stored
        self._waiting: deque[_Part] = deque()
        self._under_way: deque[_Part] = deque()

    def put(
        self,
        batch: Batch,
        audio: Sequence[NDArray[np.float32] | None],
        *,
        remarks: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """Have a batch encoded.

        Args:
            batch: What it is.
            audio: Samples of each window; None where they cannot be decoded.
            remarks: What is stored about the audio, see `FeatureStore.write`.

        Raises:
            EncoderError: The encoder failed on this batch or on one before.
        """
        cuts = list(accumulate(self._store.parts(batch.hash) or [len(audio)]))
        work = _Work(batch, audio, [None] * len(audio), cuts, len(cuts), remarks or {})
        self._waiting += [_Part(work, first, stop) for first, stop in pairwise([0, *cuts])]
        self._begin()

    def finish(self) -> None:
        """Wait until everything is stored.

        Raises:
            EncoderError: The encoder failed on a batch.
        """
        while self._under_way:
            self._finish_oldest()
            self._begin()

    def _begin(self) -> None:
        while self._waiting:
            part = self._waiting.popleft()
            if not part.rows:
                self._count(part)
                continue
            if len(self._under_way) == _CALLS:
                self._waiting.appendleft(part)
                self._finish_oldest()
                continue
            audio = [samples for j in part.rows if (samples := part.work.audio[j]) is not None]
            self._encoder.begin(audio, labels=[str(part.work.batch.windows[j]) for j in part.rows])
            self._under_way.append(part)

    def _finish_oldest(self) -> None:
        part = self._under_way.popleft()
        try:
            encoded = self._encoder.finish()
        except EncoderMemoryError:
            if part.stop - part.first == 1:
                raise
            self._split(part)
            return
        for j, window in zip(part.rows, encoded, strict=True):
            part.work.frames[j] = as_dtype(window.frames, window.dtype, self._store.dtype)
        self._count(part)

    def _split(self, part: _Part) -> None:
        work, middle = part.work, (part.first + part.stop) // 2
        work.cuts = sorted([*work.cuts, middle])
        work.left += 1
        sizes = [stop - first for first, stop in pairwise([0, *work.cuts])]
        self._store.write_parts(work.batch.hash, sizes)
        self._waiting.extendleft([_Part(work, middle, part.stop), _Part(work, part.first, middle)])

    def _count(self, part: _Part) -> None:
        work = part.work
        work.left -= 1
        if work.left == 0:
            self._store.write(work.batch.hash, work.frames, remarks=work.remarks)
            self._stored(work.batch)


def as_dtype(frames: NDArray[Any], given: str, wanted: str) -> NDArray[Any]:
    """Frames ``[T', D]`` in another stored dtype, rounded to nearest; bfloat16 as its 16 bits."""
    if given == wanted:
        return frames
    tensor = torch.from_numpy(np.array(frames))
    tensor = (tensor.view(torch.bfloat16) if given == "bfloat16" else tensor).to(torch.float32)
    if wanted == "bfloat16":
        return np.asarray(tensor.to(torch.bfloat16).view(torch.uint16).numpy())
    return np.asarray(tensor.numpy().astype(wanted))
