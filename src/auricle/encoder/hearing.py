"""Whether an encoder hears all of a window, and where: part of it is changed, and frames must move.

An encoder whose hop is wrong by two gives frames for half of each window and keeps the contract all
the same. So `PLACES` places of a window, its very end included, are replaced by noise of the same
energy, one after the other: the whole window's level stays, and with it what an encoder that
brings windows to one level makes of the rest. Where nothing moves, other sounds and levels are
tried, since a detector of voices may rightly ignore noise. Frames that move more than the others
answer for a place (*local*); where all move alike the encoder is *global*, and no place is spoken
of; where nothing moves it is deaf.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.contract import SAMPLE_RATE
from auricle.encoder.host import probe_audio
from auricle.seeding import random_words, stream_key, unit_floats

PLACES = 20
LENGTHS_S = (10, 2, 30, 120)
"""Seconds of the windows, in the order in which they are tried."""
SHORT_S = 0.1
_SAME_ENERGY = 0.0
_LEVELS = (_SAME_ENERGY, 0.4, 0.1, 0.03)
"""RMS of the noise that replaces a place."""
_SOUNDS = ("speech", "tones", "noise")
_MOVED = 0.01
"""Least change that counts, relative to a dimension's spread over the window's frames."""
_FLOOR = 1e-3
"""Least spread of a dimension, relative to all features' RMS."""
_ALIKE = 0.5
"""Frames that change at least so much, relative to the one that changes most, move alike."""
_PACES = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 2, 2, 3, 4)
"""Factors by which hops are usually wrong."""
_FAINT = 0.1
"""A change so small beside those of other places is that of a level and not of a place."""
_NEAR = 0.05
"""Frames that answer so near, as a share of the window, lie where they are expected."""

Audio = NDArray[np.float32]
Frames = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard of windows of one length."""

    length_s: float
    """The windows' length."""
    frames: int
    """Frames of such a window."""
    places: int
    """Places that were changed, from the start of the window to its end."""
    response: str
    """``local``, ``global`` (all frames move alike) or ``none``."""
    deaf_s: tuple[tuple[float, float], ...]
    """Parts of the window that nothing answers to, from and to in seconds."""
    pace: float | None
    """Where local frames lie, divided by where they are expected; None where that is right."""

    @property
    def misplaced(self) -> bool:
        """Whether frames answer for another place than their own."""
        return self.pace is not None

    @property
    def hops(self) -> tuple[int, int] | None:
        """Samples per frame by the number of frames, and by where they answer."""
        if self.pace is None:
            return None
        hop = self.length_s * SAMPLE_RATE / self.frames
        near = min(_PACES, key=lambda pace: abs(pace / (self.pace or 1) - 1))
        pace = near if abs(near / self.pace - 1) < 0.05 else self.pace
        return round(hop), round(hop / pace)

    def to_json(self) -> dict[str, Any]:
        """As ``check --json`` holds it, in ``properties.hearing``."""
        value = asdict(self)
        value["deaf_s"] = [list(part) for part in self.deaf_s]
        return value


class _Answer(NamedTuple):
    """How frames answered to a change of one place."""

    size: float
    """Largest change of a frame, 0 where nothing moved."""
    place: float | None
    """0 to 1: the middle of the frame that moved most; None where all moved alike."""


@dataclass(frozen=True, slots=True)
class _Places:
    """Where windows of a length are changed."""

    length: int
    """Samples of the window."""
    burst: int
    """Samples of a place."""
    starts: NDArray[Any]
    """First sample of each place."""
    frames: int

    def expected(self, place: int) -> float:
        """The middle of a place, 0 to 1."""
        return (float(self.starts[place]) + self.burst / 2) / self.length

    def is_near(self, place: int, answer: _Answer, pace: float = 1.0) -> bool:
        """Whether the frame that moved most lies where it is expected."""
        allowed = max(2.0 / self.frames, _NEAR) + self.burst / 2 / self.length
        return answer.place is not None and abs(
            answer.place - self.expected(place) * pace
        ) <= allowed * max(1.0, pace)


