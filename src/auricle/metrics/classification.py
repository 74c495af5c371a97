"""Accuracy and mean average precision on answered text.

mAP is scikit-learn's macro average precision on 0/1 scores, in closed form: hard answers leave
only four counts a class, so no ranking is computed.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from auricle.metrics.result import MetricOptions, MetricResult, clipped, unscorable
from auricle.metrics.tally import LabelTally, RatioTally
from auricle.metrics.text import Samples, normalise

ACCURACY = "accuracy"
MAP = "mAP"


def accuracy(samples: Samples, options: MetricOptions) -> MetricResult:
    """Share of samples whose normalised answer equals the reference.

    Beside it: balanced accuracy (mean recall over the classes of the references; Brodersen et al.,
    2010) and macro F1, which a majority class cannot carry.
    """
    del options
    clips, total = samples.num_clips, samples.num_samples
    if total == 0:
        return unscorable(ACCURACY, "There are no samples to score.")
    answers, references = samples.flat_predictions, samples.flat_references
    pairs = zip(answers, references, strict=True)
    right = np.fromiter((answer == text for answer, text in pairs), np.float64, total)
    clip_of_sample = samples.clip_of_sample
    correct = np.bincount(clip_of_sample, weights=right, minlength=clips).astype(np.float64)
    counts = np.fromiter(map(len, samples.references), np.float64, clips)
    recall = per_class_recall(answers, references)
    raw = int(right.sum()) / total
    return MetricResult(
        ACCURACY,
        clipped(raw),
        raw,
        {
            "balanced_accuracy": sum(recall.values()) / len(recall),
            "macro_f1": _macro_f1(answers, references),
        },
        None,
        (correct / counts).tolist(),
        clips,
        total,
        {"correct": int(right.sum())},
        RatioTally(correct, counts, binary=True),
    )


def per_class_recall(answers: list[str], references: list[str]) -> dict[str, float]:
    """Share of each reference class that was answered, classes in alphabetical order."""
    of_class = Counter(references)
    hits = Counter(text for answer, text in zip(answers, references, strict=True) if answer == text)
    return {label: hits[label] / of_class[label] for label in sorted(of_class)}


def _macro_f1(answers: list[str], references: list[str]) -> float:
    of_class, answered = Counter(references), Counter(answers)
    hits = Counter(text for answer, text in zip(answers, references, strict=True) if answer == text)
    return sum(2 * hits[c] / (of_class[c] + answered[c]) for c in sorted(of_class)) / len(of_class)


def mean_average_precision(samples: Samples, options: MetricOptions) -> MetricResult:
    """Macro average precision over ``num_classes`` classes of hard multi-label answers.

    With N samples, P positives, M answered and T hits of a class, its average precision is
    ``P / N`` where M is 0 or N, else ``(T / P)(T / M) + (1 - T / P)(P / N)``: two thresholds are
    all that 0/1 scores have. Classes that no reference names count 0.

    Beside it: the same with labels stripped of white space and averaged over the classes that
    occur (``present_classes``), and the mean F1 over samples, in which junk labels cost something
    (``example_f1``; Godbole and Sarawagi, 2004).
    """
    clips, total = samples.num_clips, samples.num_samples
    problem = _argument_problem(options) or ("" if total else "There are no samples to score.")
    if problem:
        return unscorable(MAP, problem, num_clips=clips, num_samples=total)
    assert options.num_classes is not None
    tally = label_tally(samples, options.separator, options.num_classes)
    if len(tally.labels) > options.num_classes:
        return unscorable(
            MAP,
            f"The references name {len(tally.labels)} labels but the task has "
            f"{options.num_classes} classes; check --num-classes and --separator.",
            num_clips=clips,
            num_samples=total,
        )
    per_class = average_precisions(*class_counts(tally), total)
    raw = float(per_class.sum()) / options.num_classes
    stripped = label_tally(samples, options.separator, options.num_classes, strip=True)
    corrected = {"example_f1": _example_f1(samples, options.separator)}
    if stripped.labels:
        present = average_precisions(*class_counts(stripped), total)
        corrected["present_classes"] = float(present.mean())
    return MetricResult(
        MAP,
        clipped(raw),
        raw,
        corrected,
        None,
        None,
        clips,
        total,
        {
            "classes_present": len(stripped.labels),
            "num_classes": options.num_classes,
            "per_class": {k: float(v) for k, v in zip(tally.labels, per_class, strict=True)},
        },
        tally,
    )


def _argument_problem(options: MetricOptions) -> str:
    if options.num_classes is None:
        return "mAP needs the number of classes; give --num-classes."
    if options.num_classes < 1:
        return f"mAP was given {options.num_classes} classes; the number must be 1 or more."
    problem = separator_problem(options.separator)
    return f"mAP: {problem}." if problem else ""


def separator_problem(separator: str) -> str:
    """Why a separator of labels cannot be used; empty where it can.

    Normalisation must leave it alone, or the metric would never find it.
    """
    if not separator:
        return "an empty separator separates nothing; use e.g. ';'"
    if normalise(f"a{separator}b", keep_punctuation=True) == f"a{separator}b":
        return ""
    return (
        f"the separator {separator!r} does not survive the normalisation of texts, so no label "
        "would ever be found; use e.g. ';'"
    )


def split_labels(text: str, separator: str, *, strip: bool) -> set[str]:
    """The distinct labels of one text; officially neither stripped nor freed of empty ones."""
    pieces = text.split(separator)
    return {piece.strip() for piece in pieces if piece.strip()} if strip else set(pieces)


def label_tally(
    samples: Samples, separator: str, num_classes: int, *, strip: bool = False
) -> LabelTally:
    """Which labels each sample has and which of the known ones were answered."""
    targets = [split_labels(t, separator, strip=strip) for t in samples.flat_references]
    labels = sorted(set().union(*targets))
    column = {label: index for index, label in enumerate(labels)}
    answers = [split_labels(t, separator, strip=strip) for t in samples.predictions]
    known = [[column[label] for label in sorted(found) if label in column] for found in answers]
    clip_of_sample = samples.clip_of_sample
    target_rows, target_columns = _flatten([[column[x] for x in sorted(t)] for t in targets])
    answer_rows, answer_columns = _flatten([known[clip] for clip in clip_of_sample])
    return LabelTally(
        labels,
        num_classes,
        clip_of_sample,
        target_rows,
        target_columns,
        answer_rows,
        answer_columns,
    )


def _flatten(columns: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    sizes = np.fromiter(map(len, columns), np.int64, len(columns))
    flat = np.fromiter((c for row in columns for c in row), np.int64, int(sizes.sum()))
    return np.repeat(np.arange(len(columns)), sizes), flat


def class_counts(
    tally: LabelTally,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Positives, answered and hits of each present class, float64 ``[num_labels]`` each."""
    width = max(len(tally.labels), 1)
    targets = tally.target_rows * width + tally.target_columns
    answers = tally.answer_rows * width + tally.answer_columns
    hits = np.intersect1d(targets, answers, assume_unique=True) % width
    size = len(tally.labels)
    return (
        np.bincount(tally.target_columns, minlength=size).astype(np.float64),
        np.bincount(tally.answer_columns, minlength=size).astype(np.float64),
        np.bincount(hits, minlength=size).astype(np.float64),
    )


def average_precisions(
    positives: NDArray[np.float64],
    answered: NDArray[np.float64],
    hits: NDArray[np.float64],
    num_samples: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Average precision of each class from its counts; 0 where a class has no positives.

    Args:
        positives: P, any shape.
        answered: M, the same shape.
        hits: T, the same shape.
        num_samples: N, a number or broadcastable.

    Returns:
        float64 of the same shape.
    """
    prevalence = positives / num_samples
    recall = hits / np.maximum(positives, 1)
    precision = hits / np.maximum(answered, 1)
    constant = (answered == 0) | (answered == num_samples)
    value = np.where(constant, prevalence, recall * precision + (1 - recall) * prevalence)
    return np.where(positives > 0, value, 0.0)


def _example_f1(samples: Samples, separator: str) -> float:
    total = 0.0
    for answer, texts in zip(samples.predictions, samples.references, strict=True):
        found = split_labels(answer, separator, strip=True)
        for text in texts:
            wanted = split_labels(text, separator, strip=True)
            size = len(found) + len(wanted)
            total += 2 * len(found & wanted) / size if size else 1.0
    return total / samples.num_samples
