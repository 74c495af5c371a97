"""Sound recipes, music and captions say what is in them."""

from __future__ import annotations

import numpy as np
import pytest

from auricle.seeding import generator
from auricle.synth.captions import CAPTIONS
from auricle.synth.clips import make_clip
from auricle.synth.genres import DANCES, GENRES
from auricle.synth.languages import LANGUAGES, language
from auricle.synth.music import DRUMS, INSTRUMENTS, Band, drum, hire, midi_hz, note, perform
from auricle.synth.scenes import ENVIRONMENT, EVENTS, SOUNDS, SOUNDSCAPE


@pytest.mark.parametrize("name", sorted(SOUNDS))
def test_a_sound_fills_its_length_and_is_heard(name):
    rng = generator("test", name)
    for size in (24_000, 48_001):
        x = SOUNDS[name](rng, size)
        assert x.shape == (size,)
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert np.abs(x).max() > 0.01


def test_label_sets_have_the_sizes_of_the_tasks_that_they_mirror():
    assert (len(set(ENVIRONMENT)), len(set(EVENTS)), len(set(SOUNDSCAPE))) == (50, 20, 41)
    assert (len(set(LANGUAGES)), len(GENRES), len(DANCES), len(INSTRUMENTS)) == (33, 10, 8, 11)


def test_events_are_sorted_distinct_and_of_the_closed_set():
    for index in range(25):
        label = make_clip("synth-events", split="train", index=index).fields["label"]
        names = label.split(";")
        assert names == sorted(set(names))
        assert set(names) <= set(EVENTS)
        assert 1 <= len(names) <= 3


@pytest.mark.parametrize(("midi", "hz"), [(69, 440.0), (60, 261.626), (57, 220.0)])
def test_midi_notes_have_the_frequencies_of_equal_temperament(midi, hz):
    assert midi_hz(midi) == pytest.approx(hz, abs=0.001)


@pytest.mark.parametrize("name", sorted(set(INSTRUMENTS) - {"flute", "mallet", "bass"}))
def test_an_instrument_plays_the_note_that_is_written(name):
    x = note(name, 57, 8)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 160_000))
    fundamental = np.argmax(spectrum[2000:2500]) / 10 + 200
    assert fundamental == pytest.approx(220, rel=0.015)


def test_kept_notes_and_drums_cannot_be_changed_by_their_users():
    for sound in (note("organ", 60, 2), drum("kick", 0)):
        with pytest.raises(ValueError, match="read-only"):
            sound[0] = 1


def test_a_four_to_the_floor_kick_comes_once_a_beat():
    rng = generator("test", "beat")
    groove = DANCES["house"]
    band = Band(groove, "flute", "guitar", 120.0, "major", (1.0, 0.0, 0.0, 0.0, 0.0))
    piece = perform(rng, band, 64_000)
    power = piece**2
    frames = power[: 64_000 // 400 * 400].reshape(-1, 400).sum(1)
    spectrum = np.abs(np.fft.rfft(frames - frames.mean()))
    beats_per_s = np.argmax(spectrum) / 4.0
    assert beats_per_s == pytest.approx(2.0, abs=0.25)  # 120 a minute


def test_every_pattern_of_a_groove_spans_one_bar():
    for groove in (*GENRES.values(), *DANCES.values()):
        patterns = (groove.kick, groove.snare, groove.hat, groove.chords)
        assert {len(pattern) for pattern in patterns} in ({16}, {12})
        assert set("".join(patterns)) <= {"x", "."}
        assert "x" in groove.chords


def test_dances_differ_in_nothing_but_rhythm():
    shared = {
        (groove.tempo, groove.leads, groove.chord_instruments, groove.scale, groove.density)
        for groove in DANCES.values()
    }
    assert len(shared) == 1


def test_languages_differ_in_their_sounds():
    inventories = {language(name) for name in LANGUAGES}
    assert len(inventories) == 33


@pytest.mark.parametrize("task", sorted(CAPTIONS))
def test_every_clip_has_several_captions_that_differ(task):
    for index in range(6):
        captions = make_clip(task, split="test", index=index).fields["captions"]
        assert len(captions) >= 3
        assert len(set(captions)) == len(captions)
        assert all(caption == caption.strip().lower() for caption in captions)


def test_hired_bands_play_within_their_genre():
    rng = generator("test", "hire")
    for groove in GENRES.values():
        band = hire(rng, groove)
        assert groove.tempo[0] <= band.tempo <= groove.tempo[1]
        assert band.lead in groove.leads
        assert len(band.mix) == len(DRUMS) + 2
