"""Reads a stranger's ZIP: judged from its directory first, then unpacked into a new folder.

Nothing is believed. The directory's size is read before Python's `zipfile` builds objects from it;
names, types, sizes and byte ranges are judged before the first byte is unpacked; unpacking stops at
the size that was declared. Only stored and deflated entries are read, because those two are the
ones that can be unpacked within a bound. Nothing is ever unpacked twice: an archive inside the
archive stays a file.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from auricle.challenge.entry_names import MAX_NAME_BYTES, check_name, find_collisions
from auricle.challenge.verdicts import Problem, Verdict, shown
from auricle.errors import UserError
from auricle.files import write_failure

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_LOCAL = struct.Struct("<4s5H3L2H")
_UNREADABLE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, OSError, ArithmeticError, LookupError),
)
_BLOCK = 1 << 20
_ZIP_SUFFIXES = (".whl", ".npz", ".pt", ".pth", ".pt2", ".ckpt", ".bin", ".pkl", ".keras", ".docx")
_ARCHIVE_SUFFIXES = (
    *(".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz"),
    *(".tar.zst", ".7z", ".rar", ".jar", ".apk", ".iso", ".cab"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a submission may be."""

    archive_bytes: int = 24 << 30
    total_bytes: int = 48 << 30
    file_bytes: int = 24 << 30
    entries: int = 20_000
    ratio: float = 100.0
    """Unpacked by packed size, of the whole and of each larger entry."""
    free_bytes: int = 32 << 20
    """Below this size nothing counts as a bomb."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive that was found good."""

    name: str
    size: int
    executable: bool


class ArchiveError(UserError):
    """The archive is not what it must be; ``problems`` says all that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = problems


def inspect_archive(path: Path, *, limits: Limits | None = None) -> list[Entry]:
    """Judge an archive without unpacking it.

    Returns:
        Its files in the archive's order.

    Raises:
        ArchiveError: Anything is wrong with it; all problems together.
    """
    limits = limits or Limits()
    with path.open("rb") as stream:
        _check_directory(stream, limits)
        try:
            archive = zipfile.ZipFile(stream)
            infos = archive.infolist()
        except _UNREADABLE as error:
            raise _refuse(Verdict.DAMAGED, f"The ZIP's directory is damaged ({error}).") from error
        with archive:
            problems = _judge_infos(infos, limits)
            problems += _judge_ranges(stream, infos, archive.start_dir)
            problems += _judge_end(stream, infos, archive.start_dir)
    if problems:
        raise ArchiveError(list(dict.fromkeys(problems)))
    return [_entry(info) for info in infos if not _is_folder(info)]


def extract_archive(path: Path, into: Path, *, limits: Limits | None = None) -> list[Entry]:
    """Judge an archive, then unpack it into a folder that does not exist yet.

    Returns:
        The files that were written.

    Raises:
        ArchiveError: Anything is wrong with it; what was written until then is below ``into``.
    """
    limits = limits or Limits()
    entries = inspect_archive(path, limits=limits)
    into.mkdir(parents=True)
    problems: list[Problem] = []
    with zipfile.ZipFile(path) as archive:
        for entry in entries:
            target = into.joinpath(*entry.name.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            # x: the file must be new, so that no name can be written twice or through a link.
            with target.open("xb") as out:
                problem = _unpack(archive, entry, out)
            target.chmod(0o755 if entry.executable else 0o644)
            if problem is not None:
                problems.append(problem)
                break
            if nested := _judge_nested(target, entry, limits):
                problems.append(nested)
    for folder in [into, *(path for path in into.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)  # whatever our umask is: behind locks another user reads them
    if problems:
        raise ArchiveError(problems)
    return entries


def _refuse(verdict: Verdict, message: str) -> ArchiveError:
    return ArchiveError([Problem(verdict, message)])


def _check_directory(stream: BinaryIO, limits: Limits) -> None:
    """Read the ZIP's last record: how many entries there are, before any is made an object."""
    size = stream.seek(0, 2)
    if size > limits.archive_bytes:
        raise _refuse(
            Verdict.TOO_LARGE,
            f"The archive has {size} bytes; at most {limits.archive_bytes} are expected.",
        )
    stream.seek(0)
    first = stream.read(4)
    tail_size = min(size, (1 << 16) + _END.size)
    stream.seek(size - tail_size)
    tail = stream.read(tail_size)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        seen = "empty" if not size else f"no ZIP archive (it begins with {first!r})"
        raise _refuse(Verdict.NOT_A_ZIP, f"The file is {seen}; a ZIP from 'auricle pack' is due.")
    if first not in (b"PK\x03\x04", b"PK\x05\x06"):
        raise _refuse(
            Verdict.NOT_A_ZIP,
            f"The file begins with {first!r} and has a ZIP behind that; an archive with nothing "
            "before it is expected.",
        )
    _, disk, start_disk, _, count, directory, _, _ = _END.unpack_from(tail, place)
    if disk or start_disk:
        raise _refuse(Verdict.NOT_A_ZIP, "The ZIP is one of several disks; pack it as one file.")
    count, directory = _read_end_64(stream, size - tail_size + place) or (count, directory)
    if count > limits.entries or directory > limits.entries * 512:
        raise _refuse(
            Verdict.TOO_MANY_ENTRIES,
            f"The archive says that it has {count} entries in a directory of {directory} bytes; "
            f"at most {limits.entries} are expected. Leave out what the encoder does not need.",
        )


