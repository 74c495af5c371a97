"""Paired tests of two systems on the same clips of one task.

Which clips are hard cancels in the differences per clip, so two systems can be told apart long
before their intervals part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auricle.metrics.tally import LabelTally, RatioTally
from auricle.scoring.intervals import (
    FEW_CLIPS,
    Z,
    clips_that_differ,
    linearised_error,
    map_replicator,
    resampled_counts,
    studentised_interval,
)
from auricle.scoring.tracks import combined_bounds
from auricle.seeding import generator

_NO_SPREAD = 1e-12
_FLIPS = 20_000
_MOST_FLIPPED = 4096
_CELLS_AT_ONCE = 4_000_000


class Difference(NamedTuple):
    """Left less right, on the scale of the score before clipping."""

    left: float
    right: float
    difference: float
    low: float
    high: float
    error: float
    """Standard error."""
    p: float
    """Two-sided."""
    test: str
    centre: float
    """What the interval was built around: of mAP the difference less its bootstrap bias."""
    moves: NDArray[np.float64] | None = None
    """What each clip adds to the difference, float64 ``[clips]``; None where that is not known."""


def normal_p(z: float) -> float:
    """Two-sided p value of a standard normal deviate."""
    return math.erfc(abs(z) / math.sqrt(2))


def ratio_difference(left: RatioTally, right: RatioTally, stream: str) -> Difference:
    """Difference of two ratios over the same clips.

    Outcome by flipping the signs of the differences per clip (Fisher, 1935), which for right and
    wrong answers is McNemar's exact test (1947).

    Args:
        left: Of the first system.
        right: Of the second; the same clips and denominators.
        stream: Name of the random stream.
    """
    tally = RatioTally(left.numerator - right.numerator, left.denominator)
    total = max(float(tally.denominator.sum()), 1.0)
    values = [float(side.numerator.sum()) / total for side in (left, right)]
    value = float(tally.numerator.sum()) / total
    error = linearised_error(tally)
    p, test = sign_flip_p(tally.numerator, stream)
    if left.binary and right.binary and tally.denominator.max(initial=0) == 1:
        low, high = _paired_proportions(
            value, float(np.dot(tally.numerator, tally.numerator)), len(tally.numerator)
        )
    elif error <= _NO_SPREAD:
        low, high = _without_spread(value, len(tally.numerator))
    else:
        interval = studentised_interval(tally, stream)
        low, high = interval.low, interval.high
        if clips_that_differ(tally, value) < FEW_CLIPS:  # as in `interval_of`
            clips = len(tally.numerator)
            each = tally.numerator * (clips / total)
            wide = _paired_proportions(value, float(np.dot(each, each)), clips)
            low, high = min(low, wide[0]), max(high, wide[1])
    if error <= _NO_SPREAD:
        error = (high - low) / (2 * Z)
    return Difference(
        values[0], values[1], value, low, high, error, p, test, value, tally.numerator / total
    )


def _paired_proportions(value: float, squares: float, clips: int) -> tuple[float, float]:
    """95 % interval of the mean of paired differences of 1, 0 and -1, or of means of such.

    Agresti and Min (2005): half a clip added to each of the four outcomes, so that few clips that
    differ, or none, do not pass for certainty.

    Args:
        value: The mean.
        squares: The sum of the squared differences; of single answers, how many clips differ.
        clips: How many there are.
    """
    total = clips + 2
    centre = clips * value / total
    half = Z * math.sqrt(max(squares + 1 - total * centre**2, 0.0)) / total
    return max(-1.0, centre - half), min(1.0, centre + half)


def _without_spread(value: float, clips: int) -> tuple[float, float]:
    """Where all clips differ alike, each is taken as wholly won or lost, as wide as can be."""
    share = min(1.0, max(-1.0, value))
    low, high = _paired_proportions(share, clips * abs(share), clips)
    return min(low, value), max(high, value)


def map_difference(
    left: Sequence[LabelTally], right: Sequence[LabelTally], stream: str
) -> Difference:
    """Difference of two mAPs over the same samples, by a paired bootstrap over clips.

    Interval and p value are of the estimate less its bootstrap bias, as in `interval_of`.

    Args:
        left: Of the first system; of several, e.g. its seeds, their mean mAP is taken.
        right: Of the second.
        stream: Name of the random stream.
    """
    clips = left[0].num_clips
    of_left, of_right = _mean_map(left), _mean_map(right)

    whole = np.ones((1, clips))
    one, other = float(of_left(whole)[0]), float(of_right(whole)[0])
    replicates = np.concatenate(
        [of_left(counts) - of_right(counts) for counts in resampled_counts(clips, stream)]
    )
    error = float(replicates.std(ddof=1))
    centre = 2 * (one - other) - float(replicates.mean())
    low, high = centre - Z * error, centre + Z * error
    if error <= _NO_SPREAD:
        low, high = _without_spread(one - other, clips)
        centre, error = (low + high) / 2, (high - low) / (2 * Z)
    p, test = normal_p(centre / error), "paired bootstrap over clips"
    return Difference(one, other, one - other, low, high, error, p, test, centre)


def mean_difference(parts: Sequence[Difference], stream: str) -> Difference:
    """The mean of differences on independent tasks.

    Squared distances to the bounds add, each side apart, as in `mean_interval`. The signs of all
    tasks' clips are flipped together, mAP's part being normal, so that one task's mean is that
    task.

    Args:
        parts: One a task, at least one.
        stream: Name of the random stream.
    """
    if len(parts) == 1:
        return parts[0]
    count = len(parts)
    left, right, value, centre = (
        math.fsum(getattr(part, name) for part in parts) / count
        for name in ("left", "right", "difference", "centre")
    )
    low, high = combined_bounds([(part.centre, part.low, part.high) for part in parts])
    error = math.sqrt(math.fsum(part.error**2 for part in parts)) / count
    moves = [part.moves / count for part in parts if part.moves is not None]
    maps = [part for part in parts if part.moves is None]
    p, test = sign_flip_p(
        np.concatenate([*moves, np.zeros(0)]),
        stream,
        normal=(
            math.fsum(part.centre for part in maps) / count,
            math.sqrt(math.fsum(part.error**2 for part in maps)) / count,
        ),
    )
    return Difference(left, right, value, low, high, error, p, f"{test}, over tasks", centre)


def _mean_map(
    tallies: Sequence[LabelTally],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    of_each = [map_replicator(tally) for tally in tallies]

    def values(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = np.mean([one(counts) for one in of_each], axis=0)
        return mean

    return values


def sign_flip_p(
    differences: NDArray[np.float64], stream: str, *, normal: tuple[float, float] = (0.0, 0.0)
) -> tuple[float, str]:
    """Two-sided p value of a sum of differences whose signs would be arbitrary.

    Args:
        differences: One a clip.
        stream: Name of the random stream.
        normal: Value and standard error of what is added to their sum and has no clips.

    Returns:
        The p value and the test's name.
    """
    moved = differences[np.abs(differences) > 1e-12]
    beside, error = normal
    observed = abs(float(moved.sum()) + beside)
    if len(moved) == 0:
        return (normal_p(observed / error), "normal") if error > 0 else (1.0, "no clip differs")
    size = np.abs(moved)
    if error == 0 and np.allclose(size, size[0], rtol=1e-9, atol=0):
        return _binomial_p(int((moved > 0).sum()), len(moved)), "McNemar, exact"
    if len(moved) > _MOST_FLIPPED:
        spread = math.sqrt(float(np.dot(moved, moved)) + error**2)
        return normal_p(observed / spread), "sign flips, normal"
    rng = generator("scoring", "sign flips", stream, len(moved))
    step = max(1, _CELLS_AT_ONCE // len(moved))
    beyond = 0
    for first in range(0, _FLIPS, step):
        rows = min(step, _FLIPS - first)
        signs = rng.integers(0, 2, size=(rows, len(moved)), dtype=np.int8) * 2.0 - 1.0
        sums = signs @ moved
        if error > 0:
            sums += error * rng.standard_normal(rows)
        beyond += int((np.abs(sums) >= observed * (1 - 1e-12)).sum())
    return (beyond + 1) / (_FLIPS + 1), "sign flips"


def _binomial_p(wins: int, trials: int) -> float:
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(wins, trials - wins), trials, 0.5)))
