"""Several seeds of one encoder as one measurement: clip and seed variance together.

Seeds answer the same clips, so averaging them shrinks the seeds' share of the error but not the
clips'. Few seeds know their own spread badly, which the t quantile pays for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auricle.scoring.intervals import Z


def combine_seeds(entries: Sequence[Mapping[str, Any]], *, value: str = "score") -> dict[str, Any]:
    """One value with its interval from the same task, or track, under several seeds.

    The variance is the clips' (mean over seeds) plus the seeds' divided by their number; its
    degrees of freedom follow Satterthwaite (1946), where only the seeds' part is estimated from
    few numbers. Each side of the interval is combined apart, as in `mean_interval`.

    Args:
        entries: Each with ``low``, ``high`` and the value; task scores, or tracks of a summary.
        value: ``score`` for tasks, ``mean`` for tracks.

    Returns:
        The value's mean under its own name, ``low``, ``high``, ``seed_sd`` (None for one seed)
        and ``seeds``. All None but the count, if a seed's value is missing (law 7).
    """
    values = [entry[value] for entry in entries]
    count = len(values)
    missing = {value: None, "low": None, "high": None, "seed_sd": None, "seeds": count}
    if not values or any(v is None for v in values) or any(e.get("failure") for e in entries):
        return missing
    mean = math.fsum(values) / count
    spread = None
    if count > 1:
        spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (count - 1))
    found = {**missing, value: mean, "seed_sd": spread}
    if any(entry["low"] is None or entry["high"] is None for entry in entries):
        return found
    # mAP's interval, freed of bias, may leave the score itself out: no distance is negative.
    below = math.fsum(max(0.0, e[value] - e["low"]) ** 2 for e in entries) / count
    above = math.fsum(max(0.0, e["high"] - e[value]) ** 2 for e in entries) / count
    low = mean - _half_width(below, spread, count)
    high = mean + _half_width(above, spread, count)
    return {**found, "low": max(0.0, low), "high": min(1.0, high)}


def _half_width(clip_distance_squared: float, spread: float | None, count: int) -> float:
    clips = clip_distance_squared / Z**2
    seeds = spread**2 / count if spread else 0.0
    if seeds == 0:
        return math.sqrt(clip_distance_squared)
    from scipy.special import stdtrit

    freedom = (clips + seeds) ** 2 * (count - 1) / seeds**2
    return float(stdtrit(freedom, 0.975)) * math.sqrt(clips + seeds)
