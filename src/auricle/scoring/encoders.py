"""Is one encoder better than another? Several seeds of each, clip and seed variance together.

A comparison of runs knows the luck of the test clips alone. Here the seeds of an encoder are one
measurement (`combine_seeds`), and a difference of two encoders carries the error of its clips,
paired, and that of the seeds of both. Seeds of a run share their training, so a track takes the
seeds' spread from its means, never from its tasks as if they were independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auricle.metrics.result import MetricResult
from auricle.metrics.tally import LabelTally, RatioTally, Tally
from auricle.records.comparison import (
    Encoders,
    Measured,
    Outcome,
    Pair,
    SeedsEstimate,
    SeedsPart,
)
from auricle.records.scores import Estimate, Scored
from auricle.scoring.compare import (
    ALPHA,
    RunAnswers,
    decided,
    entry_of,
    pair_of,
    results_of,
)
from auricle.scoring.intervals import Z, map_replicator
from auricle.scoring.paired import (
    Difference,
    map_difference,
    mean_difference,
    ratio_difference,
)
from auricle.scoring.seeds import combine_seeds

_TEST = "the clips' test, t with seeds"


@dataclass(frozen=True, slots=True)
class Encoder:
    """Runs of one encoder that differ in nothing but their seed."""

    name: str
    runs: Sequence[RunAnswers]
    scores: Sequence[Scored]
    """What each run scored."""


def compare_encoders(encoders: Sequence[Encoder]) -> Encoders:
    """Combine each encoder's seeds, and compare every two encoders.

    Args:
        encoders: With different names.

    Returns:
        Pairs are as those of `auricle.scoring.compare.compare_runs`, with ``more_seeds`` in place
        of ``more_clips``.
    """
    results = {e.name: [results_of(run) for run in e.runs] for e in encoders}
    pairs = decided(
        [_compare_pair(one, other, results) for one, other in combinations(encoders, 2)]
    )
    in_tasks = sum(entry.p is not None for pair in pairs for entry in pair.tasks.values())
    in_tracks = sum(entry.p is not None for pair in pairs for entry in pair.tracks.values())
    with_seeds = [
        replace(
            pair,
            tasks={n: _with_more_seeds(entry, in_tasks) for n, entry in pair.tasks.items()},
            tracks={n: _with_more_seeds(entry, in_tracks) for n, entry in pair.tracks.items()},
        )
        for pair in pairs
    ]
    return Encoders([_measured(encoder) for encoder in encoders], with_seeds)


def _with_more_seeds(entry: Outcome, num_tests: int) -> Outcome:
    """An entry that says how many more seeds, not clips, would tell."""
    told = entry.verdict != "cannot tell" or entry.seeds is None
    more = None if told else _seeds_to_tell(entry, num_tests)
    seeds = replace(entry.seeds, more_seeds=more) if entry.seeds else None
    return replace(entry, more_clips=None, of_seeds=True, seeds=seeds)


def _measured(encoder: Encoder) -> Measured:
    tasks = [{n: task.estimate for n, task in s.tasks.items()} for s in encoder.scores]
    tracks = [{n: mean.estimate for n, mean in s.tracks.items()} for s in encoder.scores]
    return Measured(encoder.name, len(encoder.runs), _combined(tasks), _combined(tracks))


def _combined(of_seed: Sequence[Mapping[str, Estimate]]) -> dict[str, SeedsEstimate]:
    names = dict.fromkeys(name for values in of_seed for name in values)
    return {n: combine_seeds([values.get(n, Estimate()) for values in of_seed]) for n in names}


def _compare_pair(
    one: Encoder, other: Encoder, results: Mapping[str, Sequence[Mapping[str, MetricResult | str]]]
) -> Pair:
    sides = (one, other)
    track_of = {
        name: task.track for side in sides for run in side.runs for name, task in run.tasks.items()
    }
    found = {name: _compare_task(name, sides, results) for name in sorted(track_of)}
    return pair_of((one.name, other.name), found, track_of, mean=_mean, entry=_entry)


class _Found(NamedTuple):
    """What a task's clips say, averaged over seeds, and the value of each seed."""

    difference: Difference
    of_seed: list[NDArray[np.float64]]
    """Of each side, float64 ``[seeds]``."""
    clips: int
    limit: float
    """How far from zero a difference can lie: 1 for proportions and mAP."""


def _mean(tasks: Sequence[_Found], stream: str) -> _Found:
    return _Found(
        mean_difference([task.difference for task in tasks], stream),
        [np.mean([task.of_seed[side] for task in tasks], axis=0) for side in (0, 1)],
        sum(task.clips for task in tasks),
        max(task.limit for task in tasks),
    )


