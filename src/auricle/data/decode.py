"""Encoded audio to 16 kHz mono float32, as the protocol asks.

Channels become their mean, a clip whose peak exceeds 1 is divided by it, and both happen on the
whole clip before a window is cut, so that a window's samples do not depend on where it was cut.
The cut is made in source samples, before resampling: with soxr HQ, or with the reference's kernel
(`resample.py`) where the recipe says so.

A clip is heard to its end, whatever its header says: every recording in its file, and of a damaged
one what can be decoded. Only a file that gives no sample at all cannot be decoded.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.data.containers import Flaw, Part, audio_parts, mp4_parts
from auricle.data.resample import resample as resample_sinc_hann
from auricle.errors import DataError

SAMPLE_RATE = 16_000
SOXR, SINC_HANN = "soxr", "sinc-hann"
"""What brings a window to 16 kHz; a recipe's ``audio.resampler``."""
AUDIO_SUFFIXES = frozenset(
    {"wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "mp4", "aac", "aif", "aiff"}
)
_AV_SUFFIXES = frozenset({"m4a", "mp4", "aac"})
# Part of every feature key: raise it when the samples that an encoder is given change.
DECODER_VERSION = "2"
_AAC_DELAY = 4096
"""Samples that an AAC encoder may add before and behind, and its header may count."""
_BLOCK = 1 << 16
_MOST = 1 << 31
"""Samples per channel that no header is believed to tell."""
_LEAST_RATE = 100
"""Samples a second; less is a damaged header, and would be resampled to more than memory holds."""
_AUDIBLE = 2.0**-16
"""Half a step of 16-bit audio; what is less is silence."""
_LOUD = 64.0
"""A peak from which on dividing by it may leave nothing audible."""


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """How long an audio file is: source samples per channel that can be decoded, and their rate."""

    num_samples: int
    sample_rate: int
    flaw: Flaw = Flaw.NONE


@dataclass(frozen=True, slots=True)
class Heard:
    """A decoded clip or window."""

    samples: NDArray[np.float32]
    """``[n]`` at 16 kHz, mono."""
    flaw: Flaw
    """How the clip differs from what its header says."""
    silenced: bool
    """Whether the protocol's mean of channels or division by the peak leaves no sound of it."""


@dataclass(frozen=True, slots=True)
class _Sound:
    samples: NDArray[np.float32]
    """``[n, channels]``."""
    rate: int
    flaw: Flaw


def read_header(data: bytes, suffix: str) -> AudioHeader:
    """Length and rate of an encoded clip, without decoding it where its headers can be trusted.

    Raises:
        DataError: The bytes are no audio that can be read.
    """
    if _needs_av(data, suffix):
        sounds = _decode_av_file(data)
        rate = sounds[0].rate
        total = sum(_mono(sound, rate).shape[0] for sound in sounds)
        return AudioHeader(total, rate, _flaw_of(sounds))
    total, rate, flaw = 0, 0, Flaw.NONE
    for part in audio_parts(data, suffix):
        try:
            count, own_rate, own_flaw = _length(part)
        except DataError as error:
            if not total:
                raise DataError(f"no readable {suffix} audio ({error})") from error
            flaw = Flaw.SHORTER
            break
        rate = rate or own_rate
        total += count if own_rate == rate else len(_resample(np.zeros(count), own_rate, rate))
        flaw = flaw or own_flaw
    return AudioHeader(total, rate, flaw)


def decode(
    data: bytes, suffix: str, *, first: int = 0, count: int | None = None
) -> NDArray[np.float32]:
    """Decode a clip, or a window of it: the samples alone of what `hear` returns."""
    return hear(data, suffix, first=first, count=count).samples


def hear(
    data: bytes,
    suffix: str,
    *,
    first: int = 0,
    count: int | None = None,
    resampler: str = SOXR,
) -> Heard:
    """Decode a clip, or a window of it.

    Args:
        data: The encoded file.
        suffix: Its file suffix without the dot, e.g. ``flac``.
        first: First source sample of the window; where the clip ends before it, the window is the
            clip's last ``count`` samples.
        count: Number of source samples; None = to the end.
        resampler: What brings the window to 16 kHz. Parts of a file whose rates differ are joined
            with soxr before, so that a clip's length does not depend on it.

    Returns:
        float32 ``[n]`` at 16 kHz, mono, finite, within [-1, 1] up to resampling overshoot.

    Raises:
        DataError: The bytes cannot be decoded, hold no samples or hold values that are not finite.
    """
    sounds = _decode_av_file(data) if _needs_av(data, suffix) else _decode_file(data, suffix)
    if not any(sound.samples.shape[0] for sound in sounds):
        raise DataError(f"the {suffix} audio holds no samples")
    rate = sounds[0].rate
    monos = [_mono(sound, rate) for sound in sounds]
    mono = monos[0] if len(monos) == 1 else np.concatenate(monos)
    peak = float(np.abs(mono).max())
    if not np.isfinite(peak):
        raise DataError(f"the {suffix} audio holds samples that are not finite")
    silenced = _silenced([sound.samples for sound in sounds], mono, peak)
    if peak > 1.0:
        mono = mono / np.float32(peak)
    if first >= mono.shape[0]:
        first = 0 if count is None else max(0, mono.shape[0] - count)
    window = mono[first : None if count is None else first + count]
    if rate != SAMPLE_RATE:
        bring = resample_sinc_hann if resampler == SINC_HANN else _resample
        window = bring(window, rate, SAMPLE_RATE)
        if window.shape[0] == 0:
            raise DataError(f"the {suffix} audio is shorter than one sample at 16 kHz")
    samples = np.ascontiguousarray(window, dtype=np.float32)
    return Heard(samples, _flaw_of(sounds), silenced)


def _flaw_of(sounds: Sequence[_Sound]) -> Flaw:
    return next((sound.flaw for sound in sounds if sound.flaw), Flaw.NONE)


def _mono(sound: _Sound, rate: int) -> NDArray[np.float32]:
    samples = sound.samples
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    return mono if sound.rate == rate else _resample(mono, sound.rate, rate)


def _resample(samples: NDArray[Any], rate: int, wanted: int) -> NDArray[np.float32]:
    import soxr

    return np.asarray(soxr.resample(samples, rate, wanted, quality="HQ"), np.float32)


def _silenced(parts: Sequence[NDArray[np.float32]], mono: NDArray[np.float32], peak: float) -> bool:
    """Whether a clip with sound in it has none left; a single loud sample is no sound."""
    few: int = max(1, mono.shape[0] // 1000)
    if peak > _LOUD:  # it is divided by so much that hardly anything else may be left
        level = np.abs(mono)
        return _count(level, _AUDIBLE * peak) <= few < _count(level, _AUDIBLE)
    if peak < _AUDIBLE:
        return sum(_count(np.abs(part).max(axis=1), _AUDIBLE) for part in parts) > few
    return False


def _count(level: NDArray[np.float32], least: float) -> int:
    return int(np.count_nonzero(level >= least))


def _length(part: Part) -> tuple[int, int, Flaw]:
    """Samples per channel, rate and flaw of a recording."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(part.data)) as file:
            count, rate = int(file.frames), _rate_of(file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise DataError(_reason(error)) from error
    if not part.told or count > _MOST:
        sound = _decode_part(part)
        return sound.samples.shape[0], sound.rate, sound.flaw
    return (count if part.most is None else min(count, part.most)), rate, part.flaw


def _rate_of(rate: int) -> int:
    if rate < _LEAST_RATE:
        raise DataError(f"its header says {rate} samples a second")
    return int(rate)


def _decode_file(data: bytes, suffix: str) -> list[_Sound]:
    sounds: list[_Sound] = []
    for part in audio_parts(data, suffix):
        try:
            sounds.append(_decode_part(part))
        except DataError as error:
            if not sounds:
                raise DataError(f"no decodable {suffix} audio ({error})") from error
            sounds[-1] = _Sound(sounds[-1].samples, sounds[-1].rate, Flaw.SHORTER)
            break
    return sounds


def _decode_part(part: Part) -> _Sound:
    """Decode a recording as far as it goes."""
    import soundfile

    flaw, samples = part.flaw, None
    try:
        with soundfile.SoundFile(io.BytesIO(part.data)) as file:
            rate, told = _rate_of(file.samplerate), int(file.frames)
            if part.told and told <= _MOST:
                try:
                    samples = file.read(told, dtype="float32", always_2d=True)
                except soundfile.LibsndfileError:
                    flaw = Flaw.SHORTER  # it is damaged; what can be decoded is
        if samples is None:
            samples = _decode_blocks(part.data)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise DataError(_reason(error)) from error
    count = samples.shape[0]
    if part.most is not None:
        samples = samples[: part.most]
    said = part.said if not part.told else told
    if said is not None and count < said:
        flaw = Flaw.SHORTER
    return _Sound(samples, rate, flaw)


def _decode_blocks(data: bytes) -> NDArray[np.float32]:
    """Every sample that can be decoded, ``[n, channels]``, past places that are damaged.

    Raises:
        soundfile.LibsndfileError: There is none.
    """
    import soundfile

    blocks: list[NDArray[np.float32]] = []
    first_error = None
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        got = before = _BLOCK
        while got or before:  # behind a damaged place there may be more
            before = got
            block = np.full((_BLOCK, file.channels), np.nan, np.float32)
            try:
                got = len(file.read(dtype="float32", always_2d=True, out=block))
            except soundfile.LibsndfileError as error:
                first_error = first_error or error
                got = _BLOCK - int(np.isnan(block[::-1]).all(axis=1).cumprod().sum())
            blocks.append(block[:got])
    samples = np.concatenate(blocks)
    if first_error is not None and not len(samples):
        raise first_error
    return samples


def _needs_av(data: bytes, suffix: str) -> bool:
    """Whether libsndfile cannot read it: MP4 and bare AAC, by suffix or by their first bytes."""
    bare = len(data) > 2 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0
    return suffix.lower() in _AV_SUFFIXES or data[4:8] == b"ftyp" or bare


def _decode_av_file(data: bytes) -> list[_Sound]:
    sounds: list[_Sound] = []
    for part in mp4_parts(data):
        try:
            sounds.append(_decode_av(part))
        except DataError:
            if not sounds:
                raise
            sounds[-1] = _Sound(sounds[-1].samples, sounds[-1].rate, Flaw.SHORTER)
            break
    return sounds


def _decode_av(part: Part) -> _Sound:
    try:
        import av
    except ImportError as error:
        raise DataError(
            "m4a and AAC audio needs the package av: pip install 'auricle[m4a]'"
        ) from error
    blocks: list[NDArray[Any]] = []
    damaged = False
    try:
        with av.open(io.BytesIO(part.data)) as container:
            stream = container.streams.audio[0]
            rate = int(stream.rate)
            said = float(stream.duration * stream.time_base) if stream.duration else 0.0
            resampler = av.AudioResampler(format="fltp", rate=rate)
            try:
                for frame in container.decode(stream):
                    blocks.extend(block.to_ndarray() for block in resampler.resample(frame))
            except av.FFmpegError:
                if not blocks:
                    raise
                damaged = True  # what was decoded before is used
            blocks.extend(block.to_ndarray() for block in resampler.resample(None))
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise DataError(f"no decodable m4a audio ({_reason(error)})") from error
    if not blocks:
        return _Sound(np.zeros((0, 1), np.float32), rate, Flaw.NONE)
    samples = np.concatenate(blocks, axis=1).T.astype(np.float32)
    short = damaged or samples.shape[0] < said * rate - _AAC_DELAY
    return _Sound(samples, rate, Flaw.SHORTER if short else part.flaw)


def _reason(error: Exception) -> str:
    text = re.sub(r"^Error opening <[^>]*>: ", "", str(error))  # bytes in memory have no name
    return text.rstrip(".").splitlines()[0] if text else type(error).__name__