def _read_end_64(stream: BinaryIO, end: int) -> tuple[int, int] | None:
    """The 64-bit record's count and directory size; readers use it wherever its locator stands."""
    place = end - _LOCATOR_64.size
    if place < 0:
        return None
    stream.seek(place)
    magic, _, offset, _ = _LOCATOR_64.unpack(stream.read(_LOCATOR_64.size))
    if magic != b"PK\x06\x07":
        return None
    # Some readers go where the locator points, some to the bytes just before it: both must agree.
    if offset == place - _END_64.size:
        stream.seek(offset)
        fields = _END_64.unpack(stream.read(_END_64.size))
        if fields[0] == b"PK\x06\x06":
            return fields[7], fields[8]
    raise _refuse(Verdict.DAMAGED, "The ZIP's 64-bit directory record is damaged.")


def _judge_infos(infos: list[zipfile.ZipInfo], limits: Limits) -> list[Problem]:
    problems: list[Problem] = []
    if len(infos) > limits.entries:
        problems.append(
            Problem(
                Verdict.TOO_MANY_ENTRIES,
                f"The archive has {len(infos)} entries; at most {limits.entries} are expected.",
            )
        )
    for info in infos:
        problems += _judge_info(info, limits)
        if len(problems) >= 100:
            break
    total = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if total > limits.total_bytes:
        problems.append(
            Problem(
                Verdict.TOO_LARGE,
                f"The archive unpacks to {total} bytes; at most {limits.total_bytes} are expected.",
            )
        )
    if total > limits.free_bytes and total > limits.ratio * max(packed, 1):
        problems.append(
            Problem(
                Verdict.BOMB,
                f"The archive's {packed} packed bytes unpack to {total}: more than "
                f"{limits.ratio:g} to 1.",
            )
        )
    short = [info.filename for info in infos if len(info.filename) <= MAX_NAME_BYTES]
    problems += find_collisions(short)
    return problems


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith("/")  # its own is_dir() raises where the name is empty


