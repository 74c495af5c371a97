"""What a metric leaves behind for intervals, comparisons and chance: counts per clip.

Every metric here but mAP is a ratio of sums over clips, so two numbers a clip say all that a
resampling needs; mAP keeps which labels each sample has and which were answered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RatioTally:
    """A metric that is ``sum(numerator) / sum(denominator)`` over clips, before any clipping."""

    numerator: NDArray[np.float64]
    """float64 ``[num_clips]``: right answers, words less errors, or the sum of the values."""
    denominator: NDArray[np.float64]
    """float64 ``[num_clips]``: samples, reference words or characters."""
    binary: bool = False
    """Whether each sample is right or wrong, so that the ratio is a proportion."""

    def select(self, clips: NDArray[np.int64]) -> RatioTally:
        """The same of some clips, in the order given."""
        return RatioTally(self.numerator[clips], self.denominator[clips], self.binary)


@dataclass(frozen=True, slots=True)
class LabelTally:
    """The labels of a multi-label metric; columns are the sorted labels of the references."""

    labels: list[str]
    num_classes: int
    clip_of_sample: NDArray[np.int64]
    target_rows: NDArray[np.int64]
    """Sample of each target label, with its column in ``target_columns``."""
    target_columns: NDArray[np.int64]
    answer_rows: NDArray[np.int64]
    """Sample of each answered label that is in ``labels``, with its column beside it."""
    answer_columns: NDArray[np.int64]

    @property
    def num_clips(self) -> int:
        """How many clips."""
        return int(self.clip_of_sample[-1]) + 1 if len(self.clip_of_sample) else 0

    def select(self, clips: NDArray[np.int64]) -> LabelTally:
        """The same of some clips, in the order given; all labels stay, also those left without."""
        first = np.searchsorted(self.clip_of_sample, clips, side="left")
        sizes = np.searchsorted(self.clip_of_sample, clips, side="right") - first
        kept = np.concatenate([np.arange(a, a + n) for a, n in zip(first, sizes, strict=True)])
        place = np.full(len(self.clip_of_sample), -1)
        place[kept] = np.arange(len(kept))
        targets, answers = place[self.target_rows], place[self.answer_rows]
        return LabelTally(
            self.labels,
            self.num_classes,
            np.repeat(np.arange(len(clips)), sizes),
            targets[targets >= 0],
            self.target_columns[targets >= 0],
            answers[answers >= 0],
            self.answer_columns[answers >= 0],
        )


Tally = RatioTally | LabelTally
