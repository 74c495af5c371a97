"""Three captioning tasks: sound, music, and anything. Every clip has several true captions.

A caption states what was drawn and nothing else: which sources, their order or overlap, tempo,
instrument, drums, emotion. Its wordings differ in vocabulary as well as order, as people's do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from auricle.synth.genres import GENRES
from auricle.synth.kind import Clip, Kind, lay, pick
from auricle.synth.music import Band, hire, perform
from auricle.synth.people import voiced_emotion
from auricle.synth.rooms import Recording, record
from auricle.synth.scenes import SOUNDS
from auricle.synth.signals import Samples, add, at_level, faded, num_samples
from auricle.synth.voice import draw_speaker

_CLEAR = Recording(snr_db=(12, 30), reverberation=0.4, colour_db=6)

_HEARD: Mapping[str, tuple[str, str]] = {
    "dog": ("a dog barks", "a barking dog"),
    "cat": ("a cat meows", "a meowing cat"),
    "cow": ("a cow moos", "a mooing cow"),
    "birds": ("birds sing", "singing birds"),
    "rain": ("rain falls", "falling rain"),
    "wind": ("wind blows", "blowing wind"),
    "siren": ("a siren wails", "a wailing siren"),
    "car horn": ("a car honks", "a honking car"),
    "clapping": ("people clap", "clapping hands"),
    "footsteps": ("someone walks", "walking steps"),
    "church bells": ("church bells ring", "ringing church bells"),
    "helicopter": ("a helicopter flies", "a flying helicopter"),
    "crying baby": ("a baby cries", "a crying baby"),
    "door knock": ("someone knocks", "a knock on a door"),
    "keyboard": ("someone types", "typing on a keyboard"),
    "laughing": ("someone laughs", "a laughing person"),
}


def _sound_scene(rng: Generator) -> tuple[Samples, list[str]]:
    """One sound, two at once, or two in turn."""
    size = num_samples(rng.uniform(3.0, 3.8))
    first, second = (list(_HEARD)[int(j)] for j in rng.choice(len(_HEARD), 2, replace=False))
    (does, doing), (also_does, also_doing) = _HEARD[first], _HEARD[second]
    how = int(rng.integers(3))
    if how == 0:
        captions = [does, f"the sound of {doing}", f"{doing} can be heard"]
        return at_level(SOUNDS[first](rng, size)), captions
    if how == 1:
        scene = at_level(SOUNDS[first](rng, size)) + at_level(SOUNDS[second](rng, size))
        captions = [
            f"{does} while {also_does}",
            f"{also_does} while {does}",
            f"{doing} together with {also_doing}",
            f"{also_doing} together with {doing}",
        ]
        return scene, captions
    scene = np.zeros(size, np.float32)
    half = size // 2
    add(scene, faded(at_level(SOUNDS[first](rng, half)), 0.03), 0)
    add(scene, faded(at_level(SOUNDS[second](rng, size - half)), 0.03), half)
    captions = [
        f"{does} and then {also_does}",
        f"{doing} followed by {also_doing}",
        f"first {does}, then {also_does}",
    ]
    return scene, captions


_PACES: Mapping[str, tuple[float, float]] = {"slow": (62, 84), "fast": (132, 172)}
_STYLES = ("classical", "disco", "hip-hop", "jazz", "metal", "reggae")
_LEADS = ("flute", "guitar", "organ", "brass", "strings", "mallet")


def _piece(rng: Generator) -> tuple[Samples, list[str]]:
    """A style at a slow or fast pace, with a chosen lead, with or without drums."""
    style, lead, pace = pick(rng, _STYLES), pick(rng, _LEADS), pick(rng, tuple(_PACES))
    drums = bool(rng.random() < 0.5)
    hired = hire(rng, GENRES[style])
    kick, snare, hat, chords, _ = hired.mix
    beat = (kick, snare, hat) if drums else (0.0, 0.0, 0.0)
    band: Band = replace(
        hired, lead=lead, tempo=float(rng.uniform(*_PACES[pace])), mix=(*beat, chords, 1.2)
    )
    percussion = "and drums" if drums else "but no drums"
    captions = [
        f"a {pace} {style} piece with {lead} {percussion}",
        f"{lead} plays {pace} {style} music {'with' if drums else 'without'} drums",
        f"{pace} {style} music featuring {lead} {percussion}",
    ]
    return perform(rng, band, num_samples(rng.uniform(3.0, 3.8))), captions


_MOODS: Mapping[str, str] = {
    "happy": "happily",
    "sad": "sadly",
    "angry": "angrily",
    "fearful": "fearfully",
}


def _talk(rng: Generator) -> tuple[Samples, list[str]]:
    """A man or a woman who speaks in a mood."""
    deep, mood = bool(rng.random() < 0.5), pick(rng, tuple(_MOODS))
    who = "man" if deep else "woman"
    voice = voiced_emotion(rng, mood, draw_speaker(rng, low_voice=deep))
    captions = [
        f"{'an' if mood[0] == 'a' else 'a'} {mood} {who} speaks",
        f"a {who} speaks {_MOODS[mood]}",
        f"speech of {'an' if mood[0] == 'a' else 'a'} {mood} {who}",
    ]
    return lay(rng, voice, (3.0, 3.8)), captions


def _caption(rng: Generator, scene: Samples, captions: list[str]) -> Clip:
    return Clip(record(rng, scene, _CLEAR), {"captions": captions})


def _sound_caption(rng: Generator, _: str) -> Clip:
    return _caption(rng, *_sound_scene(rng))


def _music_caption(rng: Generator, _: str) -> Clip:
    return _caption(rng, *_piece(rng))


def _general_caption(rng: Generator, _: str) -> Clip:
    return _caption(rng, *pick(rng, (_sound_scene, _piece, _talk))(rng))


CAPTIONS: dict[str, Kind] = {
    "synth-sound-caption": Kind(_sound_caption),
    "synth-music-caption": Kind(_music_caption),
    "synth-caption": Kind(_general_caption),
}
