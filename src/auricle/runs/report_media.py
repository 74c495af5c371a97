"""Sound and its picture for the report page: a short Opus excerpt and a small spectrogram.

Both are data URIs, so that the page needs nothing beside itself, and both are functions of the
samples alone: libsndfile numbers an Ogg stream at random, so the number is replaced. A picture is
black ink of 16 opacities on nothing, which one CSS rule turns white on a dark page.
"""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.data.decode import SAMPLE_RATE
from auricle.errors import DamagedFileError
from auricle.files import read_json, write_json

LONGEST_EXCERPT_S = 6.0
SHORTEST_EXCERPT_S = 1.5
BYTES_PER_S = 5_500
"""What a second costs in the page: some 22 kbit/s of Opus and 48 columns of picture, in base64."""

_OPUS_LEVEL = 0.93
_BANDS = 56
_COLUMNS_PER_S = 48
_WINDOW = 512
_RANGE_DB = 60.0
_INKS = 16


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a clip, to be heard and seen."""

    audio: str
    """``data:audio/ogg`` URI."""
    picture: str
    """``data:image/png`` URI."""
    duration_s: float
    """Length of the excerpt."""
    width: int
    """Columns of the picture."""
    height: int
    """Mel bands of the picture, low ones at the bottom."""


def make_excerpt(samples: NDArray[np.float32], longest_s: float) -> Excerpt | None:
    """Cut, compress and draw the beginning of a clip.

    Args:
        samples: float32 ``[n]``, 16 kHz, mono.
        longest_s: Where to cut.

    Returns:
        The excerpt; None where there is no sample to hear.
    """
    cut = np.asarray(samples, np.float32)[: max(1, round(longest_s * SAMPLE_RATE))]
    if cut.size == 0:
        return None
    cut = np.nan_to_num(cut, nan=0.0, posinf=0.0, neginf=0.0)
    if cut.size > 1 and cut.size < len(samples):
        fade = min(cut.size, SAMPLE_RATE // 50)
        cut = cut.copy()
        cut[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    ink = spectrogram(cut)
    return Excerpt(
        audio=_uri("audio/ogg", opus(np.clip(cut, -1, 1))),
        picture=_uri("image/png", ink_png(ink)),
        duration_s=cut.size / SAMPLE_RATE,
        width=ink.shape[1],
        height=ink.shape[0],
    )


class KeptExcerpts:
    """A task's excerpts as a run folder keeps them, so that its page is the same anywhere.

    Args:
        path: The file: ``{"longest_s", "clips": {clip id: the fields of `Excerpt`}}``.
        audio: Reads a clip by its id; None where it is not at hand.
        longest_s: Where excerpts are cut.
    """

    def __init__(
        self, path: Path, audio: Callable[[str], NDArray[np.float32] | None], longest_s: float
    ) -> None:
        self._path, self._audio, self._longest_s = path, audio, longest_s
        self._kept: dict[str, Excerpt] = {}
        self._as_cut = False
        if path.is_file():
            value = read_json(path)
            try:
                self._kept = {clip: _excerpt(one) for clip, one in value["clips"].items()}
                self._as_cut = value["longest_s"] == longest_s
            except (TypeError, KeyError, AttributeError, ValueError) as error:
                raise DamagedFileError(
                    f"{path} holds no excerpts ({error!r}): something other than auricle has "
                    "changed it. Remove it; what the data at hand give is made again."
                ) from error
        self._made: dict[str, Excerpt] = {}

    def __call__(self, clip_id: str) -> Excerpt | None:
        """The excerpt of a clip; one that is kept is made anew if its length is to be another."""
        kept = self._kept.get(clip_id)
        if kept is not None and self._as_cut:
            return kept
        heard = self._audio(clip_id)
        made = None if heard is None else make_excerpt(heard, self._longest_s)
        if made is not None:
            self._made[clip_id] = made
        return made or kept

    def keep(self) -> None:
        """Write what was made, beside what was kept before.

        Raises:
            OutputError: It cannot be written.
        """
        if self._made:
            clips = {clip: asdict(one) for clip, one in (self._kept | self._made).items()}
            write_json(self._path, {"longest_s": self._longest_s, "clips": clips})


def _excerpt(value: Mapping[str, Any]) -> Excerpt:
    one = Excerpt(
        audio=str(value["audio"]),
        picture=str(value["picture"]),
        duration_s=float(value["duration_s"]),
        width=int(value["width"]),
        height=int(value["height"]),
    )
    for text, kind in ((one.audio, "audio/ogg"), (one.picture, "image/png")):
        if not re.fullmatch(rf"data:{kind};base64,[A-Za-z0-9+/=]*", text):
            raise ValueError(f"no {kind} in base64")
    return one


def excerpt_length_s(num_excerpts: int, budget_bytes: int) -> float:
    """How long excerpts may be so that all of them fit."""
    fitting = budget_bytes / (max(num_excerpts, 1) * BYTES_PER_S)
    return min(LONGEST_EXCERPT_S, max(SHORTEST_EXCERPT_S, fitting))


def opus(samples: NDArray[np.float32]) -> bytes:
    """Ogg Opus of 16 kHz mono samples; equal samples give equal bytes."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(
        stream,
        samples,
        SAMPLE_RATE,
        format="OGG",
        subtype="OPUS",
        compression_level=_OPUS_LEVEL,
    )
    return _with_fixed_serial(stream.getvalue())


