"""Caption metrics: ROUGE-L from text alone; FENSE and DATE from what two models say.

The models speak once, into a `CaptionEvidence`; the two metrics are pure functions of it, so a
stored evidence is scored again without any model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from auricle.errors import ScoringError
from auricle.metrics.caption_models import load_caption_models
from auricle.metrics.discrimination import clamped_harmonic, harmonic
from auricle.metrics.evidence import DATE, FENSE, CaptionEvidence, texts_hash
from auricle.metrics.judge import judge
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


def fense(samples: Samples, options: MetricOptions) -> MetricResult:
    """Cosine of the sentence embeddings, a tenth of it where the answer is not fluent.

    Zhou et al., 2022, as the package mecat 1.1.0 computes it: float32 mean over samples, reported
    by `_reported`. Beside it: ``references_grouped`` (every clip counts once, whatever its number
    of references) and ``without_penalty`` (the similarity alone).
    """
    if samples.num_samples == 0:
        return unscorable(FENSE, "There are no samples to score.")
    evidence = _evidence_for(FENSE, samples, options)
    values = np.array(evidence.similarity, dtype=np.float32)
    penalty = np.array(evidence.penalty)[samples.clip_of_sample]
    result = _caption_result(samples, evidence, values)
    assert result.per_clip is not None
    return replace(
        result,
        corrected={
            "references_grouped": float(np.mean(result.per_clip)),
            "without_penalty": float(np.mean(values / penalty)),
        },
    )


def date(samples: Samples, options: MetricOptions) -> MetricResult:
    """Harmonic mean of a weighted similarity and of how far it singles its reference out.

    As the package mecat 1.1.0 computes it. Values depend on the whole set: the IDF of all answers
    and all references, and every reference as a possible confuser. Beside it: ``clamped``
    (negative similarities count 0, which removes the formula's poles) and ``references_grouped``
    (clamped, with a clip's references as one centroid and every clip once, so that a clip's own
    other captions are no confusers).
    """
    if samples.num_samples == 0:
        return unscorable(DATE, "There are no samples to score.")
    evidence = _evidence_for(DATE, samples, options)
    if evidence.speechless == "references":
        reason = "No reference has a single word, so that DATE's weights are undefined."
        return unscorable(
            DATE, reason, num_clips=samples.num_clips, num_samples=samples.num_samples
        )
    if evidence.speechless:
        zero = _caption_result(samples, evidence, np.zeros(samples.num_samples, np.float32))
        reason = "No answer has a single word, for which DATE's official definition fails."
        detail = {**zero.detail, "unrounded": None}
        return replace(zero, raw=None, reason=reason, detail=detail)
    similarity = np.array(evidence.similarity, dtype=np.float32)
    discrimination = np.array(evidence.discrimination, dtype=np.float32)
    result = _caption_result(samples, evidence, harmonic(similarity, discrimination))
    clamped = clamped_harmonic(similarity, discrimination)
    grouped = clamped
    if evidence.grouped_similarity:
        grouped = clamped_harmonic(
            np.array(evidence.grouped_similarity, dtype=np.float32),
            np.array(evidence.grouped_discrimination, dtype=np.float32),
        )
    return replace(
        result,
        corrected={"clamped": float(clamped.mean()), "references_grouped": float(grouped.mean())},
        detail={
            **result.detail,
            "similarity": float(similarity.mean()),
            "discrimination": float(discrimination.mean()),
            "negative_similarities": int((similarity < 0).sum()),
        },
    )


def _evidence_for(metric: str, samples: Samples, options: MetricOptions) -> CaptionEvidence:
    evidence = options.evidence
    if evidence is None:
        return judge(metric, samples, load_caption_models(options))
    if evidence.metric != metric or evidence.texts != texts_hash(samples):
        raise ScoringError(
            f"The stored caption evidence is of {evidence.metric} and of other answers or "
            f"references than the ones to be scored with {metric}. Remove it and score again."
        )
    return evidence


def _caption_result(
    samples: Samples, evidence: CaptionEvidence, values: NDArray[np.float32]
) -> MetricResult:
    """The result that both metrics share, from the value of each sample."""
    clips = samples.num_clips
    clip = samples.clip_of_sample
    counts = np.bincount(clip, minlength=clips).astype(np.float64)
    sums = np.bincount(clip, weights=values, minlength=clips).astype(np.float64)
    mean = float(values.mean())
    finite = bool(np.isfinite(values).all())
    raw = _reported(mean, len(values)) if finite else None
    return MetricResult(
        evidence.metric,
        0.0 if raw is None else clipped(raw),
        raw,
        None,
        None if finite else "A sample's value is infinite: its similarity and rank cancel.",
        (sums / counts).tolist() if finite else None,
        clips,
        samples.num_samples,
        {
            "unrounded": mean if finite else None,
            "fluency_error_rate": float(np.mean(np.array(evidence.penalty) < 1)),
            "models": evidence.models,
        },
        RatioTally(sums, counts) if finite else None,
        evidence,
    )


def _reported(mean: float, num_samples: int) -> float:
    """The number that mecat prints: rounded to four digits, then the mean of N copies of it.

    The copies are added one after another, as ``sum`` does before Python 3.12.
    """
    return float(np.cumsum(np.full(num_samples, round(mean, 4)))[-1]) / num_samples
