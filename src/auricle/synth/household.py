"""Look-alikes of the sounds inside a house."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from auricle.synth.signals import (
    SAMPLE_RATE,
    Samples,
    add,
    band_noise,
    decay,
    faded,
    num_samples,
    partials,
    tone,
    wander,
)
from auricle.synth.textures import (
    Recipe,
    around,
    hiss,
    hum,
    repeat,
    ring,
    rumble,
    sequence,
    silence,
    strike,
    throb,
)


def _door_knock(rng: Generator, size: int) -> Samples:
    def knocks() -> Samples:
        gap = silence(rng.uniform(0.09, 0.16))
        blows: list[Samples] = []
        for _ in range(int(rng.integers(3, 6))):
            blows += [strike(rng, 280, 140, 0.022), gap]
        return sequence(*blows)

    return repeat(rng, size, rng.uniform(0.7, 1.0), knocks, jitter=0.1)


def _mouse_click(rng: Generator, size: int) -> Samples:
    hz = rng.uniform(3000, 4800)

    def click() -> Samples:
        gap = silence(rng.uniform(0.06, 0.12))
        return sequence(strike(rng, hz, 900, 0.002), gap, 0.6 * strike(rng, 0.85 * hz, 900, 0.002))

    return repeat(rng, size, rng.uniform(1.0, 2.2), click, jitter=0.5)


def _keyboard(rng: Generator, size: int) -> Samples:
    hz = rng.uniform(2000, 4500)

    def key() -> Samples:
        x = strike(rng, hz, 1200, 0.004)
        add(x, 0.4 * strike(rng, 600, 300, 0.008), 0)
        return x

    return repeat(rng, size, rng.uniform(5.5, 10), key, jitter=0.7)


def _door_creak(rng: Generator, size: int) -> Samples:
    line = 180 + 500 * wander(rng, size, 2)
    x = partials(line, size, [1 / k**0.4 for k in range(1, 11)])
    return x * wander(rng, size, 10, low=0.05)


def _can_opening(rng: Generator, size: int) -> Samples:
    out = np.zeros(size, np.float32)
    n = num_samples(1.1)
    at = rng.uniform(0.05, 0.35) * size
    add(out, 2 * strike(rng, 3000, 1500, 0.012), at)
    add(out, band_noise(rng, n, around(rng, 5500), 1500) * decay(n, 0.3, attack_s=0.03), at + 1300)
    return out


def _washing_machine(rng: Generator, size: int) -> Samples:
    turn = throb(rng, size, rng.uniform(1.0, 1.8), 0.7)
    return (0.5 * hum(rng, size, 50, (1, 0.6, 0.4, 0.3)) + 0.4 * rumble(rng, size, 500)) * turn


def _vacuum_cleaner(rng: Generator, size: int) -> Samples:
    motor = hum(rng, size, 210, (1, 0.5, 0.6, 0.3, 0.3, 0.2, 0.2))
    return 0.35 * motor + 0.3 * hiss(rng, size, 2200, 1800)


def _clock_alarm(rng: Generator, size: int) -> Samples:
    hz, beep_s = rng.uniform(1700, 2600), rng.uniform(0.04, 0.07)

    def group() -> Samples:
        beep = faded(tone(hz, num_samples(beep_s)), 0.003)
        return sequence(*(part for _ in range(4) for part in (beep, silence(beep_s * 0.7))))

    return repeat(rng, size, rng.uniform(1.2, 1.8), group, jitter=0)


def _clock_tick(rng: Generator, size: int) -> Samples:
    hz = rng.uniform(2800, 4500)
    return repeat(
        rng, size, rng.uniform(1.7, 4.5), lambda: strike(rng, hz, 800, 0.003), jitter=0.01
    )


def _glass_breaking(rng: Generator, size: int) -> Samples:
    out = np.zeros(size, np.float32)
    at = rng.uniform(0.05, 0.5) * size
    n = num_samples(0.5)
    add(out, 1.5 * band_noise(rng, n, around(rng, 4800), 2000) * decay(n, 0.06), at)
    for _ in range(12):
        shard = ring(rng.uniform(2200, 6500), 0.07, (1, 1.6))
        add(out, shard, at + rng.uniform(0, 0.45) * SAMPLE_RATE, rng.uniform(0.2, 0.6))
    return out


def _phone_ring(rng: Generator, size: int) -> Samples:
    first, second, rate = rng.uniform(700, 1300), rng.uniform(1.15, 1.35), rng.uniform(18, 26)

    def trill() -> Samples:
        n = num_samples(0.6)
        high = tone(rate, n) > 0
        return faded(partials(np.where(high, first * second, first), n, (1, 0.3, 0.2)))

    return repeat(rng, size, rng.uniform(0.9, 1.2), trill, jitter=0.02)


def _cutlery(rng: Generator, size: int) -> Samples:
    def clink() -> Samples:
        return ring(rng.uniform(2300, 4200), rng.uniform(0.04, 0.12), (1, 1.53, 2.3))

    return repeat(rng, size, rng.uniform(2.0, 4.5), clink, jitter=0.8)


def _microwave(rng: Generator, size: int) -> Samples:
    return 0.4 * hum(rng, size, 100, (1, 0.2, 0.5, 0.1, 0.3)) + 0.12 * hiss(rng, size, 900, 600)


HOUSEHOLD: dict[str, Recipe] = {
    "door knock": _door_knock,
    "mouse click": _mouse_click,
    "keyboard": _keyboard,
    "door creak": _door_creak,
    "can opening": _can_opening,
    "washing machine": _washing_machine,
    "vacuum cleaner": _vacuum_cleaner,
    "clock alarm": _clock_alarm,
    "clock tick": _clock_tick,
    "glass breaking": _glass_breaking,
    "phone": _phone_ring,
    "cutlery": _cutlery,
    "microwave": _microwave,
}
