"""What this machine can do at best, and what a process has used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Peak:
    """Measured limits of one machine setting."""

    flops: float
    """Multiply-adds times two per CPU second, the fastest product of 1024 x 1024 matrices."""
    bytes_per_s: float
    """Bytes read and written per CPU second by a copy of 256 MB."""


def best_of(work: Callable[[], object], *, repeats: int = 5) -> float:
    """Least CPU seconds of some runs."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def measure(dtype: torch.dtype) -> Peak:
    """Matrix product (through the library that our code picks) and copy."""
    from auricle.lalm.matmul import multiply

    left, right = (torch.randn(1024, 1024).to(dtype) for _ in range(2))
    source = torch.randn(32 * 1024 * 1024)
    target = torch.empty_like(source)
    flops = 2 * 1024**3 / best_of(lambda: multiply(left, right))
    return Peak(flops, 2 * source.nbytes / best_of(lambda: target.copy_(source)))


def reset_peak_memory() -> None:
    """Forget the process's highest resident memory so far (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_mb() -> tuple[float, float]:
    """Resident memory now, and at its highest since the last reset, in MB."""
    found = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = int(value.split()[0]) / 1024
    return found["VmRSS"], found["VmHWM"]
