"""Random access into shards: where each clip's bytes lie in a tar, and how long the clip is.

An index is found by the SHA-256 of its tar, so a copy of a shard elsewhere needs no second one and
a changed shard never meets a stale one (law 5). One file per shard,
``index/<first two digits>/<sha256>.npz`` (numpy's zip of arrays, read without pickle), holds for
the n clips in the order of the tar:

    version       int64   []   layout version, `INDEX_VERSION`
    keys          uint8   [k]  the clips' keys, UTF-8, one after another
    key_ends      int64   [n]  where each key ends in ``keys``
    suffixes      S8      [n]  suffix of the audio file, lower case
    audio_offset  int64   [n]  first byte of the audio file in the tar
    audio_size    int64   [n]  its bytes
    json_offset   int64   [n]  the same for the JSON file
    json_size     int64   [n]
    num_samples   int64   [n]  source samples per channel that can be decoded, which need not be
                               what the header says; -1 = it cannot be read
    sample_rate   int32   [n]  source rate in Hz; 0 where ``num_samples`` is -1
    flaw          uint8   [n]  how the clip differs from what its header says, `containers.Flaw`
    left_out      int64   []   members of the tar that belong to no complete clip

A clip is a run of neighbouring members with one key: the name up to the first dot of its last part.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.data.decode import AUDIO_SUFFIXES, read_header
from auricle.data.shards import LockedShard
from auricle.errors import DataError
from auricle.files import atomic_writer
from auricle.progress import Progress

INDEX_VERSION = 2


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """The index of one shard; row j is the clip at position j of the tar."""

    keys: tuple[str, ...]
    suffixes: tuple[str, ...]
    audio_offset: NDArray[np.int64]
    audio_size: NDArray[np.int64]
    json_offset: NDArray[np.int64]
    json_size: NDArray[np.int64]
    num_samples: NDArray[np.int64]
    sample_rate: NDArray[np.int32]
    flaw: NDArray[np.uint8]
    left_out: int

    def __len__(self) -> int:
        return len(self.keys)


def open_indexes(
    shards: Sequence[LockedShard], *, home: Path, workers: int, progress: Progress
) -> list[ShardIndex]:
    """Load the index of each shard, building those that are missing.

    Raises:
        DataError: Shards that are no tar, are truncated or hold no clip; all of them are named.
    """
    files = [index_path(home, shard.sha256) for shard in shards]
    found = [_load(path) for path in files]
    missing = [j for j, index in enumerate(found) if index is None]
    problems: list[str] = []
    if missing:
        with (
            progress.stage("index shards", len(missing), "shards") as stage,
            ThreadPoolExecutor(max(1, workers)) as pool,
        ):
            jobs = {j: pool.submit(_build, shards[j], files[j]) for j in missing}
            for j, job in jobs.items():
                try:
                    found[j] = job.result()
                except DataError as error:
                    problems.append(str(error))
                stage.advance()
    empty = [s.name for s, i in zip(shards, found, strict=True) if i is not None and not len(i)]
    problems += [f"Shard {name} holds no clip (audio file + JSON of one key)." for name in empty]
    if problems:
        raise DataError(
            " ".join(problems) + " Fetch or make these shards anew, or leave their task out."
        )
    return [index for index in found if index is not None]


def index_path(home: Path, sha256: str) -> Path:
    """Where the index of a shard lies."""
    return home / "index" / sha256[:2] / f"{sha256}.npz"


def _load(path: Path) -> ShardIndex | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["version"]) != INDEX_VERSION:
                return None
            blob, ends = arrays["keys"].tobytes(), arrays["key_ends"].tolist()
            starts = [0, *ends[:-1]]
            return ShardIndex(
                keys=tuple(blob[a:b].decode() for a, b in zip(starts, ends, strict=True)),
                suffixes=tuple(s.decode() for s in arrays["suffixes"].tolist()),
                left_out=int(arrays["left_out"]),
                **{name: arrays[name] for name in _COLUMNS},
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # damaged by something outside auricle; it is built again


_COLUMNS = (
    "audio_offset",
    "audio_size",
    "json_offset",
    "json_size",
    "num_samples",
    "sample_rate",
    "flaw",
)


@dataclass(slots=True)
class _Sample:
    key: str
    audio: tuple[int, int, str] | None = None
    json: tuple[int, int] | None = None
    members: int = 0


def _build(shard: LockedShard, path: Path) -> ShardIndex:
    size = shard.tar.stat().st_size
    rows: list[_Sample] = []
    left_out = 0
    for sample in _samples(shard, size):
        if sample.audio is None or sample.json is None:
            left_out += sample.members
        else:
            rows.append(sample)
    audio = [row.audio for row in rows if row.audio is not None]
    text = [row.json for row in rows if row.json is not None]
    headers = list(_headers(shard.tar, audio))
    index = ShardIndex(
        keys=tuple(row.key for row in rows),
        suffixes=tuple(a[2] for a in audio),
        audio_offset=np.array([a[0] for a in audio], np.int64),
        audio_size=np.array([a[1] for a in audio], np.int64),
        json_offset=np.array([t[0] for t in text], np.int64),
        json_size=np.array([t[1] for t in text], np.int64),
        num_samples=np.array([h[0] for h in headers], np.int64),
        sample_rate=np.array([h[1] for h in headers], np.int32),
        flaw=np.array([h[2] for h in headers], np.uint8),
        left_out=left_out,
    )
    _save(index, path)
    return index


def _samples(shard: LockedShard, size: int) -> Iterator[_Sample]:
    current: _Sample | None = None
    for name, offset, length in _members(shard, size):
        folder, last = str(PurePosixPath(name).parent), PurePosixPath(name).name
        stem, _, suffix = last.partition(".")
        key = stem if folder == "." else f"{folder}/{stem}"
        suffix = suffix.lower()
        if current is None or key != current.key:
            if current is not None:
                yield current
            current = _Sample(key)
        current.members += 1
        if suffix in AUDIO_SUFFIXES and current.audio is None:
            current.audio = (offset, length, suffix)
        elif suffix == "json" and current.json is None:
            current.json = (offset, length)
    if current is not None:
        yield current


def _members(shard: LockedShard, size: int) -> Iterator[tuple[str, int, int]]:
    try:
        with tarfile.open(shard.tar, "r:") as tar:
            for member in tar:
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError("unexpected end of data")
                if member.isreg():
                    yield member.name, member.offset_data, member.size
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"Shard {shard.name} is no complete tar archive ({error}).") from error


def _headers(tar: Path, audio: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, int]]:
    with tar.open("rb") as stream:
        for offset, length, suffix in audio:
            try:
                header = read_header(os.pread(stream.fileno(), length, offset), suffix)
            except DataError:
                yield -1, 0, 0
                continue
            usable = header.num_samples > 0 and header.sample_rate > 0
            yield (header.num_samples, header.sample_rate, header.flaw) if usable else (-1, 0, 0)


def _save(index: ShardIndex, path: Path) -> None:
    encoded = [key.encode() for key in index.keys]
    arrays: dict[str, Any] = {name: getattr(index, name) for name in _COLUMNS}
    with atomic_writer(path) as stream:
        np.savez(
            stream,
            version=np.int64(INDEX_VERSION),
            left_out=np.int64(index.left_out),
            keys=np.frombuffer(b"".join(encoded), np.uint8),
            key_ends=np.cumsum([len(k) for k in encoded], dtype=np.int64),
            suffixes=np.array([s.encode() for s in index.suffixes], "S8"),
            **arrays,
        )
