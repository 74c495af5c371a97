"""Look-alikes of the sounds that people make without words."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from auricle.synth.signals import (
    SAMPLE_RATE,
    Samples,
    add,
    band_noise,
    decay,
    glide,
    num_samples,
    tone,
)
from auricle.synth.textures import (
    Recipe,
    around,
    call,
    chirp,
    hiss,
    puff,
    repeat,
    sequence,
    silence,
    strike,
)


def _baby_cry(rng: Generator, size: int) -> Samples:
    def cry() -> Samples:
        return call(rng, 0.75, (370, 560, 520, 350), (1100, 3000), width_hz=500, roughness=0.1)

    return repeat(rng, size, rng.uniform(0.85, 1.2), cry)


def _sneeze(rng: Generator, size: int) -> Samples:
    voice = rng.uniform(0.8, 1.3)

    def sneeze() -> Samples:
        inhale = call(
            rng, 0.33, (200 * voice, 300 * voice), (700, 1300), width_hz=300, roughness=0.6
        )
        n = num_samples(0.35)
        burst = 2.5 * band_noise(rng, n, around(rng, 3800), 2000) * decay(n, 0.09, attack_s=0.01)
        return sequence(0.7 * inhale, burst)

    return repeat(rng, size, rng.uniform(0.55, 0.8), sneeze)


def _clapping(rng: Generator, size: int) -> Samples:
    return repeat(
        rng, size, rng.uniform(3, 6.5), lambda: strike(rng, 1300, 700, 0.012), jitter=0.25
    )


def _breathing(rng: Generator, size: int) -> Samples:
    seconds = np.arange(size, dtype=np.float32) / SAMPLE_RATE
    swell: Samples = np.sin(2 * np.pi * (seconds * rng.uniform(0.35, 0.6) + rng.random())) ** 2
    return hiss(rng, size, 1400, 800) * swell


def _cough(rng: Generator) -> Samples:
    x = call(rng, 0.25, (190, 170, 130), (600, 1500, 2600), width_hz=500, roughness=2.5)
    return 2 * x * decay(len(x), 0.07, attack_s=0.004)


def _coughing(rng: Generator, size: int) -> Samples:
    return repeat(rng, size, rng.uniform(1.2, 2.4), lambda: _cough(rng), jitter=0.5)


def _footsteps(rng: Generator, size: int) -> Samples:
    def step() -> Samples:
        heel = strike(rng, 300, 200, 0.022)
        scrape = 0.25 * strike(rng, 2500, 1500, 0.02)
        add(heel, scrape, 0.02 * SAMPLE_RATE)
        return heel

    return repeat(rng, size, rng.uniform(1.4, 2.3), step, jitter=0.05)


def _laughing(rng: Generator, size: int) -> Samples:
    pitch = rng.uniform(180, 320)

    def laugh() -> Samples:
        syllables: list[Samples] = []
        for j in range(int(rng.integers(3, 7))):
            fall = pitch * (1 - 0.05 * j)
            syllables += [
                call(rng, 0.11, (fall, fall * 0.8), (800, 1400, 2600), roughness=0.5),
                silence(0.07),
            ]
        return sequence(*syllables)

    return repeat(rng, size, rng.uniform(0.7, 1.0), laugh)


def _brushing_teeth(rng: Generator, size: int) -> Samples:
    return repeat(rng, size, rng.uniform(4.5, 7.5), lambda: puff(rng, 0.1, 5200, 1500), jitter=0.06)


def _snoring(rng: Generator, size: int) -> Samples:
    def snore() -> Samples:
        return call(
            rng, 1.0, (52, 58, 50), (300, 700), width_hz=200, roughness=0.6, vibrato=(0.1, 20)
        )

    return repeat(rng, size, rng.uniform(0.5, 0.75), snore, jitter=0.1)


def _drinking(rng: Generator, size: int) -> Samples:
    def gulp() -> Samples:
        body = chirp(rng, 0.12, (300, 600))
        return body + 0.3 * band_noise(rng, len(body), 2500, 1200)

    return repeat(rng, size, rng.uniform(1.3, 2.4), gulp)


def _sigh(rng: Generator, size: int) -> Samples:
    voice = rng.uniform(0.75, 1.35)

    def sigh() -> Samples:
        line = (270 * voice, 220 * voice, 140 * voice)
        return call(rng, 0.95, line, (600, 1300, 2500), width_hz=350, roughness=2.0)

    return repeat(rng, size, rng.uniform(0.5, 0.8), sigh)


def _sniff(rng: Generator, size: int) -> Samples:
    def sniff() -> Samples:
        n = num_samples(around(rng, 0.2))
        rise = glide(0, 0.25, 1, size=n).astype(np.float32)
        return band_noise(rng, n, around(rng, 3000), 1400) * rise

    return repeat(rng, size, rng.uniform(1.3, 2.4), sniff, jitter=0.4)


def _throat(rng: Generator, size: int) -> Samples:
    def clear() -> Samples:
        return call(
            rng,
            0.45,
            (100, 95, 80),
            (500, 1200),
            width_hz=400,
            roughness=1.6,
            vibrato=(0.35, rng.uniform(24, 36)),
        )

    return repeat(rng, size, rng.uniform(1.0, 1.7), clear, jitter=0.4)


def _whistling(rng: Generator, size: int) -> Samples:
    base = rng.uniform(900, 1700)

    def note() -> Samples:
        n = num_samples(rng.uniform(0.15, 0.4))
        hz = base * 2 ** (float(rng.integers(-5, 8)) / 12)
        line = hz * (1 + 0.01 * tone(6, n))
        return tone(line, n) * decay(n, 0.4, attack_s=0.03)

    return repeat(rng, size, rng.uniform(2.2, 3.4), note, jitter=0.2)


BODY: dict[str, Recipe] = {
    "crying baby": _baby_cry,
    "sneezing": _sneeze,
    "clapping": _clapping,
    "breathing": _breathing,
    "coughing": _coughing,
    "footsteps": _footsteps,
    "laughing": _laughing,
    "brushing teeth": _brushing_teeth,
    "snoring": _snoring,
    "drinking": _drinking,
    "sighing": _sigh,
    "sniffing": _sniff,
    "throat clearing": _throat,
    "whistling": _whistling,
}
