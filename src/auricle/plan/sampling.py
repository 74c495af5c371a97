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


class Sampled:
    """A stage of the work whose units are measured one after another."""

    def __init__(
        self, sizes: Sequence[float], measure: Callable[[int], Cost], limit: Limit
    ) -> None:
        """Prepare; nothing is measured yet.

        Args:
            sizes: Of all units that may be measured.
            measure: What the unit at a place costs.
            limit: How many; the first three are measured however long they take.
        """
        self._sizes, self._measure, self._seconds = sizes, measure, limit.seconds
        self._waiting = pick(sizes, limit.units)
        self._total, self._picked, self._spent_s = Cost(), 0, 0.0
        self.seen: dict[int, Cost] = {}
        """What was measured, by place."""

    @property
    def most(self) -> int:
        """How many measurements there may be; of a unit picked twice, one is a repetition."""
        return len(self._waiting)

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be measured."""
        over = len(self.seen) >= _LEAST and self._spent_s > self._seconds
        return self._picked == len(self._waiting) or (
            over and self._waiting[self._picked] not in self.seen
        )

    def more(self) -> None:
        """Measure one more unit."""
        place = self._waiting[self._picked]
        if place not in self.seen:
            started = time.monotonic()
            self.seen[place] = self._measure(place)
            self._spent_s += time.monotonic() - started
        self._total += self.seen[place] * (1 / self._sizes[place])
        self._picked += 1

    @property
    def of_one(self) -> Cost | None:
        """Mean cost per size; None where nothing was measured."""
        return self._total * (1 / self._picked) if self._picked else None


def _halved(number: int) -> float:
    """The van der Corput sequence 1/2, 1/4, 3/4, 1/8, ...: evenly spread wherever it stops."""
    number += 1
    value, part = 0.0, 0.5
    while number:
        value += part * (number & 1)
        number >>= 1
        part /= 2
    return value
