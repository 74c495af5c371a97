"""Which labels were taken for which: the confusion matrix, and how well each class was heard.

A matrix is drawn up to 60 classes. Beyond that, and for several labels per clip, the table of the
most frequent confusions and the bars per class say more than a picture could.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from auricle.metrics.classification import split_labels
from auricle.metrics.text import Samples
from auricle.runs.report_facts import TaskFacts, number

MOST_CLASSES = 60
LONGEST_LABEL = 22
_MOST_CONFUSIONS = 8
_MOST_BARS = 24
_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
).split()


@dataclass(frozen=True, slots=True)
class Cell:
    """Answers of one kind to clips of one class."""

    row: int
    column: int
    share: float
    """Of the row's clips."""
    count: int
    right: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are references, columns are answers; the last column is every other text."""

    labels: list[str]
    counts: list[int]
    """Clips of each row."""
    cells: list[Cell]
    """Only those that are not zero."""
    others: bool
    """Whether there is a column of answers that are no label."""

    @property
    def even(self) -> bool:
        """Whether every class has the same number of clips."""
        return len(set(self.counts)) == 1

    @property
    def cell_px(self) -> int:
        """Side of a cell: large enough for its count where there are few."""
        return 30 if len(self.labels) <= 12 else 20 if len(self.labels) <= 24 else 14

    def opacity(self, cell: Cell) -> float:
        """How dark a cell is; a count inside it must stay readable."""
        if self.cell_px < 30:
            return 0.12 + 0.88 * cell.share
        return 0.1 + 0.52 * cell.share if cell.right else 0.08 + 0.37 * cell.share

    @property
    def label_px(self) -> int:
        """Room for the longest label."""
        longest = max(len(label) for label in self.labels)
        return round(12 + 7.0 * min(max(longest, 5), LONGEST_LABEL))


@dataclass(frozen=True, slots=True)
class Confusion:
    """A class that was taken for another."""

    reference: str
    answer: str
    count: int
    share: float
    """Of the reference's clips."""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """How well one class was heard."""

    label: str
    value: float
    """Recall, or average precision where clips have several labels."""
    clips: int
    answered: int


def confusion_matrix(samples: Samples) -> Matrix | None:
    """Counts of answers by reference; None where there are too many classes to draw."""
    of_class = Counter(samples.flat_references)
    if not 1 < len(of_class) <= MOST_CLASSES:
        return None
    labels = sorted(of_class, key=label_order(of_class))
    place = {label: index for index, label in enumerate(labels)}
    counted = Counter(
        (place[text], place.get(answer, len(labels)))
        for text, answer in zip(samples.flat_references, samples.flat_predictions, strict=True)
    )
    cells = [
        Cell(row, column, count / of_class[labels[row]], count, row == column)
        for (row, column), count in sorted(counted.items())
    ]
    return Matrix(
        labels,
        [of_class[label] for label in labels],
        cells,
        any(cell.column == len(labels) for cell in cells),
    )


def label_order(labels: Iterable[str]) -> Any:
    """A sorting key: numbers, as digits or words, by value where all are; else the alphabet."""
    if all(_value(label) is not None for label in labels):
        return lambda label: (_value(label), label)
    return lambda label: label


def _value(label: str) -> int | None:
    if re.fullmatch(r"[0-9]{1,9}", label):
        return int(label)
    return _NUMBER_WORDS.index(label) if label in _NUMBER_WORDS else None


def confusions(samples: Samples) -> list[Confusion]:
    """The most frequent mistakes, most frequent first."""
    of_class = Counter(samples.flat_references)
    pairs = zip(samples.flat_references, samples.flat_predictions, strict=True)
    wrong = Counter((text, answer) for text, answer in pairs if text != answer)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    return [
        Confusion(text, answer, count, count / of_class[text])
        for (text, answer), count in ranked[:_MOST_CONFUSIONS]
    ]


@dataclass(frozen=True, slots=True)
class Classes:
    """Classes from the best heard to the worst, the middle left out where there are many."""

    measure: str
    best: list[ClassRow]
    worst: list[ClassRow]
    left_out: int


def classes_of(task: TaskFacts, samples: Samples) -> Classes | None:
    """How well each class was heard, best first; None where the scores do not say."""
    detail = task.entry.detail
    several = task.metric == "mAP"
    values = (detail.get("per_class") if several else None) or detail.get("per_class_recall")
    if not isinstance(values, dict) or not values:
        return None
    measure = "average precision" if several and detail.get("per_class") else "recall"
    clips, answered = _label_counts(task, samples)
    rows = [
        ClassRow(label, value, clips[label], answered[label])
        for label, raw in values.items()
        if (value := number(raw)) is not None
    ]
    rows.sort(key=lambda row: (-row.value, row.label))
    if len(rows) <= _MOST_BARS:
        return Classes(measure, rows, [], 0)
    half = _MOST_BARS // 2
    return Classes(measure, rows[:half], rows[-half:], len(rows) - 2 * half)


def _label_counts(task: TaskFacts, samples: Samples) -> tuple[Counter[str], Counter[str]]:
    if task.metric != "mAP":
        return Counter(samples.flat_references), Counter(samples.flat_predictions)
    clips: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    for answer, texts in zip(samples.predictions, samples.references, strict=True):
        clips.update(set().union(*(_labels(text, task.separator) for text in texts)))
        answered.update(_labels(answer, task.separator))
    return clips, answered


def _labels(text: str, separator: str) -> set[str]:
    return split_labels(text, separator, strip=True)
