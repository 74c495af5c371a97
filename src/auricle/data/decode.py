"""Encoded audio to 16 kHz mono float32, as the protocol asks.

Channels become their mean, a clip whose peak exceeds 1 is divided by it, and both happen on the
whole clip before a window is cut, so that a window's samples do not depend on where it was cut.
The cut is made in source samples, before resampling with soxr HQ.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.errors import DataError

SAMPLE_RATE = 16_000
AUDIO_SUFFIXES = frozenset(
    {"wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "mp4", "aac", "aif", "aiff"}
)
_NEEDS_AV = frozenset({"m4a", "mp4", "aac"})
# Part of every feature key: raise it when the samples that an encoder is given change.
DECODER_VERSION = "1"


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """What an audio file says of itself: source samples per channel and their rate."""

    num_samples: int
    sample_rate: int


def read_header(data: bytes, suffix: str) -> AudioHeader:
    """Length and rate of an encoded clip, without decoding it where the format allows.

    Raises:
        DataError: The bytes are no audio that can be read.
    """
    if suffix.lower() in _NEEDS_AV:
        samples, rate = _decode_av(data)
        return AudioHeader(samples.shape[0], rate)
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            return AudioHeader(int(sound.frames), int(sound.samplerate))
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise DataError(f"no readable {suffix} audio ({_reason(error)})") from error


def decode(
    data: bytes, suffix: str, *, first: int = 0, count: int | None = None
) -> NDArray[np.float32]:
    """Decode a clip, or a window of it.

    Args:
        data: The encoded file.
        suffix: Its file suffix without the dot, e.g. ``flac``.
        first: First source sample of the window.
        count: Number of source samples; None = to the end.

    Returns:
        float32 ``[n]`` at 16 kHz, mono, finite, within [-1, 1] up to resampling overshoot.

    Raises:
        DataError: The bytes cannot be decoded, hold no samples or hold values that are not finite.
    """
    samples, rate = _decode_av(data) if suffix.lower() in _NEEDS_AV else _decode_file(data, suffix)
    if samples.shape[0] == 0:
        raise DataError(f"the {suffix} audio holds no samples")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    peak = float(np.abs(mono).max())
    if not np.isfinite(peak):
        raise DataError(f"the {suffix} audio holds samples that are not finite")
    if peak > 1.0:
        mono = mono / np.float32(peak)
    window = mono[first : None if count is None else first + count]
    if window.shape[0] == 0:
        raise DataError(f"the {suffix} audio ends before the window that starts at sample {first}")
    if rate != SAMPLE_RATE:
        import soxr

        window = soxr.resample(window, rate, SAMPLE_RATE, quality="HQ")
        if window.shape[0] == 0:
            raise DataError(f"the {suffix} audio is shorter than one sample at 16 kHz")
    return np.ascontiguousarray(window, dtype=np.float32)


def _decode_file(data: bytes, suffix: str) -> tuple[NDArray[np.float32], int]:
    import soundfile

    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise DataError(f"no decodable {suffix} audio ({_reason(error)})") from error
    return samples, int(rate)


def _decode_av(data: bytes) -> tuple[NDArray[np.float32], int]:
    try:
        import av
    except ImportError as error:
        raise DataError(
            "m4a and AAC audio needs the package av: pip install 'auricle[m4a]'"
        ) from error
    blocks: list[NDArray[Any]] = []
    try:
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.audio[0]
            rate = int(stream.rate)
            resampler = av.AudioResampler(format="fltp", rate=rate)
            for frame in [*container.decode(stream), None]:
                blocks.extend(block.to_ndarray() for block in resampler.resample(frame))
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise DataError(f"no decodable m4a audio ({_reason(error)})") from error
    if not blocks:
        return np.zeros((0, 1), np.float32), rate
    return np.concatenate(blocks, axis=1).T.astype(np.float32), rate


def _reason(error: Exception) -> str:
    text = re.sub(r"^Error opening <[^>]*>: ", "", str(error))  # bytes in memory have no name
    return text.rstrip(".").splitlines()[0] if text else type(error).__name__
