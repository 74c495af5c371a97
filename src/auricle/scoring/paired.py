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
    Z,
    linearised_error,
    map_replicator,
    resampled_counts,
    studentised_interval,
)
from auricle.seeding import generator

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


def normal_p(z: float) -> float:
    """Two-sided p value of a standard normal deviate."""
    return math.erfc(abs(z) / math.sqrt(2))


def ratio_difference(left: RatioTally, right: RatioTally, stream: str) -> Difference:
    """Difference of two ratios over the same clips.

    Tested by flipping the signs of the differences per clip (Fisher, 1935), which for right and
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
        low, high = paired_proportions(tally.numerator)
        return Difference(values[0], values[1], value, low, high, error, p, test)
    if error <= 1e-12:
        return Difference(values[0], values[1], value, value, value, 0.0, p, test)
    interval = studentised_interval(tally, stream)
    return Difference(values[0], values[1], value, interval.low, interval.high, error, p, test)


def paired_proportions(differences: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean of paired differences of 1, 0 and -1.

    Agresti and Min (2005): half a clip added to each of the four outcomes, so that few clips that
    differ, or none, do not pass for certainty.
    """
    total = len(differences) + 2
    wins, losses = (float((sign * differences > 0).sum()) + 0.5 for sign in (1, -1))
    centre = (wins - losses) / total
    half = Z * math.sqrt((wins + losses) - total * centre**2) / total
    return centre - half, centre + half


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
    p = normal_p(centre / error) if error > 0 else float(centre == 0)
    low, high = centre - Z * error, centre + Z * error
    return Difference(one, other, one - other, low, high, error, p, "paired bootstrap over clips")


def _mean_map(
    tallies: Sequence[LabelTally],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    of_each = [map_replicator(tally) for tally in tallies]

    def values(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = np.mean([one(counts) for one in of_each], axis=0)
        return mean

    return values


def sign_flip_p(differences: NDArray[np.float64], stream: str) -> tuple[float, str]:
    """Two-sided p value of a sum of differences whose signs would be arbitrary.

    Returns:
        The p value and the test's name.
    """
    moved = differences[np.abs(differences) > 1e-12]
    if len(moved) == 0:
        return 1.0, "no clip differs"
    size = np.abs(moved)
    if np.allclose(size, size[0], rtol=1e-9):
        return _binomial_p(int((moved > 0).sum()), len(moved)), "McNemar, exact"
    observed = abs(float(moved.sum()))
    if len(moved) > _MOST_FLIPPED:
        return normal_p(observed / math.sqrt(float(np.dot(moved, moved)))), "sign flips, normal"
    rng = generator("scoring", "sign flips", stream, len(moved))
    step = max(1, _CELLS_AT_ONCE // len(moved))
    beyond = 0
    for first in range(0, _FLIPS, step):
        rows = min(step, _FLIPS - first)
        signs = rng.integers(0, 2, size=(rows, len(moved)), dtype=np.int8) * 2.0 - 1.0
        beyond += int((np.abs(signs @ moved) >= observed * (1 - 1e-12)).sum())
    return (beyond + 1) / (_FLIPS + 1), "sign flips"


def _binomial_p(wins: int, trials: int) -> float:
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(wins, trials - wins), trials, 0.5)))
