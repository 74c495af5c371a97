"""Facts that hold for the clips of every synthetic task."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from auricle.catalog.load import get_task
from auricle.errors import UnknownNameError
from auricle.synth.clips import KINDS, label_of, make_clip
from auricle.synth.words import LEXICON, TONAL


@pytest.fixture(params=sorted(KINDS))
def task(request):
    return request.param


def test_a_clip_is_a_function_of_task_split_and_index(task):
    once = make_clip(task, split="train", index=7)
    again = make_clip(task, split="train", index=7)
    np.testing.assert_array_equal(once.samples, again.samples)
    assert once.fields == again.fields


def test_splits_and_indices_share_no_clip(task):
    clips = [
        make_clip(task, split=split, index=index)
        for split in ("train", "test")
        for index in range(3)
    ]
    assert len({clip.samples.tobytes() for clip in clips}) == 6


def test_a_clip_is_mono_float32_of_one_to_four_seconds_within_full_scale(task):
    for index in range(8):
        samples = make_clip(task, split="test", index=index).samples
        assert samples.dtype == np.float32
        assert samples.ndim == 1
        assert 1.0 <= len(samples) / 16_000 <= 4.0
        assert np.isfinite(samples).all()
        assert 0.1 < np.abs(samples).max() <= 0.95


def test_labels_are_dealt_evenly_in_both_splits(task):
    labels = KINDS[task].labels
    if labels == ("",):
        pytest.skip("a task of free text")
    for split in ("train", "test"):
        dealt = [label_of(task, split=split, index=index) for index in range(12 * len(labels))]
        decks = [tuple(dealt[j : j + len(labels)]) for j in range(0, len(dealt), len(labels))]
        assert all(sorted(deck) == sorted(labels) for deck in decks)
        assert len(set(decks)) > 1  # the number of a clip does not tell its label


def test_the_catalog_states_the_number_of_labels(task):
    kind, stated = KINDS[task], get_task(task).num_classes
    assert stated == (None if kind.labels == ("",) else len(kind.labels))


def test_a_clip_carries_its_label(task):
    for index in range(4):
        dealt = label_of(task, split="test", index=index)
        fields = make_clip(task, split="test", index=index).fields
        if dealt:
            assert dealt in fields["label"].split(";")
        else:
            assert list(fields) in (["text"], ["captions"])


def test_digits_are_said_with_the_words_of_the_digits():
    seen = {
        word
        for index in range(12)
        for word in make_clip("synth-digits", split="train", index=index).fields["text"].split()
    }
    assert seen <= {
        *("zero", "one", "two", "three", "four"),
        *("five", "six", "seven", "eight", "nine"),
    }


def test_every_syllable_occurs_with_all_four_tones():
    tones_of = {}
    for phonemes, tone in TONAL.values():
        tones_of.setdefault(phonemes, set()).add(tone)
    assert set(map(frozenset, tones_of.values())) == {frozenset({1, 2, 3, 4})}


def test_no_two_words_sound_alike():
    alike = Counter(LEXICON.values())
    assert {sounds for sounds, count in alike.items() if count > 1} == {("T", "UW")}  # two, to


def test_an_unknown_task_gets_the_nearest_names():
    with pytest.raises(
        UnknownNameError,
        match=r"no synthetic task named 'synth-keywords'.*Nearest: .*synth-keyword",
    ):
        make_clip("synth-keywords", split="train", index=0)
