"""Ten look-alikes of animal sounds."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from auricle.synth.signals import Samples, bump, num_samples, tone, wander
from auricle.synth.textures import Recipe, around, call, chirp, gate, repeat, sequence, silence


def _dog(rng: Generator, size: int) -> Samples:
    def bark() -> Samples:
        return call(rng, 0.17, (450, 640, 250), (700, 1500), width_hz=300, roughness=0.4)

    return repeat(rng, size, rng.uniform(1.3, 2.6), bark)


def _rooster(rng: Generator, size: int) -> Samples:
    def crow() -> Samples:
        short = call(rng, 0.13, (600, 740, 700), (1200, 2400))
        second = call(rng, 0.16, (720, 850, 800), (1200, 2400))
        return sequence(short, second, call(rng, 0.65, (900, 1000, 520), (1500, 2800)))

    return repeat(rng, size, rng.uniform(0.6, 0.9), crow)


def _pig(rng: Generator, size: int) -> Samples:
    def grunt() -> Samples:
        return call(
            rng,
            0.25,
            (110, 125, 85),
            (500, 1100),
            roughness=1.2,
            vibrato=(0.3, rng.uniform(22, 34)),
        )

    return repeat(rng, size, rng.uniform(1.6, 3), grunt)


def _cow(rng: Generator, size: int) -> Samples:
    def moo() -> Samples:
        return call(rng, 1.2, (130, 190, 175, 110), (350, 800), width_hz=180)

    return repeat(rng, size, rng.uniform(0.5, 0.8), moo)


def _frog(rng: Generator, size: int) -> Samples:
    def croak() -> Samples:
        x = call(rng, 0.3, (90, 100, 90), (700, 1300), width_hz=200, roughness=0.3)
        return x * gate(rng, len(x), rng.uniform(24, 36))

    return repeat(rng, size, rng.uniform(1.6, 2.6), croak)


def _cat(rng: Generator, size: int) -> Samples:
    def meow() -> Samples:
        return call(rng, 0.7, (480, 760, 700, 430), (1100, 2300), width_hz=350)

    return repeat(rng, size, rng.uniform(0.7, 1.2), meow)


def _hen(rng: Generator, size: int) -> Samples:
    def cluck() -> Samples:
        return call(rng, 0.09, (500, 560, 420), (900, 1900), width_hz=300, roughness=0.2)

    return repeat(rng, size, rng.uniform(2.6, 4.5), cluck, jitter=0.5)


def _insects(rng: Generator, size: int) -> Samples:
    carrier = tone(rng.uniform(3400, 5400), size, start=rng.random())
    flutter = gate(rng, size, rng.uniform(20, 40))
    return carrier * flutter * wander(rng, size, 3, low=0.5)


def _sheep(rng: Generator, size: int) -> Samples:
    def bleat() -> Samples:
        return call(
            rng, 0.8, (330, 350, 300), (800, 1700), width_hz=300, roughness=0.2, vibrato=(0.1, 9)
        )

    return repeat(rng, size, rng.uniform(0.7, 1.1), bleat)


def _crow(rng: Generator, size: int) -> Samples:
    def caw() -> Samples:
        return call(rng, 0.33, (420, 440, 320), (1300, 2000), width_hz=350, roughness=1.2)

    return repeat(rng, size, rng.uniform(1.0, 1.8), caw)


def _crickets(rng: Generator, size: int) -> Samples:
    hz, trill = rng.uniform(3400, 5000), rng.uniform(24, 34)

    def song() -> Samples:
        n = num_samples(around(rng, 0.22))
        return tone(hz, n) * np.abs(tone(trill / 2, n)) * bump(n, power=0.3)

    return repeat(rng, size, rng.uniform(1.7, 2.8), song, jitter=0.06)


def _birds(rng: Generator, size: int) -> Samples:
    def phrase() -> Samples:
        notes = []
        for _ in range(int(rng.integers(1, 4))):
            low, high = rng.uniform(2300, 4300), rng.uniform(3000, 6500)
            notes += [chirp(rng, rng.uniform(0.06, 0.15), (low, high)), silence(0.03)]
        return sequence(*notes)

    return repeat(rng, size, rng.uniform(1.4, 2.6), phrase, jitter=0.5)


ANIMALS: dict[str, Recipe] = {
    "dog": _dog,
    "rooster": _rooster,
    "pig": _pig,
    "cow": _cow,
    "frog": _frog,
    "cat": _cat,
    "hen": _hen,
    "insects": _insects,
    "sheep": _sheep,
    "crow": _crow,
    "crickets": _crickets,
    "birds": _birds,
}
