"""A folder of XARES-LLM's answers, one file per task, scored like a run.

XARES-LLM writes ``predictions_<name>.csv``, where its own evaluation files call a task
``eval_<task>``; both ``predictions_esc-50.csv`` and ``predictions_eval_esc-50.csv`` are esc-50.
A track's mean needs all its tasks, so those without a file are listed as missing (law 7).
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

from auricle.catalog.load import get_suite, get_task, list_tasks
from auricle.errors import AuricleError, ScoringError
from auricle.metrics.result import MetricOptions
from auricle.records.scores import Means, TaskScore
from auricle.scoring.score_file import read_answers
from auricle.scoring.summary import missing_task, score_task, summarise

_PATTERN = "predictions_*.csv"


def is_answers_folder(folder: Path) -> bool:
    """Whether a folder holds ``predictions_*.csv`` files."""
    return any(folder.glob(_PATTERN))


class FolderScores(Means):
    """What the files of a folder scored."""

    tasks: dict[str, TaskScore]
    """By name."""
    unknown: dict[str, list[str]]
    """The nearest task names of each file that is named after no task."""


def score_folder(folder: Path, *, options: MetricOptions | None = None) -> FolderScores:
    """Score every file of answers in a folder as the task in its name.

    Args:
        folder: Where the files are.
        options: Where the caption models are.

    Returns:
        A file that cannot be read is a missing
        task with its reason, and so is a task of the same track that has no file. Where the
        catalog does not know how many clips a task has, ``clips_expected`` is None.

    Raises:
        ScoringError: No file is named after a task, or two are named after the same.
    """
    files, unknown = _by_task(folder)
    found = {name: _score(path, name, options or MetricOptions()) for name, path in files.items()}
    official = [name for name in found if get_task(name).synthetic is None]
    for track in sorted({get_task(name).track for name in official}):
        for name in get_suite(f"track-{track}").tasks:
            found.setdefault(name, _missing(name, f"there is no predictions_eval_{name}.csv"))
            official.append(name)
    counted = {name: found[name] for name in sorted(set(official) or found)}
    tracks = {name: get_task(name).track for name in counted}
    means = summarise(counted, tracks=tracks, official=bool(official))
    ordered = sorted(found, key=lambda name: (get_task(name).track, name))
    return FolderScores(
        tracks=means.tracks,
        mean=means.mean,
        tasks={name: found[name] for name in ordered},
        unknown=unknown,
    )


def _by_task(folder: Path) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """The files by their task, and the nearest task names of all others."""
    files: dict[str, Path] = {}
    unknown: dict[str, list[str]] = {}
    for path in sorted(folder.glob(_PATTERN)):
        name = path.stem.removeprefix("predictions_").lower().removeprefix("eval_")
        if name not in list_tasks():
            unknown[path.name] = difflib.get_close_matches(name, list_tasks(), n=3, cutoff=0.5)
        elif name in files:
            raise ScoringError(
                f"{folder} has two files of the task {name}: {files[name].name} and {path.name}. "
                "Leave one there."
            )
        else:
            files[name] = path
    if not files:
        raise ScoringError(
            f"{folder} has files of answers, but none is named after a task: "
            f"{'; '.join(unknown_lines(unknown))}. List the names: auricle tasks"
        )
    return files, unknown


def unknown_lines(unknown: dict[str, list[str]]) -> list[str]:
    """Each file that is named after no task, with the names that come near."""
    offers = {file: f"nearest: {', '.join(near)}" for file, near in unknown.items() if near}
    return [f"{file} ({offers.get(file, 'no task comes near')})" for file in unknown]


def _score(path: Path, name: str, options: MetricOptions) -> TaskScore:
    task = get_task(name)
    assert task.metric is not None
    try:
        clips = read_answers(path).clips
    except AuricleError as error:  # the other files go on
        return _missing(name, str(error))
    if not clips:
        return _missing(name, f"{path} has a header and no answers")
    options = replace(options, num_classes=task.num_classes, separator=task.separator)
    return score_task(task.metric, clips, expected=task.test_clips, options=options)


def _missing(name: str, reason: str) -> TaskScore:
    task = get_task(name)
    return missing_task(task.metric or "", expected=task.test_clips, failure=reason)
