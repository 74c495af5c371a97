"""What does not fit is cut at fixed points, and the encoder always has its next call before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from auricle.data.clips import Window
from auricle.errors import EncoderMemoryError
from auricle.features.batches import Batch, BatchPlan
from auricle.features.line import EncodingLine
from auricle.features.store import FeatureStore


class Frames(NamedTuple):
    frames: NDArray[np.float32]
    dtype: str


class SmallEncoder:
    """Gives each window its first sample and the number of its batch-mates; has little memory."""

    def __init__(self, fits: int) -> None:
        self.fits = fits
        self.calls: list[int] = []
        self.most_under_way = 0
        self._under_way: deque[Sequence[NDArray[np.float32]]] = deque()

    def begin(self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str]) -> None:
        assert len(audio) == len(labels) >= 1
        self.calls.append(len(audio))
        self._under_way.append(audio)
        self.most_under_way = max(self.most_under_way, len(self._under_way))

    def finish(self) -> list[Frames]:
        audio = self._under_way.popleft()
        if len(audio) > self.fits:
            raise EncoderMemoryError("no memory")
        return [Frames(np.array([[one[0], len(audio)]], np.float32), "float32") for one in audio]


def plan_of(*sizes: int) -> list[Batch]:
    plan = BatchPlan(mode="padded", budget_s=1e9)
    for number, size in enumerate(sizes):
        plan.add(Window(f"{number}", j, 0, 16_000, 16_000, f"clip {j}") for j in range(size))
    return plan.batches


def audio_of(batch: Batch, *, damaged: Sequence[int] = ()) -> list[NDArray[np.float32] | None]:
    size = len(batch.windows)
    return [None if j in damaged else np.full(9, j, np.float32) for j in range(size)]


def encode(
    encoder: SmallEncoder, store: FeatureStore, batches: Sequence[Batch], *, damaged: Sequence[int]
) -> list[Batch]:
    stored: list[Batch] = []
    line = EncodingLine(encoder, store, stored=stored.append)
    for batch in batches:
        line.put(batch, audio_of(batch, damaged=damaged))
    line.finish()
    return stored


def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_stays_one_batch(
    tmp_path: Path,
) -> None:
    store = FeatureStore(tmp_path, dtype="float32", dim=2)
    batches = plan_of(3, 11, 2)
    encoder = SmallEncoder(fits=3)
    assert set(encode(encoder, store, batches, damaged=[])) == set(batches)
    assert encoder.most_under_way == 2
    assert [store.parts(b.hash) for b in batches] == [None, (2, 3, 3, 3), None]
    for batch, mates in zip(batches, ([3] * 3, [2] * 2 + [3] * 9, [2] * 2), strict=True):
        for j, count in enumerate(mates):
            assert store.read(batch.hash, j).tolist() == [[j, count]]


def test_a_split_is_made_again_where_there_is_memory_and_in_another_dtype(tmp_path: Path) -> None:
    batches = plan_of(8)
    store = FeatureStore(tmp_path, dtype="float32", dim=2)
    encode(SmallEncoder(fits=4), store, batches, damaged=[])
    first = store.path(batches[0].hash).read_bytes()
    store.drop(batches[0].hash)
    large = SmallEncoder(fits=100)
    encode(large, FeatureStore(tmp_path, dtype="float32", dim=2), batches, damaged=[])
    assert large.calls == [4, 4]
    assert store.path(batches[0].hash).read_bytes() == first
    encode(large, FeatureStore(tmp_path, dtype="float16", dim=2), batches, damaged=[])
    assert large.calls == [4, 4, 4, 4]


def test_a_split_is_on_disk_before_a_part_is_encoded(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, dtype="float32", dim=2)
    (batch,) = plan_of(2)

    class Dying(SmallEncoder):
        def begin(self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str]) -> None:
            if len(audio) == 1:
                raise KeyboardInterrupt
            super().begin(audio, labels=labels)

    with pytest.raises(KeyboardInterrupt):
        encode(Dying(fits=1), store, [batch], damaged=[])
    assert store.parts(batch.hash) == (1, 1)
    assert not store.has(batch.hash)


def test_damaged_windows_count_in_the_cut_and_are_given_to_nobody(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, dtype="float32", dim=2)
    batches = plan_of(8, 4)
    encoder = SmallEncoder(fits=2)
    encode(encoder, store, batches, damaged=[0, 1, 2, 3])
    assert encoder.calls == [4, 4, 2, 2]
    assert store.parts(batches[0].hash) == (4, 2, 2)
    assert store.frames(batches[0].hash) == (-1, -1, -1, -1, 1, 1, 1, 1)
    assert store.frames(batches[1].hash) == (-1, -1, -1, -1)


def test_a_window_that_does_not_fit_alone_is_an_error(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, dtype="float32", dim=2)
    with pytest.raises(EncoderMemoryError, match="no memory"):
        encode(SmallEncoder(fits=0), store, plan_of(4), damaged=[])
