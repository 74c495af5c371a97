"""Look-alikes of water, wind, fire and thunder."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from auricle.synth.signals import SAMPLE_RATE, Samples, decay, glide, num_samples, wander
from auricle.synth.textures import (
    Recipe,
    around,
    drop,
    hiss,
    repeat,
    rumble,
    sprinkle,
    strike,
)


def _rain(rng: Generator, size: int) -> Samples:
    kernels = [strike(rng, hz, 1500, 0.003) for hz in (3000, 4500, 6000)]
    patter = sprinkle(rng, size, rng.uniform(40, 120), kernels)
    return 0.1 * hiss(rng, size, 4500, 2500) + patter


def _sea_waves(rng: Generator, size: int) -> Samples:
    seconds = np.arange(size, dtype=np.float32) / SAMPLE_RATE
    swell: Samples = np.sin(np.pi * (seconds * rng.uniform(0.25, 0.5) + rng.random())) ** 4
    return rumble(rng, size, 900) * (np.float32(0.12) + swell)


def _crackling_fire(rng: Generator, size: int) -> Samples:
    kernels = [
        strike(rng, rng.uniform(1500, 6000), 2000, rng.uniform(0.001, 0.004)) for _ in range(3)
    ]
    return 0.12 * rumble(rng, size, 300, order=2) + sprinkle(rng, size, rng.uniform(8, 22), kernels)


def _water_drops(rng: Generator, size: int) -> Samples:
    return repeat(rng, size, rng.uniform(1.5, 3.5), lambda: drop(rng, 900, 2.0, 0.018), jitter=0.5)


def _wind(rng: Generator, size: int) -> Samples:
    return hiss(rng, size, rng.uniform(300, 900), 220) * wander(rng, size, 1.5, low=0.1)


def _pouring_water(rng: Generator, size: int) -> Samples:
    kernels = [drop(rng, hz, 1.5, 0.012) for hz in (550, 750, 950, 1200)]
    stream = hiss(rng, size, 1800, 900)
    return 0.12 * stream + sprinkle(rng, size, rng.uniform(22, 45), kernels)


def _toilet_flush(rng: Generator, size: int) -> Samples:
    rush = hiss(rng, size, 1000, 700) + 0.4 * hiss(rng, size, 3200, 1500)
    top = rng.uniform(0.7, 1.0)
    return rush * glide(0.05, top, 0.9, 0.6, 0.25, 0.1, size=size).astype(np.float32)


def _thunder(rng: Generator, size: int) -> Samples:
    clap = rumble(rng, size, 130, order=2) * wander(rng, size, 8, low=0.2)
    out = np.zeros(size, np.float32)
    start = num_samples(rng.uniform(0, 0.4))
    tail = decay(size, rng.uniform(0.5, 1.3), attack_s=0.05)
    out[start:] = (clap * tail)[: size - start]
    return out


def _stream(rng: Generator, size: int) -> Samples:
    kernels = [drop(rng, hz, 1.3, around(rng, 0.009)) for hz in (700, 1100, 1700, 2400)]
    return 0.05 * hiss(rng, size, 2200, 1200) + sprinkle(rng, size, rng.uniform(60, 110), kernels)


NATURE: dict[str, Recipe] = {
    "rain": _rain,
    "sea waves": _sea_waves,
    "crackling fire": _crackling_fire,
    "water drops": _water_drops,
    "wind": _wind,
    "pouring water": _pouring_water,
    "toilet flush": _toilet_flush,
    "thunder": _thunder,
    "stream": _stream,
}
