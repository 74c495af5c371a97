"""Instruments, notes and bars: music in sixteenth steps from a few patterns per genre.

Notes are a function of (instrument, pitch, length) and are kept, since the same ones come again
and again; everything else about a piece is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from auricle.seeding import generator
from auricle.synth.kind import pick
from auricle.synth.signals import (
    SAMPLE_RATE,
    Samples,
    add,
    at_level,
    band_noise,
    bands,
    decay,
    faded,
    glide,
    num_samples,
    partials,
    shaped,
    tone,
)
from auricle.synth.textures import ring

STEPS_PER_BEAT = 4


def midi_hz(note: float) -> float:
    """Frequency of a MIDI note number (69 = A4 = 440 Hz)."""
    return float(440 * 2 ** ((note - 69) / 12))


def _vibrato(hz: float, size: int, depth: float, rate_hz: float) -> Samples:
    return np.float32(hz) * (1 + np.float32(depth) * tone(rate_hz, size))


def _swell(size: int, attack_s: float) -> Samples:
    rise: Samples = np.arange(size, dtype=np.float32) / np.float32(SAMPLE_RATE * attack_s)
    return np.minimum(rise, np.float32(1))


def _plucked(hz: float, size: int, brightness: float, decay_s: float) -> Samples:
    """A string whose high partials die first: a dull and a bright tone with their own decay."""
    dull = partials(hz, size, [1 / k**2 for k in range(1, 10)])
    bright = partials(hz, size, [1 / k**0.7 for k in range(1, 25)])
    return dull * decay(size, decay_s) + np.float32(brightness) * bright * decay(size, decay_s / 4)


def _bass(hz: float, size: int) -> Samples:
    return _plucked(hz / 4, size, 0.4, 0.5)


def _brass(hz: float, size: int) -> Samples:
    amplitudes = (1, 0.95, 0.9, 0.8, 0.65, 0.5, 0.35, 0.25, 0.2)
    return partials(_vibrato(hz, size, 0.004, 5.5), size, amplitudes) * _swell(size, 0.08)


def _flute(hz: float, size: int) -> Samples:
    breath = band_noise(generator("synth", "flute", size), size, min(2 * hz, 6000), 900)
    body = partials(_vibrato(2 * hz, size, 0.006, 5), size, (1, 0.2, 0.06))
    return (body + 0.15 * breath) * _swell(size, 0.06)


def _guitar(hz: float, size: int) -> Samples:
    return _plucked(hz, size, 0.8, 0.6)


def _keyboard(hz: float, size: int) -> Samples:
    body = partials(hz, size, (1, 0.5, 0.3, 0.2, 0.1)) * decay(size, 0.6)
    hammer = partials(hz * 1.003, size, [1 / k**0.5 for k in range(1, 13)]) * decay(size, 0.06)
    return body + 0.5 * hammer


def _mallet(hz: float, size: int) -> Samples:
    struck = ring(2 * hz, 0.22, (1, 3.93, 9.2))
    out = np.zeros(size, np.float32)
    add(out, struck, 0)
    return out


def _organ(hz: float, size: int) -> Samples:
    return partials(hz, size, (1, 0.7, 0.5, 0.5, 0, 0.3, 0, 0.35)) * _swell(size, 0.01)


def _reed(hz: float, size: int) -> Samples:
    amplitudes = (1, 0.05, 0.75, 0.05, 0.5, 0.1, 0.35, 0.1, 0.2)
    return partials(_vibrato(hz, size, 0.005, 5), size, amplitudes) * _swell(size, 0.04)


def _strings(hz: float, size: int) -> Samples:
    amplitudes = [1 / k for k in range(1, 15)]
    players = [
        partials(_vibrato(hz * detune, size, 0.006, rate), size, amplitudes, start=start)
        for detune, rate, start in ((0.996, 5.2, 0.1), (1.0, 5.6, 0.4), (1.005, 5.9, 0.7))
    ]
    return (players[0] + players[1] + players[2]) * _swell(size, 0.15)


def _synth_lead(hz: float, size: int) -> Samples:
    amplitudes = [(1 if k % 2 else 0.3) / k for k in range(1, 25)]
    return partials(hz, size, amplitudes) + partials(hz * 1.01, size, amplitudes)


def _vocal(hz: float, size: int) -> Samples:
    source = partials(_vibrato(hz, size, 0.012, 5.5), size, [1 / k**0.7 for k in range(1, 26)])
    sung = shaped(source, bands((750, 120, 1), (1150, 150, 0.6), (2700, 250, 0.3), floor=0.02))
    return sung * _swell(size, 0.1)


INSTRUMENTS: Mapping[str, Callable[[float, int], Samples]] = {
    "bass": _bass,
    "brass": _brass,
    "flute": _flute,
    "guitar": _guitar,
    "keyboard": _keyboard,
    "mallet": _mallet,
    "organ": _organ,
    "reed": _reed,
    "strings": _strings,
    "synth lead": _synth_lead,
    "vocal": _vocal,
}


@lru_cache(maxsize=1500)
def note(instrument: str, midi: int, eighths_of_s: int) -> Samples:
    """A note of unit-free fixed level, faded at its end.

    Args:
        instrument: Name in `INSTRUMENTS`.
        midi: MIDI note number.
        eighths_of_s: Length in eighths of a second.
    """
    size = num_samples(eighths_of_s / 8)
    sound = at_level(faded(INSTRUMENTS[instrument](midi_hz(midi), size), 0.02))
    sound.flags.writeable = False
    return sound


@lru_cache(maxsize=64)
def drum(name: str, variant: int) -> Samples:
    """A drum stroke: ``kick``, ``snare`` or ``hat``, one of a few variants."""
    stroke, level = _DRUMS[name]
    sound = at_level(stroke(generator("synth", "drum", name, variant)), level)
    sound.flags.writeable = False
    return sound


def _kick(rng: Generator) -> Samples:
    size = num_samples(0.18)
    line = glide(rng.uniform(110, 160), rng.uniform(40, 55), size=size)
    return tone(line, size) * decay(size, 0.06, attack_s=0.001)


def _snare(rng: Generator) -> Samples:
    size = num_samples(0.16)
    skin = tone(rng.uniform(160, 220), size)
    rattle = 4 * band_noise(rng, size, rng.uniform(2000, 3500), 1800)
    return (skin + rattle) * decay(size, 0.045, attack_s=0.001)


def _hat(rng: Generator) -> Samples:
    size = num_samples(0.09)
    sizzle = band_noise(rng, size, rng.uniform(5800, 7000), 900)
    return sizzle * decay(size, rng.uniform(0.015, 0.03), attack_s=0.001)


_DRUMS: Mapping[str, tuple[Callable[[Generator], Samples], float]] = {
    "kick": (_kick, 0.2),
    "snare": (_snare, 0.14),
    "hat": (_hat, 0.07),
}
DRUMS = tuple(_DRUMS)

SCALES: Mapping[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
_ROOTS = (0, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Groove:
    """What makes a genre: who plays when.

    Patterns have a character per sixteenth step and repeat each bar: ``x`` plays, ``.`` rests.
    """

    tempo: tuple[float, float]
    """Beats per minute."""
    kick: str
    snare: str
    hat: str
    chords: str
    leads: tuple[str, ...]
    chord_instruments: tuple[str, ...]
    scale: str = "major"
    density: float = 0.4
    """Chance of a melody note on an even step; odd steps have 0.4 of it."""
    swing: float = 0.0
    """How late odd steps come, in steps."""


@dataclass(frozen=True, slots=True)
class Band:
    """What is decided for one piece."""

    groove: Groove
    lead: str
    chord_instrument: str
    tempo: float
    scale: str
    mix: tuple[float, float, float, float, float]
    """Gains of kick, snare, hat, chords and melody."""


def hire(rng: Generator, groove: Groove) -> Band:
    """Draw tempo and instruments of a piece in a genre."""
    return Band(
        groove=groove,
        lead=pick(rng, groove.leads),
        chord_instrument=pick(rng, groove.chord_instruments),
        tempo=float(rng.uniform(*groove.tempo)),
        scale=groove.scale,
        mix=_mix(rng),
    )


def _mix(rng: Generator) -> tuple[float, float, float, float, float]:
    kick, snare, hat, chords, melody = 10 ** rng.uniform(-0.4, 0.2, 5)
    return float(kick), float(snare), float(hat), 0.4 * float(chords), 0.8 * float(melody)


def perform(rng: Generator, band: Band, size: int) -> Samples:
    """Play ``size`` samples of a piece, from the start of a random step."""
    out = np.zeros(size, np.float32)
    groove = band.groove
    step = 60 / band.tempo / STEPS_PER_BEAT * SAMPLE_RATE
    scale = SCALES[band.scale]
    root, variant = int(rng.integers(48, 60)), int(rng.integers(6))
    bar = len(groove.chords)
    patterns = (groove.kick, groove.snare, groove.hat)
    harmony, melody = 0, int(rng.integers(0, 7))
    first = int(rng.integers(bar))
    for j in range(int(size / step) + 1):
        at = j * step + (groove.swing * step if (first + j) % 2 else 0)
        place = (first + j) % bar
        if place == 0 or j == 0:
            harmony = pick(rng, _ROOTS)
        for name, pattern, gain in zip(DRUMS, patterns, band.mix, strict=False):
            if pattern[place] == "x":
                add(out, drum(name, variant), at, gain)
        if groove.chords[place] == "x":
            length_s = _until_next(groove.chords, place) * step / SAMPLE_RATE
            for third in (0, 2, 4):
                sound = _note_of(band.chord_instrument, root, scale, harmony + third, length_s)
                add(out, sound, at, band.mix[3])
        if rng.random() < groove.density * (1.0 if place % 2 == 0 else 0.4):
            melody = int(np.clip(melody + rng.integers(-2, 3), 0, 9))
            length_s = float(rng.integers(2, 5)) * step / SAMPLE_RATE
            add(out, _note_of(band.lead, root + 12, scale, melody, length_s), at, band.mix[4])
    return out


def _until_next(pattern: str, place: int) -> int:
    """Steps until the pattern plays again."""
    following = pattern[place + 1 :] + pattern
    return following.index("x") + 1


def _note_of(
    instrument: str, root: int, scale: Sequence[int], degree: int, length_s: float
) -> Samples:
    octave, place = divmod(degree, len(scale))
    eighths = int(np.clip(np.ceil(length_s * 8), 1, 8))
    return note(instrument, root + scale[place] + 12 * octave, eighths)
