"""A task's chance and health, from the board's own numbers through `auricle.scoring.health`."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from auricle.board.model import Column, Row, Table
from auricle.scoring.health import CEILING, TaskHealth, task_health


@dataclass(frozen=True, slots=True)
class Chance:
    """The floor under a task's scores."""

    score: float
    source: str
    """Where the number comes from."""


def chance_of_column(table: Table, column: Column) -> Chance | None:
    """A task's chance: as measured on its test labels by a run, else what guessing would give.

    None where neither is known.
    """
    cells = (row.cells[column.name] for row in table.rows)
    measured = [cell.chance for cell in cells if cell.chance is not None]
    if measured:
        return Chance(max(measured), "best constant answer on the test labels")
    if column.metric == "accuracy" and column.num_classes:
        return Chance(1 / column.num_classes, f"a guess among {column.num_classes} classes")
    return None


def describe(table: Table, column: Column, chance: Chance | None) -> Iterator[tuple[str, str]]:
    """A task's health as pairs of a name and a text."""
    health = health_of(table, column, chance)
    yield "Verdict", health.verdict
    yield "Entries", f"{health.rows} of {len(table.rows)} have a score"
    if health.mean is not None and health.spread is not None:
        yield "Mean", f"{health.mean:.3f}, standard deviation {health.spread:.3f}"
    if health.at_ceiling is not None and health.at_floor is not None:
        floor = "0.02 above chance" if chance else "0.02"
        yield "Ceiling", f"{health.at_ceiling:.0%} of entries at {CEILING} or above"
        yield "Floor", f"{health.at_floor:.0%} of entries at {floor} or below"
    if health.told_apart is not None:
        yield "Separation", f"{health.told_apart:.0%} of pairs are told apart by their intervals"
    if health.agreement is not None:
        words = "rank correlation with the mean of the other public tasks"
        yield "Agreement", f"{health.agreement:.2f} {words}"


def health_of(table: Table, column: Column, chance: Chance | None) -> TaskHealth:
    """How well a task separates the rows of a table."""
    cells = {row.entry.slug: row.cells[column.name] for row in table.rows}
    others = [c.name for c in table.columns if not c.hidden and c.name != column.name]
    means = {row.entry.slug: _mean_over(row, others) for row in table.rows}
    return task_health(
        column.name,
        {slug: cell.estimate for slug, cell in cells.items()},
        {slug: mean for slug, mean in means.items() if mean is not None},
        chance=chance.score if chance else None,
    )


def _mean_over(row: Row, tasks: list[str]) -> float | None:
    scores = [row.cells[task].score for task in tasks]
    known = [score for score in scores if score is not None]
    return statistics.fmean(known) if known and len(known) == len(scores) else None
