"""A task's entry in ``scores.json``, and the means over tasks.

A task that was not measured whole keeps what was seen of it, but is missing from every mean
(law 7): ``failure`` says why, and a mean over a missing task is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auricle.errors import UserError
from auricle.metrics.caption_models import load_caption_models
from auricle.metrics.compute import canonical_metric, compute_prepared, prepare
from auricle.metrics.evidence import DATE, FENSE, CaptionEvidence, texts_hash
from auricle.metrics.judge import judge
from auricle.metrics.result import MetricOptions, MetricResult
from auricle.metrics.text import Samples
from auricle.records.scores import ChanceAnswers, Estimate, IntervalFacts, Mean, Means, TaskScore
from auricle.scoring.chance import chance_corrected, chance_of
from auricle.scoring.diagnosis import diagnose
from auricle.scoring.intervals import interval_of
from auricle.scoring.tracks import mean_interval


@dataclass(frozen=True, slots=True)
class ScoredClip:
    """One answered clip with what it is measured against."""

    id: str
    prediction: str
    references: Sequence[str]


def score_task(
    metric: str,
    clips: Sequence[ScoredClip],
    *,
    expected: int | None,
    options: MetricOptions | None = None,
    failure: str | None = None,
) -> TaskScore:
    """Score one task's answers as ``scores.json`` holds it.

    Args:
        metric: Name in any case.
        clips: The answered clips.
        expected: How many clips the task's test side has; None where that is not known.
        options: What the metric needs besides texts.
        failure: Why the task is known to be incomplete.

    Returns:
        Its entry; where nothing can be scored, with the reason in ``failure``.
    """
    options = options or MetricOptions()
    name = canonical_metric(metric)
    if not clips:
        return missing_task(name, expected=expected, failure=failure or "no clip was answered")
    try:
        samples = prepare(name, [c.prediction for c in clips], [c.references for c in clips])
        result = compute_prepared(name, samples, options)
        if result.score is None:
            return missing_task(name, expected=expected, failure=result.reason or "no score")
        entry = measured(samples, result, options)
    except UserError as error:
        return missing_task(name, expected=expected, failure=str(error))
    failure = failure or wrong_count(len(clips), expected)
    return entry.with_fields(clips_scored=len(clips), clips_expected=expected, failure=failure)


def wrong_count(answered: int, expected: int | None) -> str | None:
    """Why a task with this number of answers is incomplete; None where it is whole."""
    if expected is None or answered == expected:
        return None
    return f"{answered} clips were answered; the task has {expected}"


def caption_evidence(
    metric: str, clips: Sequence[ScoredClip], *, options: MetricOptions | None = None
) -> CaptionEvidence | None:
    """Ask the caption models about a task's answers, to be stored beside them.

    Give it back as ``MetricOptions.evidence``, and scoring needs no model.

    Args:
        metric: Name in any case.
        clips: The answered clips.
        options: Where the models are; an ``evidence`` in it that fits the answers is returned.

    Returns:
        None for a metric that asks no model, or without clips.

    Raises:
        ScoringError: A model is missing.
    """
    name = canonical_metric(metric)
    if name not in (FENSE, DATE) or not clips:
        return None
    options = options or MetricOptions()
    samples = prepare(name, [c.prediction for c in clips], [c.references for c in clips])
    known = options.evidence
    if known is not None and known.metric == name and known.texts == texts_hash(samples):
        return known
    return judge(name, samples, load_caption_models(options))


def missing_task(metric: str, *, expected: int | None, failure: str) -> TaskScore:
    """The entry of a task that has no score, with the reason."""
    return TaskScore(
        metric=canonical_metric(metric),
        score=None,
        raw=None,
        low=None,
        high=None,
        chance=None,
        clips_scored=0,
        clips_expected=expected,
        samples_scored=0,
        failure=failure,
        reason=None,
        corrected=None,
        chance_corrected=None,
        interval=None,
        chance_answers=None,
        detail={},
    )


def measured(samples: Samples, result: MetricResult, options: MetricOptions) -> TaskScore:
    """What is known of a result whose ``score`` is not None: interval, chance, diagnosis.

    Args:
        samples: Normalised as the metric wants them.
        result: The metric's result on them.
        options: As the metric took them.
    """
    assert result.score is not None
    found = chance_of(samples, result, options)
    interval = None
    if result.tally is not None:
        interval = interval_of(result.tally, result.metric)
    clipped = interval.clipped() if interval else None
    return TaskScore(
        metric=result.metric,
        score=result.score,
        raw=result.raw,
        low=clipped.low if clipped else None,
        high=clipped.high if clipped else None,
        chance=found.score,
        clips_scored=samples.num_clips,
        clips_expected=samples.num_clips,
        samples_scored=result.num_samples,
        failure=None,
        reason=result.reason,
        corrected=result.corrected,
        chance_corrected=chance_corrected(result.score, found.score),
        interval=IntervalFacts(**interval.to_json()) if interval else None,
        chance_answers=ChanceAnswers(**found.to_json()),
        detail=diagnose(samples, result, options),
    )


def summarise(
    tasks: Mapping[str, TaskScore], *, tracks: Mapping[str, str], official: bool
) -> Means:
    """Means with intervals, per track and overall.

    Args:
        tasks: Entries of `score_task` by task name.
        tracks: The track of each task, ``a`` or ``b``.
        official: Whether the suite is of official tasks; official tracks are never averaged
            together.

    Returns:
        A mean over a missing task is None, and so is the mean of all where an official suite spans
        tracks.
    """
    names = sorted({tracks[task] for task in tasks})
    values = {name: task.estimate for name, task in tasks.items()}
    of_track = {
        track: _mean([values[task] for task in tasks if tracks[task] == track]) for track in names
    }
    mixed = official and len(names) > 1
    whole = None if mixed else mean_interval(list(values.values())).value
    return Means(tracks=of_track, mean=whole)


def _mean(values: Sequence[Estimate]) -> Mean:
    found = mean_interval(values)
    return Mean(mean=found.value, low=found.low, high=found.high)
