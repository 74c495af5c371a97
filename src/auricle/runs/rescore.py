"""Scores from stored predictions, at any time, without the encoder or the LALM (law 6).

What the caption models said about a task's answers lies beside them, in
``predictions/<task>.evidence.json``, so that FENSE and DATE are computed again without a model too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from auricle.errors import AuricleError
from auricle.files import read_json, write_json
from auricle.metrics.evidence import evidence_from_json
from auricle.metrics.result import MetricOptions
from auricle.records.manifest import TestTask
from auricle.records.scores import SCHEMA_VERSION, Scores, TaskScore
from auricle.runs.folder import RunFolder
from auricle.runs.predictions import read_predictions
from auricle.scoring.summary import (
    ScoredClip,
    caption_evidence,
    missing_task,
    score_task,
    summarise,
)


def score(folder: RunFolder | Path | str, *, models: MetricOptions | None = None) -> dict[str, Any]:
    """Score a run again from its stored predictions, and write its ``scores.json``.

    Args:
        folder: The run, or the path of its folder.
        models: Where the caption models are, for answers that no model has judged yet.

    Returns:
        The content of ``scores.json``, as `auricle.records.scores.Scores` describes it.

    Raises:
        ScoringError: A file of predictions cannot be read.
    """
    folder = folder if isinstance(folder, RunFolder) else RunFolder.open(folder)
    return score_run(folder, models=models).to_json()


def score_run(folder: RunFolder, *, models: MetricOptions | None = None) -> Scores:
    """Score every task of a run's suite and write ``scores.json``.

    Args:
        folder: The run.
        models: Where the caption models are, for answers that no model has judged yet.

    Returns:
        Its content. A task without predictions, or with fewer than it has test
        clips, is there with its reason in ``failure``; it counts as missing, never as zero (law 7).
        One whose references were left out when the run was handed on keeps its stored score.

    Raises:
        ScoringError: A file of predictions cannot be read.
    """
    manifest = folder.read_manifest()
    tasks = {
        name: _handed_on(folder, name)
        or _score_one(folder, name, facts, manifest.failures.get(name), models)
        for name, facts in manifest.test.items()
    }
    tracks = {name: facts.track or "a" for name, facts in manifest.test.items()}
    means = summarise(tasks, tracks=tracks, official=manifest.official_tasks)
    scores = Scores(
        schema_version=SCHEMA_VERSION,
        suite=manifest.suite,
        mode=manifest.standing_mode,
        official=manifest.is_official,
        recipe=manifest.recipe_label,
        tracks=means.tracks,
        mean=means.mean,
        tasks=tasks,
    )
    if trained := manifest.trained:
        scores = scores.with_fields(training=trained.training, runs=trained.runs)
    scores.write(folder.scores)
    return scores


def score_further(folder: RunFolder, *, models: MetricOptions | None = None) -> dict[str, Scores]:
    """Score every further evaluation of a run; returns their scores by suite."""
    found = [score_run(each, models=models) for each in folder.all_further()]
    return {scores.suite: scores for scores in found}


def answered_clips(folder: RunFolder, task: str) -> list[ScoredClip]:
    """A task's answers with their references; none where it is not answered yet.

    Raises:
        ScoringError: The file of predictions cannot be read.
    """
    path = folder.predictions(task)
    found = read_predictions(path) if path.is_file() else []
    return [ScoredClip(p.id, p.prediction, p.references) for p in found]


def metric_options(
    folder: RunFolder, task: str, facts: TestTask, *, models: MetricOptions | None = None
) -> MetricOptions:
    """What a task's metric needs besides texts, stored evidence of caption models included.

    Args:
        folder: The run.
        task: The task.
        facts: Its entry in the manifest's ``test``.
        models: Where the caption models are.

    Raises:
        ScoringError: The stored evidence is damaged or of another version.
    """
    path = folder.evidence(task)
    return replace(
        models or MetricOptions(),
        num_classes=facts.num_classes,
        separator=facts.separator,
        evidence=evidence_from_json(read_json(path)) if path.is_file() else None,
    )


def _handed_on(folder: RunFolder, name: str) -> TaskScore | None:
    """The stored score of a task whose references were left out when the run was handed on."""
    clips = answered_clips(folder, name)
    if not clips or any(clip.references for clip in clips):
        return None
    known = folder.read_scores()
    return known.tasks.get(name) if known else None


def _score_one(
    folder: RunFolder,
    name: str,
    facts: TestTask,
    failure: str | None,
    models: MetricOptions | None,
) -> TaskScore:
    metric, expected = facts.metric, facts.clips_expected
    if not folder.predictions(name).is_file():
        return missing_task(metric, expected=expected, failure=failure or "not answered yet")
    clips = answered_clips(folder, name)
    try:
        options = metric_options(folder, name, facts, models=models)
        options = _judged(folder, name, metric, clips, options)
    except AuricleError as error:  # e.g. a caption model is missing: the other tasks go on
        return missing_task(metric, expected=expected, failure=failure or str(error))
    return score_task(metric, clips, expected=expected, options=options, failure=failure)


def _judged(
    folder: RunFolder, name: str, metric: str, clips: Sequence[ScoredClip], options: MetricOptions
) -> MetricOptions:
    """The options with what the caption models say of these answers, stored for next time."""
    evidence = caption_evidence(metric, clips, options=options)
    if evidence is None:
        return options
    if evidence is not options.evidence:
        write_json(folder.evidence(name), evidence.to_json())
    return replace(options, evidence=evidence)
