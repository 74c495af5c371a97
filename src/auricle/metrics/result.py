"""What every metric takes besides texts, and what it returns.

``raw`` is the official number to the last digit and ``score`` its place between 0 and 1; the two
are apart so that neither clipping nor a definition that breaks down can pass for a measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auricle.metrics.tally import Tally

if TYPE_CHECKING:
    from auricle.metrics.evidence import CaptionEvidence


@dataclass(frozen=True, slots=True)
class MetricOptions:
    """What a metric needs besides texts."""

    num_classes: int | None = None
    """mAP: how many classes the task has."""
    separator: str = ";"
    """mAP: what stands between the labels of one text."""
    sentence_model: str | None = None
    """FENSE and DATE: folder or hub name of the sentence model; None is the official one."""
    fluency_detector: str | None = None
    """FENSE and DATE: folder or ``.ckpt`` file of the detector; None is the official one."""
    evidence: CaptionEvidence | None = None
    """FENSE and DATE: what the models said before, so that none is loaded again."""


@dataclass(frozen=True, slots=True)
class MetricResult:
    """A metric's value on the answers of one task."""

    metric: str
    """Canonical name."""
    score: float | None
    """``raw`` clipped to [0, 1]; 0 where the answers break the definition; None where nothing can
    be scored."""
    raw: float | None
    """The exact official number; None where the definition raises or gives no number."""
    corrected: dict[str, float] | None
    """Numbers that mend a weakness of the official one, by name; never instead of it."""
    reason: str | None
    """Why ``raw`` or ``score`` is missing."""
    per_clip: list[float] | None
    """The value of each clip alone, unclipped; None where the metric has none (mAP)."""
    num_clips: int
    num_samples: int
    detail: dict[str, Any] = field(default_factory=dict)
    """Diagnosis, fit for JSON."""
    tally: Tally | None = None
    """Counts per clip, for intervals and comparisons."""
    evidence: CaptionEvidence | None = None
    """FENSE and DATE: what the models said; stored with a run, it scores again without them."""


def clipped(value: float) -> float:
    """A value's place in [0, 1]."""
    return min(1.0, max(0.0, float(value)))


def unscorable(
    metric: str, reason: str, *, num_clips: int = 0, num_samples: int = 0
) -> MetricResult:
    """The result where there is nothing to score or an argument is wrong."""
    return MetricResult(metric, None, None, None, reason, None, num_clips, num_samples)


def finite_or_none(value: float) -> float | None:
    """The value, or None where it is no number that a file can hold."""
    return float(value) if math.isfinite(value) else None
