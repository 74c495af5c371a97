"""Law 7: a task that failed is missing with its reason; a mean over missing tasks is no score."""

from __future__ import annotations

from auricle.records.scores import TaskScore
from auricle.scoring.summary import missing_task, summarise


def scored(value: float) -> TaskScore:
    return missing_task("accuracy", expected=10, failure="").with_fields(
        score=value, raw=value, low=value - 0.1, high=value + 0.1, clips_scored=10, failure=None
    )


def test_a_missing_task_has_no_score_and_says_why() -> None:
    task = missing_task("accuracy", expected=10, failure="the shard was gone")
    assert task.score is None
    assert task.raw is None
    assert (task.clips_scored, task.clips_expected) == (0, 10)
    assert task.failure == "the shard was gone"


def test_a_track_with_a_missing_task_has_no_mean() -> None:
    missing = missing_task("accuracy", expected=10, failure="gone")
    tasks = {"x": scored(0.8), "y": missing, "z": scored(0.4)}
    summary = summarise(tasks, tracks={"x": "a", "y": "a", "z": "b"}, official=False)
    assert summary.tracks["a"].mean is None
    assert summary.tracks["b"].mean == 0.4
    assert summary.mean is None


def test_a_whole_track_has_a_mean() -> None:
    tasks = {"x": scored(0.8), "y": scored(0.4)}
    summary = summarise(tasks, tracks={"x": "a", "y": "a"}, official=False)
    assert summary.tracks["a"].mean is not None
    assert summary.mean is not None
    assert abs(summary.tracks["a"].mean - 0.6) < 1e-12
    assert abs(summary.mean - 0.6) < 1e-12


def test_the_mean_is_null_where_official_tracks_are_spanned() -> None:
    tasks = {"x": scored(0.8), "y": scored(0.4)}
    summary = summarise(tasks, tracks={"x": "a", "y": "b"}, official=True)
    assert summary.mean is None
