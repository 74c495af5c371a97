"""Two properties of an encoder that decide which windows may share a batch (law 1), measured.

Padding invariance: a window's features are the same alone and padded beside longer ones. Batch
invariance: the same alone and beside others of its own length. "The same" is a largest difference
of at most 1e-3 of the features' RMS, so that float rounding of a batched product passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.contract import SAMPLE_RATE, Encoded
from auricle.encoder.host import probe_audio
from auricle.errors import EncoderContractError
from auricle.records.manifest import EncoderProperties

TOLERANCE = 1e-3
_RANDOM = 0.1  # features that differ so much from call to call are of chance
# Odd numbers of samples, because padding errors hide where a length is a multiple of the hop.
_SHORT, _MIDDLE, _LONG, _LONGEST = 5_937, 30_411, 4 * SAMPLE_RATE, 10 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Properties:
    """What was measured.

    The differences are relative to the features' RMS, None where the numbers of frames differ.
    ``probes`` are the features of two fixed windows as float32 ``[T', D]``; whoever reuses stored
    features compares them (law 5).
    """

    padding_invariant: bool
    batch_invariant: bool
    padding_difference: float | None
    batch_difference: float | None
    frame_rate_hz: float
    probes: tuple[NDArray[np.float32], ...]

    @property
    def facts(self) -> EncoderProperties:
        """Everything but the probes, for the manifest."""
        return EncoderProperties(
            padding_invariant=self.padding_invariant,
            batch_invariant=self.batch_invariant,
            padding_difference=self.padding_difference,
            batch_difference=self.batch_difference,
            frame_rate_hz=self.frame_rate_hz,
        )


class Encoder(Protocol):
    """Whatever encodes batches; in a run that is an `EncoderProcess`."""

    def encode(
        self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str]
    ) -> list[Encoded]:
        """Encode one batch."""


def measure_properties(process: Encoder) -> Properties:
    """Encode a few fixed windows alone and in company: about half a minute of audio.

    Raises:
        EncoderError: The encoder failed on one of them.
        EncoderContractError: Its features are random.
    """
    short, middle, long, longest, other = (
        probe_audio(place, length)
        for place, length in enumerate((_SHORT, _MIDDLE, _LONG, _LONGEST, _MIDDLE), start=1)
    )
    alone = [_encode(process, [window])[0] for window in (short, middle, long, longest, other)]
    again = difference_of([alone[1]], _encode(process, [middle]))
    if again is None or again > _RANDOM:
        seen = "another number of frames" if again is None else f"up to {again:.2g} times the RMS"
        raise EncoderContractError(
            f"The encoder gave the same window twice other features ({seen} apart); the same are "
            "expected, and its scores would be of chance. 'auricle check' looks for the cause."
        )
    padding = difference_of(alone[:3], _encode(process, [short, middle, long]))
    batch = difference_of([alone[1], alone[4]], _encode(process, [middle, other]))
    return Properties(
        padding_invariant=padding is not None and padding <= TOLERANCE,
        batch_invariant=batch is not None and batch <= TOLERANCE,
        padding_difference=padding,
        batch_difference=batch,
        frame_rate_hz=_frame_rate_hz(len(alone[2]), len(alone[3])),
        probes=(alone[1], alone[2]),
    )


def difference_of(
    first: Sequence[NDArray[np.float32]], second: Sequence[NDArray[np.float32]]
) -> float | None:
    """Largest difference of the same windows' features, relative to the RMS of the first.

    Where the first are all zeros, relative to the RMS of the second.

    Args:
        first: Features ``[T', D]`` of each window.
        second: The same windows' features, made in another way.

    Returns:
        The worst window's value; None where the numbers of frames differ.
    """
    if [one.shape for one in first] != [other.shape for other in second]:
        return None
    worst = 0.0
    for one, other in zip(first, second, strict=True):
        level = _rms(one) or _rms(other) or 1.0
        largest = float(np.max(np.abs(one.astype(np.float64) - other), initial=0.0))
        worst = max(worst, largest / level)
    return worst if np.isfinite(worst) else None


def _rms(features: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(features, dtype=np.float64))))


def _encode(process: Encoder, audio: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    labels = [f"probe of {len(window) / SAMPLE_RATE:.2f} s" for window in audio]
    return [one.as_float32() for one in process.encode(audio, labels=labels)]


def _frame_rate_hz(frames_long: int, frames_longest: int) -> float:
    """From the difference of two windows, so that frames lost at the edges do not count."""
    gained = (frames_longest - frames_long) * SAMPLE_RATE / (_LONGEST - _LONG)
    # An encoder that pads everything to one length gains none.
    return gained if gained > 0 else frames_longest * SAMPLE_RATE / _LONGEST
