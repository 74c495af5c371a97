"""Is one run better than another? Answered per task and track on the clips that both answered.

A verdict holds for these trained runs: it knows the luck of the test clips, not of the seeds.
P values are corrected together (Holm, 1979), tasks as one family and tracks as another, so a
verdict can be *cannot tell* beside an interval, uncorrected, that leaves zero out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TypeVar

import numpy as np

from auricle.errors import ScoringError, UserError
from auricle.metrics.compute import compute_metric
from auricle.metrics.result import MetricOptions, MetricResult
from auricle.metrics.tally import LabelTally, RatioTally
from auricle.records.comparison import Outcome, Pair, Verdict
from auricle.scoring.paired import (
    Difference,
    map_difference,
    mean_difference,
    ratio_difference,
)
from auricle.scoring.summary import ScoredClip

ALPHA = 0.05
Found = TypeVar("Found")
# Normal quantile of the power with which "how many more clips" would tell: 80 %.
_Z_POWER = 0.8416212335729143


@dataclass(frozen=True, slots=True)
class TaskAnswers:
    """One run's answers to one task."""

    metric: str
    track: str
    clips: Sequence[ScoredClip]
    options: MetricOptions = field(default_factory=MetricOptions)
    failure: str | None = None
    """Why the task counts as missing in this run."""


@dataclass(frozen=True, slots=True)
class RunAnswers:
    """One run's answers to all its tasks."""

    name: str
    tasks: Mapping[str, TaskAnswers]


def compare_runs(runs: Sequence[RunAnswers]) -> list[Pair]:
    """Compare every two of the runs.

    Args:
        runs: Two or more, with different names.

    Raises:
        ScoringError: Fewer than two runs, or two of one name.
    """
    names = [run.name for run in runs]
    if len(runs) < 2:
        raise ScoringError(f"A comparison needs two runs or more; {len(runs)} was given.")
    if len(set(names)) < len(names):
        raise ScoringError(f"The runs to compare need different names; given: {', '.join(names)}.")
    results = {run.name: results_of(run) for run in runs}
    return decided([_compare_pair(one, other, results) for one, other in combinations(runs, 2)])


def results_of(run: RunAnswers) -> dict[str, MetricResult | str]:
    """Each task's result, or why it has none."""
    found: dict[str, MetricResult | str] = {}
    for name, task in run.tasks.items():
        if not task.clips:
            found[name] = task.failure or "no clip was answered"
            continue
        answers = [clip.prediction for clip in task.clips]
        references = [clip.references for clip in task.clips]
        try:
            found[name] = compute_metric(task.metric, answers, references, options=task.options)
        except UserError as error:
            found[name] = str(error)
    return found


def _compare_pair(
    one: RunAnswers, other: RunAnswers, results: Mapping[str, Mapping[str, MetricResult | str]]
) -> Pair:
    track_of = {name: run.tasks[name].track for run in (one, other) for name in run.tasks}
    found = {name: _compare_task(name, (one, other), results) for name in sorted(track_of)}
    failed = {name for run in (one, other) for name in run.tasks if run.tasks[name].failure}

    def mean(tasks: Sequence[tuple[Difference, int]], stream: str) -> tuple[Difference, int]:
        return mean_difference([found for found, _ in tasks], stream), sum(n for _, n in tasks)

    return pair_of(
        (one.name, other.name),
        found,
        track_of,
        mean=mean,
        entry=lambda task: entry_of(*task),
        failed=failed,
    )


def pair_of(
    names: tuple[str, str],
    found: Mapping[str, Found | str],
    track_of: Mapping[str, str],
    *,
    mean: Callable[[Sequence[Found], str], Found],
    entry: Callable[[Found], Outcome],
    failed: Collection[str] = (),
) -> Pair:
    """A pair's tasks and their tracks; a track that lacks a task has none (law 7).

    Args:
        names: Of the two sides.
        found: By task, what was found, or why nothing was.
        track_of: By task.
        mean: Of a track's tasks, with the name of its random stream.
        entry: Of what was found.
        failed: Tasks that are shown, and missing in their track.
    """
    tracks = {}
    for track in sorted(set(track_of.values())):
        tasks = {name: task for name, task in found.items() if track_of[name] == track}
        missing = [name for name, task in tasks.items() if name in failed or isinstance(task, str)]
        tested = [task for task in tasks.values() if not isinstance(task, str)]
        tracks[track] = (
            Outcome(reason=f"missing tasks: {', '.join(missing)}")
            if missing
            else entry(mean(tested, f"track {track}"))
        )
    tested_tasks: dict[str, Outcome] = {
        name: Outcome(reason=task) if isinstance(task, str) else entry(task)
        for name, task in found.items()
    }
    return Pair(*names, tested_tasks, tracks)


