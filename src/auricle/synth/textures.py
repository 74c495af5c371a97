"""Building blocks of sound events: calls, strikes, rings, hums, and ways to repeat them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from auricle.synth.signals import (
    SAMPLE_RATE,
    Samples,
    add,
    band_noise,
    bands,
    bump,
    decay,
    falling,
    fast_size,
    glide,
    num_samples,
    partials,
    shaped,
    shaped_noise,
    signal,
    spectrum,
    tone,
)

Recipe = Callable[[Generator, int], Samples]
"""Makes ``size`` samples of one kind of sound; any level."""

_VARIANTS = 3


def around(rng: Generator, value: float, spread: float = 0.15) -> float:
    """A value within ``spread`` of the given one, as a factor either way."""
    return float(value * np.exp(rng.uniform(-spread, spread)))


def repeat(
    rng: Generator, size: int, rate_hz: float, make: Callable[[], Samples], *, jitter: float = 0.3
) -> Samples:
    """Place a sound again and again, at intervals that vary by ``jitter`` and at varying level.

    Three variants of the sound are made and taken in turn at random.
    """
    out = np.zeros(size, np.float32)
    pool: list[Samples] = []
    at = rng.uniform(0, 0.6) / rate_hz * SAMPLE_RATE
    while at < size:
        if len(pool) < _VARIANTS:
            pool.append(make())
            sound = pool[-1]
        else:
            sound = pool[int(rng.integers(_VARIANTS))]
        add(out, sound, at, rng.uniform(0.65, 1.0))
        at += SAMPLE_RATE / rate_hz * (1 + jitter * rng.uniform(-1, 1))
    return out


def sprinkle(rng: Generator, size: int, rate_hz: float, kernels: Sequence[Samples]) -> Samples:
    """Many short sounds at random instants (rain, fire): impulses convolved with few kernels."""
    whole = fast_size(size + max(len(k) for k in kernels))
    bins = np.zeros(whole // 2 + 1, np.complex64)
    for kernel in kernels:
        count = rng.poisson(rate_hz * size / SAMPLE_RATE / len(kernels))
        impulses = np.zeros(whole, np.float32)
        impulses[rng.integers(0, size, count)] = rng.uniform(0.2, 1.0, count)
        # One factor of sqrt(whole) undoes the orthonormal scaling of the second spectrum.
        bins += spectrum(impulses, whole) * spectrum(kernel, whole) * np.float32(np.sqrt(whole))
    return signal(bins, whole)[:size]


def sequence(*parts: Samples) -> Samples:
    """Sounds one after the other."""
    return np.concatenate(parts)


def silence(duration_s: float) -> Samples:
    """Nothing, for a while."""
    return np.zeros(num_samples(duration_s), np.float32)


def call(
    rng: Generator,
    duration_s: float,
    pitch_hz: Sequence[float],
    formants_hz: Sequence[float],
    *,
    width_hz: float = 250,
    roughness: float = 0.05,
    vibrato: tuple[float, float] = (0.0, 6.0),
) -> Samples:
    """A vocal call: a gliding harmonic sound with noise through fixed resonances.

    Args:
        rng: Source of randomness.
        duration_s: Length, varied by a quarter.
        pitch_hz: Points of the pitch line, varied together.
        formants_hz: Centres of the resonances.
        width_hz: Their width.
        roughness: Noise relative to the harmonics.
        vibrato: Depth (relative) and rate in Hz of the pitch's wobble.
    """
    size = num_samples(around(rng, duration_s, 0.25))
    scale = around(rng, 1.0, 0.15)
    line = glide(*(p * scale for p in pitch_hz), size=size)
    depth, rate = vibrato
    if depth:
        line = line * (1 + depth * tone(rate, size, start=rng.random()))
    x = partials(line, size, [1 / k**0.6 for k in range(1, 25)])
    if roughness:
        x = x + np.float32(roughness * 2) * rng.standard_normal(size, dtype=np.float32)
    resonances = [(f * around(rng, scale, 0.06), width_hz, 1.0) for f in formants_hz]
    return shaped(x, bands(*resonances, floor=0.03)) * bump(size, power=0.5)


def strike(rng: Generator, hz: float, width_hz: float, decay_s: float) -> Samples:
    """A dull or sharp blow: a burst of band noise that decays."""
    size = num_samples(max(0.012, 5 * decay_s))
    return band_noise(rng, size, around(rng, hz), width_hz) * decay(size, decay_s, attack_s=0.0007)


def ring(hz: float, decay_s: float, ratios: Sequence[float]) -> Samples:
    """A struck bell or glass: inharmonic partials, the higher the shorter."""
    size = num_samples(min(2.5, 4 * decay_s))
    out = np.zeros(size, np.float32)
    for j, ratio in enumerate(ratios, start=1):
        if hz * ratio < 7600:
            out += tone(hz * ratio, size) * decay(size, decay_s / j**0.6) / np.float32(j)
    return out


def puff(rng: Generator, duration_s: float, hz: float, width_hz: float) -> Samples:
    """A swell of band noise."""
    size = num_samples(around(rng, duration_s, 0.2))
    return band_noise(rng, size, around(rng, hz), width_hz) * bump(size)


def chirp(rng: Generator, duration_s: float, hz: Sequence[float]) -> Samples:
    """A gliding whistle."""
    size = num_samples(around(rng, duration_s, 0.25))
    scale = around(rng, 1.0, 0.1)
    return tone(glide(*(p * scale for p in hz), size=size), size) * bump(size)


def drop(rng: Generator, hz: float, rise: float, decay_s: float) -> Samples:
    """A bubble: a decaying tone that rises."""
    size = num_samples(5 * decay_s)
    low = around(rng, hz, 0.25)
    return tone(glide(low, low * rise, size=size), size) * decay(size, decay_s, attack_s=0.001)


def rumble(rng: Generator, size: int, corner_hz: float, *, order: float = 1.0) -> Samples:
    """Broad noise that falls above a corner, at unit level."""
    noise = shaped_noise(rng, size, falling(around(rng, corner_hz, 0.3), order))
    return noise / np.float32(np.sqrt(np.mean(noise**2)) + 1e-9)


def hiss(rng: Generator, size: int, hz: float, width_hz: float) -> Samples:
    """Stationary band noise at unit level."""
    return 3 * band_noise(rng, size, around(rng, hz, 0.2), around(rng, width_hz, 0.2))


def hum(rng: Generator, size: int, hz: float, amplitudes: Sequence[float]) -> Samples:
    """A steady machine: a harmonic sound whose pitch is nearly fixed."""
    return partials(around(rng, hz), size, amplitudes, start=rng.random())


def throb(rng: Generator, size: int, rate_hz: float, depth: float) -> Samples:
    """Envelope that swings ``rate_hz`` times a second between 1 - depth and 1 + depth."""
    return 1 + np.float32(depth) * tone(around(rng, rate_hz), size, start=rng.random())


def gate(rng: Generator, size: int, rate_hz: float, *, share: float = 0.5) -> Samples:
    """Envelope that is on for a share of each period, with soft edges."""
    wave = tone(rate_hz, size, start=rng.random())
    soft: Samples = np.clip((wave - np.float32(np.cos(np.pi * share))) * 6, 0, 1)
    return soft
