"""How long until something happens: `--help`, and the first training step of a run.

    python benchmarks/start.py [--suite smoke] [--encoder logmel] [--repeats 5]

`--help` and other light commands: wall and processor seconds of the whole command, medians. The
first step: wall seconds from the command to the end of the first training step of a new run, its
shards and features being there already; that run is ended then. A first run that makes them is not
counted. Everything but the data home's shards lies in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

LIGHT = (("--help",), ("run", "--help"), ("suites",), ("tasks", "synth-keyword"))


class _FirstStep:
    """Ends the process at the first unit of training that is done."""

    def __init__(self, name: str) -> None:
        self._name = name

    def advance(self, amount: float = 1) -> None:
        if self._name == "train":
            print("first step", flush=True)
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        pass


class _UntilFirstStep:
    """Progress that shows when each stage begins."""

    @contextlib.contextmanager
    def stage(self, name: str, total: float, unit: str, *, done: float = 0) -> Iterator[_FirstStep]:
        print(f"{name} ({total:,.0f} {unit})", flush=True)
        yield _FirstStep(name)

    def message(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass


def begin(encoder: str, suite: str, out: Path) -> None:
    """A run that ends at its first training step."""
    from auricle import RunOptions, run

    with contextlib.suppress(KeyboardInterrupt):
        run(encoder, suite, options=RunOptions(out=out), progress=_UntilFirstStep())


def first_step(encoder: str, suite: str, out: Path) -> list[tuple[float, str]]:
    """Seconds from the start of a process to each line that it prints."""
    command = [sys.executable, __file__, "--encoder", encoder, "--suite", suite]
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, "--begin", str(out)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [(time.perf_counter() - started, line.strip()) for line in process.stdout]
    if process.returncode or lines[-1][1] != "first step":
        raise SystemExit(f"the run ended otherwise: code {process.returncode}, {lines[-1]}")
    return lines


def command_s(arguments: Sequence[str], repeats: int) -> tuple[float, float]:
    """Median wall and processor seconds of a command, after one that does not count."""
    walls, cpus = [], []
    for _ in range(repeats + 1):
        before, started = os.times(), time.perf_counter()
        subprocess.run(
            [Path(sys.executable).with_name("auricle"), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        walls.append(time.perf_counter() - started)
        after = os.times()
        cpus.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    return statistics.median(walls[1:]), statistics.median(cpus[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="smoke")
    parser.add_argument("--encoder", default="logmel")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--begin", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.begin:
        begin(arguments.encoder, arguments.suite, arguments.begin)
        return
    for words in LIGHT:
        wall_s, cpu_s = command_s(words, arguments.repeats)
        print(f"auricle {' '.join(words)}: {wall_s:.3f} s, {cpu_s:.3f} CPU s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        first_step(arguments.encoder, arguments.suite, Path(folder) / "0")
        runs = [
            first_step(arguments.encoder, arguments.suite, Path(folder) / str(number))
            for number in range(1, arguments.repeats + 1)
        ]
    for place, (_, line) in enumerate(runs[0]):
        print(f"{line}: after {statistics.median(run[place][0] for run in runs):.2f} s")


if __name__ == "__main__":
    main()
