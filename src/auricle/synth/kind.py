"""What a synthetic task is: a closed set of labels and a way to make a clip of each.

How long a clip lasts is drawn without looking at its label (`lay`, `say`), so that an encoder
which only knows durations knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.random import Generator

from auricle.synth.signals import Samples, add, at_level, num_samples
from auricle.synth.voice import PHONEMES, PLAIN, Speaker, Style, speak

_T = TypeVar("_T")


class Clip(NamedTuple):
    """One synthetic recording."""

    samples: Samples
    """float32 ``[n]`` at 16 kHz."""
    fields: dict[str, Any]
    """What goes into the clip's JSON: ``label``, ``text`` or ``captions``."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A synthetic task."""

    make: Callable[[Generator, str], Clip]
    """Makes a clip; the string is the label to make, or "" where the text is drawn."""
    labels: tuple[str, ...] = ("",)
    """Every clip in turn gets one of these, each equally often."""


def pick(rng: Generator, values: Sequence[_T]) -> _T:
    """One of the values, each equally likely."""
    return values[int(rng.integers(len(values)))]


def lay(rng: Generator, sound: Samples, seconds: tuple[float, float]) -> Samples:
    """Lay a sound somewhere into a clip whose length is drawn from a range.

    The sound's louder parts get a fixed level; what does not fit is cut at the end.
    """
    clip = np.zeros(num_samples(rng.uniform(*seconds)), np.float32)
    spare = max(0, len(clip) - len(sound))
    add(clip, at_level(sound), int(rng.integers(0, spare + 1)))
    return clip


def say(
    rng: Generator,
    phonemes: Sequence[str],
    speaker: Speaker,
    *,
    most_s: float,
    style: Style = PLAIN,
) -> Samples:
    """Speak at the speaker's own pace, or faster where it would last longer than ``most_s``."""
    natural_s = sum(PHONEMES[p].duration_s for p in phonemes) / speaker.rate
    return speak(rng, phonemes, speaker, replace(style, rate=max(style.rate, natural_s / most_s)))
