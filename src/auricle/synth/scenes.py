"""Tasks of recognising sounds: environment, events, soundscape, urban sounds, counting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from auricle.synth.animals import ANIMALS
from auricle.synth.body import BODY
from auricle.synth.genres import GENRES
from auricle.synth.household import HOUSEHOLD
from auricle.synth.kind import Clip, Kind, pick
from auricle.synth.music import hire, perform
from auricle.synth.nature import NATURE
from auricle.synth.rooms import Recording, record
from auricle.synth.signals import (
    SAMPLE_RATE,
    Samples,
    add,
    at_level,
    band_noise,
    faded,
    num_samples,
    partials,
)
from auricle.synth.street import STREET
from auricle.synth.textures import Recipe

SOUNDS: dict[str, Recipe] = ANIMALS | NATURE | BODY | HOUSEHOLD | STREET

_OUTDOORS = Recording(snr_db=(5, 28), reverberation=0.4, colour_db=6)
_NEAR = Recording(snr_db=(15, 30), reverberation=0.05, colour_db=3)

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
_NOT_SOUNDSCAPE = {
    *("breathing", "sea waves", "airplane", "hand saw", "brushing teeth", "clock tick", "pig"),
    *("hen", "sheep", "drinking", "stream", "can opening", "microwave", "water drops", "engine"),
    *("snoring", "washing machine", "air conditioner", "train", "mouse click", "door creak"),
    *("sniffing", "insects", "toilet flush"),
}
SOUNDSCAPE = tuple(name for name in SOUNDS if name not in _NOT_SOUNDSCAPE)


def _environment(rng: Generator, label: str) -> Clip:
    size = num_samples(rng.uniform(2.2, 3.0))
    sound = SOUNDS[label](rng, size)
    return Clip(record(rng, at_level(sound), _OUTDOORS), {"label": label})


def mixed(rng: Generator, names: Sequence[str], size: int) -> Samples:
    """Sounds at the same time, each up to 7 dB below the loudest."""
    out = np.zeros(size, np.float32)
    for name in names:
        out += at_level(SOUNDS[name](rng, size), 0.1 * 10 ** rng.uniform(-0.35, 0))
    return out


def _companions(rng: Generator, label: str, names: Sequence[str], most: int) -> list[str]:
    """The label and up to ``most`` others, sorted, so that the order of answers is fixed."""
    others = [name for name in names if name != label]
    chosen = rng.choice(len(others), int(rng.integers(0, most + 1)), replace=False)
    return sorted([label, *(others[int(j)] for j in chosen)])


def _events(rng: Generator, label: str) -> Clip:
    names = _companions(rng, label, EVENTS, 2)
    scene = mixed(rng, names, num_samples(rng.uniform(2.2, 3.0)))
    how = Recording(snr_db=(12, 30), reverberation=0.3, colour_db=4)
    return Clip(record(rng, scene, how), {"label": ";".join(names)})


def _soundscape(rng: Generator, label: str) -> Clip:
    names = _companions(rng, label, SOUNDSCAPE, 1)
    scene = mixed(rng, names, num_samples(rng.uniform(2.2, 3.0)))
    how = Recording(snr_db=(12, 30), reverberation=0.3, colour_db=4)
    return Clip(record(rng, scene, how), {"label": ";".join(names)})


def _street_music(rng: Generator, size: int) -> Samples:
    genre = pick(rng, ("country", "pop", "reggae", "jazz"))
    return perform(rng, hire(rng, GENRES[genre]), size)


URBAN: dict[str, Recipe] = {
    "air conditioner": SOUNDS["air conditioner"],
    "car horn": SOUNDS["car horn"],
    "children playing": SOUNDS["children playing"],
    "dog bark": SOUNDS["dog"],
    "drilling": SOUNDS["drilling"],
    "engine idling": SOUNDS["engine"],
    "gun shot": SOUNDS["gun shot"],
    "jackhammer": SOUNDS["jackhammer"],
    "siren": SOUNDS["siren"],
    "street music": _street_music,
}


def _urban(rng: Generator, label: str) -> Clip:
    """A sound of the street behind which the traffic is heard."""
    size = num_samples(rng.uniform(2.0, 2.8))
    scene = at_level(URBAN[label](rng, size))
    traffic = SOUNDS[pick(rng, ("airplane", "engine", "wind", "train"))](rng, size)
    scene += at_level(traffic, 0.1 * 10 ** rng.uniform(-1.2, -0.3))
    how = Recording(snr_db=(0, 18), reverberation=0.6, colour_db=12)
    return Clip(record(rng, scene, how), {"label": label})


COUNTS = tuple(str(n) for n in range(1, 6))
_SOUNDING_S = (0.5, 0.65)
_GAP_S = 0.2


def _beep(rng: Generator, kind: str, hz: float, size: int) -> Samples:
    """A wide-band event: narrow ones, each in bands of its own, are learnt by few seeds."""
    if kind == "noise":
        return faded(band_noise(rng, size, 4 * hz, 2 * hz), 0.006)
    strengths = [k ** (-0.5 if kind == "buzz" else -1.0) for k in range(1, 25)]
    return faded(partials(hz, size, strengths), 0.006)


def _counting(rng: Generator, label: str) -> Clip:
    """Events that share one total length and one timbre, so that only time tells how many."""
    count = int(label)
    shares = rng.dirichlet(np.full(count, 30.0))
    lengths = np.maximum(shares * rng.uniform(*_SOUNDING_S), 0.05)
    clip = np.zeros(num_samples(rng.uniform(1.8, 2.2)), np.float32)
    spare_s = len(clip) / SAMPLE_RATE - lengths.sum() - _GAP_S * (count - 1)
    gaps = rng.dirichlet(np.ones(count + 1)) * spare_s
    kind, hz = pick(rng, ("horn", "buzz", "noise")), pick(rng, (200.0, 300.0, 450.0, 700.0))
    at_s = gaps[0]
    for length_s, gap_s in zip(lengths, gaps[1:], strict=True):
        beep = at_level(_beep(rng, kind, hz, num_samples(length_s)))
        add(clip, beep, at_s * SAMPLE_RATE, rng.uniform(0.7, 1.0))
        at_s += length_s + gap_s + _GAP_S
    return Clip(record(rng, clip, _NEAR), {"label": label})


SCENES: dict[str, Kind] = {
    "synth-environment": Kind(_environment, ENVIRONMENT),
    "synth-events": Kind(_events, EVENTS),
    "synth-soundscape": Kind(_soundscape, SOUNDSCAPE),
    "synth-urban": Kind(_urban, tuple(URBAN)),
    "synth-counting": Kind(_counting, COUNTS),
}
