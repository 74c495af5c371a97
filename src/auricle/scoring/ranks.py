"""Ranks as the challenge defines them, with bands that say which places are sure.

Overall is half public mean, half hidden mean. Rows are ordered by the unrounded overall, computed
exactly from the scores as they were written; equal only if unrounded values are, and then they
share the better place (1, 2, 2, 4). A row that lacks a task has no rank (law 7).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from auricle.errors import ScoringError
from auricle.scoring.tracks import mean_bounds

Number = float | Fraction


@dataclass(frozen=True, slots=True)
class TaskValue:
    """One row's score on one task."""

    score: Number | None
    """0 to 1; None where it is missing."""
    low: float | None = None
    high: float | None = None
    """Its 95 % interval, where one is known."""
    centre: float | None = None
    """What the interval was built around, where it is not the score."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row to be ranked."""

    team: str
    values: Mapping[str, TaskValue]
    """By task; a task that is not there is missing."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its interval, where one is known."""

    value: float | None
    low: float | None = None
    high: float | None = None
    exact: Fraction | None = None
    """Unrounded."""


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A row in its place."""

    team: str
    public: Mean
    hidden: Mean
    overall: Mean
    rank: int | None
    band: tuple[int, int] | None
    """Best and worst place that the intervals leave open; None where one is unknown."""
    missing: tuple[str, ...] = field(default=())
    """Tasks without a score, which cost the row its rank."""


def rank_rows(
    rows: Sequence[Contestant], *, public: Sequence[str], hidden: Sequence[str]
) -> list[RankedRow]:
    """Rank rows over the same tasks.

    Args:
        rows: One per team.
        public: Names of the public tasks.
        hidden: Names of the hidden tasks; without any, overall is the public mean, and without
            public ones the hidden mean.

    Returns:
        The rows in rank order, rows without a rank behind them by name.

    Raises:
        ScoringError: A team stands there twice.
    """
    teams = [row.team for row in rows]
    twice = sorted({team for team in teams if teams.count(team) > 1})
    if twice:
        raise ScoringError(
            f"These teams have more than one row: {', '.join(twice)}. Each team needs exactly one."
        )
    means = {row.team: _means(row, public, hidden) for row in rows}
    ranked = [row.team for row in rows if means[row.team][2].exact is not None]
    overall = {team: means[team][2] for team in ranked}
    found = []
    for row in rows:
        missing = tuple(
            task
            for task in (*public, *hidden)
            if row.values.get(task, TaskValue(None)).score is None
        )
        own = overall.get(row.team)
        place = 1 + sum(_above(other, own) for other in overall.values()) if own else None
        band = _band(row.team, overall) if own else None
        found.append(RankedRow(row.team, *means[row.team], place, band, missing))
    return sorted(found, key=lambda row: (row.rank is None, row.rank or 0, row.team.lower()))


def _means(
    row: Contestant, public: Sequence[str], hidden: Sequence[str]
) -> tuple[Mean, Mean, Mean]:
    parts = [
        _mean([row.values.get(task, TaskValue(None)) for task in tasks])
        for tasks in (public, hidden)
    ]
    whole = [part for part, tasks in zip(parts, (public, hidden), strict=True) if tasks]
    overall = _mean([TaskValue(m.exact, m.low, m.high) for m in whole])
    return parts[0], parts[1], overall


def _mean(values: Sequence[TaskValue]) -> Mean:
    scores = [exact(value.score) for value in values if value.score is not None]
    if not values or len(scores) < len(values):
        return Mean(None)
    mean = sum(scores, Fraction(0)) / len(scores)
    sides = []
    for value, score in zip(values, scores, strict=True):
        if value.low is None or value.high is None:
            return Mean(float(mean), exact=mean)
        centre = float(score) if value.centre is None else value.centre
        sides.append((min(max(centre, value.low), value.high), value.low, value.high))
    return Mean(float(mean), *mean_bounds(sides), mean)


def exact(value: Number) -> Fraction:
    """A score as it was written: 0.1 is one tenth, not its nearest binary number."""
    return value if isinstance(value, Fraction) else Fraction(repr(float(value)))


def _above(one: Mean, other: Mean) -> bool:
    assert one.exact is not None and other.exact is not None
    return one.exact > other.exact


def _band(team: str, overall: Mapping[str, Mean]) -> tuple[int, int] | None:
    """Places left open by the rows that can be told from this one."""
    if any(mean.low is None or mean.high is None for mean in overall.values()):
        return None
    own = overall[team]
    others = [mean for name, mean in overall.items() if name != team]
    better = sum(told_apart(other, own) for other in others)
    worse = sum(told_apart(own, other) for other in others)
    return 1 + better, len(overall) - worse


def told_apart(upper: Mean, lower: Mean) -> bool:
    """Whether the 95 % interval of the difference of two means lies above zero.

    The two are taken as independent. On the same clips they are not, which makes real differences
    easier to see than this says: bands err on the wide side.
    """
    if None in (upper.value, upper.low, lower.value, lower.high):
        return False
    assert upper.value is not None and upper.low is not None
    assert lower.value is not None and lower.high is not None
    reach = math.hypot(upper.value - upper.low, lower.high - lower.value)
    return upper.value - lower.value > reach
