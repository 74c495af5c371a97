"""Encoding what is missing: windows are decoded on threads while the encoder works on a batch.

The encoder is an `Encoder` here, a thing that turns a batch of audio into frames; that it lives in
a process of its own is the encoder room's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from auricle.data.clips import AudioSource, Window
from auricle.errors import DataError
from auricle.features.batches import Batch, BatchPlan
from auricle.features.store import FeatureStore
from auricle.progress import Progress

_BATCHES_AHEAD = 3


class EncodedWindow(Protocol):
    """Frames of one window, masked ones dropped."""

    @property
    def frames(self) -> NDArray[Any]:
        """``[T', D]``; bfloat16 as its 16 bits."""

    @property
    def dtype(self) -> str:
        """float32, float16 or bfloat16."""


class Encoder(Protocol):
    """Turns one batch of audio into features."""

    def encode(
        self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str]
    ) -> Sequence[EncodedWindow]:
        """Encode a batch; ``labels`` name the windows in errors."""


class Features:
    """The features of a run: encodes what a span needs and reads windows back."""

    def __init__(
        self,
        plan: BatchPlan,
        store: FeatureStore,
        source: AudioSource,
        *,
        encoder: Callable[[], Encoder],
        workers: int,
    ) -> None:
        self.plan = plan
        self.store = store
        self._source = source
        self._encoder = encoder
        self._workers = max(1, workers)

    def read(self, window: Window) -> torch.Tensor:
        """Features ``[T', D]`` of a planned and encoded window, in the store's dtype."""
        batch, row = self.plan.places[window]
        return self.store.read(batch.hash, row)

    def missing(self, batches: Iterable[Batch]) -> list[Batch]:
        """The batches that are not stored yet."""
        return [batch for batch in batches if not self.store.has(batch.hash)]

    def ensure(self, batches: Sequence[Batch], *, name: str, progress: Progress) -> set[Window]:
        """Encode what is missing of these batches.

        Args:
            batches: Planned batches.
            name: The stage's name, shown to the user.
            progress: Receives hours of audio as they are encoded.

        Returns:
            The windows whose audio cannot be decoded.

        Raises:
            EncoderError: The encoder failed; finished batches stay stored.
            OutputError: A batch cannot be written.
        """
        missing = self.missing(batches)
        if missing:
            total = sum(batch.duration_s for batch in batches)
            done = total - sum(batch.duration_s for batch in missing)
            encoder = self._encoder()
            with (
                progress.stage(name, total, "s of audio", done=done) as stage,
                ThreadPoolExecutor(self._workers) as pool,
            ):
                for batch, audio in self._decoded(missing, pool):
                    self._encode(encoder, batch, audio)
                    stage.advance(batch.duration_s)
        return self.undecodable(batches)

    def keep_only(self, batches: Iterable[Batch]) -> None:
        """Drop every stored batch of the plan that is not among these."""
        kept = {batch.hash for batch in batches}
        for batch in self.plan.batches:
            if batch.hash not in kept:
                self.store.drop(batch.hash)

    def undecodable(self, batches: Iterable[Batch]) -> set[Window]:
        """The windows of stored batches whose audio could not be decoded."""
        return {
            window
            for batch in batches
            for window, frames in zip(batch.windows, self.store.frames(batch.hash), strict=True)
            if frames < 0
        }

    def _decoded(
        self, batches: Sequence[Batch], pool: ThreadPoolExecutor
    ) -> Iterable[tuple[Batch, list[NDArray[np.float32] | None]]]:
        ahead: deque[tuple[Batch, list[Future[NDArray[np.float32] | None]]]] = deque()
        waiting = iter(batches)
        try:
            while True:
                while len(ahead) < _BATCHES_AHEAD and (batch := next(waiting, None)) is not None:
                    ahead.append((batch, [pool.submit(self._samples, w) for w in batch.windows]))
                if not ahead:
                    return
                batch, jobs = ahead.popleft()
                yield batch, [job.result() for job in jobs]
        finally:
            for _, jobs in ahead:
                for job in jobs:
                    job.cancel()

    def _samples(self, window: Window) -> NDArray[np.float32] | None:
        try:
            return self._source.samples(window)
        except DataError:
            return None  # recorded as -1 frames; the run counts it, shows it and replaces it

    def _encode(
        self, encoder: Encoder, batch: Batch, audio: Sequence[NDArray[np.float32] | None]
    ) -> None:
        rows = [j for j, samples in enumerate(audio) if samples is not None]
        stored: list[NDArray[Any] | None] = [None] * len(audio)
        if rows:
            given = [samples for samples in audio if samples is not None]
            encoded = encoder.encode(given, labels=[str(batch.windows[j]) for j in rows])
            for j, window in zip(rows, encoded, strict=True):
                stored[j] = as_dtype(window.frames, window.dtype, self.store.dtype)
        self.store.write(batch.hash, stored)


def as_dtype(frames: NDArray[Any], given: str, wanted: str) -> NDArray[Any]:
    """Frames ``[T', D]`` in another stored dtype, rounded to nearest; bfloat16 as its 16 bits."""
    if given == wanted:
        return frames
    tensor = torch.from_numpy(np.array(frames))
    tensor = (tensor.view(torch.bfloat16) if given == "bfloat16" else tensor).to(torch.float32)
    if wanted == "bfloat16":
        return np.asarray(tensor.to(torch.bfloat16).view(torch.uint16).numpy())
    return np.asarray(tensor.numpy().astype(wanted))
