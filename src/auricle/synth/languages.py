"""Thirty-three invented languages: each its own sounds, syllables, pace and melody.

They are named by invented words, never by a real language: nothing here says how an encoder fares
on those.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from auricle.seeding import generator
from auricle.synth.kind import Clip, Kind, lay, pick, say
from auricle.synth.rooms import Recording, record
from auricle.synth.signals import Samples
from auricle.synth.voice import CONSONANTS, PAUSE, VOWELS, Speaker, Style, draw_speaker

LANGUAGES = (
    *("alu", "bemi", "coro", "dasu", "elko", "fani", "goba", "hilo", "irum", "jeta", "kuno"),
    *("lavi", "moru", "neti", "opal", "piso", "quen", "rabo", "selu", "timo", "ursa", "vako"),
    *("wela", "xino", "yoru", "zabi", "anto", "bruk", "drim", "fosk", "grel", "plon", "stam"),
)


@dataclass(frozen=True, slots=True)
class Language:
    """How an invented language sounds."""

    vowels: tuple[str, ...]
    consonants: tuple[str, ...]
    coda: float
    """Chance that a syllable ends in a consonant."""
    cluster: float
    """Chance that it begins with two."""
    pace: float
    melody: tuple[float, ...]
    """Relative pitch over a phrase."""


@lru_cache(maxsize=64)
def language(name: str) -> Language:
    """The language of a name."""
    rng = generator("synth", "language", name)
    vowels = rng.choice(len(VOWELS), int(rng.integers(2, 5)), replace=False)
    consonants = rng.choice(len(CONSONANTS), int(rng.integers(3, 6)), replace=False)
    slope, swing = rng.uniform(-0.2, 0.2), rng.uniform(0.03, 0.2)
    waves = rng.uniform(0.5, 4)
    place = np.linspace(0, 1, 24)
    melody = 1 + slope * (place - 0.5) + swing * np.sin(2 * np.pi * waves * place)
    return Language(
        vowels=tuple(VOWELS[int(j)] for j in vowels),
        consonants=tuple(CONSONANTS[int(j)] for j in consonants),
        coda=float(rng.choice((0.05, 0.3, 0.7))),
        cluster=float(rng.choice((0.0, 0.2, 0.5))),
        pace=float(rng.uniform(0.8, 1.3)),
        melody=tuple(float(m) for m in melody),
    )


def utter(rng: Generator, name: str, speaker: Speaker) -> Samples:
    """A phrase in an invented language, of about two seconds."""
    spoken = language(name)
    phonemes = [PAUSE]
    for _ in range(round(9 * spoken.pace)):
        if rng.random() < 0.85:
            phonemes.append(pick(rng, spoken.consonants))
        if rng.random() < spoken.cluster:
            phonemes.append(pick(rng, spoken.consonants))
        phonemes.append(pick(rng, spoken.vowels))
        if rng.random() < spoken.coda:
            phonemes.append(pick(rng, spoken.consonants))
    style = Style(contour=spoken.melody)
    return say(rng, phonemes, speaker, most_s=2.3, style=style)


def _language(rng: Generator, label: str) -> Clip:
    voice = utter(rng, label, draw_speaker(rng))
    how = Recording(snr_db=(12, 30), reverberation=0.25, colour_db=4)
    return Clip(record(rng, lay(rng, voice, (2.4, 2.9)), how), {"label": label})


TONGUES: dict[str, Kind] = {"synth-language": Kind(_language, LANGUAGES)}
