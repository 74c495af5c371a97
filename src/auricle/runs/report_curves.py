"""Geometry of the report's curves, in per cent of the plot, so that templates only write it out.

Long curves are cut into stretches with their mean and the band of the middle 80 %: 70,000 steps
would be 2 MB of points and show nothing more. A stretch holds whole blocks of draws, because inside
a block draws are sorted by length and the loss swings with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MOST_STRETCHES = 200
_LOSSES_A_STRETCH = 4
_BINS = 10


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    place: float
    """Per cent, from the left or from the top."""
    label: str


@dataclass(frozen=True, slots=True)
class LossCurve:
    """A training's loss, x to the right and y downwards, both 0 to 100."""

    line: str
    """SVG path of the means."""
    band: str
    """SVG path of the middle 80 %."""
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    last_place: float
    """Where the curve ends, per cent from the top."""
    first: float
    """Mean loss of the first stretch."""
    last: float
    """Mean loss of the last stretch."""
    steps: int


def loss_curve(losses: Sequence[tuple[int, float]], *, period: int = 1) -> LossCurve | None:
    """Smooth and scale a loss curve; None with fewer than two losses.

    Args:
        losses: Step and loss, in order.
        period: Steps of one sorted block of draws.
    """
    if len(losses) < 2:
        return None
    steps = np.array([step for step, _ in losses], np.float64)
    values = np.array([loss for _, loss in losses], np.float64)
    cuts = _stretches(len(losses), period)
    means = np.array([values[cut].mean() for cut in cuts])
    low = np.array([np.quantile(values[cut], 0.1) for cut in cuts])
    high = np.array([np.quantile(values[cut], 0.9) for cut in cuts])
    centres = np.array([steps[cut].mean() for cut in cuts])
    y_values = ticks_to(float(high.max()) or 1.0)
    top = y_values[-1]
    first, last = float(steps[0]), float(steps[-1])
    last += first == 0  # steps are counted from 0 or from 1; the axis ends at their number
    span = max(last - first, 1.0)
    x = (centres - first) / span * 100
    x[0], x[-1] = 0.0, 100.0

    def y(numbers: np.ndarray) -> np.ndarray:
        return 100 - np.clip(numbers / top, 0, 1) * 100

    upper = _points(x, y(high))
    lower = _points(x[::-1], y(low)[::-1])
    return LossCurve(
        line="M" + "L".join(_points(x, y(means))),
        band="M" + "L".join([*upper, *lower]) + "Z",
        x_ticks=[
            Tick((value - first) / span * 100, f"{value:,.0f}")
            for value in ticks_to(last, most=6)
            if first <= value <= last
        ],
        y_ticks=[Tick(100 - value / top * 100, f"{value:g}") for value in y_values],
        last_place=float(y(means[-1:])[0]),
        first=float(means[0]),
        last=float(means[-1]),
        steps=int(last),
    )


def _stretches(count: int, period: int) -> list[np.ndarray]:
    """Indices of losses, cut into stretches of whole periods; at least two stretches."""
    size = max(_LOSSES_A_STRETCH, math.ceil(count / _MOST_STRETCHES))
    size = math.ceil(size / period) * period
    if count < 2 * size:
        return np.array_split(np.arange(count), 2)
    # What is left at the end joins the last whole stretch.
    return np.split(np.arange(count), range(size, count - size + 1, size))


def _points(x: np.ndarray, y: np.ndarray) -> list[str]:
    return [f"{a:.2f} {b:.2f}" for a, b in zip(x, y, strict=True)]


def ticks_to(top: float, *, most: int = 5) -> list[float]:
    """Round numbers from 0 to at least ``top``: multiples of 1, 2 or 5 times a power of ten."""
    rough = max(top, 1e-9) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    count = math.ceil(top / step - 1e-9)
    return [round(i * step, 12) for i in range(count + 1)]


@dataclass(frozen=True, slots=True)
class Bin:
    """A column of a histogram."""

    low: float
    high: float
    count: int
    height: float
    """Per cent of the highest column."""


def histogram(values: Sequence[float]) -> list[Bin]:
    """Clips by value in tenths; perfect ones stand in the last column, values below 0 in the first.

    Args:
        values: One a clip, at most 1.
    """
    clipped = np.clip(np.asarray(values, np.float64), 0, 1)
    counts = np.bincount(np.minimum((clipped * _BINS).astype(int), _BINS - 1), minlength=_BINS)
    highest = max(int(counts.max()), 1)
    return [
        Bin(i / _BINS, (i + 1) / _BINS, int(count), int(count) / highest * 100)
        for i, count in enumerate(counts)
    ]
