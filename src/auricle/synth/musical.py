"""Tasks of music: genre, dance, instrument."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from auricle.synth.genres import DANCES, GENRES
from auricle.synth.kind import Clip, Kind
from auricle.synth.music import INSTRUMENTS, hire, note, perform
from auricle.synth.rooms import Recording, record
from auricle.synth.signals import SAMPLE_RATE, add, num_samples

_STUDIO = Recording(snr_db=(12, 35), reverberation=0.4, colour_db=8)


def _genre(rng: Generator, label: str) -> Clip:
    band = hire(rng, GENRES[label])
    piece = perform(rng, band, num_samples(rng.uniform(2.8, 3.6)))
    return Clip(record(rng, piece, _STUDIO), {"label": label})


def _dance(rng: Generator, label: str) -> Clip:
    band = hire(rng, DANCES[label])
    piece = perform(rng, band, num_samples(rng.uniform(3.2, 3.8)))
    return Clip(record(rng, piece, _STUDIO), {"label": label})


def _instrument(rng: Generator, label: str) -> Clip:
    """One to four notes of one instrument, the same set of pitches for all."""
    clip = np.zeros(num_samples(rng.uniform(1.6, 2.2)), np.float32)
    midi = int(rng.integers(48, 73))
    at = rng.uniform(0, 0.25) * SAMPLE_RATE
    for _ in range(int(rng.integers(1, 5))):
        eighths = int(rng.integers(2, 6))
        add(clip, note(label, midi, eighths), at, rng.uniform(0.5, 1))
        at += eighths / 8 * SAMPLE_RATE * rng.uniform(0.8, 1.1)
        midi = int(np.clip(midi + rng.integers(-7, 8), 46, 76))
    how = Recording(snr_db=(5, 30), reverberation=0.5, colour_db=10)
    return Clip(record(rng, clip, how), {"label": label})


MUSICAL: dict[str, Kind] = {
    "synth-genre": Kind(_genre, tuple(GENRES)),
    "synth-dance": Kind(_dance, tuple(DANCES)),
    "synth-instrument": Kind(_instrument, tuple(INSTRUMENTS)),
}
