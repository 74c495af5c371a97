"""What the report says about one task: further numbers, what was confused, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from auricle.metrics.captioning import ROUGE_L
from auricle.records.scores import ChanceAnswers, TaskScore
from auricle.runs.report_curves import Bin, histogram
from auricle.runs.report_examples import Example
from auricle.runs.report_facts import JUDGED_BY_MODELS, TaskFacts, number
from auricle.runs.report_labels import (
    Classes,
    Confusion,
    Matrix,
    classes_of,
    confusion_matrix,
    confusions,
)
from auricle.runs.report_overview import Bar, task_bar
from auricle.runs.report_page import score_text
from auricle.runs.report_recognition import RecognitionErrors, recognition_errors

_MEASURES = {
    "balanced_accuracy": "balanced accuracy (mean recall of the classes)",
    "macro_f1": "macro F1",
    "present_classes": "mAP over the classes that occur",
    "example_f1": "mean F1 of a clip's labels",
    "without_han_spaces": "without spaces between Han characters",
}


@dataclass(frozen=True, slots=True)
class Section:
    """What the page says about one task."""

    anchor: str
    task: TaskFacts
    bar: Bar
    prompt: str
    figures: list[tuple[str, str]]
    """Further numbers, by name."""
    cautions: list[str]
    matrix: Matrix | None
    confusions: list[Confusion]
    classes: Classes | None
    errors: RecognitionErrors | None
    histogram: list[Bin] | None
    measure: str
    """What the histogram counts."""
    examples: list[Example]


def task_section(
    task: TaskFacts, floor: float | None, anchor: str, examples: list[Example]
) -> Section:
    """Everything the page says about a task.

    Args:
        task: The task.
        floor: The floor's score, where one is known.
        anchor: The section's id in the page.
        examples: Answers to show.
    """
    samples = task.samples
    is_accuracy, is_text = task.metric == "accuracy", task.metric in ("iWER", "iCER")
    prompt = task.facts.prompt or ""
    values = None if is_accuracy else task.clip_values
    measure = "F1 of their labels" if task.metric == "mAP" else task.metric
    return Section(
        anchor=anchor,
        task=task,
        bar=task_bar(task, floor, anchor),
        prompt=str(prompt[0] if isinstance(prompt, list) and prompt else prompt or ""),
        figures=_figures(task.entry),
        cautions=_cautions(task.entry),
        matrix=confusion_matrix(samples) if samples and is_accuracy else None,
        confusions=confusions(samples) if samples and is_accuracy else [],
        classes=classes_of(task, samples) if samples else None,
        errors=recognition_errors(samples, task.metric) if samples and is_text else None,
        histogram=histogram(values) if values else None,
        measure=ROUGE_L if task.metric in JUDGED_BY_MODELS else measure,
        examples=examples,
    )


def _figures(entry: TaskScore) -> list[tuple[str, str]]:
    """Further numbers of a task's entry, where it has them."""
    detail = entry.detail
    found: list[tuple[str, str]] = []

    def add(name: str, value: Any) -> None:
        if (shown := number(value)) is not None:
            found.append((name, score_text(shown)))

    add("on the way from chance to perfect", entry.chance_corrected)
    for name, value in (entry.corrected or {}).items():
        add(_MEASURES.get(name, name.replace("_", " ")), value)
    add("error rate", detail.get("error_rate"))
    outside = number(detail.get("outside_labels"))
    if outside is not None:
        found.append(("answers that are no label of the task", f"{100 * outside:.1f} %"))
    answers = entry.chance_answers or ChanceAnswers()
    if answers.answer:
        add(f"always answering “{answers.answer[:60]}”", answers.constant)
    add("the same answers, shuffled over the clips", answers.shuffled)
    scored, samples = entry.clips_scored, entry.samples_scored
    found.append(("clips scored of expected", f"{scored:,} of {entry.clips_expected or 0:,}"))
    if samples and samples != scored:
        found.append(("samples (clip and reference)", f"{samples:,}"))
    if interval := entry.interval:
        found.append(("interval", f"95 %, {interval.method or 'over clips'}"))
    return found


def _cautions(entry: TaskScore) -> list[str]:
    """What a reader must know to trust the task's number."""
    detail = entry.detail
    found = [entry.reason] if entry.reason else []
    found += [part.note for part in (entry.interval, entry.chance_answers) if part and part.note]
    hidden = number(detail.get("hidden_by_clipping"))
    if hidden:
        found.append(f"More errors than reference units: unclipped it is {score_text(-hidden)}")
    examples = detail.get("outside_examples")
    if isinstance(examples, list) and examples:
        shown = ", ".join(f"“{str(text)[:40]}”" for text in examples[:3])
        found.append(f"Answers that are no label, e.g. {shown}")
    return found
