"""What a report is made of, read from a run folder once.

Facts that a run does not have (a plan, losses, a task without answers) are empty here, so that an
unfinished or damaged run still gets a page that says what is missing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from auricle.catalog.recipe import BLOCK
from auricle.errors import ScoringError
from auricle.files import read_json
from auricle.metrics.captioning import ROUGE_L
from auricle.metrics.classification import MAP, split_labels
from auricle.metrics.compute import compute_prepared, prepare
from auricle.metrics.result import MetricOptions
from auricle.metrics.text import Samples
from auricle.records.manifest import Manifest, TestTask
from auricle.records.scores import Scores, TaskScore
from auricle.runs.folder import RunFolder
from auricle.runs.predictions import Prediction, read_predictions
from auricle.runs.rescore import score_run

JUDGED_BY_MODELS = ("FENSE", "DATE")
_PART = r"[^\s\\/:'\"<>|,;()=](?:[^\\/:'\"<>|,;()=\n]*[^\s\\/:'\"<>|,;()=])?"
_FOLDERS = re.compile(rf"(?<![\w:/.])(?:~|[A-Za-z]:)?[\\/](?:{_PART}[\\/])+")
TRACK_NAMES = {"a": "Track A · classification", "b": "Track B · transcription and captions"}


@dataclass(frozen=True)
class TaskFacts:
    """One task of a run."""

    name: str
    facts: TestTask
    """Its entry in the manifest: domain, skill, prompt, metric, data lock."""
    entry: TaskScore
    """Its entry in ``scores.json``."""
    predictions: list[Prediction]

    @property
    def metric(self) -> str:
        """Canonical name of the metric."""
        return self.entry.metric

    @property
    def score(self) -> float | None:
        """The task's score, also where it counts as missing."""
        return self.entry.score

    @property
    def failure(self) -> str | None:
        """Why the task counts as missing."""
        text = self.entry.failure
        return None if text is None else without_folders(text)

    @property
    def left_out(self) -> bool:
        """Whether its audio and references were left out when the run was handed on."""
        return bool(self.predictions) and not any(p.references for p in self.predictions)

    @property
    def credit(self) -> str | None:
        """Whom to name for its audio and references."""
        return self.facts.attribution or None

    @property
    def counted(self) -> bool:
        """Whether the task was measured whole."""
        return self.entry.estimate.value is not None

    @property
    def domain(self) -> str:
        """Speech, sound, music or general."""
        return self.facts.domain or "other"

    @property
    def skill(self) -> str | None:
        """What must be heard: what, who, when or how many."""
        return self.facts.skill

    @property
    def separator(self) -> str:
        """What stands between labels."""
        return self.facts.separator

    @property
    def options(self) -> MetricOptions:
        """What the metric takes besides texts."""
        return MetricOptions(num_classes=self.facts.num_classes, separator=self.separator)

    @cached_property
    def samples(self) -> Samples | None:
        """Answers and references as the metric sees them; None where there are none."""
        answered = [p for p in self.predictions if p.references]
        if not answered or len(answered) != len(self.predictions):
            return None
        texts = [p.prediction for p in answered]
        return prepare(self.metric, texts, [p.references for p in answered])

    @cached_property
    def clip_values(self) -> list[float] | None:
        """How good each answer is, 1 = perfect; None where there are no answers.

        Labels of several: the F1 of a clip's labels. Captions that models judge: ROUGE-L, because
        a report loads no model.
        """
        samples = self.samples
        if samples is None:
            return None
        if self.metric == MAP:
            return [
                max(_label_f1(answer, text, self.separator) for text in texts)
                for answer, texts in zip(samples.predictions, samples.references, strict=True)
            ]
        metric = ROUGE_L if self.metric in JUDGED_BY_MODELS else self.metric
        return compute_prepared(metric, samples, self.options).per_clip


