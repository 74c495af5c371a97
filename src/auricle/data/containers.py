"""What a decoder is handed of an audio file: every recording in it, and whether it is whole.

libsndfile takes a header's word for a file's length, and hears the first recording alone where
several lie one behind the other. So FLAC, Ogg, WAV (RIFF, RF64, W64), AIFF and MPEG files are
looked through here: a recording is handed on by itself, with a header that is true, and what falls
short of its own header is marked. Other formats go to the decoder as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from auricle.data.mpeg import mpeg_parts, skip_tags

_STREAMED = 0x7FFF_0000
"""A size in a header from which on it stands for: unknown when this was written."""
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_OGG_PACKET = 8192
"""Samples in a packet of Vorbis, which has the longest, at most."""
_OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")


class Flaw(IntEnum):
    """How a clip differs from what its header says; the value is kept in the index."""

    NONE = 0
    SHORTER = 1
    """It holds less, or parts of it are damaged; it is heard as far as it can be decoded."""
    LONGER = 2
    """It holds more, which is not heard."""


@dataclass(frozen=True, slots=True)
class Part:
    """One recording of a file, for libsndfile."""

    data: bytes
    flaw: Flaw = Flaw.NONE
    told: bool = True
    """Whether libsndfile can tell its length; where not, it is counted."""
    said: int | None = None
    """Samples per channel that its header says, where that is not to be trusted."""
    most: int | None = None
    """Samples per channel that are audio, where libsndfile takes more for it."""


def audio_parts(data: bytes, suffix: str) -> list[Part]:
    """The recordings of a file, one behind the other.

    Args:
        data: The file.
        suffix: Its suffix without the dot; it decides where the first bytes say nothing.
    """
    start = skip_tags(data, 0)
    magic = data[start : start + 4]
    reader = {
        b"fLaC": _flac,
        b"OggS": _ogg,
        b"RIFF": _riff,
        b"RF64": _riff,
        b"riff": _w64,
        b"FORM": _aiff,
    }.get(magic)
    if reader is not None:
        return list(reader(data[start:] if start else data))
    if suffix.lower() == "mp3" or (len(magic) == 4 and magic[0] == 0xFF and magic[1] >= 0xE0):
        parts = mpeg_parts(data)
        if parts:
            cut = {True: Flaw.SHORTER, False: Flaw.NONE}
            return [Part(part.data, cut[part.cut], told=part.told) for part in parts]
    return [Part(data)]


def mp4_parts(data: bytes) -> list[Part]:
    """The recordings of an MP4 file, each of which begins with a box ``ftyp``; others are one."""
    starts, place, end = [0], 0, len(data)
    while data[4:8] == b"ftyp" and place + 8 <= end:
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if not 8 <= size <= end - place:
            break
        if place and data[place + 4 : place + 8] == b"ftyp":
            starts.append(place)
        place += size
    if len(starts) == 1:
        return [Part(data)]
    return [Part(data[a:b]) for a, b in zip(starts, [*starts[1:], end], strict=True)]


# FLAC


def _flac(data: bytes) -> Iterator[Part]:
    starts, place = [0], 0
    while (place := data.find(b"fLaC", place + 4)) >= 0:
        if data[place + 4 : place + 8] in (b"\0\0\0\x22", b"\x80\0\0\x22"):  # its first block
            starts.append(place)
    for start, stop in zip(starts, [*starts[1:], len(data)], strict=True):
        one = data[start:stop] if len(starts) > 1 else data
        total = int.from_bytes(one[21:26], "big") & 0xF_FFFF_FFFF
        if len(one) < 42 or (total and _flac_end(one) == total):
            yield Part(one)
            continue
        unknown = bytearray(one)
        unknown[21] &= 0xF0
        unknown[22:26] = bytes(4)
        yield Part(bytes(unknown), told=False, said=total or None)


def _flac_end(data: bytes) -> int | None:
    """The sample behind the last frame, by that frame's header; None where none is found."""
    first = 4
    while first + 4 <= len(data):
        last, first = data[first] & 0x80, first + 4 + int.from_bytes(data[first + 1 : first + 4])
        if last:
            break
    sync = data[first : first + 2]
    if sync not in (b"\xff\xf8", b"\xff\xf9"):
        return None
    place = data.rfind(sync, first)
    while place >= 0:
        end = _flac_frame_end(data[place : place + 16], int.from_bytes(data[10:12], "big"))
        if end is not None:
            return end
        place = data.rfind(sync, first, place + 1)
    return None


