"""Small things that tests make: audio and shards."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from auricle.data.shards import LockedShard

Sample = tuple[str, str, bytes, dict[str, Any]]


def tone(hz: float, seconds: float, rate: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def audio_bytes(samples: np.ndarray, rate: int = 16_000, kind: str = "flac") -> bytes:
    stream = io.BytesIO()
    subtype = {"wav": "FLOAT", "flac": "PCM_16", "ogg": "VORBIS"}[kind]
    soundfile.write(stream, samples, rate, format=kind.upper(), subtype=subtype)
    return stream.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def locked(path: Path, name: str = "") -> LockedShard:
    data = path.read_bytes()
    return LockedShard(
        repository="local",
        commit="none",
        name=name or path.name,
        tar=path,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        download_sha256=None,
    )
