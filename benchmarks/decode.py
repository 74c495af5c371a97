"""Decoding and resampling: threads against processes that write into shared memory.

    python benchmarks/decode.py [ROUNDS]

Every format and rate of clip is decoded by one thread, by threads and by processes in turn, round
by round; medians of wall and CPU time (children's included) for a batch of 10-s clips.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from auricle.data.decode import SAMPLE_RATE, decode
from auricle.encoder.host import probe_audio

CLIPS, SECONDS = 24, 10
FORMATS = {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", None), "ogg": ("OGG", "VORBIS")}
_shared: list[SharedMemory] = []


def write_clips(folder: Path, suffix: str, rate: int) -> list[tuple[str, str]]:
    """Files of one format and rate: (path, suffix)."""
    written = []
    for number in range(CLIPS):
        wide = probe_audio(number, SECONDS * rate)
        data = io.BytesIO()
        kind, subtype = FORMATS[suffix]
        soundfile.write(data, wide, rate, format=kind, subtype=subtype)
        path = folder / f"{rate}-{number}.{suffix}"
        path.write_bytes(data.getvalue())
        written.append((str(path), suffix))
    return written


def in_thread(clip: tuple[str, str]) -> np.ndarray:
    """As `auricle.features` does: the samples stay in this process."""
    return decode(Path(clip[0]).read_bytes(), clip[1])


def attach(name: str) -> None:
    """Open the shared memory once for each process."""
    _shared.append(SharedMemory(name))


def in_process(clip: tuple[str, str], row: int) -> int:
    """Decode into this clip's row of the shared memory; returns the number of samples."""
    samples = in_thread(clip)
    row_bytes = _shared[0].size // CLIPS
    target = np.ndarray(len(samples), np.float32, _shared[0].buf, row * row_bytes)
    target[:] = samples
    return len(samples)


def cpu_s() -> float:
    """CPU seconds of this process and its ended children."""
    used = os.times()
    return used.user + used.system


def process_cpu_s(pool: Executor) -> float:
    """CPU seconds of a pool's living processes."""
    total = 0.0
    for pid in getattr(pool, "_processes", None) or ():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def timed(work: Callable[[], object], pool: Executor) -> tuple[float, float]:
    """Wall and CPU seconds of some work."""
    wall, cpu = time.perf_counter(), cpu_s() + process_cpu_s(pool)
    work()
    return time.perf_counter() - wall, cpu_s() + process_cpu_s(pool) - cpu


def middle(values: list[tuple[float, float]]) -> str:
    """Median wall (CPU) seconds."""
    wall, cpu = (statistics.median(column) for column in zip(*values, strict=True))
    return f"{wall:.3f} ({cpu:.3f})"


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else 9
    workers = os.cpu_count() or 1
    shared = SharedMemory(create=True, size=CLIPS * SECONDS * SAMPLE_RATE * 4)
    spawn = multiprocessing.get_context("spawn")
    print(f"{workers} workers, {CLIPS} clips of {SECONDS} s; median seconds: wall (CPU)")
    print(f"{'clips':12} {'one thread':>16} {'threads':>16} {'processes':>16}  threads/processes")
    with (
        TemporaryDirectory() as name,
        ThreadPoolExecutor(1) as one,
        ThreadPoolExecutor(workers) as threads,
        ProcessPoolExecutor(workers, spawn, attach, (shared.name,)) as processes,
    ):
        for suffix in FORMATS:
            for rate in (16_000, 44_100):
                clips = write_clips(Path(name), suffix, rate)
                ways: dict[str, tuple[Callable[[], object], Executor]] = {
                    "one": (lambda c=clips: list(one.map(in_thread, c)), one),
                    "threads": (lambda c=clips: list(threads.map(in_thread, c)), threads),
                    "processes": (
                        lambda c=clips: list(processes.map(in_process, c, range(CLIPS))),
                        processes,
                    ),
                }
                for work, _ in ways.values():
                    work()
                taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
                for _ in range(rounds):
                    for way, (work, pool) in ways.items():
                        taken[way].append(timed(work, pool))
                ratio = statistics.median(
                    t[0] / p[0] for t, p in zip(taken["threads"], taken["processes"], strict=True)
                )
                shown = " ".join(f"{middle(values):>16}" for values in taken.values())
                print(f"{suffix} {rate:6}   {shown} {ratio:8.2f}")
    shared.close()
    shared.unlink()


if __name__ == "__main__":
    main()
