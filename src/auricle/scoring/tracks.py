"""Means over tasks, with their intervals.

Task intervals are not symmetric (a score near 1 has more room below), so their two sides are
combined apart: the method of variance estimates recovery (Zou and Donner, 2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from auricle.records.scores import Estimate


def mean_interval(values: Sequence[Estimate]) -> Estimate:
    """Plain mean; nothing if any value is missing (law 7).

    Args:
        values: Of independent samples, so squared distances to the bounds add up; one without an
            interval leaves the mean without one.
    """
    known = [each.value for each in values if each.value is not None]
    if not known or len(known) < len(values):
        return Estimate()
    mean = math.fsum(known) / len(known)
    intervals = [each.bounds for each in values if each.bounds is not None]
    if len(intervals) < len(values):
        return Estimate(mean)
    return Estimate(mean, *mean_bounds(intervals))


def mean_bounds(intervals: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """The same as `combined_bounds`, clipped to [0, 1]."""
    low, high = combined_bounds(intervals)
    return max(0.0, low), min(1.0, high)


def combined_bounds(intervals: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Bounds of a mean of independent values.

    Args:
        intervals: Of each value: what the interval was built around, low and high.
    """
    count = len(intervals)
    centre = math.fsum(middle for middle, _, _ in intervals) / count
    below = math.sqrt(math.fsum((middle - low) ** 2 for middle, low, _ in intervals))
    above = math.sqrt(math.fsum((high - middle) ** 2 for middle, _, high in intervals))
    return centre - below / count, centre + above / count
