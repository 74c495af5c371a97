"""Can a task, above all a hidden one, still tell encoders apart?

Ceiling and floor count rows where nothing is left to measure; separation says how far rows lie
apart beside their intervals; agreement is Spearman's rank correlation (1904) with the public mean,
which a task that measures the same skill should have, and a task that adds something need not.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auricle.records.scores import Estimate
from auricle.scoring.ranks import told_apart

CEILING = 0.98
CROWDED = 0.5
_FLOOR = 0.02


@dataclass(frozen=True, slots=True)
class TaskHealth:
    """How well one task separates the rows of a table."""

    task: str
    rows: int
    """With a score."""
    mean: float | None
    spread: float | None
    """Standard deviation over rows."""
    at_ceiling: float | None
    """Share of rows at .98 or above."""
    at_floor: float | None
    """Share of rows no more than .02 above chance, or above 0 where chance is unknown."""
    tied: float | None
    """Share of pairs of rows with exactly equal scores."""
    told_apart: float | None
    """Share of pairs of rows whose intervals tell them apart; None where one is unknown."""
    agreement: float | None
    """Rank correlation with the public mean of the other tasks."""
    verdict: str
    """In words: ``separates``, or what stands in the way."""


def task_health(
    task: str,
    values: Mapping[str, Estimate],
    public_means: Mapping[str, float],
    *,
    chance: float | None = None,
) -> TaskHealth:
    """Judge one task.

    Args:
        task: Its name.
        values: By team.
        public_means: By team; for a public task leave its own score out of them.
        chance: What needs no hearing would score.
    """
    known = {team: value for team, value in values.items() if value.value is not None}
    scores = {team: float(value.value) for team, value in known.items() if value.value is not None}
    if len(scores) < 2:
        return TaskHealth(
            task, len(scores), None, None, None, None, None, None, None, "too few rows"
        )
    floor = (chance or 0.0) + _FLOOR
    at_ceiling = sum(score >= CEILING for score in scores.values()) / len(scores)
    at_floor = sum(score <= floor for score in scores.values()) / len(scores)
    shared = [team for team in scores if team in public_means]
    agreement = spearman([scores[team] for team in shared], [public_means[team] for team in shared])
    ordered = list(scores.values())
    pairs = len(ordered) * (len(ordered) - 1) / 2
    ties = sum(n * (n - 1) / 2 for n in (ordered.count(value) for value in set(ordered)))
    return TaskHealth(
        task,
        len(scores),
        statistics.fmean(ordered),
        statistics.stdev(ordered),
        at_ceiling,
        at_floor,
        ties / pairs,
        _share_told_apart(list(known.values())),
        agreement,
        _verdict(at_ceiling, at_floor, agreement),
    )


def _verdict(at_ceiling: float, at_floor: float, agreement: float | None) -> str:
    problems = []
    if at_ceiling >= CROWDED:
        problems.append("at its ceiling")
    if at_floor >= CROWDED:
        problems.append("at its floor")
    if agreement is not None and agreement < 0:
        problems.append("runs against the public tasks")
    return ", ".join(problems) or "separates"


def _share_told_apart(values: Sequence[Estimate]) -> float | None:
    if any(value.bounds is None for value in values):
        return None
    ordered = sorted(values, key=lambda value: value.value or 0.0)
    told = [told_apart(upper, lower) for i, upper in enumerate(ordered) for lower in ordered[:i]]
    return sum(told) / len(told)


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Rank correlation, ties sharing their mean rank; None where one side does not vary."""
    if len(left) < 3:
        return None
    one, other = _mean_ranks(left), _mean_ranks(right)
    centre = (len(left) + 1) / 2
    product = math.fsum((a - centre) * (b - centre) for a, b in zip(one, other, strict=True))
    sizes = [math.fsum((a - centre) ** 2 for a in ranks) for ranks in (one, other)]
    return product / math.sqrt(sizes[0] * sizes[1]) if all(sizes) else None


def _mean_ranks(values: Sequence[float]) -> list[float]:
    below = [sum(other < value for other in values) for value in values]
    equal = [sum(other == value for other in values) for value in values]
    return [less + (same + 1) / 2 for less, same in zip(below, equal, strict=True)]
