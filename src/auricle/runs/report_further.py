"""What a run was asked further, as rows of a table: its own page says more of each suite."""

from __future__ import annotations

from dataclasses import dataclass

from auricle.records.scores import Scores, TaskScore
from auricle.runs.folder import RunFolder
from auricle.runs.report_page import score_text

_TRAINING = {"reuse": "answered by this run", "apart": "a run of its own"}


@dataclass(frozen=True, slots=True)
class FurtherRow:
    """One task of a further evaluation."""

    suite: str
    task: str
    metric: str
    score: str
    interval: str
    chance: str
    training: str
    """Who answered: this run, or which run of its own."""
    failure: str


def further_rows(folder: RunFolder) -> list[FurtherRow]:
    """The tasks of all further evaluations that were scored."""
    scored = [scores for each in folder.all_further() if (scores := each.read_scores())]
    return [_row(scores, name, task) for scores in scored for name, task in scores.tasks.items()]


def _row(scores: Scores, name: str, task: TaskScore) -> FurtherRow:
    words = _TRAINING.get(scores.training or "", scores.training or "")
    run = (scores.runs or {}).get(name, "")
    ends = None if task.low is None or task.high is None else (task.low, task.high)
    return FurtherRow(
        suite=scores.suite,
        task=name,
        metric=task.metric,
        score="missing" if task.failure else score_text(task.score),
        interval="" if ends is None else f"{score_text(ends[0])} to {score_text(ends[1])}",
        chance="" if task.chance is None else score_text(task.chance),
        training=f"{words}: {run}" if scores.training == "apart" else words,
        failure=task.failure or "",
    )
