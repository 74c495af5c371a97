"""How a dry synthetic sound reaches the listener: room, microphone, background noise, level.

One pass in the frequency domain. It is what makes the synthetic tasks hard in the way real ones
are: the microphone's random colour and the noise's random slope move a clip's average spectrum,
so a class cannot be told from that average alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from auricle.seeding import generator
from auricle.synth.signals import (
    SAMPLE_RATE,
    Samples,
    Spectrum,
    fast_size,
    frequencies,
    level_of,
    signal,
    spectrum,
    white_spectrum,
)

_ROOMS = 24
_TAIL_S = 0.45


@dataclass(frozen=True, slots=True)
class Recording:
    """Ranges that a recording's properties are drawn from."""

    snr_db: tuple[float, float] = (5.0, 30.0)
    """Level of the sound's louder parts over the background noise."""
    reverberation: float = 0.6
    """Largest level of the room's tail relative to the direct sound; 0 is a dry room."""
    colour_db: float = 8.0
    """Largest gain or loss of the microphone at any frequency."""


def record(rng: Generator, dry: Samples, how: Recording) -> Samples:
    """Play a dry sound in a random room and record it.

    Args:
        rng: Source of randomness.
        dry: Samples, float32 ``[n]``, any level.
        how: Ranges of noise, reverberation and colour.

    Returns:
        float32 ``[n]``, peak between 0.15 and 0.9.
    """
    size = fast_size(len(dry) + int(_TAIL_S * SAMPLE_RATE))
    colour = _microphone(rng, size, how.colour_db)
    tail = float(rng.uniform(0, how.reverberation))
    room = int(rng.integers(_ROOMS))
    bins = spectrum(dry, size)
    bins = bins * ((1 + tail * _room(room, size)) * colour)
    wet = signal(bins, size)[: len(dry)]
    snr_db = rng.uniform(*how.snr_db)
    noise = _background(rng, len(dry))
    # Silence (no event at all) still has a floor: as if a sound of level 0.1 had been there.
    wet += noise * np.float32((level_of(wet) or 0.1) * 10 ** (-snr_db / 20))
    peak = float(np.abs(wet).max())
    return wet * np.float32(rng.uniform(0.15, 0.9) / max(peak, 1e-9))


def _background(rng: Generator, length: int) -> Samples:
    """Noise of unit level whose spectrum falls by 0 to 9 dB per octave, with a random hump."""
    size = fast_size(length)
    hz = frequencies(size)
    slope = rng.uniform(0.0, 1.5)
    hump_hz, hump = np.exp(rng.uniform(np.log(150), np.log(6000))), rng.uniform(0, 2)
    octaves = np.log2(np.maximum(hz, 40) / 1000)
    gain = np.exp2(-slope * octaves) + hump * np.exp(-2 * (octaves - np.log2(hump_hz / 1000)) ** 2)
    gain[hz < 40] = 0
    noise = signal(white_spectrum(rng, size) * gain.astype(np.float32), size)[:length]
    return noise / np.float32(np.sqrt(np.mean(noise**2)))


def _microphone(rng: Generator, size: int, most_db: float) -> Samples:
    """A smooth random gain over frequency: straight lines in dB between points an octave apart."""
    points_hz = np.array([60, 125, 250, 500, 1000, 2000, 4000, 8000])
    gains_db = rng.uniform(-most_db, most_db, len(points_hz))
    hz = frequencies(size)
    coarse = np.geomspace(40, SAMPLE_RATE / 2, 128)
    gain = 10 ** (np.interp(np.log(coarse), np.log(points_hz), gains_db) / 20)
    return np.interp(hz, coarse, gain).astype(np.float32)


@lru_cache(maxsize=256)
def _room(number: int, size: int) -> Spectrum:
    """Spectrum of a room's tail: noise that decays, its early part sparse, of unit energy."""
    rng = generator("synth", "room", number)
    count = int(_TAIL_S * SAMPLE_RATE)
    t = np.arange(count) / SAMPLE_RATE
    decay_s = rng.uniform(0.12, 0.45) / 6.9  # 60 dB are 6.9 time constants
    tail = rng.standard_normal(count) * np.exp(-t / decay_s)
    early = t < rng.uniform(0.015, 0.04)
    tail[early] *= rng.random(int(early.sum())) < 0.02
    tail[: int(0.003 * SAMPLE_RATE)] = 0
    tail /= np.sqrt(np.sum(tail**2))
    bins: Spectrum = np.fft.rfft(tail, size).astype(np.complex64)  # a filter keeps its true gain
    return bins
