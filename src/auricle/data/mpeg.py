"""MPEG audio (MP3 and the older layers) frame by frame: how long it is, and whether it is whole.

A decoder believes the Xing, Info or VBRI frame at the start, or guesses from the first frames where
there is none; both can be far from what the file holds. Here every frame's header is read, and tags
and junk between frames are stepped over. A file that is not what it claims is handed to the decoder
with an Info frame that tells the truth; one that is goes there as it is.

A further Info frame, or another sampling rate, begins a further recording in the same file.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s by (MPEG 1, or 2 and 2.5; layer) and the header's index less one."""
_SIZED = 0xFEFE
"""Of a header's second and third byte, what tells a frame's size."""
_KIND = 0xFE0C
"""Of those, what all frames of a recording share: version, layer and sampling rate."""
_PADDED = 0x0002
_FREE_MOST = 8192
"""Bytes within which the second frame of a free-format recording is looked for."""
_MARKS = (b"Xing", b"Info", b"VBRI")
_SIDES = (32, 17, 9)
"""Bytes of a layer III frame's side information."""
_DECODER_DELAY = 529
"""Samples by which the usual decoders lag behind, and which they drop if there is an Info frame."""
_LEAST_SHARE = 0.1
"""Of a file that frames must fill."""
_IN_A_ROW = 3
"""Frames that must follow one another before something is taken for MPEG audio."""


@dataclass(frozen=True, slots=True)
class MpegPart:
    """One recording in an MPEG file."""

    data: bytes
    """For the decoder: it begins with a true Info frame, or is the file as it is."""
    told: bool
    """Whether a decoder knows the length by it; where not, it has to be counted."""
    cut: bool
    """Whether it holds less than its first frame says, or its last frame is incomplete."""


@dataclass(slots=True)
class _Recording:
    kind: int
    pieces: list[tuple[int, int]] = field(default_factory=list)
    """Where frames follow one another without a gap: first byte, end."""
    frames: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Info:
    frames: int | None
    """How many frames it says that there are, itself not counted; None = it does not say."""
    mark: int
    """Where its name begins in the file."""


def mpeg_parts(data: bytes) -> list[MpegPart]:
    """The recordings of an MPEG file; none where it holds no frames.

    Args:
        data: The file.
    """
    recordings = _walk(data, frozenset())
    if not _as_told(data, recordings):
        recordings = _walk(data, _maybe_info_frames(data))
    found = sum(stop - start for one in recordings for start, stop in one.pieces)
    if found < (len(data) - skip_tags(data, 0)) * _LEAST_SHARE:
        return []  # bytes of something else that happen to look like frames
    return [_part(data, one, alone=len(recordings) == 1) for one in recordings]


def _samples(key: int) -> int:
    """Samples in each frame of a kind."""
    layer = 4 - (key >> 9 & 3)
    if layer == 1:
        return 384
    return 1152 if layer == 2 or key >> 11 & 3 == 3 else 576


def _frame_sizes() -> dict[int, int]:
    sizes = {}
    for version, rates in _RATES.items():
        for layer in (1, 2, 3):
            for index, kbits in enumerate(_KBITS[1 if version == 3 else 2, layer], 1):
                for place, rate in enumerate(rates):
                    key = 0xE000 | version << 11 | (4 - layer) << 9 | index << 4 | place << 2
                    slot = 4 if layer == 1 else 1
                    size = _samples(key) // 8 * kbits * 1000 // (rate * slot) * slot
                    sizes[key], sizes[key | _PADDED] = size, size + slot
    return sizes


_SIZES = _frame_sizes()


def _as_told(data: bytes, recordings: list[_Recording]) -> bool:
    """Whether there is one recording, of as many frames as its first one tells."""
    if len(recordings) != 1 or len(recordings[0].pieces) != 1:
        return False
    info = _info(data, recordings[0].pieces[0][0])
    return info is not None and info.frames == recordings[0].frames - 1


