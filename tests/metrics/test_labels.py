"""Labels are counted and told apart by what the metric itself reads."""

from __future__ import annotations

import pytest

from auricle.metrics.classification import separator_problem
from auricle.metrics.compute import compute_metric
from auricle.metrics.labels import label_problems, labels_of
from auricle.metrics.result import MetricOptions


def problems(
    train: list[str],
    test: list[str],
    metric: str = "accuracy",
    *,
    separator: str = ";",
    num_classes: int | None = None,
) -> list[str]:
    sides = {"train": train, "test": test}
    return label_problems(sides, metric, separator=separator, num_classes=num_classes)


@pytest.mark.parametrize("separator", ["\uff1b", "-", "X", "\t", "  ", "\n"])
def test_a_separator_that_normalisation_changes_is_refused(separator: str) -> None:
    """Every text would be one label, and answers in another order be wrong without a word."""
    assert "does not survive" in separator_problem(separator)
    texts = [[separator.join("ab")], ["b"], ["a"], ["c"]]
    options = MetricOptions(num_classes=4, separator=separator)
    result = compute_metric("mAP", [separator.join("ba"), "b", "a", "c"], texts, options=options)
    assert result.score is None
    assert result.reason is not None
    assert "does not survive the normalisation" in result.reason


@pytest.mark.parametrize("separator", [";", "|", ",", ", ", "; ", "||", " "])
def test_a_separator_that_stays_is_taken(separator: str) -> None:
    assert not separator_problem(separator)
    texts = [[separator.join("ab")], ["b"], ["a"], ["c"]]
    options = MetricOptions(num_classes=4, separator=separator)
    result = compute_metric("mAP", [separator.join("ba"), "b", "a", "c"], texts, options=options)
    assert result.score == 0.75  # three of four classes occur


def test_an_empty_separator_is_refused() -> None:
    assert "separates nothing" in separator_problem("")


def test_labels_are_those_that_the_metric_reads() -> None:
    assert labels_of("Dog; cat", "mAP", ";") == {"dog", " cat"}
    assert labels_of("A dog.", "accuracy", ";") == {"a dog"}


@pytest.mark.parametrize(
    ("one", "other"), [("C", "C#"), ("5", "-5"), ("1.5", "15"), ("A+", "A-"), ("dog", "Dog")]
)
def test_labels_that_accuracy_cannot_tell_apart_are_named(one: str, other: str) -> None:
    (said,) = problems([one, other, "x"], [one, other])
    assert said.startswith("1 labels are written in ways that accuracy cannot tell apart")
    assert f"{one} = {other}" in said


def test_capitals_and_white_space_of_map_labels_are_named() -> None:
    said = problems(["dog; cat", "Dog;cat", "cat;"], ["dog"], "mAP")
    assert any("dog = Dog" in text for text in said)
    assert any("begin or end with white space or are empty" in text for text in said)
    assert any("' cat'" in text and "''" in text for text in said)


def test_what_the_test_side_alone_has_is_named() -> None:
    assert problems(["a", "b"], ["a", "C"]) == [
        "1 labels of the test side never stand on the train side: c."
    ]
    assert problems([], ["a", "b"]) == []  # a side without shards says nothing


def test_more_classes_than_the_task_says_are_named_before_training() -> None:
    (said,) = problems(["a;b;c"], ["a;b;c"], "mAP", num_classes=2)
    assert said.startswith("the test side has 3 labels, the task says num_classes: 2")


def test_one_label_alone_and_texts_of_other_metrics() -> None:
    assert problems(["a"], ["A"])[-1] == "there is one label alone, 'a'."
    assert problems(["5", "-5"], ["x"], "iWER") == []
