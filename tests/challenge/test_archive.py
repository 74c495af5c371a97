"""Hostile archives, each built for real and each refused with its own verdict."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.challenge.archive import (
    ArchiveError,
    Limits,
    extract_archive,
    inspect_archive,
)
from auricle.challenge.verdicts import Verdict

MEBI = 1 << 20


def plain(*entries: tuple[str, bytes], deflate: bool = False) -> bytes:
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = kind
            archive.writestr(info, data)
    return stream.getvalue()


def with_mode(mode: int, data: bytes = b"/etc/passwd") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("weights.bin")
        info.create_system = 3
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return stream.getvalue()


def renamed(old: str, new: str) -> bytes:
    """A name that `zipfile` would not write."""
    assert len(old) == len(new)
    return plain((old, b"x"), ("b.txt", b"y")).replace(old.encode(), new.encode())


def in_directory(data: bytes, offset: int, form: str, value: int) -> bytes:
    """Overwrite a field of the first record of the central directory."""
    place = data.index(b"PK\x01\x02") + offset
    packed = struct.pack(form, value)
    return data[:place] + packed + data[place + len(packed) :]


def repeated() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("encoder.py", "good")
        archive.writestr("encoder.py", "evil")
    return stream.getvalue()


def lying_unpacked_size() -> bytes:
    data = plain(("a.bin", bytes(range(256)) * 64), deflate=True)
    return in_directory(data, 24, "<L", 100)


def lying_packed_size() -> bytes:
    """One entry's bytes reach into the next one's, as in an overlapping bomb."""
    data = plain(("a.bin", b"a" * 100), ("b.bin", b"b" * 100))
    return in_directory(in_directory(data, 20, "<L", 150), 24, "<L", 150)


def shared_bytes() -> bytes:
    """Two directory records for one entry's bytes: a bomb without any compression."""
    data = plain(("a.bin", b"a" * 100), ("b.bin", b"b" * 100))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    return data[: second + 42] + struct.pack("<L", 0) + data[second + 46 :]


def huge_count() -> bytes:
    data = bytearray(plain(("a.txt", b"x")))
    end = data.rindex(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<HH", 60_000, 60_000)
    return bytes(data)


def huge_count_64() -> bytes:
    data = plain(("a.txt", b"x"))
    start, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**9, 10**9, end - start, start
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    return data[:end] + record + locator + data[end:]


def split_64() -> bytes:
    """A 64-bit locator that points at another record than the one before it."""
    data = huge_count_64()
    place = data.index(b"PK\x06\x07")
    return data[: place + 8] + struct.pack("<Q", 3) + data[place + 16 :]


def bzip2() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.txt", b"x" * 100)
    return stream.getvalue()


def unnamed(*, local: bool = True) -> bytes:
    """An entry whose name is empty; `zipfile` writes none."""
    data = renamed("a", "a")
    name = b"a"
    for magic, lengths, start in ((b"PK\x03\x04", 26, 30), (b"PK\x01\x02", 28, 46)):
        place = data.index(magic)
        assert data[place + start : place + start + 1] == name
        data = data[: place + lengths] + b"\0\0" + data[place + lengths + 2 :]
        data = data[: place + start] + data[place + start + 1 :]
    return moved(data, 1, 1)


def moved(data: bytes, directory: int, second: int) -> bytes:
    """The same archive with other places: of its directory, and of its second entry."""
    end = data.rindex(b"PK\x05\x06")
    start, size = struct.unpack_from("<LL", data, end + 12)[::-1]
    places = struct.pack("<LL", size - directory, start - directory)
    data = data[: end + 12] + places + data[end + 20 :]
    place = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4) + 42
    (offset,) = struct.unpack_from("<L", data, place)
    return data[:place] + struct.pack("<L", offset - second) + data[place + 4 :]


def far_offset() -> bytes:
    """An entry that lies, by its 64-bit field, where no file can be read."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", b"x")
        archive.filelist[0].extra = struct.pack("<HHQ", 1, 8, (1 << 64) - 5)
    data = stream.getvalue()
    return in_directory(data, 42, "<L", 0xFFFFFFFF)


def in_local(data: bytes, offset: int, form: str, value: int) -> bytes:
    """Overwrite a field of the first entry's own header."""
    packed = struct.pack(form, value)
    return data[:offset] + packed + data[offset + len(packed) :]


def commented(comment: bytes) -> bytes:
    stream = io.BytesIO(plain(("a.txt", b"x")))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.comment = comment
    return stream.getvalue()


