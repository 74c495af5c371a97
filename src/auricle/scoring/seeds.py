"""Several seeds of one encoder as one measurement: clip and seed variance together.

Seeds answer the same clips, so averaging them shrinks the seeds' share of the error but not the
clips'. Few seeds know their own spread badly, which the t quantile pays for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from auricle.records.comparison import SeedsEstimate
from auricle.records.scores import Estimate
from auricle.scoring.intervals import Z


def combine_seeds(values: Sequence[Estimate]) -> SeedsEstimate:
    """One value with its interval from the same task, or track, under several seeds.

    The variance is the clips' (mean over seeds) plus the seeds' divided by their number; its
    degrees of freedom follow Satterthwaite (1946), where only the seeds' part is estimated from
    few numbers. Each side of the interval is combined apart, as in `mean_interval`.

    Returns:
        All None but the count, if a seed's value is missing (law 7).
    """
    count = len(values)
    known = [each.value for each in values if each.value is not None]
    if not known or len(known) < count:
        return SeedsEstimate(None, None, None, None, count)
    mean = math.fsum(known) / count
    spread = None
    if count > 1:
        spread = math.sqrt(math.fsum((v - mean) ** 2 for v in known) / (count - 1))
    ends = [(e.value, e.low, e.high) for e in values if e.bounds is not None]
    if len(ends) < count:
        return SeedsEstimate(mean, None, None, spread, count)
    # mAP's interval, freed of bias, may leave the score itself out: no distance is negative.
    below = math.fsum(max(0.0, (v or 0.0) - (low or 0.0)) ** 2 for v, low, _ in ends) / count
    above = math.fsum(max(0.0, (high or 0.0) - (v or 0.0)) ** 2 for v, _, high in ends) / count
    low = mean - _half_width(below, spread, count)
    high = mean + _half_width(above, spread, count)
    return SeedsEstimate(mean, max(0.0, low), min(1.0, high), spread, count)


def _half_width(clip_distance_squared: float, spread: float | None, count: int) -> float:
    clips = clip_distance_squared / Z**2
    seeds = spread**2 / count if spread else 0.0
    if seeds == 0:
        return math.sqrt(clip_distance_squared)
    from scipy.special import stdtrit

    freedom = (clips + seeds) ** 2 * (count - 1) / seeds**2
    return float(stdtrit(freedom, 0.975)) * math.sqrt(clips + seeds)
