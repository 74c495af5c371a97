"""Feature batches on disk: read back exactly, damage found, nothing half-written."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from auricle.errors import OutputError
from auricle.features.line import as_dtype
from auricle.features.store import FeatureStore


def frames(rows: int, dim: int = 3) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, dim)).astype("f4")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_what_is_written_is_read_back_in_every_dtype(tmp_path: Path, dtype: str) -> None:
    store = FeatureStore(tmp_path, dtype=dtype, dim=3)
    given = [frames(4), None, frames(1)]
    store.write("ab12", [None if f is None else as_dtype(f, "float32", dtype) for f in given])
    again = FeatureStore(tmp_path, dtype=dtype, dim=3)
    assert again.has("ab12")
    assert again.frames("ab12") == (4, -1, 1)
    expected = torch.from_numpy(frames(4)).to(getattr(torch, dtype))
    assert torch.equal(again.read("ab12", 0), expected)
    assert again.read("ab12", 2).shape == (1, 3)
    with pytest.raises(OutputError, match="holds no features"):
        again.read("ab12", 1)


def test_a_damaged_batch_counts_as_missing(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, dtype="float32", dim=3)
    store.write("cd34", [frames(5)])
    path = store.path("cd34")
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:10], whole[:-4] + b"\0\0\0\1", b"", b"x" * len(whole)):
        path.write_bytes(damaged)
        assert not FeatureStore(tmp_path, dtype="float32", dim=3).has("cd34")
        assert not path.exists()


def test_a_batch_without_decodable_audio_is_stored_too(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, dtype="float32", dim=3)
    store.write("ef56", [None, None])
    assert store.has("ef56")
    assert store.frames("ef56") == (-1, -1)


def test_a_dropped_batch_gives_its_bytes_back(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, dtype="float32", dim=3)
    store.write("0a", [frames(100)])
    size = store.size()
    assert size > 1200
    assert store.drop("0a") == size
    assert store.size() == 0
    assert not store.has("0a")


def test_stores_of_another_dtype_or_width_do_not_meet(tmp_path: Path) -> None:
    FeatureStore(tmp_path, dtype="float32", dim=3).write("aa", [frames(2)])
    assert not FeatureStore(tmp_path, dtype="float16", dim=3).has("aa")
    assert not FeatureStore(tmp_path, dtype="float32", dim=4).has("aa")


def test_what_a_killed_writer_left_is_removed_and_never_counted(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, dtype="float32", dim=2)
    store.write("ab" * 32, [np.ones((3, 2), np.float32)])
    folder = store.path("ab" * 32).parent
    size = store.path("ab" * 32).stat().st_size
    old, young, living = (folder / f".tmp-{name}-{'cd' * 32}.bin" for name in ("x", "y", "z"))
    for path in (old, young, living):
        path.write_bytes(b"half")
    for path in (old, living):
        os.utime(path, (1, 1))
    with living.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)  # as its writer does while it writes
        assert store.size() == size
        assert sorted(folder.iterdir()) == sorted([store.path("ab" * 32), young, living])
    assert store.size() == size
    assert not living.exists()
    os.utime(young, (1, 1))
    store.write("ab" * 31 + "ef", [np.ones((3, 2), np.float32)])  # the next writer sweeps, too
    assert not young.exists()
