"""Does a suite tell encoders apart? Runs several encoders with several seeds and prints the table.

    python benchmarks/discrimination.py --suite smoke --seeds 3 logmel examples/mean_1s.py noise

Encoders are named from best to worst. A standard error holds the sampling of test clips and the
spread over seeds together; few seeds know it badly, which the intervals of the last lines pay for
with Student's t (`auricle.scoring.seeds`). A gap is counted in standard errors of the difference,
as if the two were independent, which is conservative: they answer the same clips. Finished runs
are found again, so the script can be stopped and continued.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
from pathlib import Path
from typing import Any

from auricle import RunOptions, run
from auricle.scoring.intervals import Z
from auricle.scoring.seeds import combine_seeds
from auricle.scoring.tracks import mean_interval


def main() -> None:
    """Run, print as runs end, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="+")
    parser.add_argument("--suite", default="smoke")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    means: dict[str, dict[str, Any]] = {}
    tasks: dict[str, dict[str, dict[str, Any]]] = {}
    for encoder in arguments.encoders:
        entries = []
        for seed in range(1, arguments.seeds + 1):
            result = run(encoder, arguments.suite, options=RunOptions(seed=seed, out=arguments.out))
            entries.append(result.scores["tasks"])
            stages = result.folder.read_manifest().stages_s
            print(f"{encoder} seed {seed}: {result.scores['mean']:.4f}  {stages}", flush=True)
        tasks[encoder] = {
            name: combined([e[name] for e in entries]) | {"chance": entries[0][name]["chance"]}
            for name in entries[0]
        }
        means[encoder] = combined([as_entry(e) for e in entries])
    show(tasks, means)


def as_entry(tasks: dict[str, Any]) -> dict[str, Any]:
    """The mean over a run's tasks, as if it were a task."""
    mean = mean_interval(list(tasks.values()))
    return {"score": mean["mean"], "low": mean["low"], "high": mean["high"], "failure": None}


def combined(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """`combine_seeds` with the standard error: clips' variance and the seeds' over their number."""
    found = combine_seeds(entries)
    clips = statistics.mean(((e["high"] - e["low"]) / (2 * Z)) ** 2 for e in entries)
    seeds = (found["seed_sd"] or 0.0) ** 2 / len(entries)
    return found | {"error": math.sqrt(clips + seeds)}


def show(tasks: dict[str, dict[str, dict[str, Any]]], means: dict[str, dict[str, Any]]) -> None:
    """Print the table, the gaps and how far the last encoder is from chance."""
    encoders = list(tasks)
    print("\n| task | chance | " + " | ".join(encoders) + " |")
    print("|---|---|" + "---|" * len(encoders))
    for name in tasks[encoders[0]]:
        cells = [f"{tasks[e][name]['score']:.3f} ± {tasks[e][name]['error']:.3f}" for e in encoders]
        print(f"| {name} | {tasks[encoders[0]][name]['chance']:.3f} | " + " | ".join(cells) + " |")
    cells = [f"{means[e]['score']:.4f} ± {means[e]['error']:.4f}" for e in encoders]
    print("| **suite mean** | | " + " | ".join(cells) + " |\n")
    for better, worse in itertools.pairwise(encoders):
        gap = means[better]["score"] - means[worse]["score"]
        error = math.hypot(means[better]["error"], means[worse]["error"])
        print(f"{better} over {worse}: {gap:.4f} = {gap / error:.1f} standard errors")
    for encoder in (encoders[0], encoders[-1]):
        for name, entry in tasks[encoder].items():
            distance = (entry["score"] - entry["chance"]) / entry["error"]
            print(
                f"{encoder}, {name}: {distance:+.1f} standard errors from chance, "
                f"interval {entry['low']:.3f} to {entry['high']:.3f} around {entry['chance']:.3f}"
            )


if __name__ == "__main__":
    main()
