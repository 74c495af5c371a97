"""95 % intervals of task scores, over clips: what would change with another test set like this one.

A clip is the unit of sampling, also where several references make it several samples. Proportions
take Wilson's interval, other ratios of sums a studentised bootstrap over clips, mAP the
bias-corrected normal form, because its percentile bootstrap undercovers (docs/metrics.md has the
measurements).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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
# Where over a quarter of the classes have fewer samples, mAP's interval covers less than it says
# (docs/metrics.md has the measurements).
_FEW_POSITIVES = 10
# Where fewer clips differ from the others, the bootstrap covered 60 to 92 % (docs/metrics.md).
FEW_CLIPS = 10


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
    # Exactly, where rounding would leave the proportion itself out.
    return (0.0 if p <= 0 else centre - half), (1.0 if p >= 1 else centre + half)


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
        note = "n p (1 - p) is under 5: covers 96 % on average, but 84 % at worst"
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
    clips, total = len(tally.numerator), float(tally.denominator.sum())
    if clips < 2 or total == 0:
        return None
    estimate = float(tally.numerator.sum()) / total
    if linearised_error(tally) <= 1e-12 * max(1.0, abs(estimate)):
        return _without_spread(estimate, clips)
    found = studentised_interval(tally, stream)
    if clips_that_differ(tally, estimate) >= FEW_CLIPS:
        return found
    # A resample without the clips that differ shows no spread at all, so resampling knows too
    # little; clips that are wholly right or wrong spread as much as a score in [0, 1] can.
    alike = total * total / float(np.dot(tally.denominator, tally.denominator))
    low, high = wilson(min(1.0, max(0.0, estimate)), alike)
    return Interval(
        min(found.low, low),
        max(found.high, high),
        estimate,
        "bootstrap-t and Wilson over clips",
        f"under {FEW_CLIPS} clips differ from the others: widened to what clips that are wholly "
        "right or wrong would give",
    )


def clips_that_differ(tally: RatioTally, estimate: float) -> float:
    """How many clips differ from the others, as if each were one of two kinds; at most half.

    With k of n clips of one kind, ``(sum |r|)^2 / sum r^2`` of the residuals is 4 k (1 - k / n).
    """
    clips = len(tally.numerator)
    residual = tally.numerator - estimate * tally.denominator
    spread = np.abs(residual).sum() ** 2 / np.dot(residual, residual)
    return clips / 2 * (1 - math.sqrt(max(0.0, 1 - float(spread) / clips)))


def studentised_interval(tally: RatioTally, stream: str) -> Interval:
    """Studentised bootstrap over clips (Efron, 1979; "bootstrap-t"), where clips differ.

    Each resampled ratio is measured in its own standard error, which follows the skew that a few
    hopeless clips give; the percentile bootstrap covered 87 % where this covered 92 %.
    """
    clips, total = len(tally.numerator), float(tally.denominator.sum())
    estimate, error = float(tally.numerator.sum()) / total, linearised_error(tally)
    ratios, errors = bootstrap_ratios(tally, stream)
    usable = errors > 1e-3 * error
    if usable.sum() < RESAMPLES / 2:
        return Interval(
            estimate - Z * error, estimate + Z * error, estimate, "normal", "too few clips to trust"
        )
    steps = (ratios[usable] - estimate) / errors[usable]
    down, up = np.quantile(steps, [0.975, 0.025])
    note = "under 200 clips: covers about 90 % where few clips hold most errors"
    return Interval(
        estimate - float(down) * error,
        estimate - float(up) * error,
        estimate,
        "bootstrap-t over clips",
        note if clips < 200 else None,
    )


def _without_spread(estimate: float, clips: int) -> Interval:
    """Where all clips agree, each is taken as wholly right or wrong, which cannot be too narrow."""
    low, high = wilson(min(1.0, max(0.0, estimate)), clips)
    note = "all clips agree, so their spread cannot be seen"
    return Interval(low, high, estimate, "Wilson over clips", note)


def bootstrap_ratios(
    tally: RatioTally, stream: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ratio, and its linearised standard error, on clips drawn with replacement.

    Returns:
        Two of float64 ``[RESAMPLES]``.
    """
    clips = len(tally.numerator)
    top, bottom = tally.numerator, tally.denominator
    # Centred, the squares below lose no digits.
    residual = top - (top.sum() / bottom.sum()) * bottom
    moments = np.stack(
        [residual, bottom, residual * residual, residual * bottom, bottom * bottom], axis=1
    )
    sums = np.concatenate([counts @ moments for counts in resampled_counts(clips, stream)])
    first, size, square, cross, size_square = sums.T
    size = np.where(size > 0, size, 1.0)
    shift = first / size
    spread = np.maximum(square - 2 * shift * cross + shift * shift * size_square, 0)
    errors = np.sqrt(spread * clips / (clips - 1)) / size
    return top.sum() / bottom.sum() + shift, errors


def resampled_counts(clips: int, stream: str) -> Iterator[NDArray[np.float64]]:
    """How often each clip is drawn in each resample, float64 ``[rows, clips]``, in blocks."""
    rng = generator("scoring", "interval", stream, clips)
    step = max(1, _CELLS_AT_ONCE // clips)
    for first in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - first)
        index = rng.integers(0, clips, size=(rows, clips), dtype=np.int32)
        index += (np.arange(rows, dtype=np.int32) * clips)[:, None]
        counts = np.bincount(index.ravel(), minlength=rows * clips)
        yield counts.reshape(rows, clips).astype(np.float64)


def _map_interval(tally: LabelTally, stream: str) -> Interval | None:
    """Estimate less bootstrap bias, plus or minus 1.96 bootstrap standard errors."""
    clips = tally.num_clips
    if clips < 2:
        return None
    values = map_replicator(tally)
    estimate = float(values(np.ones((1, clips)))[0])
    replicates = np.concatenate([values(counts) for counts in resampled_counts(clips, stream)])
    bias, error = float(replicates.mean()) - estimate, float(replicates.std(ddof=1))
    centre = estimate - bias
    positives = np.bincount(tally.target_columns, minlength=len(tally.labels))
    rare = int((positives < _FEW_POSITIVES).sum())
    note = (
        f"{rare} of {len(positives)} classes have under {_FEW_POSITIVES} samples: covered 86 % "
        "where 72 % of the classes were as rare, 92 % where 52 % were"
    )
    return Interval(
        centre - Z * error,
        centre + Z * error,
        centre,
        "bootstrap over clips, bias-corrected normal",
        note if rare > len(positives) / 4 else None,
    )


def map_replicator(
    tally: LabelTally,
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """A function from how often each clip counts to mAP.

    Returns:
        Takes float64 ``[rows, num_clips]``, gives float64 ``[rows]``.
    """
    from scipy import sparse

    shape = (len(tally.clip_of_sample), max(len(tally.labels), 1))

    def indicator(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Any:
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)

    targets = indicator(tally.target_rows, tally.target_columns)
    answers = indicator(tally.answer_rows, tally.answer_columns)
    matrices = [matrix.T.tocsr() for matrix in (targets, answers, targets.multiply(answers))]

    def values(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        weights = counts[:, tally.clip_of_sample].T
        positives, answered, hits = (np.asarray(matrix @ weights) for matrix in matrices)
        per_class = average_precisions(positives, answered, hits, weights.sum(axis=0))
        result: NDArray[np.float64] = per_class.sum(axis=0) / tally.num_classes
        return result

    return values
