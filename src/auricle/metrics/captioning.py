"""Caption metrics: ROUGE-L from text alone; FENSE and DATE from what two models say.

The models speak once, into a `CaptionEvidence`; the two metrics are pure functions of it, so a
stored evidence is scored again without any model.
"""

from __future__ import annotations

import numpy as np
from rapidfuzz.distance import LCSseq

from auricle.metrics.recognition import encode_units
from auricle.metrics.result import MetricOptions, MetricResult, clipped, unscorable
from auricle.metrics.tally import RatioTally
from auricle.metrics.text import Samples

ROUGE_L = "ROUGE-L"


def rouge_l(samples: Samples, options: MetricOptions) -> MetricResult:
    """F1 of the longest common subsequence of words (Lin, 2004).

    The best of a clip's references, then the mean over clips; two empty texts count 1. Agrees with
    the package rouge-score without its stemmer on ASCII text.
    """
    del options
    if samples.num_samples == 0:
        return unscorable(ROUGE_L, "There are no samples to score.")
    values = np.array(
        [
            max(_lcs_f1(answer, text) for text in texts)
            for answer, texts in zip(samples.predictions, samples.references, strict=True)
        ]
    )
    raw = float(values.mean())
    return MetricResult(
        ROUGE_L,
        clipped(raw),
        raw,
        None,
        None,
        values.tolist(),
        samples.num_clips,
        samples.num_samples,
        {},
        RatioTally(values, np.ones(len(values))),
    )


def _lcs_f1(answer: str, reference: str) -> float:
    ids: dict[str, int] = {}
    left, right = encode_units(answer, str.split, ids), encode_units(reference, str.split, ids)
    size = len(left) + len(right)
    return 2 * float(LCSseq.similarity(left, right)) / size if size else 1.0
