"""What stands behind a task's number: where the answers went wrong, and how."""

from __future__ import annotations

from collections import Counter
from typing import Any

from auricle.metrics.classification import ACCURACY, MAP, per_class_recall, split_labels
from auricle.metrics.result import MetricOptions, MetricResult
from auricle.metrics.text import Samples

MOST_CLASSES = 500
MOST_CONFUSIONS = 50


def diagnose(samples: Samples, result: MetricResult, options: MetricOptions) -> dict[str, Any]:
    """The metric's own detail with, for labels, recall, confusions and unknown answers.

    Args:
        samples: Normalised as the metric wants them.
        result: The metric's result on them.
        options: As the metric took them.
    """
    if result.metric == ACCURACY:
        return {**result.detail, **_label_diagnosis(samples)}
    if result.metric == MAP:
        return {**result.detail, **_multi_label_diagnosis(samples, options.separator)}
    return dict(result.detail)


def _label_diagnosis(samples: Samples) -> dict[str, Any]:
    answers, references = samples.flat_predictions, samples.flat_references
    labels = set(references)
    outside = Counter(answer for answer in samples.predictions if answer not in labels)
    confusions = Counter(
        (text, answer) for text, answer in zip(references, answers, strict=True) if text != answer
    )
    recall = per_class_recall(answers, references)
    return {
        "outside_labels": outside.total() / samples.num_clips,
        "outside_examples": [text for text, _ in outside.most_common(5)],
        "per_class_recall": recall if len(recall) <= MOST_CLASSES else None,
        "confusions": [
            {"reference": text, "answer": answer, "count": count}
            for (text, answer), count in confusions.most_common(MOST_CONFUSIONS)
        ],
    }


def _multi_label_diagnosis(samples: Samples, separator: str) -> dict[str, Any]:
    references = [split_labels(text, separator, strip=True) for text in samples.flat_references]
    labels = set().union(*references)
    answers = [split_labels(text, separator, strip=True) for text in samples.predictions]
    named = Counter(label for found in answers for label in found)
    outside = Counter({label: count for label, count in named.items() if label not in labels})
    positives = Counter(label for wanted in references for label in wanted)
    hits = Counter(
        label
        for wanted, clip in zip(references, samples.clip_of_sample, strict=True)
        for label in wanted & answers[clip]
    )
    return {
        "outside_labels": outside.total() / named.total() if named else 0.0,
        "outside_examples": [label for label, _ in outside.most_common(5)],
        "answers_without_known_label": sum(not found & labels for found in answers)
        / samples.num_clips,
        "per_class_recall": {label: hits[label] / positives[label] for label in sorted(labels)}
        if len(labels) <= MOST_CLASSES
        else None,
    }
