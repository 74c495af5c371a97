"""Writes shards in the challenge's own format: a ``.tar.gz`` of audio + JSON pairs.

Members of a sample lie side by side, audio first: ``<key>.<suffix>``, ``<key>.json``; any
WebDataset reader reads it. The same samples give the same bytes: owner, time and mode of every
member are fixed, JSON keys are sorted, and the gzip header carries neither time nor name. The
gzip stream is stored, not deflated: FLAC does not shrink, and deflating it would take longer than
making it.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auricle.errors import DataError
from auricle.files import atomic_writer

_KEY = re.compile(r"[^./\\][^.\\]*")


class Sample(NamedTuple):
    """One clip as it goes into a shard."""

    key: str
    """Name without a dot: a WebDataset reader takes what follows the first dot as the suffix."""
    suffix: str
    audio: bytes
    fields: Mapping[str, Any]


def write_shard(path: Path, samples: Iterable[Sample]) -> int:
    """Write a shard; it appears whole or not at all.

    Args:
        path: The shard, ``….tar.gz``.
        samples: The clips in their order; taken one by one, so they need not fit into memory.

    Returns:
        How many samples were written.

    Raises:
        DataError: A key that is not usable or occurs twice.
        OutputError: The file cannot be written.
    """
    seen: set[str] = set()
    with (
        atomic_writer(path) as stream,
        gzip.GzipFile(filename="", mode="wb", compresslevel=0, fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for key, suffix, audio, fields in samples:
            if not _KEY.fullmatch(key) or key in seen:
                raise DataError(
                    f"'{key}' cannot be the key of a clip in {path.name}. A key is not empty, has "
                    "no dot or backslash, and occurs once. Rename the clip."
                )
            seen.add(key)
            text = json.dumps(fields, ensure_ascii=False, sort_keys=True, allow_nan=False)
            _add(tar, f"{key}.{suffix}", audio)
            _add(tar, f"{key}.json", text.encode())
    return len(seen)


def encode_flac(samples: NDArray[np.float32], sample_rate: int = 16_000) -> bytes:
    """Pack mono samples as 16-bit FLAC.

    Args:
        samples: float32 ``[n]`` in [-1, 1]; what lies outside is clipped.
        sample_rate: In Hz.
    """
    import soundfile

    packed: BinaryIO = io.BytesIO()
    whole = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    soundfile.write(packed, whole, sample_rate, format="FLAC", subtype="PCM_16")
    packed.seek(0)
    return packed.read()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # its defaults: owner 0, time 0, mode 644
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
