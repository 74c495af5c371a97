"""Encoding what is missing: windows are decoded on threads while the encoder works on a batch.

Threads, because decoding and resampling leave Python's lock; processes that write into shared
memory took longer on every kind of clip (`benchmarks/decode.py`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy

import torch

from auricle.data.clips import AudioSource, Window
from auricle.data.decode import Heard
from auricle.errors import DataError
from auricle.features.batches import Batch, BatchPlan
from auricle.features.line import Encoder, EncodingLine
from auricle.features.store import FeatureStore
from auricle.progress import Progress

SHORTER, SILENCED = "shorter", "silenced"
"""What is remarked of a window's clip: it ends before its indexed end, or is damaged in between; it
has sound, of which the protocol leaves nothing."""
_BATCHES_AHEAD = 3
_WINDOWS_AHEAD = 4  # for each thread, where a window is a batch


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

    def in_store(self, store: FeatureStore) -> Features:
        """The same windows and batches with another place to keep them."""
        other = copy(self)
        other.store = store
        return other

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
            EncoderError: The encoder failed; finished batches stay stored. A batch that does not
                fit into its memory is no failure until a window alone does not.
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
                started, encoded_s = time.monotonic(), 0.0

                def stored(batch: Batch) -> None:
                    nonlocal encoded_s
                    encoded_s += batch.duration_s
                    rate = encoded_s / 60 / max(time.monotonic() - started, 1e-3)
                    stage.advance(batch.duration_s)
                    stage.note(f"{rate:.3g} h of audio per minute")

                line = EncodingLine(encoder, self.store, stored=stored)
                for batch, heard in self._decoded(missing, pool):
                    audio = [None if one is None else one.samples for one in heard]
                    line.put(batch, audio, remarks=_remarks(heard))
                line.finish()
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

    def remarked(self, batches: Iterable[Batch], word: str) -> set[Window]:
        """The windows of stored batches of whose audio something was noticed."""
        return {
            batch.windows[row]
            for batch in batches
            for row in self.store.remarks(batch.hash).get(word, ())
        }

    def _decoded(
        self, batches: Sequence[Batch], pool: ThreadPoolExecutor
    ) -> Iterable[tuple[Batch, list[Heard | None]]]:
        ahead: deque[tuple[Batch, list[Future[Heard | None]]]] = deque()
        waiting = iter(batches)
        queued = 0
        enough = _WINDOWS_AHEAD * self._workers
        try:
            while True:
                while len(ahead) < _BATCHES_AHEAD or queued < enough:
                    if (batch := next(waiting, None)) is None:
                        break
                    ahead.append((batch, [pool.submit(self._hear, w) for w in batch.windows]))
                    queued += len(batch.windows)
                if not ahead:
                    return
                batch, jobs = ahead.popleft()
                queued -= len(jobs)
                yield batch, [job.result() for job in jobs]
        finally:
            for _, jobs in ahead:
                for job in jobs:
                    job.cancel()

    def _hear(self, window: Window) -> Heard | None:
        try:
            return self._source.hear(window)
        except DataError:
            return None  # recorded as -1 frames; the run counts it, shows it and replaces it


def _remarks(heard: Sequence[Heard | None]) -> dict[str, list[int]]:
    return {
        SHORTER: [row for row, one in enumerate(heard) if one is not None and one.flaw],
        SILENCED: [row for row, one in enumerate(heard) if one is not None and one.silenced],
    }
