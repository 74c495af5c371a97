"""What this machine can do at best, and what a process has used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch


@dataclass(frozen=True)
class Peak:
    """Measured limits of one machine setting."""

    flops: float
    """Multiply-adds times two per CPU second (on a GPU: per second) of a 1024 x 1024 product."""
    bytes_per_s: float
    """Bytes read and written per CPU second by a copy of 256 MB."""


def best_of(work: Callable[[], object], *, device: str = "cpu", repeats: int = 5) -> float:
    """Least CPU seconds of some runs, on a GPU the least wall seconds."""
    work()
    runs = [timed(work, device=device) for _ in range(repeats)]
    return min(run.cpu_s if device == "cpu" else run.wall_s for run in runs)


def measure(dtype: torch.dtype, device: str = "cpu") -> Peak:
    """Matrix product (through the library that our code picks) and copy."""
    from auricle.lalm.matmul import multiply

    left, right = (torch.randn(1024, 1024, device=device).to(dtype) for _ in range(2))
    source = torch.randn(32 * 1024 * 1024, device=device)
    target = torch.empty_like(source)
    flops = 2 * 1024**3 / best_of(lambda: multiply(left, right), device=device)
    copy = best_of(lambda: target.copy_(source), device=device)
    return Peak(flops, 2 * source.nbytes / copy)


class Timed(NamedTuple):
    """One piece of work."""

    cpu_s: float
    wall_s: float
    result: Any
    memory_mb: float
    """How far the memory in use rose above what it was before, on the device."""


def timed(work: Callable[[], Any], *, device: torch.device | str = "cpu") -> Timed:
    """Time a piece of work; on a GPU until it has done what it was told."""
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) / 2**20
    else:
        reset_peak_memory()
        before, _ = memory_mb()
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
    else:
        peak = memory_mb()[1]
    return Timed(cpu, wall, result, peak - before)


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