class Listener:
    """Puts questions to an encoder until its time is over.

    Args:
        ask: Gives a window's frames that count, float32 ``[T', D]``; None where the encoder failed.
        may_go_on: Whether there is time for another window.
    """

    def __init__(
        self, ask: Callable[[str, Audio], Frames | None], may_go_on: Callable[[], bool]
    ) -> None:
        self._ask = ask
        self._may_go_on = may_go_on
        self._probes: dict[tuple[str, int], tuple[Audio, Frames | None]] = {}

    def hear(self, length_s: float) -> Hearing | None:
        """Examine windows of one length; None where there was no time or no answer."""
        length = round(length_s * SAMPLE_RATE)
        burst = max(length // (2 * PLACES), 400)
        starts = np.linspace(0, length - burst, PLACES).round().astype(int)
        base = self._base("speech", length)
        if base is None:
            return None
        places = _Places(length, burst, starts, len(base))
        answers: dict[int, _Answer] = {}
        for place in _coarse_first(PLACES):
            found = self._try(places, "speech", _LEVELS[0], [place], base)
            if found is None:
                break
            answers[place] = found
        if len(answers) < 2:
            return None
        self._try_other_sounds(places, answers)
        return _judge(length_s, places, answers)

    def frames_of(self, length_s: float) -> int | None:
        """How many frames a window of a length has."""
        frames = self._base("speech", round(length_s * SAMPLE_RATE))
        return None if frames is None else len(frames)

    def sameness(self) -> str:
        """What is striking about features of different windows, for a sentence's end."""
        known = [frames for _, frames in self._probes.values() if frames is not None]
        if not known:
            return ""
        if not any(frames.any() for frames in known):
            return " All features are zero."
        first = known[0].flat[0]
        if all((frames == first).all() for frames in known):
            return f" All features are {first:g}."
        if all((frames == frames[:1]).all() for frames in known):
            return " All frames are equal."
        return ""

    def _try_other_sounds(self, places: _Places, answers: dict[int, _Answer]) -> None:
        """Where nothing moved: the other sounds and levels, all such places at once before one."""
        pace = _pace(places, answers)
        for level, sound in itertools.product(_LEVELS, _SOUNDS):
            silent = _silent(places, answers)
            if not silent or (sound, level) == ("speech", _LEVELS[0]):
                continue
            base = self._base(sound, places.length)
            if base is None:
                return
            found = self._try(places, sound, level, silent, base)
            if found is None:
                return
            for place in silent if found.size else ():
                one = self._try(places, sound, level, [place], base)
                if one is None:
                    return
                # Beside frames that answer for their places, others that move say nothing of one.
                if one.size and (pace is None or places.is_near(place, one, pace)):
                    answers[place] = one

    def _base(self, sound: str, length: int) -> Frames | None:
        if (sound, length) not in self._probes:
            if not self._may_go_on():
                return None
            window = probe(sound, length)
            label = f"{sound} of {length / SAMPLE_RATE:g} s"
            self._probes[sound, length] = window, self._ask(label, window)
        return self._probes[sound, length][1]

    def _try(
        self, places: _Places, sound: str, level: float, changed: Sequence[int], base: Frames
    ) -> _Answer | None:
        """Change a window at some places, and see which frames move."""
        if not self._may_go_on():
            return None
        window = self._probes[sound, places.length][0].copy()
        for place in changed:
            start = int(places.starts[place])
            part = window[start : start + places.burst]
            noise = _noise(start, places.burst, 1.0).astype(np.float64)
            noise -= noise.mean()
            energy = float(np.mean((part - part.mean()) ** 2, dtype=np.float64))
            rms = float(np.sqrt(energy)) if level == _SAME_ENERGY else level
            part[:] = part.mean() + noise * (rms / np.sqrt(np.mean(noise**2)))
        at = places.starts[changed[0]] / SAMPLE_RATE
        label = f"{sound} of {places.length / SAMPLE_RATE:g} s, changed at {at:.2f} s"
        frames = self._ask(label, window)
        return None if frames is None else _compare(base, frames)


def probe(sound: str, length: int) -> Audio:
    """A window to be changed: float32 ``[length]``, the same in every numpy release."""
    if sound == "noise":
        return _noise(length, length, 0.1)
    time_s = np.arange(length) / SAMPLE_RATE
    if sound == "tones":
        tones = np.sin(2 * np.pi * np.outer((220.0, 587.3, 1318.5, 2793.8), time_s)).sum(axis=0)
        return np.asarray(0.08 * tones, np.float32)
    # Like a voice: harmonics of a gliding pitch under two moving formants, in syllables.
    pitch_hz = 120 + 25 * np.sin(2 * np.pi * 0.7 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE
    formants = (600 + 200 * np.sin(2 * np.pi * 1.9 * time_s), 1700 + 500 * np.sin(5.3 * time_s))
    voice = np.zeros(length)
    for harmonic in range(1, 25):
        gain = sum(1 / (1 + ((harmonic * pitch_hz - formant) / 150) ** 2) for formant in formants)
        voice += gain * np.sin(harmonic * phase)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 3.7 * time_s)
    return (0.12 * voice * syllables + 0.02 * probe_audio(8, length)).astype(np.float32)


def _noise(number: int, length: int, level: float) -> Audio:
    """White noise of an RMS."""
    words = random_words(stream_key("encoder hearing", number), 0, -(-length // 4))
    values = unit_floats(words).reshape(-1)[:length] * 2 - 1
    return np.asarray(level * np.sqrt(3) * values, np.float32)


def _coarse_first(count: int) -> list[int]:
    """Places in an order in which any first part of it is spread over all; both ends first."""
    order, step = [count - 1, 0], count
    while len(order) < count:
        step = max(1, step // 2)
        order += [place for place in range(0, count, step) if place not in order]
    return order


def _compare(base: Frames, changed: Frames) -> _Answer:
    """Which frames moved. Another number of frames is an answer, too, but of no place."""
    if base.shape != changed.shape:
        return _Answer(1.0, None)
    before = base.astype(np.float64)
    level = float(np.sqrt(np.mean(before**2))) or 1.0
    spread = np.maximum(before.std(axis=0), _FLOOR * level)
    moved = (np.abs(changed.astype(np.float64) - before) / spread).max(axis=1)
    most = float(moved.max())
    if most < _MOVED:
        return _Answer(0.0, None)
    alike = float(np.mean(moved >= _ALIKE * most))
    if alike > 0.9 or len(moved) < 4:
        return _Answer(most, None)
    return _Answer(most, (int(moved.argmax()) + 0.5) / len(moved))


def _silent(places: _Places, answers: dict[int, _Answer]) -> list[int]:
    """Places that nothing answered to, by themselves or beside what others are answered with."""
    pace = _pace(places, answers) or 1.0
    local = [one.size for place, one in answers.items() if places.is_near(place, one, pace)]
    faint = _FAINT * statistics.median(local) if len(local) >= 2 else 0.0
    return sorted(
        place
        for place, one in answers.items()
        if not one.size or (one.size < faint and not places.is_near(place, one, pace))
    )


def _pace(places: _Places, answers: dict[int, _Answer]) -> float | None:
    """Where frames answer, divided by where they are expected; None where they name no place."""
    at = {place: one.place for place, one in answers.items() if one.place is not None}
    answered = [place for place, one in answers.items() if one.size]
    if not at or 2 * len(at) <= len(answered):
        return None
    if 5 * sum(not places.is_near(place, answers[place]) for place in at) <= len(at):
        return 1.0
    far = [place for place in at if places.expected(place) > 0.2]
    return statistics.median(at[place] / places.expected(place) for place in far) if far else 1.0


def _judge(length_s: float, places: _Places, answers: dict[int, _Answer]) -> Hearing:
    silent = set(_silent(places, answers))
    tried = sorted(answers)
    heard = {place: one for place, one in answers.items() if place not in silent}
    pace = _pace(places, heard)
    response = "none" if not heard else "global" if pace is None else "local"
    starts, burst = places.starts, places.burst
    deaf = [
        (
            0.0 if first == tried[0] else float(starts[before] + burst) / SAMPLE_RATE,
            length_s if last == tried[-1] else float(starts[after]) / SAMPLE_RATE,
        )
        for before, first, last, after in _stretches(tried, silent)
    ]
    rounded = tuple((round(start, 2), round(end, 2)) for start, end in deaf)
    elsewhere = None if pace in (None, 1.0) else round(pace or 1.0, 3)
    return Hearing(length_s, places.frames, len(tried), response, rounded, elsewhere)


def _stretches(tried: Sequence[int], silent: set[int]) -> list[tuple[int, int, int, int]]:
    """Runs of silent places: the place before, the first, the last, the place after."""
    found = []
    for is_silent, run in itertools.groupby(range(len(tried)), lambda i: tried[i] in silent):
        places = list(run)
        if is_silent:
            before, after = max(places[0] - 1, 0), min(places[-1] + 1, len(tried) - 1)
            found.append((tried[before], tried[places[0]], tried[places[-1]], tried[after]))
    return found


def remark_on(found: Sequence[Hearing]) -> str:
    """One clause on what is not heard, or heard elsewhere; empty where all is well.

    Args:
        found: Of the lengths that were examined.
    """
    off = _alike([one for one in found if one.misplaced])
    asked = f"; is the hop {off.hops[1]} or {off.hops[0]}?" if off and off.hops else ""
    deaf = next((one for one in found if one.deaf_s), None)
    if deaf:
        parts = " and ".join(f"{_short(start)}-{_short(end)}" for start, end in deaf.deaf_s)
        return f"nothing answers to {parts} s of {deaf.length_s:g} s{asked}"
    if off:
        return (
            f"its frames answer at {off.pace:.2g} times the place of what was changed in "
            f"{off.length_s:g} s{asked}"
        )
    return ""


def _alike(off: Sequence[Hearing]) -> Hearing | None:
    """The first of several lengths whose pace is the same, so that it is that of a wrong hop.

    One number of frames for all lengths has another pace for each.
    """
    for one in off:
        same = [other for other in off if abs((other.pace or 1) / (one.pace or 1) - 1) < 0.15]
        if len(same) > len(off) / 2 and (len(same) > 1 or one.length_s == LENGTHS_S[0]):
            return one
    return None


def _short(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0")