def _flac_frame_end(head: bytes, usual: int) -> int | None:
    """The sample behind a frame; None where these bytes are no frame's header."""
    if len(head) < 6:
        return None
    code, rate = head[2] >> 4, head[2] & 15
    lead = head[4]
    more = 0 if lead < 0x80 else 7 - (lead ^ 0xFF).bit_length()
    if not code or rate == 15 or head[3] & 1 or lead in range(0x80, 0xC0) or lead == 0xFF:
        return None
    number = lead if not more else lead & (0x3F >> more)
    for byte in head[5 : 5 + more]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 0x3F
    at = 5 + more
    wide = {6: 1, 7: 2}.get(code, 0)
    size = int.from_bytes(head[at : at + wide], "big") + 1
    at += wide + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    if not wide:
        size = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    return (number if head[1] & 1 else number * usual) + size


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x107) if value & 0x80 else value << 1
    return value


# Ogg


def _ogg(data: bytes) -> Iterator[Part]:
    """A recording ends where, behind pages of sound, a first page of another one lies."""
    link: list[tuple[int, int, int]] = []  # page, its body, its end
    begun = False
    place = 0
    while 0 <= place <= len(data) - 27:
        body = place + 27 + data[place + 26]
        stop = body + sum(data[place + 27 : body])
        if stop > len(data):
            break
        opens = bool(data[place + 5] & 2)
        if opens and begun:
            yield _ogg_part(data, link, place)
            link = []
        begun = not opens
        link.append((place, body, stop))
        place = stop if data[stop : stop + 4] == b"OggS" else data.find(b"OggS", stop)
    yield _ogg_part(data, link, len(data))


def _ogg_part(data: bytes, link: list[tuple[int, int, int]], end: int) -> Part:
    if not link:
        return Part(data)
    heads = [p for p in link if data[p[0] + 5] & 2]
    sound = next((p for p in heads if data[p[1] :].startswith(_OGG_AUDIO)), link[0])
    serial = data[sound[0] + 14 : sound[0] + 18]
    pages = [p for p in link if data[p[0] + 14 : p[0] + 18] == serial]
    whole = bool(data[pages[-1][0] + 5] & 4)
    flaw = Flaw.NONE if whole else Flaw.SHORTER
    told = _granules_follow(data, pages)
    if data[sound[1] : sound[1] + 5] == b"\x7fFLAC":  # 9 bytes of its own before FLAC's
        inside = b"".join(data[body:stop] for _, body, stop in pages)[9:]
        part = next(_flac(inside))
        return part if whole else Part(part.data, flaw, part.told, part.said)
    if len(pages) == len(link):
        return Part(
            data if (link[0][0], end) == (0, len(data)) else data[link[0][0] : end], flaw, told
        )
    return Part(b"".join(data[place:stop] for place, _, stop in pages), flaw, told)


def _granules_follow(data: bytes, pages: list[tuple[int, int, int]]) -> bool:
    """Whether the pages' positions in samples grow from 0 on by what their packets can hold."""
    before = 0
    for place, body, _ in pages:
        position = int.from_bytes(data[place + 6 : place + 14], "little", signed=True)
        if position == -1:  # no packet ends here
            continue
        packets = sum(size < 255 for size in data[place + 27 : body])
        if not before <= position <= before + (packets + 1) * _OGG_PACKET:
            return False
        before = position
    return True


