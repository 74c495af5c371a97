"""Means over tasks, with their intervals.

Task intervals are not symmetric (a score near 1 has more room below), so their two sides are
combined apart: the method of variance estimates recovery (Zou and Donner, 2008).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def mean_interval(tasks: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Plain mean of the tasks' scores; all None if any task is missing (law 7).

    Args:
        tasks: Entries of ``scores.json``. Tasks are independent samples, so squared distances to
            the bounds add up; a task without an interval leaves the mean without one.

    Returns:
        ``mean``, ``low`` and ``high``.
    """
    if not tasks or any(task["failure"] or task["score"] is None for task in tasks):
        return {"mean": None, "low": None, "high": None}
    mean = math.fsum(task["score"] for task in tasks) / len(tasks)
    if any(task["low"] is None or task["high"] is None for task in tasks):
        return {"mean": mean, "low": None, "high": None}
    low, high = mean_bounds([(_centre(task), task["low"], task["high"]) for task in tasks])
    return {"mean": mean, "low": low, "high": high}


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


def _centre(task: Mapping[str, Any]) -> float:
    """What the interval was built around, within its clipped bounds."""
    interval = task.get("interval") or {}
    centre = float(interval.get("centre", task["score"]))
    return min(max(centre, float(task["low"])), float(task["high"]))
