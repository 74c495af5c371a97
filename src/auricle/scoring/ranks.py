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
from auricle.records.scores import Estimate
from auricle.scoring.tracks import mean_bounds


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row to be ranked."""

    team: str
    values: Mapping[str, Estimate]
    """By task; a task that is not there is missing."""


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A row in its place."""

    team: str
    public: Estimate
    hidden: Estimate
    overall: Estimate
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
            task for task in (*public, *hidden) if row.values.get(task, Estimate()).value is None
        )
        own = overall.get(row.team)
        place = 1 + sum(_above(other, own) for other in overall.values()) if own else None
        band = _band(row.team, overall) if own else None
        found.append(RankedRow(row.team, *means[row.team], place, band, missing))
    return sorted(found, key=lambda row: (row.rank is None, row.rank or 0, row.team.lower()))


def _means(
    row: Contestant, public: Sequence[str], hidden: Sequence[str]
) -> tuple[Estimate, Estimate, Estimate]:
    parts = [
        _mean([row.values.get(task, Estimate()) for task in tasks]) for tasks in (public, hidden)
    ]
    whole = [part for part, tasks in zip(parts, (public, hidden), strict=True) if tasks]
    return parts[0], parts[1], _mean(whole)


def _mean(values: Sequence[Estimate]) -> Estimate:
    scores = [score for value in values if (score := exact(value)) is not None]
    if not values or len(scores) < len(values):
        return Estimate()
    mean = sum(scores, Fraction(0)) / len(scores)
    sides = [value.bounds for value in values if value.bounds is not None]
    if len(sides) < len(values):
        return Estimate(float(mean), exact=mean)
    low, high = mean_bounds(sides)
    return Estimate(float(mean), low, high, exact=mean)


def exact(value: Estimate) -> Fraction | None:
    """A score as it was written: 0.1 is one tenth, not its nearest binary number."""
    if value.exact is not None or value.value is None:
        return value.exact
    return Fraction(repr(float(value.value)))


def _above(one: Estimate, other: Estimate) -> bool:
    assert one.exact is not None and other.exact is not None
    return one.exact > other.exact


def _band(team: str, overall: Mapping[str, Estimate]) -> tuple[int, int] | None:
    """Places left open by the rows that can be told from this one."""
    if any(mean.low is None or mean.high is None for mean in overall.values()):
        return None
    own = overall[team]
    others = [mean for name, mean in overall.items() if name != team]
    better = sum(told_apart(other, own) for other in others)
    worse = sum(told_apart(own, other) for other in others)
    return 1 + better, len(overall) - worse


def told_apart(upper: Estimate, lower: Estimate) -> bool:
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