def _walk(data: bytes, marked: Collection[int]) -> list[_Recording]:
    """Read every frame's header; ``marked`` are bytes where an Info frame may begin."""
    recordings: list[_Recording] = []
    end = len(data)
    found = _next_frames(data, 0, None)
    while found is not None:
        position, kind, sizes = found
        if not recordings or recordings[-1].kind != kind:
            recordings.append(_Recording(kind))
        now, first, size = recordings[-1], position, 0
        steps: dict[bytes, int] = {}  # by the first bytes of a header, of which there are few
        while position < end:
            head = data[position : position + 3]
            step = steps.get(head)
            if step is None:
                step = steps[head] = _step(head, kind, sizes)
            if not step:
                break
            if position in marked and now.frames and _info(data, position) is not None:
                now.pieces.append((first, position))
                now, first = _Recording(kind), position
                recordings.append(now)
            now.frames += 1
            size = step
            position += size
        if position > end:  # the last frame is incomplete
            found, now.cut = None, True
        else:
            # A frame that was cut off reaches into what follows it: look there again.
            found = _next_frames(data, position - size + 4, kind)
        if position > end or (found is not None and found[0] < position):
            position, now.frames = position - size, now.frames - 1
        now.pieces.append((first, position))
    return [one for one in recordings if one.frames]


def _step(head: bytes, kind: int, sizes: dict[int, int]) -> int:
    """Bytes from a frame to the next one; 0 where these bytes begin no frame of a kind."""
    if len(head) < 3 or head[0] != 0xFF:
        return 0
    key = (head[1] << 8 | head[2]) & _SIZED
    return sizes.get(key, 0) if key & _KIND == kind else 0


def _next_frames(
    data: bytes, position: int, kind: int | None
) -> tuple[int, int, dict[int, int]] | None:
    """Where frames follow one another from some byte on: the first, their kind, their sizes."""
    end = len(data)
    while True:
        position = skip_tags(data, position)
        if position + 4 > end:
            return None
        if data[position] == 0xFF:
            key = (data[position + 1] << 8 | data[position + 2]) & _SIZED
            sizes = _SIZES if key in _SIZES else _free_sizes(data, position, key)
            if sizes is not None and _follow(data, position, key & _KIND, sizes, kind):
                return position, key & _KIND, sizes
        # A tag may begin where no frame does.
        after = (data.find(sign, position + 1) for sign in (b"\xff", b"ID3", b"APETAGEX"))
        position = min((place for place in after if place >= 0), default=end)


def _follow(
    data: bytes, position: int, kind: int, sizes: dict[int, int], known: int | None
) -> bool:
    """Whether frames of one kind follow one another; at the file's end one is enough."""
    for count in range(_IN_A_ROW):
        if position + 4 > len(data) or data[position : position + 3] in (b"TAG", b"APE", b"ID3"):
            return count > 0 and (position <= len(data) or kind == known or count > 1)
        key = (data[position + 1] << 8 | data[position + 2]) & _SIZED
        if data[position] != 0xFF or key & _KIND != kind or key not in sizes:
            return False
        position += sizes[key]
    return True


def _free_sizes(data: bytes, position: int, key: int) -> dict[int, int] | None:
    """Sizes of the frames of a recording whose headers leave the bit rate out."""
    whole = key & ~_PADDED
    if key & 0xF0 or (whole | 0x10) not in _SIZES:
        return None
    slot = 4 if 4 - (key >> 9 & 3) == 1 else 1
    place = position + 4
    while (place := data.find(b"\xff", place, position + _FREE_MOST)) >= 0:
        if len(data) < place + 3:
            return None
        if (data[place + 1] << 8 | data[place + 2]) & _SIZED & ~_PADDED == whole:
            size = place - position - (slot if key & _PADDED else 0)
            sizes = {whole: size, whole | _PADDED: size + slot}
            if _follow(data, position, key & _KIND, sizes, None):
                return sizes
        place += 1
    return None


def skip_tags(data: bytes, position: int) -> int:
    """The first byte behind the ID3v2 and APE tags that begin at some byte."""
    while True:
        head = data[position : position + 32]
        if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 0x80:
            size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            position += 10 + size + (10 if head[5] & 0x10 else 0)
        elif head[:8] == b"APETAGEX" and len(head) == 32 and head[23] & 0x20:  # this is its header
            position += 32 + int.from_bytes(head[12:16], "little")
        elif head[:3] == b"TAG" and position + 128 >= len(data):
            return len(data)
        else:
            return position


def _maybe_info_frames(data: bytes) -> set[int]:
    """Bytes at which a frame would be an Info frame."""
    places: set[int] = set()
    for mark in _MARKS:
        place = data.find(mark)
        while place >= 0:
            places.update(place - 4 - side - crc for side in _SIDES for crc in (0, 2))
            place = data.find(mark, place + 1)
    return places


