"""Scores from stored predictions, at any time, without the encoder or the LALM (law 6)."""

from __future__ import annotations

from typing import Any

from auricle.files import write_json
from auricle.metrics.result import MetricOptions
from auricle.runs.folder import RunFolder
from auricle.runs.predictions import read_predictions
from auricle.scoring.summary import ScoredClip, missing_task, score_task, summarise

SCHEMA_VERSION = 1


def score_run(folder: RunFolder) -> dict[str, Any]:
    """Score every task of a run's suite and write ``scores.json``.

    Returns:
        The content of ``scores.json``. A task without predictions, or with fewer than it has test
        clips, is there with its reason in ``failure``; it counts as missing, never as zero (law 7).

    Raises:
        ScoringError: A file of predictions cannot be read.
    """
    manifest = folder.read_manifest()
    tasks = {
        name: _score_one(folder, name, facts, manifest["failures"].get(name))
        for name, facts in manifest["test"].items()
    }
    tracks = {name: facts["track"] for name, facts in manifest["test"].items()}
    scores = {
        "schema_version": SCHEMA_VERSION,
        "suite": manifest["suite"],
        "mode": manifest["mode"],
        "official": manifest["official"],
        **summarise(tasks, tracks=tracks, official=manifest["official_tasks"]),
        "tasks": tasks,
    }
    write_json(folder.scores, scores)
    return scores


def _score_one(
    folder: RunFolder, name: str, facts: dict[str, Any], failure: str | None
) -> dict[str, Any]:
    path = folder.predictions(name)
    expected = int(facts["clips_expected"])
    if not path.is_file():
        return missing_task(
            facts["metric"], expected=expected, failure=failure or "not answered yet"
        )
    clips = [ScoredClip(p.id, p.prediction, p.references) for p in read_predictions(path)]
    return score_task(
        facts["metric"],
        clips,
        expected=expected,
        options=MetricOptions(num_classes=facts["num_classes"], separator=facts["separator"]),
        failure=failure,
    )