def _compare_task(
    name: str,
    pair: tuple[RunAnswers, RunAnswers],
    results: Mapping[str, Mapping[str, MetricResult | str]],
) -> tuple[Difference, int] | str:
    """The difference and how many clips are shared, or why there is none."""
    tallies = []
    for run in pair:
        result = results[run.name].get(name)
        if result is None:
            return f"{run.name} has no answers to it"
        if isinstance(result, str):
            return f"{run.name}: {result}"
        if result.tally is None:
            return f"{run.name}: {result.reason or 'it has no value'}"
        tallies.append((result.metric, result.tally))
    clips = [run.tasks[name].clips for run in pair]
    places = {clip.id: index for index, clip in enumerate(clips[1])}
    rows = np.array([(i, places[c.id]) for i, c in enumerate(clips[0]) if c.id in places])
    if len(rows) < 2:
        return f"the runs share {len(rows)} clips; 2 are needed"
    for mine, yours in rows:
        if list(clips[0][mine].references) != list(clips[1][yours].references):
            return f"clip {clips[0][mine].id} has other references in each run"
    (left_metric, left), (right_metric, right) = tallies
    if left_metric != right_metric:
        return f"one run measures {left_metric}, the other {right_metric}"
    left, right = left.select(rows[:, 0]), right.select(rows[:, 1])
    stream = f"compare {name}"
    if isinstance(left, LabelTally) and isinstance(right, LabelTally):
        return map_difference([left], [right], stream), len(rows)
    assert isinstance(left, RatioTally) and isinstance(right, RatioTally)
    return ratio_difference(left, right, stream), len(rows)


def entry_of(found: Difference, clips: int) -> Outcome:
    """A tested entry, before its family is corrected together."""
    return Outcome(
        left=found.left,
        right=found.right,
        difference=found.difference,
        low=found.low,
        high=found.high,
        error=found.error,
        p=found.p,
        test=found.test,
        verdict="cannot tell",
        clips=clips,
    )


def decided(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs with their p values corrected together, tasks and tracks apart, and with verdicts."""
    tasks = _decide([entry for pair in pairs for entry in pair.tasks.values()])
    tracks = _decide([entry for pair in pairs for entry in pair.tracks.values()])
    return [
        replace(
            pair,
            tasks={name: next(tasks) for name in pair.tasks},
            tracks={name: next(tracks) for name in pair.tracks},
        )
        for pair in pairs
    ]


def _decide(entries: Sequence[Outcome]) -> Iterator[Outcome]:
    known = [entry.p for entry in entries if entry.p is not None]
    corrected = iter(holm(known))
    for entry in entries:
        if entry.p is None:
            yield entry
            continue
        p = next(corrected)
        verdict: Verdict = "better" if (entry.difference or 0) > 0 else "worse"
        if p <= ALPHA:
            yield replace(entry, p_corrected=p, verdict=verdict)
        else:
            more = clips_to_tell(entry, len(known))
            yield replace(entry, p_corrected=p, more_clips=more)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for all being looked at together (Holm, 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def clips_to_tell(entry: Outcome, num_tests: int) -> int | None:
    """How many more clips like these would tell, if the difference is what it seems.

    ``n (z_alpha + z_power)^2 (error / difference)^2 - n``, two-sided at 5 % shared by all tests,
    80 % power.

    Returns:
        At least 1; None where the difference is zero or its error unknown.
    """
    if not entry.error or entry.difference is None or abs(entry.difference) < 1e-12:
        return None
    from scipy.special import ndtri

    alpha = float(ndtri(1 - ALPHA / (2 * num_tests)))
    ratio = (alpha + _Z_POWER) * entry.error / abs(entry.difference)
    return max(1, math.ceil((entry.clips or 0) * (ratio * ratio - 1)))
