"""Predictions on disk: what was answered, with the clip's id and its references (law 6).

``predictions/<task>.jsonl``, one object per test clip in the order of the data: ``{"id",
"references": [text, ...], "prediction": text, "duration_s"}``. While a task is being answered its
finished chunks lie in ``predictions/<task>.parts/<chunk>.jsonl``; a chunk is the unit of commit and
is fixed by the data alone (law 4).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from auricle.errors import ScoringError
from auricle.files import write_text
from auricle.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Prediction:
    """The text that a run's LALM generated for one clip of a task."""

    id: str
    references: tuple[str, ...]
    prediction: str
    duration_s: float


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write a file of predictions atomically."""
    lines = [json.dumps(asdict(p), ensure_ascii=False) for p in predictions]
    write_text(path, "".join(line + "\n" for line in lines))


def read_predictions(path: Path) -> list[Prediction]:
    """Read a file of predictions.

    Raises:
        ScoringError: A line is not a prediction, or repeats a clip, which would count twice and
            could hide a missing one; the line is named.
    """
    found: dict[str, Prediction] = {}
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                value = json.loads(line)
                one = Prediction(
                    id=str(value["id"]),
                    references=tuple(str(text) for text in value["references"]),
                    prediction=str(value["prediction"]),
                    duration_s=float(value["duration_s"]),
                )
            except (ValueError, KeyError, TypeError) as error:
                raise ScoringError(
                    f"{path}, line {number} is no prediction ({error!r}): expected an object with "
                    "id, references, prediction and duration_s. Remove the file and give the run's "
                    "command again to answer the task anew."
                ) from error
            if found.setdefault(one.id, one) is not one:
                raise ScoringError(
                    f"{path}, line {number}: the clip '{one.id}' stands there twice; expected each "
                    "clip once. Remove the file and give the run's command again to answer the "
                    "task anew."
                )
    return list(found.values())


def finished_chunks(folder: RunFolder, task: str) -> set[int]:
    """The numbers of a task's chunks that are answered and stored."""
    parts = folder.prediction_parts(task)
    return {int(p.stem) for p in parts.glob("*.jsonl") if not p.name.startswith(".")}


def write_chunk(
    folder: RunFolder, task: str, chunk: int, predictions: Iterable[Prediction]
) -> None:
    """Store an answered chunk."""
    write_predictions(folder.prediction_parts(task) / f"{chunk:06d}.jsonl", predictions)


def join_chunks(folder: RunFolder, task: str, *, order: Iterable[str]) -> int:
    """Make a task's predictions from its chunks.

    Args:
        folder: The run.
        task: The task's name.
        order: The ids of the answered clips in the order of the data.

    Returns:
        The number of predictions.
    """
    parts = folder.prediction_parts(task)
    by_id = {p.id: p for path in sorted(parts.glob("*.jsonl")) for p in read_predictions(path)}
    joined = [by_id[clip] for clip in order]
    write_predictions(folder.predictions(task), joined)
    if parts.exists():
        shutil.rmtree(parts)
    return len(joined)
