"""What the locks cost: the same encoder, plain and behind locks, on the same batches in turn.

    python benchmarks/sandbox.py [--rounds 6] [--pairs 8] [--encoder logmel]

In each round three processes are started and live at the same time: one plain, one plain again,
which shows what noise alone would give, and one behind locks. They encode the same batch one after
the other, in an order that is drawn anew for each pair, so that a busy machine disturbs all alike.
Rounds matter: two plain processes of one encoder differ by how their memory happens to lie. Prints
medians of the paired ratios, of the wall clock and of the processor time of everything that a
process started, with 95 % bootstrap intervals over rounds and pairs, and what a start costs. The
encoder, unless named, is a transformer of 6 layers, 384 wide, with random weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.host import EncoderProcess
from auricle.encoder.load import WRAPPERS, EncoderSpec, parse_encoder
from auricle.sandbox.policy import Policy, own_python_paths
from auricle.sandbox.wrap import wrap
from auricle.seeding import generator

ENCODER_ROOM = WRAPPERS.parent


NAMES = ("plain", "plain again", "locked")


TRANSFORMER = """
import torch

class BenchmarkEncoder(torch.nn.Module):
    output_dim = 384

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.front = torch.nn.Conv1d(1, 384, 800, stride=640)
        layer = torch.nn.TransformerEncoderLayer(384, 6, 1536, batch_first=True)
        self.layers = torch.nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)

    def forward(self, audio, mask):
        return self.layers(self.front(audio[:, None]).transpose(1, 2)), None
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", help="a built-in or a file; a transformer unless named")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--pairs", type=int, default=8, help="measurements in a round")
    parser.add_argument("--windows", type=int, default=8, help="windows of 10 s in a batch")
    chosen = parser.parse_args()
    rng = generator("benchmark sandbox")
    audio = [rng.standard_normal(160_000, dtype=np.float32) * 0.1 for _ in range(chosen.windows)]
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "transformer.py")
        own.write_text(TRANSFORMER)
        Path(folder).chmod(0o755)  # behind locks another user reads it
        plain = parse_encoder(chosen.encoder or str(own))
        children = tuple(ENCODER_ROOM.glob("child*.py"))
        policy = Policy(readable=(*own_python_paths(), *children, Path(plain.target).parent))
        rows, starts = [], []
        for number in range(chosen.rounds):
            with wrap(policy) as lock:
                locked = replace(plain, python=lock.python(Path(sys.executable)))
                round_rows, round_starts = _round(plain, locked, audio, chosen.pairs)
                rows.append(round_rows)
                starts.append(round_starts)
                print(f"round {number + 1} of {chosen.rounds}", file=sys.stderr)
    print(f"locks: {', '.join(lock.description.values())}")
    _report(np.array(rows), rng)
    one, _, two = np.median(starts, axis=0)
    print(f"a start: {one:.2f} s plain, {two:.2f} s behind locks (median of {len(starts)})")


def _round(
    plain: EncoderSpec, locked: EncoderSpec, audio: list[NDArray[np.float32]], pairs: int
) -> tuple[list[list[tuple[float, float]]], list[float]]:
    """Measurements [pairs][names](wall, processor) and the time of each start."""
    rng = generator("benchmark sandbox order")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        processes, starts = [], []
        for spec in (plain, plain, locked):
            started = time.perf_counter()
            process = EncoderProcess(spec, log_path=Path(folder) / "log")
            processes.append(stack.enter_context(process))
            starts.append(time.perf_counter() - started)
        for process in processes:
            _encode(process, audio)
        rows = []
        for _ in range(pairs):
            took = {place: _encode(processes[place], audio) for place in rng.permutation(3)}
            rows.append([took[place] for place in range(3)])
    return rows, starts


def _encode(process: EncoderProcess, audio: list[NDArray[np.float32]]) -> tuple[float, float]:
    """Wall clock and processor time of a batch."""
    labels = [f"window {place}" for place in range(len(audio))]
    computed, started = _processor_s(process.info.pid), time.perf_counter()
    process.encode(audio, labels=labels)
    return time.perf_counter() - started, _processor_s(process.info.pid) - computed


def _processor_s(root: int) -> float:
    """Processor time of a process and all below it; `/proc/PID/stat`, fields 4, 14 and 15."""
    parents, times = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid] = int(fields[1])
        times[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    total, waiting = 0.0, [root]
    while waiting:
        pid = waiting.pop()
        total += times.get(pid, 0.0)
        waiting += [child for child, parent in parents.items() if parent == pid]
    return total


def _report(rows: NDArray[np.float64], rng: np.random.Generator) -> None:
    rounds, pairs = rows.shape[:2]
    draws = rng.integers(0, rounds, (4_000, rounds))
    for place, clock in enumerate(("wall clock", "processor time")):
        times = rows[..., place]
        print(f"{clock}: {np.median(times[..., 0]):.3f} s plain, {rounds} x {pairs} batches")
        for column, name in enumerate(NAMES[1:], start=1):
            ratios = times[..., column] / times[..., 0] - 1
            medians = []
            for chosen in draws:
                within = rng.integers(0, pairs, (rounds, pairs))
                medians.append(np.median(np.take_along_axis(ratios[chosen], within, axis=1)))
            low, high = np.percentile(medians, [2.5, 97.5])
            print(f"  {name}: {np.median(ratios):+.2%}, 95 % interval {low:+.2%} to {high:+.2%}")


if __name__ == "__main__":
    main()
