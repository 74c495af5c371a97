"""Clips are heard to their end, whatever their headers say; lengths are worked out by hand."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.data.clips import AudioSource, ClipTable
from auricle.data.containers import Flaw
from auricle.data.decode import DECODER_VERSION, decode, hear, read_header
from auricle.data.index import INDEX_VERSION, open_indexes
from auricle.data.mpeg import _SIZES
from auricle.data.shards import LockedShard
from auricle.data.tables import flaw_texts
from auricle.errors import DataError
from auricle.progress import SilentProgress
from making import audio_bytes, tone

SECOND = 16_000


def packed(samples: np.ndarray, kind: str, subtype: str | None = None, rate: int = SECOND) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


def lengths(data: bytes, suffix: str) -> tuple[int, int]:
    """Source samples by the index, and samples at 16 kHz by decoding."""
    return read_header(data, suffix).num_samples, len(decode(data, suffix))


def flaws(data: bytes, suffix: str) -> tuple[Flaw, Flaw]:
    return read_header(data, suffix).flaw, hear(data, suffix).flaw


WHOLE = (Flaw.NONE, Flaw.NONE)
SHORTER = (Flaw.SHORTER, Flaw.SHORTER)

# A silent MPEG 1 layer III frame: 128 kbit/s at 32 kHz is 144 * 128000 / 32000 = 576 bytes of which
# 4 are the header; 1152 samples, 576 at 16 kHz.
FRAME = bytes([0xFF, 0xFB, 0x98, 0xC0]) + bytes(572)


def info_frame(frames: int, *, delay: int = 0, padding: int = 0) -> bytes:
    frame = bytearray(FRAME)
    struct.pack_into(">4sII", frame, 4 + 17, b"Info", 1, frames)  # mono: 17 bytes before it
    struct.pack_into(">9s", frame, 4 + 17 + 12, b"LAME3.100")
    trimmed = (delay << 12 | padding).to_bytes(3, "big")
    frame[4 + 17 + 12 + 21 : 4 + 17 + 12 + 24] = trimmed
    return bytes(frame)


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("FFFB90", 417),  # MPEG 1 III, 128 kbit/s, 44.1 kHz: 144 * 128000 / 44100 = 417.96
        ("FFFB92", 418),  # and padded
        ("FFFBE4", 960),  # 320 kbit/s, 48 kHz: 144 * 320000 / 48000
        ("FFF380", 208),  # MPEG 2 III, 64 kbit/s, 22.05 kHz: 72 * 64000 / 22050 = 208.98
        ("FFE318", 72),  # MPEG 2.5 III, 8 kbit/s, 8 kHz: 72 * 8000 / 8000
        ("FFFDA4", 576),  # MPEG 1 II, 192 kbit/s, 48 kHz: 144 * 192000 / 48000
        ("FFFF60", 208),  # MPEG 1 I, 192 kbit/s, 44.1 kHz: 12 * 192000 / 44100 = 52.2 words of 4
        ("FFFF62", 212),
    ],
)
def test_the_size_of_a_frame_is_that_of_the_standard(header: str, size: int) -> None:
    assert _SIZES[int(header[2:], 16) & 0xFEFE] == size


@pytest.mark.parametrize("count", [2, 7, 100])
def test_frames_without_a_first_one_that_counts_them_are_counted(count: int) -> None:
    assert lengths(FRAME * count, "mp3") == (count * 1152, count * 576)
    assert flaws(FRAME * count, "mp3") == WHOLE


def test_mp3_of_changing_rate_without_a_count_is_heard_to_its_end() -> None:
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.normal(0, 0.2, 4 * SECOND), tone(700, 4)])
    stream = io.BytesIO()
    soundfile.write(stream, samples, SECOND, format="MP3", bitrate_mode="VARIABLE")
    data = stream.getvalue()
    said = int.from_bytes(data[data.index(b"Xing") + 8 :][:4], "big")  # LAME's own count
    # 8 s are 222.2 frames of 576 samples; the encoder adds its delay and fills the last ones.
    assert 223 <= said <= 226
    bare = data[_SIZES[int.from_bytes(data[1:3], "big") & 0xFEFE] :]
    assert lengths(bare, "mp3") == (said * 576, said * 576)
    # The first 4 s are noise of 0.2, the last a tone of 0.5, whose RMS is 0.354.
    assert np.std(decode(bare, "mp3")[-2 * SECOND :][:SECOND]) == pytest.approx(0.354, abs=0.01)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("an ID3v2 tag", b"ID3\x04\x00\x00\x00\x00\x01\x00" + b"\xff\xfb\x98\xc0" * 32, b""),
        ("zeros", bytes(3000), bytes(3000)),
        ("an ID3v1 tag", b"", b"TAG" + b"\xff" * 125),
        ("an APE tag", b"", b"APETAGEX\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\xa0" + b"\xff" * 2008),
    ],
)
def test_what_is_no_frame_is_not_counted(name: str, before: bytes, after: bytes) -> None:
    assert lengths(before + FRAME * 10 + after, "mp3") == (11_520, 5_760), name
    told = before + info_frame(10, delay=576, padding=576) + FRAME * 10 + after
    # A decoder drops its own delay of 529 samples as well, and so much less of the padding.
    assert lengths(told, "mp3") == (10 * 1152 - 2 * 576, 5_184), name


def test_junk_between_frames_is_stepped_over() -> None:
    data = FRAME * 10 + b"\xff\x00\x12" * 700 + FRAME * 5
    assert lengths(data, "mp3") == (15 * 1152, 15 * 576)


def test_an_mp3_that_is_cut_is_as_long_as_what_is_left() -> None:
    data = info_frame(100) + FRAME * 30
    # 529 samples of delay are dropped at the start; padding is not, for the end is not there.
    assert lengths(data, "mp3") == (30 * 1152 - 529, round((30 * 1152 - 529) / 2))
    assert flaws(data, "mp3") == SHORTER
    assert flaws(FRAME * 10 + FRAME[:300], "mp3") == SHORTER
    assert lengths(FRAME * 10 + FRAME[:300], "mp3") == (11_520, 5_760)


def test_mp3_files_behind_one_another_are_all_heard() -> None:
    one = info_frame(10, delay=576, padding=576) + FRAME * 10
    assert lengths(one + one + FRAME * 3, "mp3") == (2 * 10_368 + 3 * 1152, 10_368 + 3 * 576)
    cut = one[:2000]  # 2 whole frames behind the first, and a piece
    assert lengths(cut + one, "mp3")[0] == 2 * 1152 - 576 - 529 + 10_368
    assert flaws(cut + one, "mp3") == SHORTER


def test_mp3_files_of_two_rates_are_heard_at_the_first_ones() -> None:
    other = bytes([0xFF, 0xFB, 0x94, 0xC0]) + bytes(380)  # 48 kHz: 384 bytes
    assert lengths(FRAME * 10 + other * 10, "mp3") == (11_520 + 7_680, 5_760 + 3_840)


def test_layers_one_and_two_are_counted_by_decoding() -> None:
    frame = bytes([0xFF, 0xFD, 0xA4, 0xC0]) + bytes(572)  # layer II, 192 kbit/s, 48 kHz
    assert lengths(frame * 10, "mp3")[0] == 11_520


def flac(samples: np.ndarray, total: int | None = None) -> bytes:
    data = bytearray(audio_bytes(samples))
    if total is not None:
        data[21] &= 0xF0
        data[22:26] = total.to_bytes(4, "big")
    return bytes(data)


def test_flac_of_unknown_length_is_as_long_as_it_is() -> None:
    assert lengths(flac(tone(440, 1), total=0), "flac") == (SECOND, SECOND)
    assert flaws(flac(tone(440, 1), total=0), "flac") == WHOLE


@pytest.mark.parametrize(("total", "expected"), [(32_000, SHORTER), (8_000, WHOLE)])
def test_a_flac_header_that_lies_is_not_believed(total: int, expected: tuple[Flaw, Flaw]) -> None:
    data = flac(tone(440, 1), total=total)
    assert lengths(data, "flac") == (SECOND, SECOND)
    assert flaws(data, "flac") == expected


def test_a_cut_flac_is_used_as_far_as_it_goes() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * SECOND).astype("f4")
    data = flac(samples)[: len(flac(samples)) // 2]
    count = lengths(data, "flac")[0]
    # Noise takes the same bytes everywhere, and frames are 4096 samples or less.
    assert SECOND - 4096 <= count <= SECOND
    assert lengths(data, "flac")[1] == count
    np.testing.assert_allclose(decode(data, "flac"), samples[:count], atol=2e-5)
    assert flaws(data, "flac") == SHORTER


def test_a_damaged_flac_is_found_when_it_is_decoded() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 10 * SECOND).astype("f4")
    data = bytearray(flac(samples))
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    heard = hear(bytes(data), "flac")
    assert heard.flaw == Flaw.SHORTER
    assert len(heard.samples) >= 4 * SECOND


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "WAV", "AIFF", "W64", "RF64"])
def test_files_behind_one_another_are_all_heard(kind: str) -> None:
    suffix = {"W64": "wav", "RF64": "wav"}.get(kind, kind.lower())
    one, two = packed(tone(440, 1), kind), packed(tone(880, 0.5), kind)
    assert lengths(one + two, suffix) == (24_000, 24_000)
    assert flaws(one + two, suffix) == WHOLE
    # 880 Hz in the second half: 440 periods in half a second, twice as many crossings of zero.
    second = decode(one + two, suffix)[SECOND + 100 : SECOND + 7_700]
    assert np.diff(np.signbit(second)).sum() == pytest.approx(2 * 880 * 7_600 / SECOND, abs=2)


def test_opus_chains_are_all_heard() -> None:
    one = packed(tone(440, 1, 48_000), "OGG", "OPUS", 48_000)
    assert lengths(one * 3, "opus") == (3 * 48_000, 3 * SECOND)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_without_its_last_page_is_cut(subtype: str) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 10 * 48_000)
    data = packed(samples, "OGG", subtype, 48_000)
    cut = data[: data.rindex(b"OggS")]
    assert flaws(data, "ogg") == WHOLE
    assert flaws(cut, "ogg") == SHORTER
    count, decoded = lengths(cut, "ogg")
    assert 0 < count < 480_000
    assert decoded == pytest.approx(count / 3, abs=1)


def ogg_page(body: bytes, *, flags: int, granule: int, number: int) -> bytes:
    laces = [*[255] * (len(body) // 255), len(body) % 255]
    page = bytearray(b"OggS\0" + bytes([flags]) + struct.pack("<qII", granule, 7, number))
    page += bytes(4) + bytes([len(laces), *laces]) + body
    crc = 0
    for byte in page:  # the polynomial of Ogg's specification
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x104C11DB7) if crc & 0x80000000 else crc << 1
    page[22:26] = crc.to_bytes(4, "little")
    return bytes(page)


def test_flac_inside_ogg_is_heard() -> None:
    data = flac(tone(440, 1))
    start = 4
    while not data[start] & 0x80:
        start += 4 + int.from_bytes(data[start + 1 : start + 4], "big")
    frames = start + 4 + int.from_bytes(data[start + 1 : start + 4], "big")
    head = b"\x7fFLAC\x01\x00\x00\x01" + data[:42]
    pages = [ogg_page(head, flags=2, granule=0, number=0)]
    pages.append(ogg_page(data[42:frames], flags=0, granule=0, number=1))
    pages.append(ogg_page(data[frames:], flags=4, granule=SECOND, number=2))
    assert lengths(b"".join(pages), "ogg") == (SECOND, SECOND)


def test_ogg_whose_positions_start_late_is_no_longer_for_it() -> None:
    """As radio streams have it, recorded from somewhere in the middle."""
    data = bytearray(packed(tone(440, 1), "OGG", "VORBIS"))
    place = 0
    while place >= 0:
        body = place + 27 + data[place + 26]
        stop = body + sum(data[place + 27 : body])
        granule = int.from_bytes(data[place + 6 : place + 14], "little")
        if granule:
            number = int.from_bytes(data[place + 18 : place + 22], "little")
            head = bytearray(data[place:body])
            head[6:14] = (granule + 10**9).to_bytes(8, "little")
            head[22:26] = bytes(4)
            assert number
            data[place:stop] = _with_crc(bytes(head) + bytes(data[body:stop]))
        place = data.find(b"OggS", stop)
    assert lengths(bytes(data), "ogg")[0] == pytest.approx(SECOND, abs=2048)


def _with_crc(page: bytes) -> bytes:
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x104C11DB7) if crc & 0x80000000 else crc << 1
    return page[:22] + crc.to_bytes(4, "little") + page[26:]


def wav(declared: int | None = None, *, tail: bytes = b"", count: int = SECOND) -> bytes:
    sound = np.arange(count, dtype="<i2").tobytes()
    declared = len(sound) if declared is None else declared
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, SECOND, 2 * SECOND, 2, 16)
    body += b"data" + struct.pack("<I", declared) + sound + tail
    return b"RIFF" + struct.pack("<I", len(body)) + body


LIST = b"LIST" + struct.pack("<I", 4) + b"INFO"


@pytest.mark.parametrize(
    ("data", "count", "flaw"),
    [
        (wav(), SECOND, Flaw.NONE),
        (wav(tail=LIST), SECOND, Flaw.NONE),
        (wav(0), SECOND, Flaw.NONE),  # streamed: the size was never filled in
        (wav(0xFFFF_FFFF), SECOND, Flaw.NONE),
        (wav(0x7FFF_FFFF), SECOND, Flaw.NONE),
        (wav(4 * SECOND), SECOND, Flaw.SHORTER),  # twice of what is there
        (wav()[: 44 + SECOND], SECOND // 2, Flaw.SHORTER),  # the second half is missing
        (wav(SECOND), SECOND // 2, Flaw.LONGER),  # half of what is there
    ],
)
def test_wav_is_as_long_as_header_and_data_allow(data: bytes, count: int, flaw: Flaw) -> None:
    assert lengths(data, "wav") == (count, count)
    assert flaws(data, "wav") == (flaw, flaw)


def test_wav_with_no_sound_but_a_chunk_behind_is_empty() -> None:
    data = wav(0, count=0, tail=LIST)
    assert read_header(data, "wav").num_samples == 0
    with pytest.raises(DataError, match="holds no samples"):
        decode(data, "wav")


def test_the_padding_of_an_odd_aiff_is_no_sound() -> None:
    comm = struct.pack(">hLh", 1, 1001, 8) + bytes.fromhex("400CFA00000000000000")  # 16 kHz
    ssnd = bytes(8) + bytes([7]) * 1001 + b"\0"
    body = b"AIFFCOMM" + struct.pack(">I", len(comm)) + comm
    body += b"SSND" + struct.pack(">I", len(ssnd)) + ssnd
    data = b"FORM" + struct.pack(">I", len(body)) + body
    assert lengths(data, "aiff") == (1001, 1001)


def test_what_lies_behind_the_sound_of_a_w64_is_no_sound() -> None:
    data = packed(tone(440, 1), "W64")
    assert lengths(data + b"junk" * 25, "wav") == (SECOND, SECOND)
    assert flaws(data[: len(data) // 2], "wav") == SHORTER


def mp4(samples: np.ndarray, *, head_first: bool = False) -> bytes:
    av = pytest.importorskip("av", reason="the package av is absent")
    stream = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov"} if head_first else {}
    with av.open(stream, "w", format="mp4", options=options) as container:
        track = container.add_stream("aac", rate=SECOND, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None].astype("f4"), "fltp", "mono")
        frame.sample_rate = SECOND
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)
    return stream.getvalue()


def test_mp4_files_behind_one_another_are_all_heard() -> None:
    one, two = mp4(tone(440, 1)), mp4(tone(880, 2))
    lone, both = lengths(one, "m4a"), lengths(one + two, "m4a")
    # Frames of 1024 samples, and one more at either side for the encoder's delay.
    assert SECOND <= lone[0] <= SECOND + 3 * 1024
    assert 3 * SECOND <= both[0] <= 3 * SECOND + 6 * 1024
    assert both[1] == both[0]
    assert flaws(one + two, "m4a") == WHOLE


def test_a_cut_mp4_is_used_as_far_as_it_goes() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 4 * SECOND)
    data = mp4(samples, head_first=True)
    cut = data[: len(data) * 2 // 3]
    assert flaws(cut, "m4a") == SHORTER
    count, decoded = lengths(cut, "m4a")
    assert count == decoded
    assert 0 < count < 3 * SECOND


def test_bare_aac_under_another_suffix_is_not_taken_for_mp3() -> None:
    av = pytest.importorskip("av", reason="the package av is absent")
    stream = io.BytesIO()
    with av.open(stream, "w", format="adts") as container:
        track = container.add_stream("aac", rate=SECOND, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(440, 1)[None], "fltp", "mono")
        frame.sample_rate = SECOND
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)
    assert lengths(stream.getvalue(), "mp3")[0] >= SECOND


def test_a_rate_that_no_recording_has_is_refused() -> None:
    data = bytearray(wav())
    data[24:28] = (3).to_bytes(4, "little")
    with pytest.raises(
        DataError, match=r"no readable wav audio \(its header says 3 samples a second"
    ):
        read_header(bytes(data), "wav")
    with pytest.raises(DataError, match="its header says 3 samples a second"):
        decode(bytes(data), "wav")


def test_gsm_in_wav_is_decoded() -> None:
    data = packed(tone(440, 1, 8000), "WAV", "GSM610", 8000)
    count, decoded = lengths(data, "wav")
    assert 8000 <= count <= 8000 + 320  # blocks of 320 samples
    assert decoded == 2 * count


def test_a_window_behind_the_end_is_the_clips_last_samples() -> None:
    samples = np.linspace(-0.5, 0.5, 1000, dtype="f4")
    data = audio_bytes(samples, kind="wav")
    np.testing.assert_allclose(decode(data, "wav", first=5000, count=50), samples[-50:], atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "silenced"),
    [
        (np.stack([tone(300, 0.5), -tone(300, 0.5)], 1), True),
        (np.stack([tone(300, 0.5), tone(300, 0.5)], 1), False),
        (np.concatenate([tone(300, 0.5), [1e29]]), True),
        (np.concatenate([tone(300, 0.5), [8.0]]), False),
        (1e29 * tone(300, 0.5), False),
        (np.zeros(8000), False),  # silent as it is
        (np.concatenate([np.zeros(8000), [0.5]]), False),
    ],
)
def test_a_clip_that_the_protocol_makes_silent_is_marked(
    samples: np.ndarray, silenced: bool
) -> None:
    assert hear(audio_bytes(samples.astype("f4"), kind="wav"), "wav").silenced is silenced


def opened(home: Path, *shards: LockedShard) -> ClipTable:
    indexes = open_indexes(shards, home=home, workers=2, progress=SilentProgress())
    return ClipTable(shards, indexes)


def test_the_index_has_what_can_be_decoded_and_counts_what_falls_short(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    cut = info_frame(100) + FRAME * 30
    whole = info_frame(30) + FRAME * 30
    clips = [("a", "mp3", cut), ("b", "mp3", whole), ("c", "wav", wav(SECOND))]
    table = opened(home, make_shard([(*clip, {"label": "x"}) for clip in clips]))
    assert [table.window(j).count for j in range(3)] == [34_031, 34_031, 8_000]
    assert flaw_texts("t", table, "test") == [
        "t: 1 of 3 test clips are shorter than their headers say and are used as far as they go "
        "(shard/a).",
        "t: 1 of 3 test clips hold more than their headers say, which is not heard (shard/c).",
    ]
    source = AudioSource([table])
    assert [len(source.samples(table.window(j))) for j in range(3)] == [17_016, 17_016, 8_000]
    lock = table.lock().to_json()
    assert (lock["index"], lock["decoder"]) == (INDEX_VERSION, DECODER_VERSION)
    part = table.select([2, 0])
    assert (part.flawed(Flaw.SHORTER), part.flawed(Flaw.LONGER)) == ([1], [0])
