"""Audio of clips that a finished run names, from its data lock alone; for its report."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auricle.data.clips import AudioSource, ClipTable
from auricle.data.index import ShardIndex, open_indexes
from auricle.data.shards import LockedShard
from auricle.data.unpack import tars_by_content
from auricle.errors import DataError
from auricle.progress import SilentProgress
from auricle.records.manifest import DataLock


class LockedAudio:
    """Reads clips of locked shards that are still on this machine, wherever they lie (law 5)."""

    def __init__(self, locks: Mapping[str, DataLock], *, home: Path) -> None:
        self._locks = locks
        self._home = home
        self._tables: dict[str, tuple[ClipTable, dict[str, int]]] = {}

    @functools.cached_property
    def _tars(self) -> dict[str, Path]:
        return tars_by_content(self._home)

    def __call__(self, task: str, clip_id: str) -> NDArray[np.float32] | None:
        """float32 ``[n]`` at 16 kHz, or None where the clip is not at hand."""
        if task not in self._tables:
            self._tables[task] = self._open(self._locks.get(task, DataLock()))
        table, places = self._tables[task]
        clip = places.get(clip_id)
        if clip is None or not table.readable(clip):
            return None
        try:
            return AudioSource([table]).samples(table.window(clip))
        except (DataError, OSError):
            return None

    def _open(self, lock: DataLock) -> tuple[ClipTable, dict[str, int]]:
        shards: list[LockedShard] = []
        indexes: list[ShardIndex] = []
        for facts in lock.shards:
            tar = self._tars.get(facts.sha256)
            if tar is None:
                continue
            shard = LockedShard(
                repository=lock.repository or "",
                commit=lock.commit or "",
                name=facts.name,
                tar=tar,
                sha256=facts.sha256,
                size=facts.size or 0,
                download_sha256=None,
            )
            try:
                indexes += open_indexes(
                    [shard], home=self._home, workers=1, progress=SilentProgress()
                )
            except DataError:
                continue  # no longer what it was
            shards.append(shard)
        table = ClipTable(shards, indexes)
        return table, {table.clip_id(clip): clip for clip in range(len(table))}
