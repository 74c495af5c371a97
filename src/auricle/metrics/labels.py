"""Labels as the metrics read them: counted, and told apart, before anything is trained.

Whoever counts classes or looks for mistakes in labels asks here, so that import, `auricle data
check` and the metric see the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from auricle.errors import printable
from auricle.metrics.classification import split_labels
from auricle.metrics.compute import canonical_metric
from auricle.metrics.text import normalise

_CLASSES = ("accuracy", "map")
_SHOWN = 5


def has_classes(metric: str) -> bool:
    """Whether a metric's texts are names of classes."""
    return metric.lower() in _CLASSES


def labels_of(text: str, metric: str, separator: str) -> set[str]:
    """The distinct labels that a metric reads in one text."""
    if canonical_metric(metric) == "mAP":
        return split_labels(normalise(text, keep_punctuation=True), separator, strip=False)
    return {normalise(text)}


def raw_labels(text: str, metric: str, separator: str) -> list[str]:
    """The labels of one text as they are written."""
    pieces = text.split(separator) if canonical_metric(metric) == "mAP" else [text]
    return [piece.strip() for piece in pieces]


def label_problems(
    texts: Mapping[str, Iterable[str]], metric: str, *, separator: str, num_classes: int | None
) -> list[str]:
    """What is wrong with the labels of a task, a sentence each.

    Args:
        texts: The labels' texts by side, ``train`` and ``test``.
        metric: Of the task; without classes nothing is wrong.
        separator: Of mAP's labels.
        num_classes: How many classes the task says it has; None where it says nothing.
    """
    if not has_classes(metric):
        return []
    written: dict[str, dict[str, None]] = {}
    read: dict[str, set[str]] = {}
    spaced: set[str] = set()
    is_map = canonical_metric(metric) == "mAP"
    for side, all_texts in texts.items():
        read[side] = set()
        for text in dict.fromkeys(all_texts):
            read[side] |= labels_of(text, metric, separator)
            for label in raw_labels(text, metric, separator):
                seen = normalise(label, keep_punctuation=is_map)
                written.setdefault(seen, {})[label] = None
            if is_map:
                spaced |= {
                    label
                    for label in labels_of(text, metric, separator)
                    if label != label.strip() or not label
                }
    problems = []
    alike = [list(labels) for labels in written.values() if len(labels) > 1]
    if alike:
        groups = [" = ".join(printable(one) for one in group[:_SHOWN]) for group in alike[:_SHOWN]]
        more = f" and {len(alike) - _SHOWN} more" if len(alike) > _SHOWN else ""
        problems.append(
            f"{len(alike)} labels are written in ways that {metric} cannot tell apart: "
            f"{'; '.join(groups)}{more}. Write them apart in letters if they are different classes."
        )
    if spaced:
        shown = ", ".join(repr(one) for one in sorted(spaced)[:_SHOWN])
        problems.append(
            f"{len(spaced)} labels begin or end with white space or are empty, which {metric} "
            f"takes for labels of their own: {shown}. Leave out spaces around '{separator}'."
        )
    unseen = sorted(read.get("test", set()) - read.get("train", set()))
    if read.get("train") and unseen:
        shown = ", ".join(printable(one) for one in unseen[:_SHOWN])
        problems.append(
            f"{len(unseen)} labels of the test side never stand on the train side: {shown}."
        )
    classes = set().union(*read.values())
    if num_classes is not None and len(read.get("test", ())) > num_classes:
        problems.append(
            f"the test side has {len(read['test'])} labels, the task says num_classes: "
            f"{num_classes}, so there would be no score."
        )
    elif len(classes) == 1:
        problems.append(f"there is one label alone, '{min(classes)}'.")
    return problems