@dataclass(frozen=True)
class RunFacts:
    """Everything that a run folder says."""

    folder: RunFolder
    manifest: Manifest
    scores: Scores
    tasks: list[TaskFacts]
    losses: list[tuple[int, float]]
    """Step and loss."""
    plan: Mapping[str, Any]
    """What was expected; empty where nothing was written down."""

    @property
    def encoder(self) -> str:
        """The encoder's name."""
        return self.manifest.encoder.name

    @property
    def suite(self) -> str:
        """The suite's name."""
        return self.scores.suite or self.manifest.suite

    @property
    def steps_a_block(self) -> int:
        """Steps of training over which draws are sorted by length together."""
        batch = self.manifest.batch_size
        return max(1, BLOCK // batch) if batch is not None and batch > 0 else 1

    @property
    def tracks(self) -> dict[str, list[TaskFacts]]:
        """The tasks by track, tracks in order, tasks in the order of the suite."""
        found: dict[str, list[TaskFacts]] = {}
        for task in self.tasks:
            found.setdefault(task.facts.track or "a", []).append(task)
        return dict(sorted(found.items()))


def read_run(folder: RunFolder) -> RunFacts:
    """Read a run; one that was never scored is scored first.

    Raises:
        ScoringError: A file of the run cannot be read.
    """
    manifest = folder.read_manifest()
    scores = folder.read_scores() or score_run(folder)
    unasked = TestTask(metric="", clips_expected=0)
    tasks = [
        TaskFacts(
            name,
            manifest.test.get(name, unasked),
            entry,
            _predictions(folder, name),
        )
        for name, entry in scores.tasks.items()
    ]
    plan = read_json(folder.plan) if folder.plan.is_file() else {}
    return RunFacts(
        folder=folder,
        manifest=manifest,
        scores=scores,
        tasks=tasks,
        losses=read_losses(folder.losses),
        plan=plan if isinstance(plan, dict) else {},
    )


def read_losses(path: Path) -> list[tuple[int, float]]:
    """The loss curve; lines without a finite loss are left out.

    Raises:
        ScoringError: A line is no JSON object with a step.
    """
    found: list[tuple[int, float]] = []
    if not path.is_file():
        return found
    with path.open(encoding="utf-8") as stream:
        for line_number, line in enumerate(stream, 1):
            try:
                value = json.loads(line)
                step, loss = int(value["step"]), float(value["loss"])
            except (ValueError, KeyError, TypeError) as error:
                raise ScoringError(
                    f"{path}, line {line_number} is no loss ({error!r}): expected an object with "
                    "step and loss. Remove the file to have the page without the curve."
                ) from error
            if math.isfinite(loss):
                found.append((step, loss))
    return found


def without_folders(text: str) -> str:
    """A text whose absolute paths are their last parts: the rest may name its owner."""
    return _FOLDERS.sub("", text)


def plain_id(name: str, *, parts: int = 2) -> str:
    """A clip's id or a shard's name; of one outside the task's folder, its last parts alone."""
    outside = name.startswith(("/", "../", "~"))
    return "/".join(name.split("/")[-parts:]) if outside else name


def file_names(files: Mapping[str, Any]) -> dict[str, Any]:
    """An encoder's files, without the folder that all of them lie in, with what is said of each.

    Of files that lie here and there only the last part is kept, numbered where that is not enough.
    """
    paths = {name: name.replace("\\", "/").split("/") for name in files}
    columns = zip(*(parts[:-1] for parts in paths.values()), strict=False)
    shared = len(list(takewhile(lambda column: len({*column}) == 1, columns)))
    found: dict[str, Any] = {}
    for name, parts in paths.items():
        inside = parts[shared:] if shared > 1 else parts[-1:]
        shown, count = "/".join(inside), 1
        while shown in found:
            count += 1
            shown = f"{'/'.join(inside)} ({count})"
        found[shown] = files[name]
    return found


def number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def same_test(one: TestTask | None, other: TestTask | None) -> bool:
    """Whether two manifests' test entries of a task ask the same clips and score them alike."""
    if one is None or other is None or one.metric != other.metric:
        return False
    counted = [(side.separator, side.num_classes) for side in (one, other)]
    if one.metric == MAP and counted[0] != counted[1]:
        return False
    unread = [side.with_fields(index=None, decoder=None).asked for side in (one, other)]
    return unread[0] == unread[1]


def _label_f1(answer: str, reference: str, separator: str) -> float:
    found = split_labels(answer, separator, strip=True)
    wanted = split_labels(reference, separator, strip=True)
    size = len(found) + len(wanted)
    return 2 * len(found & wanted) / size if size else 1.0


def _predictions(folder: RunFolder, task: str) -> list[Prediction]:
    path = folder.predictions(task)
    return read_predictions(path) if path.is_file() else []
