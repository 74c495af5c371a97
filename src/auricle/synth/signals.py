"""Signal primitives of the synthetic tasks: oscillators, noise, filters and envelopes at 16 kHz.

Periodic sounds are read out of a one-cycle table by their phase, and noise is drawn in the
frequency domain: both cost one pass over the samples whatever the number of partials or the shape
of the band, which is what lets a suite be made within a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

SAMPLE_RATE = 16_000

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_TABLE = 4096
_HIGHEST_HZ = 7_600.0
_TINY = 1e-9


def num_samples(duration_s: float) -> int:
    """Samples in a duration, at least one."""
    return max(1, round(duration_s * SAMPLE_RATE))


@lru_cache(maxsize=256)
def frequencies(size: int) -> Samples:
    """Frequency in Hz of each bin of a real spectrum of ``size`` samples."""
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE).astype(np.float32)
    hz.flags.writeable = False
    return hz


@lru_cache(maxsize=1024)
def fast_size(size: int) -> int:
    """The smallest 4, 5, 6 or 8 x 2^k of at least ``size``: its Fourier transform is quick."""
    power = 1 << max(2, (size - 1).bit_length() - 3)
    return min(m * power for m in (4, 5, 6, 8) if m * power >= size)


def spectrum(x: Samples, size: int) -> Spectrum:
    """Spectrum of a signal padded to ``size``; `signal` undoes it.

    The orthonormal scaling is for speed: with it numpy transforms float32 in float32.
    """
    return np.fft.rfft(x, size, norm="ortho").astype(np.complex64, copy=False)


def signal(bins: Spectrum, size: int) -> Samples:
    """The ``size`` samples of a spectrum made by `spectrum`."""
    return np.fft.irfft(bins, size, norm="ortho").astype(np.float32, copy=False)


def white_spectrum(rng: Generator, size: int) -> Spectrum:
    """Spectrum of white noise of unit variance and ``size`` samples (an even number)."""
    parts = rng.standard_normal(size + 2, dtype=np.float32)
    parts *= np.float32(np.sqrt(0.5))
    return parts.view(np.complex64)


def shaped_noise(rng: Generator, size: int, gain: Callable[[Samples], Samples]) -> Samples:
    """Stationary noise with a given magnitude over frequency.

    Args:
        rng: Source of randomness.
        size: Number of samples.
        gain: Takes frequencies in Hz, gives magnitudes.
    """
    whole = fast_size(size)
    bins = white_spectrum(rng, whole) * gain(frequencies(whole)).astype(np.float32)
    return signal(bins, whole)[:size]


def shaped(x: Samples, gain: Callable[[Samples], Samples]) -> Samples:
    """Filter a signal by a magnitude over frequency (zero phase)."""
    whole = fast_size(len(x) + 256)
    bins = spectrum(x, whole) * gain(frequencies(whole)).astype(np.float32)
    return signal(bins, whole)[: len(x)]


def bands(*bells: tuple[float, float, float], floor: float = 0.0) -> Callable[[Samples], Samples]:
    """A magnitude made of bell-shaped bands (centre in Hz, width in Hz, height) over a floor."""

    def gain(hz: Samples) -> Samples:
        out = np.full(len(hz), floor, np.float32)
        for centre, width, height in bells:
            out += height * np.exp(-0.5 * ((hz - centre) / width) ** 2)
        return out

    return gain


def falling(corner_hz: float, order: float = 1.0) -> Callable[[Samples], Samples]:
    """A magnitude that is flat below a corner and falls by ``order`` x 6 dB per octave above."""

    def gain(hz: Samples) -> Samples:
        return np.asarray(1.0 / (1.0 + (hz / corner_hz) ** order), np.float32)

    return gain


def band_noise(rng: Generator, size: int, centre_hz: float, width_hz: float) -> Samples:
    """Noise in one bell-shaped band; its root mean square is a third whatever the width."""
    noise = shaped_noise(rng, size, bands((centre_hz, width_hz, 1.0)))
    return noise * np.float32(1 / (3 * rms(noise) + _TINY))


def phase_of(frequency_hz: ArrayLike, size: int, *, start: float = 0.0) -> NDArray[np.float64]:
    """Running phase in cycles of a fixed or moving frequency."""
    steps = np.broadcast_to(np.asarray(frequency_hz, np.float64), (size,)) / SAMPLE_RATE
    return np.cumsum(steps) + start


@lru_cache(maxsize=2048)
def _cycle(amplitudes: tuple[float, ...]) -> Samples:
    bins = np.zeros(_TABLE // 2 + 1, np.complex64)
    # Partials are spread in phase (Schroeder), so that a rich sound is not one sharp click.
    count = len(amplitudes)
    for k, amplitude in enumerate(amplitudes, start=1):
        bins[k] = amplitude * np.exp(1j * np.pi * k * k / count) / 2 * _TABLE
    return np.fft.irfft(bins, _TABLE).astype(np.float32)


def partials(
    frequency_hz: ArrayLike, size: int, amplitudes: Sequence[float], *, start: float = 0.0
) -> Samples:
    """A harmonic sound of fixed or moving pitch; partials above 7.6 kHz are left out."""
    highest = float(np.max(frequency_hz))
    count = max(1, min(len(amplitudes), int(_HIGHEST_HZ / highest)))
    table = _cycle(tuple(float(a) for a in amplitudes[:count]))
    phase = phase_of(frequency_hz, size, start=start)
    out: Samples = table[(phase * _TABLE).astype(np.int64) & (_TABLE - 1)]
    return out


def tone(frequency_hz: ArrayLike, size: int, *, start: float = 0.0) -> Samples:
    """A sine of fixed or moving frequency."""
    return partials(frequency_hz, size, (1.0,), start=start)


def glide(*points: float, size: int) -> NDArray[np.float64]:
    """A line through evenly spaced points, e.g. a pitch that rises and falls."""
    return np.interp(np.linspace(0, len(points) - 1, size), np.arange(len(points)), points)


def decay(size: int, time_s: float, *, attack_s: float = 0.002) -> Samples:
    """Envelope with a short linear attack and an exponential decay of time constant ``time_s``."""
    t = np.arange(size, dtype=np.float32) / SAMPLE_RATE
    envelope: Samples = np.minimum(1, (t + 1 / SAMPLE_RATE) / attack_s) * np.exp(-t / time_s)
    return envelope


@lru_cache(maxsize=256)
def _bump(size: int) -> Samples:
    swell = np.hanning(size + 2)[1:-1].astype(np.float32)
    swell.flags.writeable = False
    return swell


def bump(size: int, *, power: float = 1.0) -> Samples:
    """Envelope that swells and fades (a raised cosine)."""
    swell: Samples = _bump(size) ** np.float32(power)
    return swell


def faded(x: Samples, fade_s: float = 0.01) -> Samples:
    """The same signal with both ends faded, against clicks."""
    n = min(num_samples(fade_s), len(x) // 2)
    if n == 0:
        return x
    out = x.copy()
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    out[:n] *= ramp
    out[-n:] *= ramp[::-1]
    return out


def wander(rng: Generator, size: int, rate_hz: float, *, low: float = 0.0) -> Samples:
    """A random smooth control between ``low`` and 1 that turns about ``rate_hz`` times a second."""
    count = max(4, int(size / SAMPLE_RATE * rate_hz) + 3)
    points = rng.uniform(low, 1.0, count)
    at = np.linspace(0, count - 1, size)
    left = np.minimum(at.astype(np.int64), count - 2)
    weight = 0.5 - 0.5 * np.cos(np.pi * (at - left))
    out: Samples = (points[left] * (1 - weight) + points[left + 1] * weight).astype(np.float32)
    return out


def add(canvas: Samples, x: Samples, at: float, gain: float = 1.0) -> None:
    """Mix a sound into a canvas from sample ``at`` on; what hangs over the end is cut."""
    first = int(at)
    n = min(len(x), len(canvas) - first)
    if n > 0:
        canvas[first : first + n] += np.float32(gain) * x[:n]


def rms(x: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(x))))


def level_of(x: Samples) -> float:
    """Root mean square of the louder parts: of the samples above a tenth of the peak."""
    size = np.abs(x)
    loud = x[size > 0.1 * size.max()] if len(x) else x
    return rms(loud) if len(loud) else 0.0


def at_level(x: Samples, level: float = 0.1) -> Samples:
    """The same signal with its `level_of` at ``level``; silence stays silent."""
    return x * np.float32(level / max(level_of(x), _TINY))
