"""Numbers, table cells and small graphics as HTML, without scripts and without images.

Cells are put together here rather than in templates because a table has a thousand of them: every
byte counts. Only numbers and fixed words are joined bare; any text goes through `Markup.format`,
which escapes it.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auricle.board.model import Cell
from auricle.records.scores import Estimate

TINTS = 7
DOT = 10
WIDTH = 640
"""Of the distribution's axis, in units of the drawing; a column of dots is `DOT` of them wide."""

MISSING = Markup('–<span class="sr"> missing</span>')


@dataclass(frozen=True, slots=True)
class Axis:
    """The stretch of scores that a graphic shows."""

    low: float = 0.0
    high: float = 1.0

    def percent(self, value: float) -> str:
        """Where a score lies on the axis, in per cent, as short as it can be written."""
        share = (value - self.low) / (self.high - self.low)
        return f"{min(100.0, max(0.0, 100 * share)):.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Field:
    """How the scores of all entries on one task spread."""

    lowest: float
    quarter: float
    median: float
    three_quarters: float
    highest: float
    count: int

    @property
    def floor(self) -> float:
        """Where tints begin: far outliers below (Tukey's fence) would take all of the range."""
        fence = self.quarter - 1.5 * (self.three_quarters - self.quarter)
        return max(self.lowest, fence)

    @classmethod
    def of(cls, scores: Sequence[float]) -> Field | None:
        """The spread of some scores; None where there are none."""
        if not scores:
            return None
        first, median, third = _quartiles(sorted(scores))
        return cls(min(scores), first, median, third, max(scores), len(scores))


def _quartiles(ordered: Sequence[float]) -> tuple[float, float, float]:
    if len(ordered) == 1:
        return ordered[0], ordered[0], ordered[0]
    first, median, third = statistics.quantiles(ordered, n=4, method="inclusive")
    return first, median, third


def four(value: float | None) -> str:
    """A mean, to four digits."""
    return "–" if value is None else f"{value:.4f}"


def short(value: float) -> str:
    """A number without needless zeros."""
    return f"{value:.4g}"


def thousands(value: float) -> str:
    """A count with thousands separated."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def band_text(band: tuple[int, int]) -> str:
    """A range of ranks."""
    return str(band[0]) if band[0] == band[1] else f"{band[0]}–{band[1]}"


def axis_around(values: Iterable[Estimate]) -> Axis:
    """An axis in whole tenths that holds all means and their intervals."""
    known = [
        bound
        for value in values
        for bound in (value.value, value.low, value.high)
        if bound is not None
    ]
    if not known:
        return Axis()
    low = max(0.0, math.floor(min(known) * 10 - 0.2) / 10)
    high = min(1.0, math.ceil(max(known) * 10 + 0.2) / 10)
    return Axis(low, high)


def score_cell(cell: Cell | None, field: Field | None) -> Markup:
    """A task's cell in the big table, tinted by its place between the column's extremes."""
    if cell is None or cell.score is None:
        reason = cell.missing if cell is not None else ""
        if not reason:
            return Markup('<td class="m">{}').format(MISSING)
        return Markup('<td class="m" title="{}">{}').format(reason, MISSING)
    names = []
    if field is not None and field.highest > field.floor:
        share = (cell.score - field.floor) / (field.highest - field.floor)
        tint = min(TINTS, int(max(0.0, share) ** 2 * (TINTS + 1)))  # squared: the top is crowded
        names += [f"h{tint}"] if tint else []
        names += ["best"] if cell.score == field.highest else []
    attribute = f' class="{" ".join(names)}"' if names else ""
    return Markup(f"<td{attribute}{_exact(cell.score, 3)}>{cell.score:.3f}")  # noqa: S704 numbers


def mean_cell(value: Estimate, *, strong: bool = False) -> Markup:
    """A mean's cell."""
    if value.value is None:
        return Markup('<td class="m">{}').format(MISSING)
    names = "s o" if strong else "s"
    return Markup(f'<td class="{names}"{_exact(value.value, 4)}>{value.value:.4f}')  # noqa: S704 numbers


def interval_cell(value: Estimate, axis: Axis) -> Markup:
    """A dot with a whisker; without an interval, the dot alone."""
    if value.value is None:
        return Markup('<td class="m">{}').format(MISSING)
    style = f"--v:{axis.percent(value.value)}"
    text = "no interval"
    if value.low is not None and value.high is not None:
        style = f"--l:{axis.percent(value.low)};--h:{axis.percent(value.high)};{style}"
        text = f"{value.low:.4f} to {value.high:.4f}"
    else:
        style = f"--l:0;--h:0;{style}"
    return Markup(  # noqa: S704 numbers
        f'<td data-v="{value.value:.6g}" title="{text}"><i class="d" style="{style}"></i>'
        f'<span class="sr">{text}</span>'
    )


def _exact(value: float, digits: int) -> str:
    """The attribute that sorting reads where the text is rounded."""
    exact = f"{value:.6g}"
    return "" if float(exact) == float(f"{value:.{digits}f}") else f" data-v={exact}"


def spread(field: Field) -> str:
    """A column's spread as CSS properties."""
    parts = (field.lowest, field.highest, field.quarter, field.three_quarters, field.median)
    return _properties(dict(zip("abpqm", parts, strict=True)))


def bullet(cell: Cell) -> str:
    """A score with its interval as CSS properties; empty where it is missing."""
    bounds = {"l": cell.low, "h": cell.high} if cell.low is not None else {}
    return _properties({"v": cell.score, **bounds}) if cell.score is not None else ""


def _properties(values: Mapping[str, float | None]) -> str:
    axis = Axis()
    return ";".join(f"--{k}:{axis.percent(v)}" for k, v in values.items() if v is not None)


def distribution(
    series: Sequence[tuple[str, Sequence[float]]], *, chance: float | None, label: str
) -> Markup:
    """All entries' scores as stacked dots along one axis from 0 to 1.

    Args:
        series: Class of the dots, ``dots``, ``base`` or ``own``, with its scores.
        chance: Drawn as a dashed line.
        label: The graphic in words.
    """
    taken: Counter[int] = Counter()
    placed: dict[str, list[tuple[int, int]]] = {}
    marked = sorted((score, name) for name, scores in series for score in scores)
    for score, name in marked:
        place = round(score * WIDTH / DOT)
        placed.setdefault(name, []).append((place * DOT, taken[place]))
        taken[place] += 1
    floor = max(3, *taken.values(), 0) * DOT + 6 if taken else 3 * DOT
    paths = Markup("").join(
        Markup('<path class="{}" d="{}"/>').format(
            name, "".join(f"M{x} {floor - 6 - DOT * height}h0" for x, height in dots)
        )
        for name, dots in placed.items()
    )
    line = Markup("")
    if chance is not None:
        line = Markup('<path class="ch" d="M{} 0V{}"/>').format(round(chance * WIDTH), floor)
    return Markup(
        '<figure><svg viewBox="-8 -4 {} {}" role="img" aria-label="{}">'
        '<path class="ax" d="M0 {}H{}"/>{}{}</svg><div class="axis" aria-hidden="true">'
        "<i>0</i><i>.25</i><i>.5</i><i>.75</i><i>1</i></div></figure>"
    ).format(WIDTH + 16, floor + 6, label, floor, WIDTH, line, paths)
