"""Spans: how much of the work is encoded at a time, within a budget of disk.

The windows of all units of work (blocks of draws, chunks of test clips) are known in advance. A
span is as many units in a row as have their batches within the budget; when it is done, what the
next span does not need is dropped. Spans change what lies on disk, never what is computed: batches
were fixed before spans are cut (law 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from auricle.data.clips import Window
from auricle.errors import OutputError
from auricle.features.batches import Batch, BatchPlan


@dataclass(frozen=True, slots=True)
class Span:
    """Units ``first`` to ``stop - 1`` and the batches that they need."""

    first: int
    stop: int
    batches: tuple[Batch, ...]


def cut_spans(
    units: Iterable[Iterable[Window]],
    plan: BatchPlan,
    *,
    cost: Callable[[Batch], float],
    budget: float | None,
) -> Iterator[Span]:
    """Cut units of work into spans.

    Args:
        units: The windows of each unit, planned, in the order of the work.
        plan: Where the windows lie.
        cost: Bytes that a batch takes on disk.
        budget: Bytes at a time; None = everything is one span.

    Raises:
        OutputError: One unit alone needs more than the budget.
    """
    needed: dict[str, Batch] = {}
    total, first, stop = 0.0, 0, 0
    for number, windows in enumerate(units):
        stop = number + 1
        unit = {batch.hash: batch for batch in _batches(windows, plan)}
        fresh = sum(cost(batch) for key, batch in unit.items() if key not in needed)
        if budget is not None and total + fresh > budget:
            if number > first:
                yield Span(first, number, tuple(needed.values()))
            needed, first, total = {}, number, 0.0
            fresh = sum(cost(batch) for batch in unit.values())
            if fresh > budget:
                raise OutputError(
                    f"The disk budget for features is {budget / 2**20:.0f} MiB, but one block of "
                    f"work needs {fresh / 2**20:.0f} MiB at a time. Give a larger --disk-budget, "
                    "or a smaller --encode-budget for smaller batches."
                )
        needed |= unit
        total += fresh
    if stop > first:
        yield Span(first, stop, tuple(needed.values()))


def _batches(windows: Iterable[Window], plan: BatchPlan) -> Iterator[Batch]:
    for window in windows:
        yield plan.places[window][0]