def gap() -> bytes:
    """Bytes between the last entry and the directory, with the directory's place told right."""
    data = plain(("a.txt", b"x"))
    start = data.index(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    (place,) = struct.unpack_from("<L", data, end + 16)
    data = data[: end + 16] + struct.pack("<L", place + 9) + data[end + 20 :]
    return data[:start] + b"concealed" + data[start:]


HOSTILE: dict[str, tuple[Callable[[], bytes], Verdict]] = {
    "parent folder": (lambda: plain(("../evil.py", b"x")), Verdict.PATH_TRAVERSAL),
    "parent folder inside": (lambda: plain(("a/../../evil.py", b"x")), Verdict.PATH_TRAVERSAL),
    "absolute": (lambda: plain(("/etc/cron.d/evil", b"x")), Verdict.ABSOLUTE_NAME),
    "drive letter": (lambda: plain(("C:/evil.py", b"x")), Verdict.ABSOLUTE_NAME),
    "backslash": (lambda: renamed("a/b/evi.py", "..\\b\\ev.py"), Verdict.BAD_NAME),
    "stream": (lambda: plain(("encoder.py:evil", b"x")), Verdict.BAD_NAME),
    "dot part": (lambda: plain(("a/./evil.py", b"x")), Verdict.BAD_NAME),
    "empty part": (lambda: plain(("a//evil.py", b"x")), Verdict.BAD_NAME),
    "escape codes": (lambda: plain(("\x1b[2Jevil.py", b"x")), Verdict.BAD_NAME),
    "newline": (lambda: plain(("a\nevil.py", b"x")), Verdict.BAD_NAME),
    "zero byte": (lambda: renamed("evil.py-good", "evil.py\0good"), Verdict.BAD_NAME),
    "right to left": (lambda: plain(("evil\u202egpj.py", b"x")), Verdict.BAD_NAME),
    "no width": (lambda: plain(("encoder\u200b.py", b"x")), Verdict.BAD_NAME),
    "no name": (unnamed, Verdict.BAD_NAME),
    "leading zero byte": (lambda: renamed("evil.py", "\0vil.py"), Verdict.BAD_NAME),
    "offset beyond all files": (far_offset, Verdict.DAMAGED),
    "junk behind the end": (lambda: plain(("a.txt", b"x")) + b"junk", Verdict.OVERLAP),
    "an end in the comment": (
        lambda: commented(b"PK\x05\x06" + bytes(18)),
        Verdict.OVERLAP,
    ),
    "bytes before the directory": (gap, Verdict.OVERLAP),
    "another method before the bytes": (
        lambda: in_local(plain(("a.py", b"x")), 8, "<H", 8),
        Verdict.DAMAGED,
    ),
    "another checksum before the bytes": (
        lambda: in_local(plain(("a.py", b"x")), 14, "<L", 7),
        Verdict.LYING_SIZE,
    ),
    "another size before the bytes": (
        lambda: in_local(plain(("a.py", b"x")), 22, "<L", 7),
        Verdict.LYING_SIZE,
    ),
    "encrypted before the bytes": (
        lambda: in_local(plain(("a.py", b"x")), 6, "<H", 1),
        Verdict.DAMAGED,
    ),
    **{
        f"device {name}": (lambda name=name: plain((name, b"x")), Verdict.BAD_NAME)  # type: ignore[misc]
        for name in (
            *("con", "NUL", "aux.py", "a/Prn.txt/b.py", "com1.tar.gz", "LPT9", "com\u00b9.txt"),
            *("CONIN$", "nul .txt", "what?.py", "a*b.py", 'a"b.py', "a<b.py", "a|b.py"),
        )
    },
    "trailing space": (lambda: plain(("encoder.py ", b"x")), Verdict.BAD_NAME),
    "long part": (lambda: plain(("a" * 201, b"x")), Verdict.NAME_TOO_LONG),
    "long name": (lambda: plain(("/".join(["a" * 90] * 5), b"x")), Verdict.NAME_TOO_LONG),
    "deep": (lambda: plain(("a/" * 30 + "b", b"x")), Verdict.TOO_DEEP),
    "twice": (repeated, Verdict.NAME_COLLISION),
    "case": (lambda: plain(("Encoder.py", b"x"), ("encoder.py", b"y")), Verdict.NAME_COLLISION),
    "folder case": (lambda: plain(("A/x.py", b"x"), ("a/y.py", b"y")), Verdict.NAME_COLLISION),
    "decomposed": (
        lambda: plain(("caf\u00e9.py", b"x"), ("cafe\u0301.py", b"y")),
        Verdict.NAME_COLLISION,
    ),
    "compatibility": (
        lambda: plain(("encoder.py", b"x"), ("\uff45ncoder.py", b"y")),
        Verdict.NAME_COLLISION,
    ),
    "sharp s": (
        lambda: plain(("stra\u00dfe.py", b""), ("STRASSE.py", b"")),
        Verdict.NAME_COLLISION,
    ),
    "file and folder": (lambda: plain(("a", b"x"), ("a/b", b"y")), Verdict.NAME_COLLISION),
    "symbolic link": (lambda: with_mode(stat.S_IFLNK | 0o777), Verdict.LINK),
    "character device": (lambda: with_mode(stat.S_IFCHR | 0o666), Verdict.SPECIAL_FILE),
    "block device": (lambda: with_mode(stat.S_IFBLK | 0o666), Verdict.SPECIAL_FILE),
    "pipe": (lambda: with_mode(stat.S_IFIFO | 0o666), Verdict.SPECIAL_FILE),
    "socket": (lambda: with_mode(stat.S_IFSOCK | 0o666), Verdict.SPECIAL_FILE),
    "encrypted": (lambda: in_directory(plain(("a", b"x")), 8, "<H", 1), Verdict.ENCRYPTED),
    "hidden directory": (
        lambda: in_directory(plain(("a", b"x")), 8, "<H", 0x2000),
        Verdict.ENCRYPTED,
    ),
    "bzip2": (bzip2, Verdict.UNSUPPORTED_COMPRESSION),
    "zeros": (lambda: plain(("a.bin", bytes(40 * MEBI)), deflate=True), Verdict.BOMB),
    "many zeros": (
        lambda: plain(*((f"{i}.bin", bytes(4 * MEBI)) for i in range(10)), deflate=True),
        Verdict.BOMB,
    ),
    "shared bytes": (shared_bytes, Verdict.OVERLAP),
    "packed size": (lying_packed_size, Verdict.OVERLAP),
    "unpacked size": (lying_unpacked_size, Verdict.LYING_SIZE),
    "stored sizes": (
        lambda: in_directory(plain(("a", b"x")), 24, "<L", 5 * MEBI),
        Verdict.LYING_SIZE,
    ),
    "count": (huge_count, Verdict.TOO_MANY_ENTRIES),
    "count of 64 bits": (huge_count_64, Verdict.TOO_MANY_ENTRIES),
    "two 64-bit records": (split_64, Verdict.DAMAGED),
    "zip in zip": (lambda: plain(("inner.zip", plain(("a", b"x")))), Verdict.NESTED_ARCHIVE),
    "zip in disguise": (lambda: plain(("a.txt", plain(("a", b"x")))), Verdict.NESTED_ARCHIVE),
    "tar in zip": (lambda: plain(("data.tar.gz", b"x")), Verdict.NESTED_ARCHIVE),
    "bomb in weights": (
        lambda: plain(("w.pt", plain(("a", bytes(40 * MEBI)), deflate=True))),
        Verdict.BOMB,
    ),
    "text": (lambda: b"hello", Verdict.NOT_A_ZIP),
    "nothing": (lambda: b"", Verdict.NOT_A_ZIP),
    "program in front": (lambda: b"#!/bin/sh\n" + plain(("a", b"x")), Verdict.NOT_A_ZIP),
    "zip in front": (lambda: plain(("a", b"x")) + plain(("b", b"y")), Verdict.OVERLAP),
    "cut short": (lambda: plain(("a", b"x" * 100))[:-30], Verdict.NOT_A_ZIP),
    "several disks": (
        lambda: plain(("a", b"x"))[:-18] + b"\1" + plain(("a", b"x"))[-17:],
        Verdict.NOT_A_ZIP,
    ),
    "other name inside": (
        lambda: plain(("good.py", b"x")).replace(b"good.py", b"evil.py", 1),
        Verdict.DAMAGED,
    ),
    "broken bytes": (
        lambda: plain(("a", b"hello")).replace(b"hello", b"hexxo"),
        Verdict.LYING_SIZE,
    ),
    "directory points nowhere": (
        lambda: in_directory(plain(("a", b"x")), 42, "<L", 1 << 30),
        Verdict.OVERLAP,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_writes_nothing_outside(name: str, tmp_path: Path) -> None:
    build, verdict = HOSTILE[name]
    path = tmp_path / "in" / "submission.zip"
    path.parent.mkdir()
    path.write_bytes(build())
    with pytest.raises(ArchiveError) as caught:
        extract_archive(path, tmp_path / "scratch" / "files")
    assert verdict in {problem.verdict for problem in caught.value.problems}, caught.value
    outside = {p for p in tmp_path.rglob("*") if tmp_path / "scratch" not in (p, *p.parents)}
    assert outside == {path.parent, path}


def test_what_is_unpacked_never_exceeds_the_declared_size(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    data = plain(("a.bin", bytes(8 * MEBI)), deflate=True)
    short = in_directory(data, 24, "<L", 1000)
    checked = in_directory(short, 16, "<L", zlib.crc32(bytes(1000)))
    checked = in_local(checked, 22, "<L", 1000)
    checked = in_local(checked, 14, "<L", zlib.crc32(bytes(1000)))
    path.write_bytes(checked)
    entries = extract_archive(path, tmp_path / "out")
    assert [entry.size for entry in entries] == [1000]
    assert (tmp_path / "out" / "a.bin").stat().st_size == 1000


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(plain(("../a", b"x"), ("/b", b"x"), ("c.zip", b"x")))
    with pytest.raises(ArchiveError, match=r"(?s)\.\./a.*/b.*c\.zip"):
        inspect_archive(path)


def test_a_terminal_cannot_be_steered_through_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(plain(("\x1b]0;pwned\x07", b"x")))
    with pytest.raises(ArchiveError) as caught:
        inspect_archive(path)
    assert "\x1b" not in str(caught.value)


def test_a_good_archive_of_another_tool_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("repo/", b"")
        archive.writestr("repo/encoder.py", b"code " * 100)
        archive.writestr("repo/caf\u00e9.txt", b"text")
        with archive.open("repo/stream.bin", "w") as out:
            out.write(b"streamed")
        archive.comment = b"commit 0123"
    entries = extract_archive(path, tmp_path / "out")
    assert [entry.name for entry in entries] == [
        *("repo/encoder.py", "repo/caf\u00e9.txt", "repo/stream.bin")
    ]
    assert (tmp_path / "out" / "repo" / "encoder.py").read_bytes() == b"code " * 100


def test_set_user_id_bits_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(with_mode(stat.S_IFREG | 0o6777))
    extract_archive(path, tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out" / "weights.bin").stat().st_mode) == 0o755


def test_limits_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(plain(("a", b"x" * 100), ("b", b"x" * 100)))
    for limits, verdict in (
        (Limits(archive_bytes=100), Verdict.TOO_LARGE),
        (Limits(file_bytes=99), Verdict.TOO_LARGE),
        (Limits(total_bytes=199), Verdict.TOO_LARGE),
        (Limits(entries=1), Verdict.TOO_MANY_ENTRIES),
    ):
        with pytest.raises(ArchiveError) as caught:
            inspect_archive(path, limits=limits)
        assert caught.value.problems[0].verdict is verdict
    assert len(inspect_archive(path, limits=Limits(entries=2))) == 2


def test_weights_that_are_zips_may_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(plain(("model.pt", plain(("data.pkl", b"x" * 1000)))))
    assert len(extract_archive(path, tmp_path / "out")) == 1


def test_folders_are_open_whatever_the_umask_is(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(plain(("a/b/c.py", b"x")))
    before = os.umask(0o077)
    try:
        extract_archive(path, tmp_path / "out")
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "out").rglob("*")}
    assert modes == {"a": 0o755, "b": 0o755, "c.py": 0o644}


def test_a_name_of_a_million_folders_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(plain(*((f"{'a/' * 32_000}{j}", b"x") for j in range(5))))
    with pytest.raises(ArchiveError) as caught:
        inspect_archive(path)
    assert {problem.verdict for problem in caught.value.problems} == {Verdict.NAME_TOO_LONG}


@pytest.mark.parametrize("name", ["console.py", "com10.txt", "auxiliary.py", "nullable", "lpt.bin"])
def test_names_that_only_begin_like_a_device_are_good(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(plain((name, b"x")))
    assert [entry.name for entry in inspect_archive(path)] == [name]


def test_archives_with_sizes_behind_the_bytes_and_with_64_bit_sizes_are_good(
    tmp_path: Path,
) -> None:
    class Pipe(io.RawIOBase):
        """What cannot seek, so that sizes are written behind the bytes."""

        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, block: bytes) -> int:  # type: ignore[override]
            self.data += block
            return len(block)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        archive.writestr("a.txt", b"x" * 100)
        archive.writestr("b.txt", b"y")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("a.txt", "b.txt"):
            with archive.open(name, "w", force_zip64=True) as out:
                out.write(b"z" * 10)
        archive.comment = b"0123456789abcdef0123456789abcdef01234567"  # as hosting services write
    for number, data in enumerate((pipe.data, stream.getvalue())):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        names = [entry.name for entry in extract_archive(path, tmp_path / str(number))]
        assert names == ["a.txt", "b.txt"]
