"""The thread that prepares the next batch: a training with it against one without, in turn.

    python benchmarks/prefetch.py [--encoder logmel] [--suite smoke] [--steps 500] [--rounds 3]

Both are runs of `auricle.run` with one thread of torch, whose features are there: a run beforehand
makes them. Times are those of the stage that trains, so the run folders go to a temporary place.
The losses of both must be the same.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def one_by_one(self: Any, first: int, stop: int) -> Iterator[Any]:
    """In place of `BatchSource.batches`: each batch is made when it is asked for."""
    return (self.batch(step) for step in range(first, stop))


def measure(encoder: str, suite: str, steps: int, folder: Path, *, ahead: bool) -> dict[str, Any]:
    """A run of its own in a process of its own."""
    words = [sys.executable, __file__, "--encoder", encoder, "--suite", suite, "--json"]
    words += ["--steps", str(steps), "--out", str(folder), *([] if ahead else ["--alone"])]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train(arguments: argparse.Namespace) -> None:
    """Run and print what the training took."""
    from auricle import RunOptions, run
    from auricle.lalm.batch import BatchSource

    if arguments.alone:
        BatchSource.batches = one_by_one  # type: ignore[method-assign]
    options = RunOptions(
        seed=1, out=arguments.out, settings=(f"train.steps={arguments.steps}",), workers=1
    )
    result = run(arguments.encoder, arguments.suite, options=options)
    taken = result.folder.read_manifest().stages_s["train"]
    print(json.dumps({"train_s": taken, "losses": result.folder.losses.read_text()}))


def main() -> None:
    """Measure in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="logmel")
    parser.add_argument("--suite", default="smoke")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="without the thread; with --json")
    parser.add_argument("--out", type=Path, help="folder of all runs; with --json")
    parser.add_argument("--json", action="store_true", help="one training, as JSON")
    arguments = parser.parse_args()
    if arguments.json:
        train(arguments)
        return
    taken: dict[bool, list[float]] = {True: [], False: []}
    losses = set()
    with tempfile.TemporaryDirectory() as name:
        measure(arguments.encoder, arguments.suite, 5, Path(name), ahead=True)
        for number in range(2 * arguments.rounds):
            ahead = number % 2 == 0
            folder = Path(name) / str(number)
            found = measure(
                arguments.encoder, arguments.suite, arguments.steps, folder, ahead=ahead
            )
            taken[ahead].append(found["train_s"])
            losses.add(found["losses"])
            print(f"{'with' if ahead else 'without'}: {found['train_s']:.1f} s", flush=True)
    assert len(losses) == 1, "the losses differ"
    with_it, without = (statistics.median(taken[ahead]) for ahead in (True, False))
    print(f"medians: {with_it:.1f} s with, {without:.1f} s without: {without / with_it:.3f} x")


if __name__ == "__main__":
    main()
