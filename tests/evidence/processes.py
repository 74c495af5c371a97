"""A command's processes as Linux shows them: who they are, and what they have computed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """A process and all that it started, itself first; those that ended meanwhile are left out."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(path)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """CPU seconds of a process, its living descendants and the ended ones it has waited for."""
    fields = [_stat(Path(f"/proc/{pid}/stat")) for pid in tree(root)]
    return sum(sum(map(int, f[11:15])) for f in fields if f) / _TICKS


class CpuMeter:
    """Notes a process tree's CPU seconds over time, until it ends."""

    def __init__(self, root: int, *, every_s: float = 0.2) -> None:
        self._root, self._every_s = root, every_s
        self.notes: list[tuple[float, float]] = [(time.time(), 0.0)]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._ended.set()
        self._thread.join()

    def between(self, first: float, stop: float) -> float:
        """CPU seconds between two times of the clock, to a note's distance."""
        return max(0.0, self._at(stop) - self._at(first))

    def _at(self, when: float) -> float:
        return max((cpu for time_s, cpu in self.notes if time_s <= when), default=0.0)

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            self.notes.append((time.time(), max(self.notes[-1][1], cpu_seconds(self._root))))


def _stat(path: Path) -> list[str]:
    """Fields of /proc/<pid>/stat from the state on; empty where the process has ended."""
    try:
        return path.read_text().rpartition(") ")[2].split()
    except OSError:
        return []