def _judge_info(info: zipfile.ZipInfo, limits: Limits) -> Iterator[Problem]:
    said = f"The entry '{shown(info.filename)}'"
    for name in dict.fromkeys((info.orig_filename, info.filename)):
        problem = check_name(name)
        if problem is not None:
            yield problem
            break
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        yield Problem(
            Verdict.LINK,
            f"{said} is a symbolic link; files and folders alone are expected. Put the file "
            "itself into the submission.",
        )
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield Problem(
            Verdict.SPECIAL_FILE,
            f"{said} is a device, pipe or socket; files and folders alone are expected.",
        )
    if info.flag_bits & 0x2041:
        yield Problem(Verdict.ENCRYPTED, f"{said} is encrypted; pack it without a password.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield Problem(
            Verdict.UNSUPPORTED_COMPRESSION,
            f"{said} is packed by method {info.compress_type}; stored (0) and deflated (8) are "
            "read. Pack it with 'auricle pack'.",
        )
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        yield Problem(
            Verdict.LYING_SIZE,
            f"{said} is stored, yet says {info.compress_size} packed bytes and "
            f"{info.file_size} unpacked ones. Pack the folder again with 'auricle pack'.",
        )
    if _is_folder(info) and info.file_size:
        yield Problem(
            Verdict.LYING_SIZE,
            f"{said} is a folder, yet has {info.file_size} bytes. Pack the folder again with "
            "'auricle pack'.",
        )
    if info.file_size > limits.file_bytes:
        yield Problem(
            Verdict.TOO_LARGE,
            f"{said} has {info.file_size} bytes; at most {limits.file_bytes} are expected.",
        )
    bound = limits.ratio * max(info.compress_size, 1)
    if info.file_size > limits.free_bytes and info.file_size > bound:
        yield Problem(
            Verdict.BOMB,
            f"{said} unpacks from {info.compress_size} bytes to {info.file_size}: more than "
            f"{limits.ratio:g} to 1.",
        )
    lower = info.filename.lower()
    if lower.endswith(_ARCHIVE_SUFFIXES):
        yield Problem(
            Verdict.NESTED_ARCHIVE,
            f"{said} is an archive inside the archive; nothing unpacks it. Put its files into "
            "the submission instead.",
        )


def _judge_ranges(
    stream: BinaryIO, infos: list[zipfile.ZipInfo], directory: int
) -> Iterator[Problem]:
    """Each entry must have bytes of its own, one behind the other, up to the directory."""
    if infos and min(info.header_offset for info in infos) != 0:
        yield Problem(
            Verdict.OVERLAP, "The archive has bytes before its first entry; none are expected."
        )
    end = 0
    flagged = False
    for info in sorted(infos, key=lambda info: info.header_offset):
        said = f"The entry '{shown(info.filename)}'"
        begin = info.header_offset
        local = _read_local(stream, begin) if 0 <= begin <= directory else None
        if local is None:
            yield Problem(Verdict.DAMAGED, f"{said} has no header where the directory says it is.")
            return
        stop = begin + local.size + info.compress_size
        if begin < end or stop > directory:
            yield Problem(
                Verdict.OVERLAP,
                f"{said} shares bytes with another entry or lies outside the archive.",
            )
            return
        if begin - end not in (_DESCRIPTORS if flagged else (0,)):
            yield _hidden(f"{begin - end} bytes that belong to no entry before '{said[11:-1]}'")
        if different := local.differences(info):
            yield Problem(
                Verdict.LYING_SIZE if different[0] in _SIZES else Verdict.DAMAGED,
                f"{said} has one {different[0]} in its own header and another in the directory; "
                "readers would disagree about it. Pack the folder again with 'auricle pack'.",
            )
        flagged = bool(info.flag_bits & _HAS_DESCRIPTOR)
        end = stop
    if directory - end not in (_DESCRIPTORS if flagged else (0,)):
        yield _hidden(f"{directory - end} bytes that belong to no entry before its directory")


def _judge_end(stream: BinaryIO, infos: list[zipfile.ZipInfo], directory: int) -> Iterator[Problem]:
    """The directory's records are all that stands between the entries and the last record."""
    size = stream.seek(0, 2)
    stream.seek(directory)
    rest = stream.read(size - directory)
    place = 0
    for _ in infos:
        if rest[place : place + 4] != b"PK\x01\x02":
            break
        lengths = struct.unpack_from("<3H", rest, place + 28)
        place += _CENTRAL_BYTES + sum(lengths)
    if rest[place : place + 4] == b"PK\x06\x06":
        place += _END_64.size + _LOCATOR_64.size
    if rest[place : place + 4] != b"PK\x05\x06":
        yield _hidden("bytes between its directory and its end")
        return
    left = len(rest) - place - _END.size
    left -= _END.unpack_from(rest, place)[-1] if left >= 0 else 0
    if left:
        yield _hidden(f"{left} bytes behind its end")
    elif rest.rfind(b"PK\x05\x06") != place:
        yield _hidden("a second end in its comment")


_SIZES = ("checksum", "packed size", "size")
_CENTRAL_BYTES = 46
_HAS_DESCRIPTOR = 0x08
_DESCRIPTORS = (12, 16, 20, 24)
"""Bytes of the sizes behind an entry whose header lacks them: with a mark or not, 32 or 64 bit."""


