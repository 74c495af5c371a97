import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score

from auricle.metrics.compute import compute_metric
from auricle.metrics.result import MetricOptions


def singles(texts):
    return [[text] for text in texts]


def test_accuracy_counts_each_reference_of_a_clip():
    result = compute_metric("accuracy", ["dog", "cat"], [["dog", "cow"], ["cat"]])
    assert result.raw == pytest.approx(2 / 3)
    assert result.per_clip == [0.5, 1.0]
    assert (result.num_clips, result.num_samples) == (2, 3)


def test_accuracy_of_the_worked_example():
    result = compute_metric(
        "accuracy", ["Dog.", "cat", "car horn"], singles(["dog", "cow", "car_horn"])
    )
    assert result.raw == pytest.approx(1 / 3)


def test_balanced_accuracy_and_macro_f1_agree_with_scikit_learn():
    rng = np.random.default_rng(3)
    truth = rng.choice(["a", "b", "c"], 200, p=[0.8, 0.15, 0.05])
    answers = np.where(rng.random(200) < 0.7, truth, rng.choice(["a", "b", "c"], 200))
    result = compute_metric("accuracy", answers.tolist(), singles(truth.tolist()))
    assert result.corrected["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, answers), abs=1e-12
    )
    assert result.corrected["macro_f1"] == pytest.approx(
        f1_score(truth, answers, average="macro"), abs=1e-12
    )


def test_map_agrees_with_scikit_learn_on_random_sets():
    rng = np.random.default_rng(7)
    classes, size = 20, 300
    truth = rng.random((size, classes)) < 0.1
    truth[np.arange(size), rng.integers(0, classes, size)] = True
    answers = np.where(rng.random((size, classes)) < 0.9, truth, ~truth)

    def texts(matrix):
        return [";".join(f"c{j:02d}" for j in np.flatnonzero(row)) for row in matrix]

    result = compute_metric(
        "mAP", texts(answers), singles(texts(truth)), options=MetricOptions(num_classes=classes)
    )
    expected = average_precision_score(truth, answers.astype(float), average="macro")
    assert result.raw == pytest.approx(expected, abs=1e-12)
    assert result.corrected["present_classes"] == pytest.approx(expected, abs=1e-12)
    example = f1_score(truth, answers, average="samples", zero_division=1.0)
    assert result.corrected["example_f1"] == pytest.approx(example, abs=1e-12)
    assert result.per_clip is None


def test_average_precision_of_the_worked_example():
    # One class of four samples, two positives, one answered and right: (1/2) 1 + (1/2)(2/4).
    result = compute_metric(
        "mAP",
        ["x", "", "", ""],
        singles(["x", "x", "y", "y"]),
        options=MetricOptions(num_classes=2),
    )
    assert result.detail["per_class"]["x"] == pytest.approx(0.75)
    assert result.detail["per_class"]["y"] == pytest.approx(0.5)


def test_corrected_map_strips_labels_and_leaves_absent_classes_out():
    result = compute_metric(
        "mAP",
        ["dog;cat", "cat"],
        singles(["dog; cat", "cat"]),
        options=MetricOptions(num_classes=5),
    )
    # dog 1; " cat" is never answered and "cat" always: 1/2 each.
    assert result.raw == pytest.approx((1 + 0.5 + 0.5) / 5)
    assert result.corrected == pytest.approx({"present_classes": 1.0, "example_f1": 1.0})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (MetricOptions(), "needs the number of classes"),
        (MetricOptions(num_classes=0), "must be 1 or more"),
        (MetricOptions(num_classes=1), "2 labels but the task has 1 classes"),
        (MetricOptions(num_classes=2, separator=""), "empty separator"),
    ],
)
def test_wrong_arguments_of_map_give_a_reason_and_no_score(options, reason):
    result = compute_metric("mAP", ["a", "b"], singles(["a", "b"]), options=options)
    assert result.score is None
    assert result.raw is None
    assert reason in result.reason


def test_map_of_empty_references_alone_has_a_number():
    result = compute_metric(
        "mAP", ["", "x"], singles(["", ""]), options=MetricOptions(num_classes=1)
    )
    assert result.raw == pytest.approx(1.0)
    assert "present_classes" not in result.corrected