def _compare_task(
    name: str,
    sides: tuple[Encoder, Encoder],
    results: Mapping[str, Sequence[Mapping[str, MetricResult | str]]],
) -> _Found | str:
    """What was found, or why nothing was."""
    tallies: list[list[Tally]] = []
    runs = [run for side in sides for run in side.runs]
    for side in sides:
        if len(side.runs) < 2:
            return f"{side.name} has one seed; two or more show how seeds differ"
        found: list[Tally] = []
        for run, result in zip(side.runs, results[side.name], strict=True):
            value, task = result.get(name), run.tasks.get(name)
            if value is None or task is None or isinstance(value, str) or value.tally is None:
                why = value if isinstance(value, str) else "it has no value"
                return f"{run.name}: {why}"
            if task.failure:
                return f"{run.name}: {task.failure}"
            found.append(value.tally)
        tallies.append(found)
    asked = [[(clip.id, tuple(clip.references)) for clip in r.tasks[name].clips] for r in runs]
    if any(clips != asked[0] for clips in asked):
        return "the runs were not asked the same clips"
    left, right = tallies
    return _difference(left, right, clips=len(asked[0]), stream=f"compare {name}")


def _difference(
    left: Sequence[Tally], right: Sequence[Tally], *, clips: int, stream: str
) -> _Found:
    labels = [[t for t in side if isinstance(t, LabelTally)] for side in (left, right)]
    ratios = [[t for t in side if isinstance(t, RatioTally)] for side in (left, right)]
    if labels[0] and labels[1]:
        found, limit = map_difference(labels[0], labels[1], stream), 1.0
        whole = np.ones((1, labels[0][0].num_clips))
        of_seed = [[float(map_replicator(tally)(whole)[0]) for tally in side] for side in labels]
    else:
        means = [_mean_ratio(side) for side in ratios]
        found = ratio_difference(means[0], means[1], stream)
        limit = 1.0 if all(mean.binary for mean in means) else math.inf
        of_seed = [
            [float(t.numerator.sum() / max(t.denominator.sum(), 1.0)) for t in side]
            for side in ratios
        ]
    return _Found(found, [np.array(values) for values in of_seed], clips, limit)


def _mean_ratio(tallies: Sequence[RatioTally]) -> RatioTally:
    """The mean over seeds of each clip; all have the same denominators."""
    mean = np.mean([tally.numerator for tally in tallies], axis=0)
    return RatioTally(mean, tallies[0].denominator, all(tally.binary for tally in tallies))


def _entry(task: _Found) -> Outcome:
    """An entry whose error holds clips and seeds, each side of the interval apart.

    The p value is never smaller than that of the clips alone, whose test is exact where few clips
    differ.
    """
    from scipy.special import stdtr

    found, of_seed = task.difference, task.of_seed
    parts = [float(np.var(values, ddof=1)) / len(values) for values in of_seed]
    seeds = sum(parts)
    shares = sum(v * v / (len(s) - 1) for v, s in zip(parts, of_seed, strict=True))
    below, above = found.centre - found.low, found.high - found.centre
    p, low, high = found.p, found.low, found.high
    if shares > 0:
        low = max(-task.limit, found.centre - _reach(below, seeds, shares))
        high = min(task.limit, found.centre + _reach(above, seeds, shares))
        error, freedom = _with_seeds(below if found.centre > 0 else above, seeds, shares)
        p = max(p, min(1.0, 2 * float(stdtr(freedom, -abs(found.centre) / error))))
    whole = found._replace(
        low=low, high=high, error=math.sqrt(found.error**2 + seeds), p=p, test=_TEST
    )
    left, right = (side.tolist() for side in of_seed)
    part = SeedsPart(found.error, math.sqrt(seeds), (left, right))
    return replace(entry_of(whole, task.clips), seeds=part)


def _with_seeds(distance: float, seeds: float, shares: float) -> tuple[float, float]:
    """The error of clips and seeds, and its degrees of freedom after Satterthwaite (1946).

    Args:
        distance: To the bound that the clips alone give.
        seeds: Variance of the seeds' means, both sides together.
        shares: The sum of each side's variance squared by its degrees of freedom.
    """
    variance = (distance / Z) ** 2 + seeds
    # The t distribution of so many degrees of freedom is the normal one.
    return math.sqrt(variance), min(variance**2 / shares, 1e9)


def _reach(distance: float, seeds: float, shares: float) -> float:
    from scipy.special import stdtrit

    error, freedom = _with_seeds(distance, seeds, shares)
    return float(stdtrit(freedom, 1 - ALPHA / 2)) * error


def _seeds_to_tell(entry: Outcome, num_tests: int) -> int | None:
    """How many more seeds of each encoder would tell, with 80 % power, if the difference is real.

    None where even endless seeds would leave the error of the clips too large.
    """
    seeds = entry.seeds
    if entry.difference is None or seeds is None or not seeds.seed_error:
        return None
    from scipy.special import ndtri

    reach = float(ndtri(1 - ALPHA / (2 * num_tests)) + ndtri(0.8))
    room = float((entry.difference / reach) ** 2 - seeds.clip_error**2)
    if room <= 0:
        return None
    fewest = min(map(len, seeds.of_seed))
    wanted = float(seeds.seed_error**2 * fewest / room)
    return max(1, math.ceil(wanted) - fewest)
