"""The voice has the pitch, the formants and the pace that it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from auricle.seeding import generator
from auricle.synth.kind import lay, say
from auricle.synth.voice import PHONEMES, Speaker, Style, draw_speaker, speak

CALM = Speaker(
    pitch_hz=120,
    tract=1.0,
    rate=1.0,
    breath=0.01,
    tilt=1.0,
    jitter=0.0,
    liveliness=0.0,
    twang_hz=3600,
)
LEVEL = Style(contour=(1.0, 1.0))


@pytest.fixture
def rng():
    return generator("test", "voice")


def _vowel(rng, name, speaker=CALM, style=LEVEL):
    x = speak(rng, [name] * 6, speaker, style)
    return x[len(x) // 4 : 3 * len(x) // 4]


def _pitch_hz(x):
    """The shortest lag that the signal nearly repeats at, between 70 and 400 Hz."""
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(spectrum)
    lags = np.arange(16_000 // 400, 16_000 // 70)
    near = correlation[lags] > 0.8 * correlation[lags].max()
    first = int(np.argmax(near))
    end = first + int(np.argmin(np.append(near[first:], False)))
    return 16_000 / (lags[first] + np.argmax(correlation[lags[first:end]]))


@pytest.mark.parametrize("hz", [100.0, 150.0, 230.0])
def test_a_vowel_has_its_speakers_pitch(rng, hz):
    speaker = Speaker(**{**{n: getattr(CALM, n) for n in CALM.__slots__}, "pitch_hz": hz})
    assert _pitch_hz(_vowel(rng, "AH", speaker)) == pytest.approx(hz, rel=0.03)


@pytest.mark.parametrize(("vowel", "first_hz"), [("IY", 270), ("EH", 530), ("AA", 730)])
def test_a_vowel_is_strongest_near_its_first_formant(rng, vowel, first_hz):
    # Peterson and Barney (1952), men.
    x = _vowel(rng, vowel)
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)), 16_000)) ** 2
    smooth = np.convolve(power, np.hanning(241), "same")
    assert np.argmax(smooth[:1000]) == pytest.approx(first_hz, abs=90)


def test_s_hisses_above_4_khz_and_m_does_not(rng):
    def share_above(name):
        x = _vowel(rng, name)
        power = np.abs(np.fft.rfft(x, 16_000)) ** 2
        return power[4000:].sum() / power.sum()

    assert share_above("S") > 0.9
    assert share_above("M") < 0.05


def test_the_third_tone_dips(rng):
    x = speak(rng, ["AA"] * 4, CALM, Style(contour=(1.0, 0.7, 1.0)))
    third = len(x) // 5
    middle = _pitch_hz(x[2 * third : 3 * third])
    assert middle == pytest.approx(0.72 * 120, rel=0.08)
    assert _pitch_hz(x[:third]) > 1.1 * middle < _pitch_hz(x[-third:])


def test_a_long_phrase_is_said_within_its_time(rng):
    phonemes = ["S", "AA", "T", "IY"] * 6
    lengths = [len(say(rng, phonemes, draw_speaker(rng), most_s=1.0)) for _ in range(6)]
    assert np.array(lengths) / 16_000 == pytest.approx(np.full(6, 1.0), abs=0.25)


def test_a_short_phrase_keeps_its_speakers_pace(rng):
    natural_s = sum(PHONEMES[p].duration_s for p in ("S", "AA", "T"))
    lengths = [len(say(rng, ["S", "AA", "T"], CALM, most_s=5.0)) for _ in range(30)]
    # Each phoneme is stretched by 0.85 to 1.2; the last frame hangs over by 10 ms.
    assert np.mean(lengths) / 16_000 == pytest.approx(1.025 * natural_s + 0.01, abs=0.02)


def test_a_longer_tract_lowers_the_formants(rng):
    def centre(tract):
        speaker = Speaker(**{**{n: getattr(CALM, n) for n in CALM.__slots__}, "tract": tract})
        x = _vowel(rng, "IY", speaker)
        power = np.abs(np.fft.rfft(x, 16_000))[1500:4000] ** 2
        return (power * np.arange(1500, 4000)).sum() / power.sum()

    assert centre(0.9) < centre(1.2)


def test_every_phoneme_can_be_said(rng):
    for name in PHONEMES:
        x = speak(rng, [name], draw_speaker(rng))
        assert np.isfinite(x).all()
        assert x.dtype == np.float32


def test_where_a_sound_lies_in_a_clip_is_drawn(rng):
    starts = set()
    for _ in range(20):
        clip = lay(rng, np.ones(1600, np.float32), (1.0, 1.0))
        assert len(clip) == 16_000
        starts.add(int(np.argmax(clip > 0)))
    assert len(starts) > 15
