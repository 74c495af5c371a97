"""Look-alikes of the sounds of streets, engines and tools."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from auricle.synth.signals import (
    SAMPLE_RATE,
    Samples,
    add,
    bump,
    decay,
    faded,
    glide,
    num_samples,
    partials,
    tone,
    wander,
)
from auricle.synth.textures import (
    Recipe,
    around,
    call,
    chirp,
    gate,
    hiss,
    hum,
    puff,
    repeat,
    ring,
    rumble,
    sequence,
    strike,
    throb,
)


def _helicopter(rng: Generator, size: int) -> Samples:
    rate = rng.uniform(9, 15)

    def blade() -> Samples:
        n = num_samples(0.07)
        return rumble(rng, n, 250, order=2) * bump(n)

    return repeat(rng, size, rate, blade, jitter=0.02) + 0.03 * hiss(rng, size, 900, 500)


def _chainsaw(rng: Generator, size: int) -> Samples:
    line = around(rng, 85) + 55 * wander(rng, size, 2)
    x = partials(line, size, [1 / k**0.3 for k in range(1, 31)])
    return 0.3 * x + 0.1 * hiss(rng, size, 3500, 2500)


def _siren(rng: Generator, size: int) -> Samples:
    centre, width, rate = rng.uniform(700, 1100), rng.uniform(0.25, 0.4), rng.uniform(0.25, 0.7)
    line = centre * (1 + width * tone(rate, size, start=rng.random()))
    return partials(line, size, (1, 0.4, 0.2, 0.1))


def _car_horn(rng: Generator, size: int) -> Samples:
    hz = rng.uniform(330, 480)

    def honk() -> Samples:
        n = num_samples(rng.uniform(0.25, 0.7))
        amplitudes = (1, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2)
        return faded(partials(hz, n, amplitudes) + partials(1.25 * hz, n, amplitudes))

    return repeat(rng, size, rng.uniform(0.8, 1.2), honk)


def _engine(rng: Generator, size: int) -> Samples:
    motor = hum(rng, size, 38, (1, 0.9, 0.8, 0.7, 0.5, 0.4, 0.3, 0.3, 0.2, 0.2))
    return (0.4 * motor + 0.1 * rumble(rng, size, 300)) * throb(rng, size, 11, 0.25)


def _train(rng: Generator, size: int) -> Samples:
    def joint() -> Samples:
        first = strike(rng, 500, 300, 0.03)
        return sequence(first, strike(rng, 500, 300, 0.03))

    joints = repeat(rng, size, rng.uniform(1.1, 2.0), joint, jitter=0.02)
    return joints + 0.08 * hiss(rng, size, 250, 200)


def _church_bells(rng: Generator, size: int) -> Samples:
    root = rng.uniform(330, 480)
    steps = (1, 1.125, 1.25, 1.5)

    def bell() -> Samples:
        return ring(root * steps[int(rng.integers(4))], 0.7, (0.5, 1, 1.2, 1.5, 2, 2.65))

    return repeat(rng, size, rng.uniform(0.9, 1.6), bell, jitter=0.03)


def _airplane(rng: Generator, size: int) -> Samples:
    peak = rng.uniform(0.3, 0.7)
    at = np.interp(np.arange(size), [0, peak * size, size], [0.3, 1, 0.3])
    roar = 0.3 * hiss(rng, size, 450, 350) + 0.1 * hum(rng, size, 95, (1, 0.5, 0.5))
    return (roar * at).astype(np.float32)


def _bang(rng: Generator, corner_hz: float, decay_s: float) -> Samples:
    n = num_samples(6 * decay_s)
    return rumble(rng, n, corner_hz) * decay(n, decay_s, attack_s=0.0008)


def _fireworks(rng: Generator, size: int) -> Samples:
    def rocket() -> Samples:
        return sequence(0.25 * chirp(rng, 0.35, (900, 2600)), _bang(rng, 600, 0.12))

    return repeat(rng, size, rng.uniform(0.8, 1.3), rocket)


def _hand_saw(rng: Generator, size: int) -> Samples:
    teeth = rng.uniform(50, 85)

    def stroke() -> Samples:
        x = puff(rng, 0.3, 3000, 1200)
        return x * (1 + 0.8 * tone(teeth, len(x)))

    return repeat(rng, size, rng.uniform(1.7, 2.7), stroke, jitter=0.05)


def _air_conditioner(rng: Generator, size: int) -> Samples:
    fan = rumble(rng, size, 400) * throb(rng, size, rng.uniform(3, 6), 0.12)
    return 0.25 * fan + 0.12 * hum(rng, size, 100, (1, 0.3, 0.2))


def _children(rng: Generator, size: int) -> Samples:
    out = np.zeros(size, np.float32)
    for _ in range(2):
        voice = rng.uniform(0.9, 1.3)

        def shout(voice: float = voice) -> Samples:
            line = (400 * voice, 640 * voice, rng.uniform(350, 700) * voice)
            return call(rng, rng.uniform(0.15, 0.45), line, (1000, 2600), width_hz=400)

        out += repeat(rng, size, rng.uniform(1.2, 2.2), shout, jitter=0.6)
    return out


def _drilling(rng: Generator, size: int) -> Samples:
    rate = rng.uniform(240, 380)
    line = rate * glide(0.7, 1, 1, 0.97, size=size)
    motor = partials(line, size, [1 / k**0.5 for k in range(1, 16)])
    return (0.3 * motor + 0.12 * hiss(rng, size, 4200, 1600)) * throb(rng, size, 30, 0.3)


def _gun_shot(rng: Generator, size: int) -> Samples:
    out = np.zeros(size, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        add(out, _bang(rng, 2500, 0.05), rng.uniform(0, 0.85) * size, rng.uniform(0.6, 1))
    return out


def _jackhammer(rng: Generator, size: int) -> Samples:
    rate = rng.uniform(16, 26)
    return repeat(rng, size, rate, lambda: strike(rng, 1500, 1200, 0.009), jitter=0.03)


def _reversing(rng: Generator, size: int) -> Samples:
    on = gate(rng, size, rng.uniform(0.9, 1.5))
    beep = tone(rng.uniform(1000, 1500), size) * on
    return 0.4 * beep + 0.06 * rumble(rng, size, 200)


def _bicycle_bell(rng: Generator, size: int) -> Samples:
    hz = rng.uniform(2000, 3200)

    def trill() -> Samples:
        x = np.zeros(num_samples(0.8), np.float32)
        for j in range(5):
            add(x, ring(hz, 0.2, (1, 1.51, 2.1)), 0.045 * j * SAMPLE_RATE)
        return x

    return repeat(rng, size, rng.uniform(0.8, 1.2), trill)


STREET: dict[str, Recipe] = {
    "helicopter": _helicopter,
    "chainsaw": _chainsaw,
    "siren": _siren,
    "car horn": _car_horn,
    "engine": _engine,
    "train": _train,
    "church bells": _church_bells,
    "airplane": _airplane,
    "fireworks": _fireworks,
    "hand saw": _hand_saw,
    "air conditioner": _air_conditioner,
    "children playing": _children,
    "drilling": _drilling,
    "gun shot": _gun_shot,
    "jackhammer": _jackhammer,
    "reversing beeper": _reversing,
    "bicycle bell": _bicycle_bell,
}
