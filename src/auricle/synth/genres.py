"""Genres and dances as grooves: look-alikes in rhythm, instruments and scale."""

from __future__ import annotations

from collections.abc import Mapping

from auricle.synth.music import Groove

_NONE = "................"
_BACKBEAT = "....x.......x..."
_FOUR = "x...x...x...x..."
_EIGHTHS = "x.x.x.x.x.x.x.x."
_BAR = "x..............."
_HALVES = "x.......x......."

GENRES: Mapping[str, Groove] = {
    "blues": Groove(
        tempo=(75, 110),
        kick=_HALVES,
        snare=_BACKBEAT,
        hat="x..xx..xx..xx..x",
        chords=_HALVES,
        leads=("guitar", "reed", "keyboard"),
        chord_instruments=("organ", "keyboard", "guitar"),
        scale="blues",
        swing=0.3,
    ),
    "classical": Groove(
        tempo=(65, 120),
        kick=_NONE,
        snare=_NONE,
        hat=_NONE,
        chords=_HALVES,
        leads=("strings", "flute", "reed", "keyboard"),
        chord_instruments=("strings", "keyboard"),
        density=0.5,
    ),
    "country": Groove(
        tempo=(90, 130),
        kick=_HALVES,
        snare=_BACKBEAT,
        hat=_NONE,
        chords="..x...x...x...x.",
        leads=("guitar", "vocal", "strings"),
        chord_instruments=("guitar", "keyboard"),
        density=0.6,
    ),
    "disco": Groove(
        tempo=(110, 132),
        kick=_FOUR,
        snare=_BACKBEAT,
        hat="..x...x...x...x.",
        chords="x..x..x.x..x..x.",
        leads=("strings", "vocal", "synth lead", "brass"),
        chord_instruments=("strings", "keyboard", "guitar"),
        scale="minor",
        density=0.4,
    ),
    "hip-hop": Groove(
        tempo=(78, 102),
        kick="x..x......x.x...",
        snare="....x.......x..x",
        hat=_EIGHTHS,
        chords=_BAR,
        leads=("bass", "keyboard", "vocal"),
        chord_instruments=("keyboard", "strings", "organ"),
        scale="minor",
        density=0.25,
        swing=0.15,
    ),
    "jazz": Groove(
        tempo=(110, 180),
        kick=_NONE,
        snare="......x.......x.",
        hat="x...x..xx...x..x",
        chords="x.....x.......x.",
        leads=("brass", "reed", "keyboard", "mallet"),
        chord_instruments=("keyboard", "guitar"),
        scale="minor",
        density=0.65,
        swing=0.35,
    ),
    "metal": Groove(
        tempo=(140, 190),
        kick="xxxxxxxxxxxxxxxx",
        snare=_BACKBEAT,
        hat=_FOUR,
        chords=_EIGHTHS,
        leads=("synth lead", "guitar"),
        chord_instruments=("synth lead",),
        scale="blues",
        density=0.7,
    ),
    "pop": Groove(
        tempo=(95, 125),
        kick="x......x..x.....",
        snare=_BACKBEAT,
        hat=_EIGHTHS,
        chords=_HALVES,
        leads=("vocal", "synth lead", "guitar"),
        chord_instruments=("keyboard", "guitar", "strings"),
        density=0.4,
    ),
    "reggae": Groove(
        tempo=(65, 88),
        kick="........x.......",
        snare="........x.......",
        hat="..x...x...x...x.",
        chords="..x...x...x...x.",
        leads=("bass", "vocal", "brass"),
        chord_instruments=("organ", "guitar", "keyboard"),
        density=0.35,
    ),
    "rock": Groove(
        tempo=(108, 150),
        kick="x.....x.x.......",
        snare=_BACKBEAT,
        hat=_EIGHTHS,
        chords="x.x.x.x.x.x.x.x.",
        leads=("guitar", "vocal", "synth lead"),
        chord_instruments=("synth lead", "guitar"),
        scale="pentatonic",
        density=0.5,
    ),
}


def _dance(kick: str, snare: str, hat: str, chords: str, *, swing: float = 0.0) -> Groove:
    """A dance: all share tempi, instruments and scale, so that only the rhythm tells them apart."""
    return Groove(
        tempo=(100, 140),
        kick=kick,
        snare=snare,
        hat=hat,
        chords=chords,
        leads=("flute", "reed", "strings", "vocal"),
        chord_instruments=("guitar", "keyboard", "organ"),
        density=0.15,
        swing=swing,
    )


DANCES: Mapping[str, Groove] = {
    "waltz": _dance("x...........", "....x...x...", "....x...x...", "....x...x..."),
    "march": _dance("x.......x.......", "....x.x.....x.x.", _FOUR, "....x.......x..."),
    "tango": _dance("x...x...x...x.x.", "..............x.", _FOUR, "x...x...x...x.x."),
    "bossa nova": _dance("x.....xxx.....xx", "x..x..x...x..x..", _EIGHTHS, "x..x..x...x..x.."),
    "rumba": _dance("x..x....x..x....", "x..x..x.x..x..x.", _NONE, "x..x..x.x..x..x."),
    "house": _dance(_FOUR, _BACKBEAT, "..x...x...x...x.", "..x...x...x...x."),
    "breakbeat": _dance("x.x.......xx....", "....x..x.x..x..x", _EIGHTHS, "x.........x....."),
    "shuffle": _dance(_HALVES, _BACKBEAT, "x..xx..xx..xx..x", "x..xx..xx..xx..x", swing=0.3),
}
