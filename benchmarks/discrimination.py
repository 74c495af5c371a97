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
from typing import NamedTuple

from auricle import RunOptions, run
from auricle.records.scores import Estimate, Scores
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
    means: dict[str, Combined] = {}
    tasks: dict[str, dict[str, Combined]] = {}
    chance: dict[str, float] = {}
    for encoder in arguments.encoders:
        entries = []
        for seed in range(1, arguments.seeds + 1):
            result = run(encoder, arguments.suite, options=RunOptions(seed=seed, out=arguments.out))
            entries.append(Scores.read(result.folder.scores).tasks)
            stages = result.folder.read_manifest().stages_s
            print(f"{encoder} seed {seed}: {result.scores['mean']:.4f}  {stages}", flush=True)
        tasks[encoder] = {
            name: combined([e[name].estimate for e in entries]) for name in entries[0]
        }
        chance = {name: task.chance or 0.0 for name, task in entries[0].items()}
        means[encoder] = combined(
            [mean_interval([task.estimate for task in e.values()]) for e in entries]
        )
    show(tasks, means, chance)


class Combined(NamedTuple):
    """A value over seeds with its standard error."""

    value: float
    low: float
    high: float
    error: float


def combined(values: list[Estimate]) -> Combined:
    """`combine_seeds` with the standard error: clips' variance and the seeds' over their number."""
    found = combine_seeds(values)
    assert found.value is not None and found.low is not None and found.high is not None, found
    clips = statistics.mean((((e.high or 0) - (e.low or 0)) / (2 * Z)) ** 2 for e in values)
    seeds = (found.seed_sd or 0.0) ** 2 / len(values)
    return Combined(found.value, found.low, found.high, math.sqrt(clips + seeds))


def show(
    tasks: dict[str, dict[str, Combined]], means: dict[str, Combined], chance: dict[str, float]
) -> None:
    """Print the table, the gaps and how far the last encoder is from chance."""
    encoders = list(tasks)
    print("\n| task | chance | " + " | ".join(encoders) + " |")
    print("|---|---|" + "---|" * len(encoders))
    for name in tasks[encoders[0]]:
        cells = [f"{tasks[e][name].value:.3f} ± {tasks[e][name].error:.3f}" for e in encoders]
        print(f"| {name} | {chance[name]:.3f} | " + " | ".join(cells) + " |")
    cells = [f"{means[e].value:.4f} ± {means[e].error:.4f}" for e in encoders]
    print("| **suite mean** | | " + " | ".join(cells) + " |\n")
    for better, worse in itertools.pairwise(encoders):
        gap = means[better].value - means[worse].value
        error = math.hypot(means[better].error, means[worse].error)
        print(f"{better} over {worse}: {gap:.4f} = {gap / error:.1f} standard errors")
    for encoder in (encoders[0], encoders[-1]):
        for name, entry in tasks[encoder].items():
            distance = (entry.value - chance[name]) / entry.error
            print(
                f"{encoder}, {name}: {distance:+.1f} standard errors from chance, "
                f"interval {entry.low:.3f} to {entry.high:.3f} around {chance[name]:.3f}"
            )


if __name__ == "__main__":
    main()
