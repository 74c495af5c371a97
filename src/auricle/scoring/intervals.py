"""95 % intervals of task scores, over clips: what would change with another test set like this one.

A clip is the unit of sampling, also where several references make it several samples. Proportions
take Wilson's interval, other ratios of sums a bootstrap over clips, mAP the bias-corrected normal
form, because its percentile bootstrap undercovers (docs/metrics.md has the measurements).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.metrics.classification import average_precisions
from auricle.metrics.tally import LabelTally, RatioTally, Tally
from auricle.seeding import generator

Z = 1.959963984540054
RESAMPLES = 2000
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval on the scale of the score."""

    low: float
    high: float
    centre: float
    """The estimate it was built around: the score, or the score less its bootstrap bias."""
    method: str
    note: str | None = None
    """What a reader must know to trust it, e.g. a measured undercoverage."""

    def clipped(self) -> Interval:
        """The same within [0, 1]."""
        low, high = (min(1.0, max(0.0, x)) for x in (self.low, self.high))
        return Interval(low, high, self.centre, self.method, self.note)

    def to_json(self) -> dict[str, Any]:
        """What is stored beside low and high."""
        return {"method": self.method, "centre": self.centre, "note": self.note}


def interval_of(tally: Tally, stream: str) -> Interval | None:
    """The interval of a metric from its counts per clip.

    Args:
        tally: Left behind by the metric.
        stream: Name of the random stream; equal names give equal intervals.

    Returns:
        The interval, unclipped; None where one clip, or none with a reference, says nothing.
    """
    if isinstance(tally, LabelTally):
        return _map_interval(tally, stream)
    if tally.binary:
        return _proportion_interval(tally)
    return _ratio_interval(tally, stream)


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (1927)."""
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return centre - half, centre + half


def _proportion_interval(tally: RatioTally) -> Interval | None:
    total = float(tally.denominator.sum())
    p = float(tally.numerator.sum()) / total
    n = total
    method = "Wilson"
    if tally.denominator.max() > 1:
        method = "Wilson, clustered by clip"
        n = _effective_size(tally, p)
    note = None
    if n * p * (1 - p) < 5:
        note = "fewer than 5 right or wrong answers are expected: covers about 92 % at worst"
    low, high = wilson(p, n)
    return Interval(low, high, p, method, note)


def _effective_size(tally: RatioTally, p: float) -> float:
    """Samples that would say as much if they were independent (Kish's design effect)."""
    clips = len(tally.numerator)
    error = linearised_error(tally)
    if error == 0:
        return float(clips)
    return min(float(tally.denominator.sum()), max(p * (1 - p) / error**2, 1.0))


def linearised_error(tally: RatioTally) -> float:
    """Standard error of a ratio of sums over clips (Taylor linearisation; Cochran, 1977)."""
    total, clips = float(tally.denominator.sum()), len(tally.numerator)
    if clips < 2 or total == 0:
        return 0.0
    ratio = float(tally.numerator.sum()) / total
    residual = tally.numerator - ratio * tally.denominator
    return math.sqrt(float(np.dot(residual, residual)) * clips / (clips - 1)) / total


def _ratio_interval(tally: RatioTally, stream: str) -> Interval | None:
    total = float(tally.denominator.sum())
    if len(tally.numerator) < 2 or total == 0:
        return None
    estimate = float(tally.numerator.sum()) / total
    replicates = bootstrap_ratios(tally, stream)
    low, high = np.quantile(replicates, [0.025, 0.975])
    note = None
    if low == high:
        note = "all clips agree: their spread cannot be seen"
    return Interval(float(low), float(high), estimate, "bootstrap over clips", note)


def bootstrap_ratios(tally: RatioTally, stream: str) -> NDArray[np.float64]:
    """The ratio on clips drawn with replacement, float64 ``[RESAMPLES]``."""
    clips = len(tally.numerator)
    rng = generator("scoring", "interval", stream, clips)
    step = max(1, _CELLS_AT_ONCE // clips)
    values = np.empty(RESAMPLES)
    for first in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - first)
        index = rng.integers(0, clips, size=(rows, clips), dtype=np.int32)
        bottom = tally.denominator[index].sum(axis=1)
        top = tally.numerator[index].sum(axis=1)
        values[first : first + rows] = top / np.where(bottom > 0, bottom, 1.0)
    return values


def _map_interval(tally: LabelTally, stream: str) -> Interval | None:
    if tally.num_clips < 2:
        return None
    estimate = float(map_replicates(tally, np.ones((1, tally.num_clips)))[0])
    replicates = bootstrap_map(tally, stream)
    bias, error = float(replicates.mean()) - estimate, float(replicates.std(ddof=1))
    centre = estimate - bias
    return Interval(
        centre - Z * error,
        centre + Z * error,
        centre,
        "bootstrap over clips, bias-corrected normal",
    )


def bootstrap_map(tally: LabelTally, stream: str) -> NDArray[np.float64]:
    """The mAP on clips drawn with replacement, float64 ``[RESAMPLES]``."""
    clips = tally.num_clips
    rng = generator("scoring", "interval", stream, clips)
    step = max(1, _CELLS_AT_ONCE // clips)
    values = []
    for first in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - first)
        index = rng.integers(0, clips, size=(rows, clips), dtype=np.int32)
        index += (np.arange(rows, dtype=np.int32) * clips)[:, None]
        counts = np.bincount(index.ravel(), minlength=rows * clips).reshape(rows, clips)
        values.append(map_replicates(tally, counts.astype(np.float64)))
    return np.concatenate(values)


def map_replicates(tally: LabelTally, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mAP where each clip counts several times.

    Args:
        tally: The labels.
        counts: How often each clip was drawn, float64 ``[rows, num_clips]``.

    Returns:
        float64 ``[rows]``.
    """
    from scipy import sparse

    shape = (len(tally.clip_of_sample), max(len(tally.labels), 1))

    def indicator(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Any:
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)

    targets = indicator(tally.target_rows, tally.target_columns)
    answers = indicator(tally.answer_rows, tally.answer_columns)
    weights = counts[:, tally.clip_of_sample].T
    positives, answered, hits = (
        np.asarray(matrix.T @ weights).T for matrix in (targets, answers, targets.multiply(answers))
    )
    total = weights.sum(axis=0)[:, None]
    values = average_precisions(positives, answered, hits, total)
    result: NDArray[np.float64] = values.sum(axis=1) / tally.num_classes
    return result
