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
    centres = [_centre(task) for task in tasks]
    pairs = list(zip(centres, tasks, strict=True))
    below = math.sqrt(math.fsum((centre - task["low"]) ** 2 for centre, task in pairs))
    above = math.sqrt(math.fsum((task["high"] - centre) ** 2 for centre, task in pairs))
    centre = math.fsum(centres) / len(tasks)
    low, high = centre - below / len(tasks), centre + above / len(tasks)
    return {"mean": mean, "low": max(0.0, low), "high": min(1.0, high)}


def _centre(task: Mapping[str, Any]) -> float:
    """What the interval was built around, within its clipped bounds."""
    interval = task.get("interval") or {}
    centre = float(interval.get("centre", task["score"]))
    return min(max(centre, float(task["low"])), float(task["high"]))