# RIFF and its relatives


def _riff(data: bytes) -> Iterator[Part]:
    start = 0
    while start < len(data):
        place, exact, part = start + 12, None, None
        flaw, unsized = Flaw.NONE, False
        while place + 8 <= len(data):
            name, size = (
                data[place : place + 4],
                int.from_bytes(data[place + 4 : place + 8], "little"),
            )
            if name in (b"RIFF", b"RF64") and data[place + 8 : place + 12] == b"WAVE":
                break
            if part is not None and not _is_chunk(name, size, len(data) - place - 8):
                flaw = max(flaw, Flaw.LONGER)
                place = len(data)
                break
            body = place + 8
            if name == b"ds64":
                exact = int.from_bytes(data[body + 8 : body + 16], "little")
            if name == b"data" and part is None:
                part = body
                size = exact if exact is not None and size == 0xFFFF_FFFF else size
                left = len(data) - body
                streamed = exact is None and (
                    size >= _STREAMED or (size == 0 and left > 0 and not _chunks(data, body))
                )
                if streamed:
                    unsized, size = size == 0, left
                elif size > left:
                    flaw = Flaw.SHORTER
            place = body + size + (size & 1)
        stop = min(place, len(data))
        one = data if (start, stop) == (0, len(data)) else data[start:stop]
        if part is not None and unsized:
            one = _with_sizes(one, part - start)
        yield Part(one, flaw)
        start = stop


def _is_chunk(name: bytes, size: int, left: int) -> bool:
    return name.isascii() and name.decode().isprintable() and size <= left + 1


def _chunks(data: bytes, place: int) -> bool:
    """Whether chunks, up to the file's end, lie at some byte."""
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        if not _is_chunk(data[place : place + 4], size, len(data) - place - 8):
            return False
        place += 8 + size + (size & 1)
    return True


def _with_sizes(data: bytes, body: int) -> bytes:
    """A WAV file whose sizes were never filled in, with them; its sound starts at ``body``."""
    sized = bytearray(data)
    struct.pack_into("<I", sized, 4, len(data) - 8)
    struct.pack_into("<I", sized, body - 4, len(data) - body)
    return bytes(sized)


def _w64(data: bytes) -> Iterator[Part]:
    """Chunks have names of 16 bytes and sizes of 8 that count both; they start at multiples of 8.

    libsndfile takes whatever follows the sound for sound, so it is handed nothing of that.
    """
    start = 0
    while data.startswith(_W64_RIFF, start):
        place, stop, flaw = start + 40, len(data), Flaw.NONE
        while place + 24 <= len(data) and not data.startswith(_W64_RIFF, place):
            size = max(24, int.from_bytes(data[place + 16 : place + 24], "little"))
            if data.startswith(b"data", place):
                stop = min(stop, place + size)
                flaw = Flaw.SHORTER if place + size > len(data) else Flaw.NONE
            place += size + -size % 8
        yield Part(data[start:stop], flaw)
        start = place


def _aiff(data: bytes) -> Iterator[Part]:
    start = 0
    while start < len(data) and data.startswith(b"FORM", start):
        place, most, flaw = start + 12, None, Flaw.NONE
        plain = data[start + 8 : start + 12] == b"AIFF"
        while place + 8 <= len(data) and not data.startswith(b"FORM", place):
            size = int.from_bytes(data[place + 4 : place + 8], "big")
            if data.startswith(b"COMM", place) and plain:
                most = int.from_bytes(data[place + 10 : place + 14], "big") or None
            if data.startswith(b"SSND", place) and place + 8 + size > len(data):
                flaw = Flaw.NONE if size >= _STREAMED else Flaw.SHORTER
            place += 8 + size + (size & 1)
        yield Part(
            data if start == 0 and place >= len(data) else data[start:place], flaw, most=most
        )
        start = place
