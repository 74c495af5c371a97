"""Features on disk: one file per encode batch, found by the hash of its window list.

A batch is the unit of commit: its file appears whole or not at all (law 4), is dropped whole and,
encoded again, is byte for byte the same. The store of one encoder and dtype is the folder
``features/<encoder hash>/<dtype>/``; a batch lies in ``<first two digits>/<batch hash>.bin``:

    bytes 0-7     magic ``AURFEAT1``
    bytes 8-15    length of the JSON header in bytes, little-endian uint64
    header        {"dtype", "dim", "frames": [T' of each window; -1 = its audio cannot be decoded],
                  "crc32": of the data, and where there are any "remarks": {word: rows of the
                  windows that it is true of}}, padded with spaces to a multiple of 64 with the
                  prefix
    data          the windows' frames one after another, row-major, little-endian, T' x D each

``bfloat16`` is stored as its 16 bits. A batch that did not fit into the encoder's memory has
``features/<encoder hash>/splits/<batch hash>.json``: how many windows each of its parts has, in
their order. It is written before a part is encoded and outlives the features, so that whoever
encodes the batch again, in whatever dtype, makes the same parts (laws 1 and 4).
``probes.safetensors`` beside the dtypes holds the features of the probe windows, which must agree
when the store is used again (law 5).
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auricle.errors import OutputError
from auricle.files import atomic_writer, read_json, remove_abandoned, write_json

MAGIC = b"AURFEAT1"
_KNOWN_BATCHES = 4096
_BLOCK = 1 << 20
STORED: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
}


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that was checked: ``frames[j]`` is T' of window j, or -1; ``starts[j]`` its row."""

    frames: tuple[int, ...]
    starts: tuple[int, ...]
    first_byte: int
    """Where its data begins."""
    dtype: str
    remarks: Mapping[str, Sequence[int]]


class FeatureStore:
    """Batches of features of one encoder in one dtype."""

    def __init__(self, folder: Path, *, dtype: str, dim: int) -> None:
        self.folder = folder / dtype
        self._splits = folder / "splits"
        self.dtype = dtype
        self.dim = dim
        self._known: OrderedDict[str, StoredBatch] = OrderedDict()

    def path(self, batch: str) -> Path:
        """The file of a batch."""
        return self.folder / batch[:2] / f"{batch}.bin"

    def has(self, batch: str) -> bool:
        """Whether the batch is there and undamaged; a damaged one is removed."""
        if batch in self._known:
            return True
        path = self.path(batch)
        if not path.exists():
            return False
        try:
            self._load(batch)
        except ValueError:
            path.unlink(missing_ok=True)
            return False
        return True

    def write(
        self,
        batch: str,
        windows: Sequence[NDArray[Any] | None],
        *,
        remarks: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """Store a batch.

        Args:
            batch: Its hash.
            windows: Frames ``[T', D]`` of each window in the store's dtype (bfloat16 as uint16);
                None where the window's audio cannot be decoded.
            remarks: What is to be known of their audio: rows of ``windows`` by a word for it.

        Raises:
            OutputError: The disk is full or not writable; nothing is left half-written.
        """
        stored = STORED[self.dtype]
        kept = [w for w in windows if w is not None]
        data = b"".join(np.ascontiguousarray(w, stored).tobytes() for w in kept)
        header: dict[str, Any] = {
            "dtype": self.dtype,
            "dim": self.dim,
            "frames": [-1 if w is None else int(w.shape[0]) for w in windows],
            "crc32": zlib.crc32(data),
        }
        if said := {word: list(rows) for word, rows in (remarks or {}).items() if rows}:
            header["remarks"] = said
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-(len(text) + 16) % 64)
        with atomic_writer(self.path(batch)) as stream:
            stream.write(MAGIC + struct.pack("<Q", len(text)) + text)
            stream.write(data)

    def parts(self, batch: str) -> tuple[int, ...] | None:
        """Windows in each part that the batch is encoded in; None = it is encoded whole."""
        path = self._splits / f"{batch}.json"
        return tuple(read_json(path)) if path.exists() else None

    def write_parts(self, batch: str, parts: Sequence[int]) -> None:
        """Record for good in which parts a batch is encoded.

        Raises:
            OutputError: It cannot be written.
        """
        write_json(self._splits / f"{batch}.json", list(parts))

    def frames(self, batch: str) -> tuple[int, ...]:
        """T' of each window of a stored batch; -1 where the audio cannot be decoded."""
        return self._load(batch).frames

    def remarks(self, batch: str) -> Mapping[str, Sequence[int]]:
        """What was noticed about the audio of a stored batch's windows: rows by a word."""
        return self._load(batch).remarks

    def read(self, batch: str, row: int) -> torch.Tensor:
        """Features of one window: ``[T', D]`` on the CPU, in the store's dtype."""
        stored = self._load(batch)
        first, count = stored.starts[row], stored.frames[row]
        if count < 0:
            raise OutputError(f"window {row} of batch {batch} holds no features")
        kind = STORED[self.dtype]
        width = self.dim * kind.itemsize
        values = np.empty((count, self.dim), kind)
        # No file stays open between two reads: an official suite has more batches than a process
        # may have open files.
        with self.path(batch).open("rb", buffering=0) as stream:
            stream.seek(stored.first_byte + first * width)
            if stream.readinto(values.data) != count * width:
                raise OutputError(f"{self.path(batch)} became shorter while it was used")
        tensor = torch.from_numpy(values)
        return tensor.view(torch.bfloat16) if self.dtype == "bfloat16" else tensor

    def drop(self, batch: str) -> int:
        """Remove a batch; returns the bytes that it took."""
        self._known.pop(batch, None)
        path = self.path(batch)
        size = path.stat().st_size if path.exists() else 0
        path.unlink(missing_ok=True)
        return size

    def size(self) -> int:
        """Bytes of all batches on disk; what killed writers left is removed first."""
        for folder in self.folder.glob("*/"):
            remove_abandoned(folder)
        batches = self.folder.glob("*/[0-9a-f]*.bin")
        return sum(path.stat().st_size for path in batches)

    def _load(self, batch: str) -> StoredBatch:
        if batch in self._known:
            self._known.move_to_end(batch)
            return self._known[batch]
        stored = _open_batch(self.path(batch), self.dtype, self.dim)
        self._known[batch] = stored
        if len(self._known) > _KNOWN_BATCHES:
            self._known.popitem(last=False)
        return stored


def _open_batch(path: Path, dtype: str, dim: int) -> StoredBatch:
    with path.open("rb") as stream:
        prefix = stream.read(16)
        if len(prefix) < 16 or prefix[:8] != MAGIC:
            raise ValueError(f"{path} is no feature batch")
        length = struct.unpack("<Q", prefix[8:])[0]
        if length > os.fstat(stream.fileno()).st_size:
            raise ValueError(f"{path} is truncated")
        header = json.loads(stream.read(length))
        frames = tuple(int(f) for f in header["frames"])
        rows = sum(f for f in frames if f > 0)
        if header["dtype"] != dtype or header["dim"] != dim:
            raise ValueError(f"{path} holds {header['dtype']} x {header['dim']}")
        size = rows * dim * STORED[dtype].itemsize
        if os.fstat(stream.fileno()).st_size != 16 + length + size:
            raise ValueError(f"{path} is truncated")
        crc = 0
        while block := stream.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    if crc != header["crc32"]:
        raise ValueError(f"{path} is damaged")
    starts, row = [], 0
    for count in frames:
        starts.append(row)
        row += max(count, 0)
    return StoredBatch(frames, tuple(starts), 16 + length, dtype, header.get("remarks", {}))
