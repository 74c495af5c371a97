"""A folder of XARES-LLM's answers, one file per task, scored like a run.

XARES-LLM writes ``predictions_<name>.csv``, where its own evaluation files call a task
``eval_<task>``; both ``predictions_esc-50.csv`` and ``predictions_eval_esc-50.csv`` are esc-50.
A track's mean needs all its tasks, so those without a file are listed as missing (law 7). The files
of a run on tasks of one's own are scored as the tasks of its evaluation file.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from auricle.catalog.load import get_suite, get_task, list_tasks
from auricle.catalog.spec import Task
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


def score_folder(
    folder: Path, *, options: MetricOptions | None = None, tasks: Sequence[Task] | None = None
) -> FolderScores:
    """Score every file of answers in a folder as the task in its name.

    Args:
        folder: Where the files are.
        options: Where the caption models are.
        tasks: What the folder answers, each a missing task without its file; None = tasks of the
            catalog, and with one of an official track all of that track.

    Returns:
        A file that cannot be read is a missing
        task with its reason, and so is a task of the same track that has no file. Where the
        catalog does not know how many clips a task has, ``clips_expected`` is None.

    Raises:
        ScoringError: No file is named after a task, or two are named after the same.
    """
    every = [get_task(name) for name in list_tasks()] if tasks is None else [*tasks]
    known = {_plain(task.name): task for task in every}
    if not every or len(known) < len(every):
        raise ScoringError(
            "The suite has "
            + (
                "tasks whose names differ by 'eval_' alone. Rename one."
                if every
                else "no test task."
            )
        )
    files, unknown = _by_task(folder, known, given=tasks is not None)
    options = options or MetricOptions()
    found = {name: _score(path, known[name], options) for name, path in files.items()}
    if tasks is None:
        asked = [known[name] for name in found if known[name].synthetic is None]
        tracks = sorted({task.track for task in asked})
        asked += [get_task(name) for track in tracks for name in get_suite(f"track-{track}").tasks]
    else:
        asked = list(tasks)
    for task in asked:
        missing = f"there is no predictions_eval_{_plain(task.name)}.csv"
        found.setdefault(_plain(task.name), _missing(task, missing))
    counted = {name: found[name] for name in sorted({_plain(task.name) for task in asked} or found)}
    means = summarise(
        counted,
        tracks={name: known[name].track for name in counted},
        official=tasks is None and bool(asked),
    )
    ordered = sorted(found, key=lambda name: (known[name].track, name))
    return FolderScores(
        tracks=means.tracks,
        mean=means.mean,
        tasks={known[name].name: found[name] for name in ordered},
        unknown=unknown,
    )


def _plain(name: str) -> str:
    """A task's name as file names tell it: XARES-LLM adds ``eval_``, we ``-custom``."""
    return name.lower().removeprefix("eval_").removesuffix("-custom")


def _by_task(
    folder: Path, known: Mapping[str, Task], *, given: bool
) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """The files by their task, and the nearest task names of all others."""
    files: dict[str, Path] = {}
    unknown: dict[str, list[str]] = {}
    for path in sorted(folder.glob(_PATTERN)):
        name = _plain(path.stem.removeprefix("predictions_"))
        if name not in known:
            unknown[path.name] = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        elif name in files:
            raise ScoringError(
                f"{folder} has two files of the task {name}: {files[name].name} and {path.name}. "
                "Leave one there."
            )
        else:
            files[name] = path
    if not files:
        way = (
            f"The suite has {', '.join(known)}."
            if given
            else "List the names: auricle tasks. If they are tasks of your own, give their file: "
            f"auricle score {folder} --suite eval.yaml"
        )
        raise ScoringError(
            f"{folder} has files of answers, but none is named after a task: "
            f"{'; '.join(unknown_lines(unknown))}. {way}"
        )
    return files, unknown


def unknown_lines(unknown: dict[str, list[str]]) -> list[str]:
    """Each file that is named after no task, with the names that come near."""
    offers = {file: f"nearest: {', '.join(near)}" for file, near in unknown.items() if near}
    return [f"{file} ({offers.get(file, 'no task comes near')})" for file in unknown]


def _score(path: Path, task: Task, options: MetricOptions) -> TaskScore:
    if task.metric is None:
        return _missing(task, "the suite says no metric for it")
    try:
        clips = read_answers(path).clips
    except AuricleError as error:  # the other files go on
        return _missing(task, str(error))
    if not clips:
        return _missing(task, f"{path} has a header and no answers")
    options = replace(options, num_classes=task.num_classes, separator=task.separator)
    return score_task(task.metric, clips, expected=task.test_clips, options=options)


def _missing(task: Task, reason: str) -> TaskScore:
    return missing_task(task.metric or "", expected=task.test_clips, failure=reason)
