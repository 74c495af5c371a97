"""A formant voice: phonemes to samples.

Glottal pulses and noise go through a filter that moves every 10 ms, as in a classical cascade
synthesiser but with the filter applied as magnitudes to short-time spectra. Vowel formants are the
averages of Peterson and Barney (1952) for men; a speaker scales them by the length of their vocal
tract.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from auricle.synth.signals import SAMPLE_RATE, Samples, phase_of

FRAME = 320
HOP = 160
PAUSE = "_"


class _Phoneme(NamedTuple):
    formants: tuple[float, float, float]
    duration_s: float
    voice: float = 1.0
    noise: float = 0.0
    noise_hz: float = 1500.0
    noise_width_hz: float = 1000.0
    glide: tuple[float, float, float] | None = None
    burst: bool = False


_NEUTRAL = (450.0, 1500.0, 2500.0)


def _vowel(
    *formants: float, glide: tuple[float, float, float] | None = None, duration_s: float = 0.13
) -> _Phoneme:
    first, second, third = formants
    return _Phoneme((first, second, third), duration_s, glide=glide)


def _fricative(
    hz: float,
    width: float,
    noise: float,
    duration_s: float,
    voiced: tuple[float, float, float] | None = None,
) -> _Phoneme:
    return _Phoneme(voiced or _NEUTRAL, duration_s, 0.3 if voiced else 0.0, noise, hz, width)


def _stop(
    hz: float,
    width: float,
    noise: float,
    duration_s: float,
    voiced: tuple[float, float, float] | None = None,
) -> _Phoneme:
    voice = 0.15 if voiced else 0.0
    return _Phoneme(voiced or _NEUTRAL, duration_s, voice, noise, hz, width, burst=True)


def _murmur(*formants: float, voice: float, duration_s: float) -> _Phoneme:
    first, second, third = formants
    return _Phoneme((first, second, third), duration_s, voice)


PHONEMES: dict[str, _Phoneme] = {
    PAUSE: _Phoneme((500, 1500, 2500), 0.08, 0.0),
    "AA": _vowel(730, 1090, 2440),
    "AE": _vowel(660, 1720, 2410),
    "AH": _vowel(640, 1190, 2390, duration_s=0.10),
    "AO": _vowel(570, 840, 2410),
    "EH": _vowel(530, 1840, 2480),
    "ER": _vowel(490, 1350, 1690),
    "IH": _vowel(390, 1990, 2550, duration_s=0.10),
    "IY": _vowel(270, 2290, 3010),
    "UH": _vowel(440, 1020, 2240, duration_s=0.10),
    "UW": _vowel(300, 870, 2240),
    "OW": _vowel(450, 900, 2300, glide=(320, 850, 2250)),
    "EY": _vowel(450, 2100, 2600, glide=(300, 2300, 2900)),
    "AY": _vowel(650, 1400, 2500, glide=(300, 2200, 2800), duration_s=0.16),
    "AW": _vowel(680, 1050, 2400, glide=(330, 900, 2300), duration_s=0.16),
    "OY": _vowel(500, 1000, 2400, glide=(300, 2200, 2800), duration_s=0.16),
    "UE": _vowel(270, 1850, 2200),
    "S": _fricative(6200, 1200, 0.5, 0.11),
    "SH": _fricative(3300, 900, 0.6, 0.11),
    "F": _fricative(5000, 3000, 0.2, 0.09),
    "TH": _fricative(5500, 3000, 0.15, 0.08),
    "HH": _fricative(1500, 1200, 0.2, 0.06),
    "Z": _fricative(6200, 1200, 0.4, 0.09, (270, 1700, 2500)),
    "V": _fricative(4500, 3000, 0.12, 0.07, (250, 1100, 2300)),
    "DH": _fricative(5000, 3000, 0.08, 0.05, (250, 1400, 2500)),
    "P": _stop(800, 600, 0.5, 0.09),
    "T": _stop(4500, 1500, 0.7, 0.09),
    "K": _stop(2000, 700, 0.6, 0.095),
    "B": _stop(700, 500, 0.3, 0.075, (220, 900, 2300)),
    "D": _stop(3500, 1200, 0.4, 0.075, (220, 1700, 2600)),
    "G": _stop(1900, 600, 0.4, 0.08, (220, 1900, 2200)),
    "CH": _stop(3300, 900, 0.8, 0.12),
    "JH": _stop(2500, 900, 0.6, 0.10, (220, 1800, 2500)),
    "M": _murmur(250, 1000, 2200, voice=0.45, duration_s=0.08),
    "N": _murmur(250, 1600, 2500, voice=0.45, duration_s=0.075),
    "NG": _murmur(250, 2000, 2400, voice=0.45, duration_s=0.08),
    "L": _murmur(360, 1200, 2700, voice=0.6, duration_s=0.07),
    "R": _murmur(400, 1100, 1500, voice=0.6, duration_s=0.075),
    "W": _murmur(300, 650, 2200, voice=0.6, duration_s=0.07),
    "Y": _murmur(280, 2200, 2900, voice=0.6, duration_s=0.06),
}
VOWELS = tuple(name for name, p in PHONEMES.items() if p.voice == 1.0)
CONSONANTS = tuple(name for name, p in PHONEMES.items() if p.voice < 1.0 and name != PAUSE)


@dataclass(frozen=True, slots=True)
class Speaker:
    """What stays the same while a person speaks."""

    pitch_hz: float
    tract: float
    """Formants relative to the table's: below 1 a longer vocal tract."""
    rate: float
    breath: float
    tilt: float
    """Steepness of the glottal spectrum."""
    jitter: float
    liveliness: float
    """Size of the pitch movements."""
    twang_hz: float
    """A fixed resonance above the formants, part of what makes a voice one's own."""


