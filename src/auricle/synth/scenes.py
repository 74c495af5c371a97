"""Tasks of recognising sounds: environment, events (multi-label), counting."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from auricle.synth.animals import ANIMALS
from auricle.synth.body import BODY
from auricle.synth.household import HOUSEHOLD
from auricle.synth.kind import Clip, Kind, pick
from auricle.synth.nature import NATURE
from auricle.synth.rooms import Recording, record
from auricle.synth.signals import (
    SAMPLE_RATE,
    Samples,
    add,
    at_level,
    band_noise,
    faded,
    glide,
    num_samples,
    partials,
)
from auricle.synth.street import STREET
from auricle.synth.textures import Recipe

SOUNDS: dict[str, Recipe] = ANIMALS | NATURE | BODY | HOUSEHOLD | STREET

_OUTDOORS = Recording(snr_db=(0, 22), reverberation=0.6, colour_db=10)
_NEAR = Recording(snr_db=(8, 25), reverberation=0.1, colour_db=6)

_NOT_ENVIRONMENT = {
    *("sighing", "sniffing", "throat clearing", "whistling", "phone", "cutlery", "microwave"),
    *("air conditioner", "children playing", "drilling", "gun shot", "jackhammer", "stream"),
    *("reversing beeper", "bicycle bell"),
}
ENVIRONMENT = tuple(name for name in SOUNDS if name not in _NOT_ENVIRONMENT)
EVENTS = (
    *("dog", "cat", "crow", "cow", "birds", "rain", "wind", "thunder", "crying baby", "coughing"),
    *("clapping", "footsteps", "laughing", "door knock", "keyboard", "glass breaking"),
    *("siren", "car horn", "church bells", "helicopter"),
)


def _environment(rng: Generator, label: str) -> Clip:
    size = num_samples(rng.uniform(2.2, 3.0))
    sound = SOUNDS[label](rng, size)
    return Clip(record(rng, at_level(sound), _OUTDOORS), {"label": label})


def _mixed(rng: Generator, names: list[str], size: int) -> Samples:
    out = np.zeros(size, np.float32)
    for name in names:
        out += at_level(SOUNDS[name](rng, size), 0.1 * 10 ** rng.uniform(-0.35, 0))
    return out


def _events(rng: Generator, label: str) -> Clip:
    others = [name for name in EVENTS if name != label]
    more = rng.choice(len(others), int(rng.integers(0, 3)), replace=False)
    names = sorted([label, *(others[int(j)] for j in more)])
    scene = _mixed(rng, names, num_samples(rng.uniform(2.2, 3.0)))
    how = Recording(snr_db=(8, 30), reverberation=0.4, colour_db=6)
    return Clip(record(rng, scene, how), {"label": ";".join(names)})


COUNTS = tuple(str(n) for n in range(1, 8))
_SOUNDING_S = (0.55, 0.75)


def _beep(rng: Generator, kind: str, hz: float, size: int) -> Samples:
    if kind == "noise":
        return faded(band_noise(rng, size, hz, 0.3 * hz), 0.006)
    line = glide(hz, hz * (1.5 if kind == "chirp" else 1.0), size=size)
    return faded(partials(line, size, (1, 0.5, 0.25) if kind == "buzz" else (1,)), 0.006)


def _counting(rng: Generator, label: str) -> Clip:
    """Events that share one total length and one timbre, so that only time tells how many."""
    count = int(label)
    shares = rng.dirichlet(np.full(count, 12.0))
    lengths = np.maximum(shares * rng.uniform(*_SOUNDING_S), 0.05)
    clip = np.zeros(num_samples(rng.uniform(2.4, 3.0)), np.float32)
    spare_s = len(clip) / SAMPLE_RATE - lengths.sum() - 0.1 * (count - 1)
    gaps = rng.dirichlet(np.ones(count + 1)) * spare_s
    kind, hz = pick(rng, ("tone", "buzz", "chirp", "noise")), float(rng.uniform(400, 2500))
    at_s = gaps[0]
    for length_s, gap_s in zip(lengths, gaps[1:], strict=True):
        beep = at_level(_beep(rng, kind, hz, num_samples(length_s)))
        add(clip, beep, at_s * SAMPLE_RATE, rng.uniform(0.7, 1.0))
        at_s += length_s + gap_s + 0.1
    return Clip(record(rng, clip, _NEAR), {"label": label})


SCENES: dict[str, Kind] = {
    "synth-environment": Kind(_environment, ENVIRONMENT),
    "synth-events": Kind(_events, EVENTS),
    "synth-counting": Kind(_counting, COUNTS),
}
