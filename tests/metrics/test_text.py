import pytest

from auricle.errors import ScoringError
from auricle.metrics.text import normalise, pair


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("air-conditioner", "air conditioner"),
        ("car_horn", "carhorn"),
        ("日语．", "日语"),  # a full-width stop becomes ASCII before signs are deleted
        ("今天。", "今天。"),  # an ideographic stop does not
        ("½", "1⁄2"),
        ("don’t", "don’t"),
        ("a\u00a0\t b\n", "a b"),
        ("e\u0301", "é"),
        ("a\u200bb", "a\u200bb"),
        ("STRASSE ß", "strasse ß"),
        ("", ""),
    ],
)
def test_normalisation_follows_the_reference(text, expected):
    assert normalise(text) == expected


def test_normalisation_may_keep_punctuation():
    assert normalise("Dog; air-horn!", keep_punctuation=True) == "dog; air horn!"


def test_every_reference_is_a_sample_of_its_own():
    samples = pair(["A", "b"], [["x", "Y"], ["z"]])
    assert samples.num_clips == 2
    assert samples.num_samples == 3
    assert samples.flat_predictions == ["a", "a", "b"]
    assert samples.flat_references == ["x", "y", "z"]
    assert samples.clip_of_sample.tolist() == [0, 0, 1]


def test_unequal_lengths_are_refused():
    with pytest.raises(ScoringError, match="2 predictions and 1 lists of references"):
        pair(["a", "b"], [["a"]])


def test_a_clip_without_reference_is_refused():
    with pytest.raises(ScoringError, match="Clip 1 has no reference"):
        pair(["a", "b"], [["a"], []])


def test_a_text_in_place_of_a_list_of_references_is_refused():
    with pytest.raises(ScoringError, match="one text; a list of texts"):
        pair(["a"], ["a"])