def draw_speaker(rng: Generator, *, low_voice: bool | None = None) -> Speaker:
    """A random person; ``low_voice`` asks for a deep or a high voice."""
    deep = bool(rng.random() < 0.5) if low_voice is None else low_voice
    return Speaker(
        pitch_hz=rng.uniform(85, 150) if deep else rng.uniform(160, 260),
        tract=rng.uniform(0.86, 1.02) if deep else rng.uniform(1.05, 1.25),
        rate=rng.uniform(0.85, 1.2),
        breath=rng.uniform(0.01, 0.08),
        tilt=rng.uniform(0.8, 1.3),
        jitter=rng.uniform(0.004, 0.015),
        liveliness=rng.uniform(0.05, 0.18),
        twang_hz=rng.uniform(3200, 4300),
    )


@dataclass(frozen=True, slots=True)
class Style:
    """How something is said this time; all but ``contour`` multiply what the speaker has."""

    pitch: float = 1.0
    liveliness: float = 1.0
    rate: float = 1.0
    tilt: float = 1.0
    breath: float = 1.0
    tremor: float = 0.0
    contour: tuple[float, ...] = ()
    """Relative pitch over the utterance, evenly spaced; replaces the natural melody."""


PLAIN = Style()


def speak(
    rng: Generator, phonemes: Sequence[str], speaker: Speaker, style: Style = PLAIN
) -> Samples:
    """Say a sequence of phonemes.

    Args:
        rng: Source of randomness: durations, melody, jitter, noise.
        phonemes: Names in `PHONEMES`.
        speaker: Who speaks.
        style: How.

    Returns:
        float32 ``[n]`` at 16 kHz, not normalised.
    """
    track = _articulate(rng, phonemes, speaker.rate * style.rate)
    frames = len(track)
    size = (frames + 1) * HOP
    pitch = _melody(rng, frames, speaker, style)
    pulses = _frames(_glottis(rng, pitch, size), frames)
    noise = _frames(rng.standard_normal(size, dtype=np.float32), frames)
    tract = _tract(track[:, :3] * speaker.tract, speaker, style)
    voice = track[:, 3:4]
    fricative = _bands(track, speaker.tract)
    shaped = pulses * (tract * voice)
    shaped += noise * (fricative + (0.5 * speaker.breath * style.breath) * voice * tract)
    return _overlap(shaped)


def respectral(x: Samples, change: Callable[[NDArray[np.complex64]], None]) -> Samples:
    """Pass a signal through short-time spectra ``[frames, bins]`` that ``change`` alters in place.

    Returns:
        float32, as long as ``x`` rounded down to whole frames.
    """
    frames = (len(x) - FRAME) // HOP + 1
    bins = _frames(x, frames)
    change(bins)
    return _overlap(bins)


def _articulate(rng: Generator, phonemes: Sequence[str], rate: float) -> Samples:
    """Targets per 10-ms frame: three formants, voice, noise, its centre and width."""
    rows = [_segment(PHONEMES[name], rng.uniform(0.85, 1.2) / rate) for name in phonemes]
    track = np.concatenate(rows)
    kernel = np.array([0.08, 0.17, 0.25, 0.25, 0.17, 0.08], np.float32)
    padded = np.pad(track, ((3, 2), (0, 0)), mode="edge")
    for column in range(3):
        track[:, column] = np.convolve(padded[:, column], kernel, "valid")
    track[1:, 3] = 0.6 * track[1:, 3] + 0.4 * track[:-1, 3]
    return track


