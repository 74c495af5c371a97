"""Which units of work a calibration measures, and what they say about all of them.

Units (encode batches, training steps, chunks of questions) differ in size, and their cost follows
their size nearly in proportion. So units are picked in proportion to size, evenly over all of them
sorted by size, and a unit's cost counts per size: the mean of these ratios times the sum of all
sizes estimates the total whatever the cost's shape (Hansen & Hurwitz, 1943), and sharply where the
ratio changes slowly with size.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

_LEAST = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """What work takes: processor seconds of all processes, and wall seconds."""

    cpu_s: float = 0.0
    wall_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu_s + other.cpu_s, self.wall_s + other.wall_s)

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.cpu_s * factor, self.wall_s * factor)


@dataclass(frozen=True, slots=True)
class Limit:
    """How much a calibration may measure: units, and seconds after which none is begun."""

    units: int
    seconds: float


def pick(sizes: Sequence[float], count: int) -> list[int]:
    """Pick units in proportion to size.

    Args:
        sizes: Above 0.
        count: How many; a large unit may be picked more than once.

    Returns:
        Places in ``sizes``, in an order of which every beginning is spread over the sizes too.
    """
    order = sorted(range(len(sizes)), key=lambda place: sizes[place])
    ends = list(accumulate(sizes[place] for place in order))
    if not ends:
        return []
    chosen = []
    for number in range(count):
        wanted = _halved(number) * ends[-1]
        chosen.append(order[min(bisect_left(ends, wanted), len(order) - 1)])
    return chosen


def cost_of_one(
    sizes: Sequence[float], measure: Callable[[int], Cost], limit: Limit
) -> tuple[Cost | None, int]:
    """Measure some units.

    Args:
        sizes: Of all units.
        measure: What the unit at a place costs.
        limit: How many; the first three are measured however long they take.

    Returns:
        Mean cost per size, None where nothing was measured, and how many units were.
    """
    seen: dict[int, Cost] = {}
    total, picked = Cost(), 0
    started = time.monotonic()
    for place in pick(sizes, limit.units):
        if place not in seen:
            if len(seen) >= _LEAST and time.monotonic() - started > limit.seconds:
                break
            seen[place] = measure(place)
        total += seen[place] * (1 / sizes[place])
        picked += 1
    return (total * (1 / picked) if picked else None), len(seen)


def _halved(number: int) -> float:
    """The van der Corput sequence 1/2, 1/4, 3/4, 1/8, ...: evenly spread wherever it stops."""
    number += 1
    value, part = 0.0, 0.5
    while number:
        value += part * (number & 1)
        number >>= 1
        part /= 2
    return value