def _hidden(what: str) -> Problem:
    return Problem(
        Verdict.OVERLAP,
        f"The archive has {what}; none are expected. Pack the folder again with 'auricle pack'.",
    )


@dataclass(frozen=True, slots=True)
class _Local:
    """The header that stands before an entry's bytes."""

    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int
    name: bytes
    size: int
    """Of the header itself."""

    def differences(self, info: zipfile.ZipInfo) -> list[str]:
        """What it says other than the directory does."""
        coding = "utf-8" if info.flag_bits & 0x800 else "cp437"
        pairs: dict[str, tuple[object, object]] = {
            "name": (self.name, info.orig_filename.encode(coding, "surrogateescape")),
            "method": (self.method, info.compress_type),
            "flag": (self.flags & 0x2849, info.flag_bits & 0x2849),
        }
        if not self.flags & _HAS_DESCRIPTOR or self.crc or self.packed or self.unpacked:
            pairs |= {
                "checksum": (self.crc, info.CRC),
                "packed size": (self.packed, info.compress_size),
                "size": (self.unpacked, info.file_size),
            }
        return [name for name, (here, there) in pairs.items() if here != there]


def _read_local(stream: BinaryIO, offset: int) -> _Local | None:
    stream.seek(offset)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        return None
    _, _, flags, method, _, _, crc, packed, unpacked, name_size, extra_size = _LOCAL.unpack(header)
    name, extra = stream.read(name_size), stream.read(extra_size)
    whole = 0xFFFFFFFF
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:  # sizes of 64 bits, the unpacked one first
            sizes = [value for (value,) in struct.iter_unpack("<Q", extra[4:][: length // 8 * 8])]
            unpacked = sizes.pop(0) if unpacked == whole and sizes else unpacked
            packed = sizes.pop(0) if packed == whole and sizes else packed
        extra = extra[4 + length :]
    size = _LOCAL.size + name_size + extra_size
    return _Local(flags, method, crc, packed, unpacked, name, size)


def _entry(info: zipfile.ZipInfo) -> Entry:
    return Entry(info.filename, info.file_size, bool(info.external_attr >> 16 & 0o111))


def _unpack(archive: zipfile.ZipFile, entry: Entry, out: BinaryIO) -> Problem | None:
    written = 0
    try:
        packed = archive.open(entry.name)
    except _UNREADABLE as error:
        return _unreadable(entry, error)
    with packed:
        while True:
            try:
                block = packed.read(min(_BLOCK, entry.size - written + 1))
            except _UNREADABLE as error:
                return _unreadable(entry, error)
            if not block:
                break
            written += len(block)
            try:
                out.write(block)
            except OSError as error:
                raise write_failure(Path(out.name), error) from error
    if written != entry.size:
        return Problem(
            Verdict.LYING_SIZE,
            f"The entry '{shown(entry.name)}' says {entry.size} bytes and unpacks to {written}. "
            "Pack the folder again with 'auricle pack'.",
        )
    return None


def _unreadable(entry: Entry, error: Exception) -> Problem:
    return Problem(
        Verdict.LYING_SIZE if "CRC" in str(error) else Verdict.DAMAGED,
        f"The entry '{shown(entry.name)}' does not unpack to what the directory says "
        f"({shown(str(error))}). Pack the folder again.",
    )


def _judge_nested(path: Path, entry: Entry, limits: Limits) -> Problem | None:
    """Archives inside: known formats that are ZIPs may stay unless they are bombs."""
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return None
    said = f"The entry '{shown(entry.name)}'"
    if not entry.name.lower().endswith(_ZIP_SUFFIXES):
        return Problem(
            Verdict.NESTED_ARCHIVE,
            f"{said} is a ZIP by another name; nothing unpacks it. Put its files into the "
            "submission instead.",
        )
    try:
        with path.open("rb") as stream:
            _check_directory(stream, limits)
            with zipfile.ZipFile(stream) as inner:
                total = sum(info.file_size for info in inner.infolist())
    except (ArchiveError, *_UNREADABLE):
        return None  # not readable as a ZIP, so nobody unpacks it
    if total > limits.free_bytes and total > limits.ratio * max(entry.size, 1):
        return Problem(
            Verdict.BOMB, f"{said} holds {total} bytes in {entry.size}: a bomb inside the archive."
        )
    return None