def _segment(phoneme: _Phoneme, stretch: float) -> Samples:
    count = max(3, round(phoneme.duration_s * stretch * SAMPLE_RATE / HOP))
    rows = np.empty((count, 7), np.float32)
    rows[:, :3] = phoneme.formants
    rows[:, 3:] = (phoneme.voice, phoneme.noise, phoneme.noise_hz, phoneme.noise_width_hz)
    place = np.arange(count, dtype=np.float32) / count
    if phoneme.glide is not None:
        weight = np.clip((place - 0.35) / 0.5, 0, 1)[:, None]
        rows[:, :3] += weight * (np.array(phoneme.glide, np.float32) - rows[:, :3])
    if phoneme.burst:
        closed = place < 0.55
        rows[:, 4] *= np.where(closed, 0, np.exp(-(place - 0.55) * count / 2))
        rows[:, 3] *= np.where(closed, 1, 2)
    return rows


def _melody(rng: Generator, frames: int, speaker: Speaker, style: Style) -> NDArray[np.float64]:
    """Pitch in Hz per frame: a falling line with one or two accents, or the style's contour."""
    place = np.linspace(0, 1, frames)
    if style.contour:
        shape = np.interp(place, np.linspace(0, 1, len(style.contour)), style.contour)
    else:
        accents = np.sin(2 * np.pi * (place * rng.uniform(0.8, 2.2) + rng.random()))
        shape = 1.08 - 0.16 * place + speaker.liveliness * style.liveliness * accents
    pitch = speaker.pitch_hz * style.pitch * shape
    pitch *= 1 + speaker.jitter * rng.standard_normal(frames)
    if style.tremor:
        seconds = np.arange(frames) * HOP / SAMPLE_RATE
        pitch *= 1 + style.tremor * np.sin(2 * np.pi * (7 * seconds + rng.random()))
    floored: NDArray[np.float64] = np.maximum(pitch, 40)
    return floored


def _glottis(rng: Generator, pitch: NDArray[np.float64], size: int) -> Samples:
    """One pulse per cycle, of equal power whatever the pitch."""
    per_sample = np.interp(np.arange(size) / HOP, np.arange(len(pitch)), pitch)
    cycles = np.floor(phase_of(per_sample, size, start=rng.random()))
    at = np.nonzero(np.diff(cycles))[0]
    out = np.zeros(size, np.float32)
    out[at] = np.sqrt(SAMPLE_RATE / per_sample[at]) * (1 + 0.05 * rng.standard_normal(len(at)))
    return out


@lru_cache(maxsize=1)
def _hz() -> Samples:
    return np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE).astype(np.float32)


@lru_cache(maxsize=1)
def _window() -> Samples:
    return np.sqrt(np.hanning(FRAME + 1)[:-1]).astype(np.float32)


def _tract(formants: Samples, speaker: Speaker, style: Style) -> Samples:
    """Magnitude of the vocal tract over frequency per frame, ``[frames, bins]``."""
    hz = _hz()
    slope = 1 / (1 + (hz / 500) ** (1.15 * speaker.tilt * style.tilt))
    twang = 0.2 / (1 + ((hz - speaker.twang_hz) / 200) ** 2)
    gain: Samples = np.zeros((len(formants), len(hz)), np.float32)
    gain += twang
    for column, (width, height) in enumerate(((80, 1.0), (100, 0.8), (140, 0.5))):
        gain += height / (1 + np.square((hz - formants[:, column : column + 1]) / width)) ** 0.5
    gain *= slope
    return gain


def _bands(track: Samples, tract: float) -> Samples:
    """Magnitude of the turbulence over frequency per frame."""
    out = np.zeros((len(track), FRAME // 2 + 1), np.float32)
    noisy = track[:, 4] > 0.01
    level, centre, width = (track[noisy, c, None] for c in (4, 5, 6))
    out[noisy] = 0.5 * level * np.exp(-0.5 * ((_hz() - centre * tract**0.5) / width) ** 2)
    return out


def _frames(x: Samples, frames: int) -> NDArray[np.complex64]:
    cut = np.lib.stride_tricks.sliding_window_view(x, FRAME)[::HOP][:frames]
    return np.fft.rfft(cut * _window(), axis=1, norm="ortho").astype(np.complex64, copy=False)


def _overlap(bins: NDArray[np.complex64]) -> Samples:
    """Overlap-add; square-root Hann windows at half overlap add up to one."""
    pieces = np.fft.irfft(bins, FRAME, axis=1, norm="ortho") * _window()
    out = np.zeros((len(bins) + 1) * HOP, np.float32)
    out[:-HOP] += pieces[:, :HOP].reshape(-1)
    out[HOP:] += pieces[:, HOP:].reshape(-1)
    return out
