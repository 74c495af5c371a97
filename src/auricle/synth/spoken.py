"""Tasks of understanding speech: keyword, digits, tonal syllables, intent, sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from auricle.synth.kind import Clip, Kind, lay, pick, say
from auricle.synth.rooms import Recording, record
from auricle.synth.signals import at_level
from auricle.synth.voice import Style, draw_speaker
from auricle.synth.words import DIGITS, KEYWORDS, TONAL, TONES, pronounce

_INDOORS = Recording(snr_db=(8, 30), reverberation=0.3, colour_db=4)
_CLOSE = Recording(snr_db=(15, 35), reverberation=0.15, colour_db=3)


def _keyword(rng: Generator, label: str) -> Clip:
    voice = say(rng, pronounce([label]), draw_speaker(rng), most_s=1.0)
    return Clip(record(rng, lay(rng, voice, (1.1, 1.4)), _INDOORS), {"label": label})


def _digits(rng: Generator, _: str) -> Clip:
    words = [pick(rng, DIGITS) for _ in range(int(rng.integers(1, 6)))]
    voice = say(rng, pronounce(words), draw_speaker(rng), most_s=2.1)
    return Clip(record(rng, lay(rng, voice, (2.2, 2.7)), _CLOSE), {"text": " ".join(words)})


def _tones(rng: Generator, _: str) -> Clip:
    characters = [pick(rng, tuple(TONAL)) for _ in range(int(rng.integers(1, 5)))]
    speaker = replace(draw_speaker(rng, low_voice=False), pitch_hz=rng.uniform(150, 240))
    parts = []
    for character in characters:
        phonemes, tone = TONAL[character]
        style = Style(contour=TONES[tone], rate=0.8)
        spoken = say(rng, phonemes, speaker, most_s=0.42, style=style)
        parts.append(at_level(spoken))
    text = "".join(characters)
    voice = np.concatenate(parts)
    return Clip(record(rng, lay(rng, voice, (1.7, 2.1)), _CLOSE), {"text": text})


_ROOMS = ("none", "kitchen", "bedroom", "washroom")
_INTENTS: tuple[tuple[str, str, str], ...] = (
    *(("activate", "lights", room) for room in _ROOMS),
    ("activate", "lamp", "none"),
    ("activate", "music", "none"),
    *(("bring", thing, "none") for thing in ("juice", "newspaper", "shoes", "socks")),
    *(
        ("change language", name, "none")
        for name in ("chinese", "english", "german", "korean", "none")
    ),
    *(("deactivate", "lights", room) for room in _ROOMS),
    ("deactivate", "lamp", "none"),
    ("deactivate", "music", "none"),
    *((way, "heat", room) for way in ("increase", "decrease") for room in _ROOMS),
    ("increase", "volume", "none"),
    ("decrease", "volume", "none"),
)
INTENTS: Mapping[str, tuple[str, str, str]] = {" ".join(parts): parts for parts in _INTENTS}

_ORDERS: Mapping[str, tuple[str, ...]] = {
    "activate": ("turn on the {}", "switch the {} on", "activate the {}"),
    "deactivate": ("turn off the {}", "switch the {} off", "turn the {} off"),
    "bring": ("bring my {}", "fetch the {}", "go bring the {}"),
    "increase": ("increase the {}", "turn up the {}", "turn the {} up"),
    "decrease": ("decrease the {}", "turn down the {}", "turn the {} down"),
    "change language": ("set the language {}", "change my language {}", "switch language {}"),
}


def _order(rng: Generator, label: str) -> list[str]:
    action, thing, room = INTENTS[label]
    if action == "change language":
        thing = "" if thing == "none" else f"to {thing}"
    words = pick(rng, _ORDERS[action]).format(thing).split()
    return words if room == "none" else [*words, "in", "the", room]


def _intent(rng: Generator, label: str) -> Clip:
    phonemes = pronounce(_order(rng, label))
    voice = say(rng, phonemes, draw_speaker(rng), most_s=2.1)
    return Clip(record(rng, lay(rng, voice, (2.2, 2.7)), _CLOSE), {"label": label})


_WHICH = ("big", "small", "red", "green", "old", "young")
_WHO = ("man", "woman", "girl", "boy", "dog", "cat", "bird", "horse")
_DOES = ("sees", "likes", "finds", "takes", "wants")
_WHAT = ("fish", "tree", "house", "boat", "ball", "book", "table", "apple", "cup")
_WHERE = ("river", "house", "tree", "table", "bed")


def _sentence(rng: Generator) -> list[str]:
    words = ["the"]
    if rng.random() < 0.5:
        words.append(pick(rng, _WHICH))
    words += [pick(rng, _WHO), pick(rng, _DOES), "the"]
    if rng.random() < 0.4:
        words.append(pick(rng, _WHICH))
    words.append(pick(rng, _WHAT))
    if rng.random() < 0.3:
        words += [pick(rng, ("near", "under", "behind")), "the", pick(rng, _WHERE)]
    return words


def _sentences(rng: Generator, _: str) -> Clip:
    words = _sentence(rng)
    voice = say(rng, pronounce(words), draw_speaker(rng), most_s=2.6)
    return Clip(record(rng, lay(rng, voice, (2.7, 3.2)), _CLOSE), {"text": " ".join(words)})


SPOKEN: dict[str, Kind] = {
    "synth-keyword": Kind(_keyword, KEYWORDS),
    "synth-digits": Kind(_digits),
    "synth-tones": Kind(_tones),
    "synth-intent": Kind(_intent, tuple(INTENTS)),
    "synth-sentences": Kind(_sentences),
}
