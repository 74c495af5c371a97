"""Small parts of the metrics by hand: what is clipped, selected, shuffled and counted."""

from __future__ import annotations

import numpy as np
import pytest

from auricle.metrics.classification import class_counts
from auricle.metrics.compute import compute_prepared, prepare
from auricle.metrics.embed import penalties
from auricle.metrics.result import MetricOptions, clipped, unscorable
from auricle.metrics.tally import LabelTally, RatioTally


@pytest.mark.parametrize(("value", "kept"), [(1.7, 1.0), (1.0, 1.0), (0.3, 0.3), (-0.2, 0.0)])
def test_a_score_is_clipped_to_its_range(value: float, kept: float) -> None:
    assert clipped(value) == kept


def test_what_cannot_be_scored_counts_nothing() -> None:
    result = unscorable("accuracy", "why")
    assert (result.num_clips, result.num_samples, result.score, result.raw) == (0, 0, None, None)


def test_accuracy_of_one_label_a_clip_is_a_count_of_yes_and_no() -> None:
    """Its interval is a binomial one; an error rate's is not."""
    samples = prepare("accuracy", ["dog", "cat", "cat"], [["dog"], ["cat"], ["dog"]])
    tally = compute_prepared("accuracy", samples, MetricOptions()).tally
    assert isinstance(tally, RatioTally)
    assert tally.binary
    assert (tally.numerator.tolist(), tally.denominator.tolist()) == ([1, 1, 0], [1, 1, 1])
    assert tally.select(np.array([2, 0])).numerator.tolist() == [0, 1]
    rates = prepare("iWER", ["a b"], [["a c"]])
    other = compute_prepared("iWER", rates, MetricOptions()).tally
    assert isinstance(other, RatioTally)
    assert not other.binary


def label_tally() -> LabelTally:
    """Three clips: dog for dog; cat and dog for cat; nothing for cat and dog."""
    samples = prepare("mAP", ["dog", "cat;dog", ""], [["dog"], ["cat"], ["cat;dog"]])
    tally = compute_prepared("mAP", samples, MetricOptions(num_classes=2)).tally
    assert isinstance(tally, LabelTally)
    assert list(tally.labels) == ["cat", "dog"]
    return tally


def test_labels_are_counted_per_class() -> None:
    positives, answered, hits = class_counts(label_tally())
    assert (positives.tolist(), answered.tolist(), hits.tolist()) == ([2, 2], [1, 2], [1, 1])


@pytest.mark.parametrize(
    ("clips", "positives", "answered", "hits"),
    [
        ([0], [0, 1], [0, 1], [0, 1]),
        ([1], [1, 0], [1, 1], [1, 0]),
        ([2], [1, 1], [0, 0], [0, 0]),
        ([2, 0], [1, 2], [0, 1], [0, 1]),
        ([0, 1], [1, 1], [1, 2], [1, 1]),
        ([0, 1, 2], [2, 2], [1, 2], [1, 1]),
    ],
)
def test_some_clips_are_counted_as_if_there_were_no_others(
    clips: list[int], positives: list[int], answered: list[int], hits: list[int]
) -> None:
    tally = label_tally().select(np.array(clips))
    assert tally.num_clips == len(clips)
    found = [counts.tolist() for counts in class_counts(tally)]
    assert found == [positives, answered, hits]


def test_shuffled_answers_are_those_of_another_clip() -> None:
    for count in (2, 3, 50):
        other = prepare("accuracy", ["a"] * count, [["a"]] * count).other_clips()
        assert other is not None
        assert sorted(other) == list(range(count))
        assert all(other != np.arange(count))
    assert prepare("accuracy", ["a"], [["a"]]).other_clips() is None
    assert prepare("accuracy", [], []).other_clips() is None


@pytest.mark.parametrize(("count", "tokens"), [(0, 256), (1, 64), (2, 256), (64, 256)])
def test_one_answer_alone_is_read_to_its_64th_token_as_by_the_reference(
    count: int, tokens: int
) -> None:
    class AskedError(Exception):
        pass

    class Detector:
        max_tokens = 256

        def tokenizer(self, texts: list[str], *, max_length: int, **_: object) -> None:
            raise AskedError(max_length)

    with pytest.raises(AskedError) as asked:
        penalties(Detector(), ["a dog"], num_samples=count)  # type: ignore[arg-type]
    assert asked.value.args == (tokens,)