def _info(data: bytes, position: int) -> _Info | None:
    """What the frame at some byte says of the recording; None where it is audio itself."""
    if data[position + 1] >> 1 & 3 != 1:  # not layer III
        return None
    side = _side(data, position)
    for crc in (0, 2):
        mark = position + 4 + side + crc
        if data[mark : mark + 4] in _MARKS[:2] and len(data) >= mark + 12:
            says = data[mark + 7] & 1
            return _Info(int.from_bytes(data[mark + 8 : mark + 12], "big") if says else None, mark)
    mark = position + 36
    if data[mark : mark + 4] == b"VBRI" and len(data) >= mark + 18:
        return _Info(int.from_bytes(data[mark + 14 : mark + 18], "big"), mark)
    return None


def _side(data: bytes, position: int) -> int:
    """Bytes of side information in the layer III frame at some byte."""
    mono = data[position + 3] >> 6 == 3
    if data[position + 1] >> 3 & 3 == 3:
        return 17 if mono else 32
    return 9 if mono else 17


def _part(data: bytes, recording: _Recording, *, alone: bool) -> MpegPart:
    first = recording.pieces[0][0]
    info = _info(data, first)
    frames = recording.frames - (info is not None)
    said = info.frames if info is not None else None
    # Some encoders count the Info frame too.
    cut = recording.cut or (said is not None and frames < said - 1)
    if alone and len(recording.pieces) == 1 and said == frames and skip_tags(data, 0) == first:
        return MpegPart(data, told=True, cut=cut)
    body = b"".join(data[start:stop] for start, stop in recording.pieces)
    key = (data[first + 1] << 8 | data[first + 2]) & _SIZED
    if info is not None:
        size = len(body) - sum(stop - start for start, stop in recording.pieces[1:])
        size = _first_size(body, size)
        if said is not None and body[info.mark - first : info.mark - first + 4] in _MARKS[:2]:
            true = _true_info(body, size, info.mark - first, frames, shorter=frames < said)
            return MpegPart(true, told=True, cut=cut)
        body = body[size:]
    if key >> 9 & 3 != 1 or not frames:  # only layer III knows Info frames
        return MpegPart(body, told=False, cut=cut)
    return MpegPart(_new_info(body, frames) + body, told=True, cut=cut)


def _first_size(body: bytes, most: int) -> int:
    """Bytes of the first frame."""
    key = (body[1] << 8 | body[2]) & _SIZED
    if key in _SIZES:
        return _SIZES[key]
    sizes = _free_sizes(body, 0, key)
    return most if sizes is None else sizes[key]


def _true_info(body: bytes, size: int, mark: int, frames: int, *, shorter: bool) -> bytes:
    """Frames whose first, an Info frame, says how many there are; what is cut has no padding."""
    true = bytearray(body[:size])
    flags = true[mark + 7]
    struct.pack_into(">I", true, mark + 8, frames)
    if flags & 2:
        struct.pack_into(">I", true, mark + 12, len(body))
    sizes = ((2, 4), (4, 100), (8, 4))  # bytes of the file, a table for seeking, the quality
    place = mark + 12 + sum(long for flag, long in sizes if flags & flag) + 21
    if shorter and place + 3 <= len(true):
        true[place + 1] &= 0xF0
        true[place + 2] = 0
    return bytes(true) + body[size:]


def _new_info(body: bytes, frames: int) -> bytes:
    """An Info frame, and a silent one, for frames that have none.

    Where there is an Info frame, decoders take their own delay from the start. The silent frame and
    the delay that is told together make that as long as a frame, so all of ``body`` is heard.
    """
    side = _side(body, 0)
    for index in range(1, 15):
        third = index << 4 | (body[2] & 0x0C)
        key = (body[1] << 8 | third) & _SIZED
        if _SIZES[key] >= 192:
            break
    frame = bytearray(_SIZES[key])
    frame[:4] = bytes([0xFF, body[1] | 1, third, body[3]])
    silence = bytes(frame)
    struct.pack_into(">4sII", frame, 4 + side, b"Info", 1, frames + 1)
    delay = _samples(key) - _DECODER_DELAY
    struct.pack_into(">9s12xBH", frame, 4 + side + 12, b"LAME", delay >> 4, (delay & 15) << 12)
    return bytes(frame) + silence
