"""What a run was asked further, as rows of a table: its own page says more of each suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from auricle.files import read_json
from auricle.runs.folder import RunFolder
from auricle.runs.report_facts import number
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
    scored = [each.scores for each in folder.all_further() if each.scores.is_file()]
    return [
        _row(content, name, entry)
        for content in map(read_json, scored)
        for name, entry in content["tasks"].items()
    ]


def _row(content: dict[str, Any], name: str, entry: dict[str, Any]) -> FurtherRow:
    low, high, chance = (number(entry.get(key)) for key in ("low", "high", "chance"))
    training = str(content.get("training", ""))
    run = str((content.get("runs") or {}).get(name, ""))
    words = _TRAINING.get(training, training)
    failed = entry.get("failure")
    return FurtherRow(
        suite=str(content["suite"]),
        task=name,
        metric=str(entry.get("metric", "")),
        score="missing" if failed else score_text(number(entry.get("score"))),
        interval="" if low is None or high is None else f"{score_text(low)} to {score_text(high)}",
        chance="" if chance is None else score_text(chance),
        training=f"{words}: {run}" if training == "apart" else words,
        failure=str(failed or ""),
    )
