"""Audio of clips that a finished run names, from its data lock alone; for its report."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.data.clips import AudioSource, ClipTable
from auricle.data.index import load_index
from auricle.data.places import LOCAL, plain_name, shard_folder
from auricle.data.shards import LockedShard
from auricle.data.unpack import unchanged_tars
from auricle.errors import DataError


class LockedAudio:
    """Reads clips of locked shards that are still on this machine."""

    def __init__(self, locks: Mapping[str, Mapping[str, Any]], *, home: Path) -> None:
        self._locks = locks
        self._home = home
        self._tables: dict[str, tuple[ClipTable, dict[str, int]]] = {}

    @functools.cached_property
    def _local(self) -> dict[str, Path]:
        """Tars of the user's own data, where they lie or were unpacked to."""
        unpacked = (self._home / "shards" / LOCAL).glob("*")
        return unchanged_tars(self._home / "index" / "stat", *unpacked)

    def __call__(self, task: str, clip_id: str) -> NDArray[np.float32] | None:
        """float32 ``[n]`` at 16 kHz, or None where the clip is not at hand."""
        if task not in self._tables:
            self._tables[task] = self._open(self._locks.get(task, {}))
        table, places = self._tables[task]
        clip = places.get(clip_id)
        if clip is None or not table.readable(clip):
            return None
        try:
            return AudioSource([table]).samples(table.window(clip))
        except DataError:
            return None

    def _open(self, lock: Mapping[str, Any]) -> tuple[ClipTable, dict[str, int]]:
        shards, indexes = [], []
        for facts in lock.get("shards", []):
            if lock["repository"] == LOCAL:  # a lock says no folder of the machine
                tar = self._local.get(facts["sha256"], Path(facts["name"]))
            else:
                folder = shard_folder(self._home, lock["repository"], lock["commit"])
                tar = folder / plain_name(facts["name"])
            index = load_index(self._home, facts["sha256"])
            if index is not None and tar.is_file() and tar.stat().st_size == facts["size"]:
                shards.append(
                    LockedShard(
                        repository=lock["repository"],
                        commit=lock["commit"],
                        name=facts["name"],
                        tar=tar,
                        sha256=facts["sha256"],
                        size=facts["size"],
                        download_sha256=None,
                    )
                )
                indexes.append(index)
        table = ClipTable(shards, indexes)
        return table, {table.clip_id(clip): clip for clip in range(len(table))}
