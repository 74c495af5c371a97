"""Tasks about who speaks and how: speaker count, same speaker, spoof, emotion, vocal sounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from auricle.synth.body import BODY
from auricle.synth.kind import Clip, Kind, lay, pick, say
from auricle.synth.rooms import Recording, record
from auricle.synth.signals import SAMPLE_RATE, Samples, add, at_level, num_samples
from auricle.synth.voice import Speaker, Style, draw_speaker, respectral
from auricle.synth.words import LEXICON, pronounce

_CLOSE = Recording(snr_db=(10, 30), reverberation=0.3, colour_db=6)
_WORDS = tuple(LEXICON)


def phrase(rng: Generator, count: int) -> list[str]:
    """Phonemes of some words in a row that mean nothing."""
    return pronounce([pick(rng, _WORDS) for _ in range(count)])


MOST_SPEAKERS = 10


def _speaker_count(rng: Generator, label: str) -> Clip:
    """People who talk at once; the whole is set to one level, so loudness does not tell."""
    clip = np.zeros(num_samples(rng.uniform(2.0, 2.6)), np.float32)
    for _ in range(int(label)):
        voice = at_level(say(rng, phrase(rng, 4), draw_speaker(rng), most_s=1.9))
        spare = max(0, len(clip) - len(voice))
        add(clip, voice, int(rng.integers(0, spare + 1)), 10 ** rng.uniform(-0.25, 0))
    how = Recording(snr_db=(15, 30), reverberation=0.2, colour_db=4)
    return Clip(record(rng, clip, how), {"label": label})


def _other(rng: Generator, speaker: Speaker) -> Speaker:
    """Somebody who sounds clearly different."""
    while True:
        other = draw_speaker(rng)
        pitch = abs(np.log2(other.pitch_hz / speaker.pitch_hz))
        tract = abs(np.log2(other.tract / speaker.tract))
        if pitch + 2 * tract > 0.45:
            return other


def _same_speaker(rng: Generator, label: str) -> Clip:
    """Two turns. Another speaker interrupts the first; the same one pauses between the two."""
    first = draw_speaker(rng)
    if label == "same":
        second, gap_s, most_s = first, rng.uniform(0.0, 0.15), 1.05
    else:
        second, gap_s, most_s = _other(rng, first), -rng.uniform(0.1, 0.45), 1.15
    turns = [at_level(say(rng, phrase(rng, 3), who, most_s=most_s)) for who in (first, second)]
    start = max(0, len(turns[0]) + round(gap_s * SAMPLE_RATE))
    both = np.zeros(max(len(turns[0]), start + len(turns[1])), np.float32)
    add(both, turns[0], 0)
    add(both, turns[1], start)
    return Clip(record(rng, lay(rng, both, (2.3, 2.8)), _CLOSE), {"label": label})


_VOCODER_FRAME_S = 0.04


def _vocoded(rng: Generator, voice: Samples) -> Samples:
    """What a cheap vocoder leaves: phases lost, and frames that fade in and out."""

    def smear(bins: np.ndarray[tuple[int, int], np.dtype[np.complex64]]) -> None:
        bins *= np.exp(1j * rng.uniform(-1.5, 1.5, bins.shape))

    smeared = respectral(voice, smear)
    cycles = np.arange(len(smeared)) / (_VOCODER_FRAME_S * SAMPLE_RATE) + rng.random()
    depth = rng.uniform(0.65, 0.9)
    return smeared * np.power(10, -depth * np.cos(np.pi * cycles) ** 4, dtype=np.float32)


def _spoof(rng: Generator, label: str) -> Clip:
    """A spoof has a vocoder's trace, and in half of the cases a machine's flat melody too."""
    speaker = draw_speaker(rng)
    style = Style()
    if label == "spoof" and rng.random() < 0.5:
        speaker = replace(speaker, jitter=0.0, breath=0.002)
        style = Style(contour=tuple(rng.choice((0.92, 1.0, 1.08), 4)))
    voice = say(rng, phrase(rng, 4), speaker, most_s=1.9, style=style)
    if label == "spoof":
        voice = _vocoded(rng, voice)
    return Clip(record(rng, lay(rng, voice, (2.1, 2.6)), _CLOSE), {"label": label})


EMOTIONS: Mapping[str, Style] = {
    "neutral": Style(),
    "happy": Style(pitch=1.2, liveliness=2.6, rate=1.12, tilt=0.92),
    "sad": Style(pitch=0.88, liveliness=0.3, rate=0.78, tilt=1.15, breath=2),
    "angry": Style(pitch=1.1, liveliness=1.4, rate=1.2, tilt=0.78),
    "fearful": Style(pitch=1.3, liveliness=0.6, rate=1.25, tremor=0.06, breath=4),
}


def voiced_emotion(rng: Generator, emotion: str, speaker: Speaker) -> Samples:
    """Some words in an emotion; how many is drawn, so that neither length nor pace tells alone."""
    style = EMOTIONS[emotion]
    line = replace(style, pitch=style.pitch * rng.uniform(0.95, 1.05))
    count = int(rng.integers(3, 6))
    voice = say(rng, phrase(rng, count), speaker, most_s=2.4, style=line)
    if emotion == "angry":
        voice = np.tanh(voice * np.float32(3 / max(1e-6, float(np.abs(voice).max()))))
    return voice


def _emotion(rng: Generator, label: str) -> Clip:
    voice = voiced_emotion(rng, label, draw_speaker(rng))
    return Clip(record(rng, lay(rng, voice, (2.4, 3.0)), _CLOSE), {"label": label})


VOCAL_SOUNDS: Mapping[str, str] = {
    "laughter": "laughing",
    "sigh": "sighing",
    "cough": "coughing",
    "throat clearing": "throat clearing",
    "sneeze": "sneezing",
    "sniff": "sniffing",
}


def _vocal_sound(rng: Generator, label: str) -> Clip:
    size = num_samples(rng.uniform(1.6, 2.2))
    voice = at_level(BODY[VOCAL_SOUNDS[label]](rng, size))
    how = Recording(snr_db=(-3, 15), reverberation=0.6, colour_db=12)
    return Clip(record(rng, voice, how), {"label": label})


PEOPLE: dict[str, Kind] = {
    "synth-speaker-count": Kind(_speaker_count, tuple(str(n) for n in range(MOST_SPEAKERS + 1))),
    "synth-same-speaker": Kind(_same_speaker, ("same", "different")),
    "synth-spoof": Kind(_spoof, ("genuine", "spoof")),
    "synth-emotion": Kind(_emotion, tuple(EMOTIONS)),
    "synth-vocal-sound": Kind(_vocal_sound, tuple(VOCAL_SOUNDS)),
}