def _with_fixed_serial(ogg: bytes) -> bytes:
    """Number the stream 1 and make the checksum of each page anew (RFC 3533, section 6)."""
    out, place = bytearray(ogg), 0
    while place < len(out):
        segments = out[place + 26]
        size = 27 + segments + sum(out[place + 27 : place + 27 + segments])
        out[place + 14 : place + 18] = struct.pack("<I", 1)
        out[place + 22 : place + 26] = bytes(4)
        checksum = _ogg_checksum(bytes(out[place : place + size]))
        out[place + 22 : place + 26] = struct.pack("<I", checksum)
        place += size
    return bytes(out)


def _ogg_checksum(page: bytes) -> int:
    register = 0
    for byte in page:
        register = ((register << 8) & 0xFFFFFFFF) ^ _CHECKSUMS[(register >> 24) ^ byte]
    return register


def _checksum_table() -> list[int]:
    table = []
    for byte in range(256):
        register = byte << 24
        for _ in range(8):
            register = (register << 1) ^ (0x04C11DB7 if register & 0x80000000 else 0)
        table.append(register & 0xFFFFFFFF)
    return table


_CHECKSUMS = _checksum_table()


def spectrogram(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Mel spectrogram as ink: uint8 ``[bands, columns]``, 0 to 15, low bands in the last row.

    The loudest cell is full ink; none is 60 dB below it, or the quietest fifth of the cells where
    that is louder, so that steady noise stays in the background. Silence is blank.
    """
    hop = SAMPLE_RATE // _COLUMNS_PER_S
    columns = max(1, -(-len(samples) // hop))
    padded = np.zeros((columns - 1) * hop + _WINDOW, np.float32)
    padded[: min(len(samples), len(padded))] = samples[: len(padded)]
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::hop]
    window = np.hanning(_WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    bands = power @ _mel_filters().T
    decibel = 10 * np.log10(np.maximum(bands, 1e-10))
    peak = float(decibel.max())
    if peak <= -60:
        return np.zeros((_BANDS, columns), np.uint8)
    blank = min(max(peak - _RANGE_DB, float(np.quantile(decibel, 0.2))), peak - 1)
    ink = (decibel - blank) / (peak - blank) * (_INKS - 1)
    return np.ascontiguousarray(np.clip(np.rint(ink), 0, _INKS - 1).astype(np.uint8).T[::-1])


def _mel_filters() -> NDArray[np.float64]:
    """Triangles that are even on the mel scale (O'Shaughnessy, 1987), ``[bands, bins]``."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    left, centre, right = (corners[i : _BANDS + i, None] for i in range(3))
    rise, fall = (hertz - left) / (centre - left), (right - hertz) / (right - centre)
    filters = np.maximum(0, np.minimum(rise, fall))
    # The lowest triangles are narrower than a bin: such a band takes the bin that is nearest.
    empty = filters.sum(axis=1) == 0
    nearest = np.abs(hertz[None, :] - centre).argmin(axis=1)
    filters[empty, nearest[empty]] = 1.0
    widths: NDArray[np.float64] = filters.sum(axis=1, keepdims=True)
    normal: NDArray[np.float64] = filters / widths
    return normal


def ink_png(ink: NDArray[np.uint8]) -> bytes:
    """PNG of 4-bit palette indices: black whose opacity grows with the index.

    Args:
        ink: uint8 ``[height, width]``, 0 to 15.
    """
    height, width = ink.shape
    even = np.zeros((height, width + width % 2), np.uint8)
    even[:, :width] = ink
    packed = (even[:, ::2] << 4) | even[:, 1::2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), packed], axis=1)
    opacity = bytes(round(255 * i / (_INKS - 1)) for i in range(_INKS))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(3 * _INKS)),
            _chunk(b"tRNS", opacity),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
