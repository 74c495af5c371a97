"""One shard made ready: a plain tar whose SHA-256 is known, without hashing it at every start.

A packed shard is unpacked once. Beside the plain tar lies ``<name>.tar.json``, written last:

    sha256, size, mtime_ns                    the plain tar
    source                                    path or address that it was unpacked from
    source_sha256, source_size, source_mtime_ns   that file; the time is null for a download

The tar is trusted while its size and time are those; the source while its are, else it is hashed
and, if it differs, unpacked anew (law 5). A plain tar that is read in place has its record in
``index/stat/<hash of its path>.json`` instead, with the first three fields and ``path``.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auricle.errors import DataError
from auricle.files import (
    atomic_writer,
    make_folder,
    read_json,
    sha256_file,
    write_failure,
    write_json,
)

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
_RECORD = tarfile.BLOCKSIZE


class BadShardError(DataError):
    """What is wrong with one shard, as the end of a sentence that starts with its name."""


@dataclass(frozen=True, slots=True)
class PlainTar:
    """A plain tar and what is known of it."""

    path: Path
    sha256: str
    size: int
    mtime_ns: int
    source: str | None = None
    source_sha256: str | None = None
    source_size: int | None = None
    source_mtime_ns: int | None = None


def known_tar(found: Path, plain: Path, *, home: Path) -> PlainTar | None:
    """The plain tar of a found shard, if nothing has to be read to be sure of it."""
    if found == plain or not _is_packed(found):
        return _read_record(_record_of(plain) if found == plain else _stat_path(home, found), found)
    tar = _read_record(_record_of(plain), plain)
    if tar is None or tar.source != str(found):
        return None
    stat = found.stat()
    same = (tar.source_size, tar.source_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    return tar if same else None


def make_tar(found: Path, plain: Path, *, home: Path) -> PlainTar:
    """Unpack or hash a found shard and check that it is a tar.

    Args:
        found: The shard, packed or plain.
        plain: Where its plain tar belongs if it is packed.
        home: The data home.

    Raises:
        BadShardError: It is empty, cut short or no tar.
        OutputError: The plain tar cannot be written.
    """
    known = known_tar(found, plain, home=home)
    if known is not None:  # another process was quicker
        return known
    if not _is_packed(found):
        check_tar(found)
        sha256 = sha256_file(found)
        record = _record_of(plain) if found == plain else _stat_path(home, found)
        return _keep(record, found, sha256=sha256)
    if found == plain:
        raise BadShardError("is a gzip file under the name of a plain tar; call it .tar.gz")
    old = _read_record(_record_of(plain), plain)
    stat = found.stat()
    facts = {
        "source": str(found),
        "source_size": stat.st_size,
        "source_mtime_ns": stat.st_mtime_ns,
    }
    if old is not None and old.source_size == stat.st_size:
        sha256 = sha256_file(found)
        if sha256 == old.source_sha256:  # copied, moved or touched, but the same bytes
            facts |= {"source_sha256": sha256}
            return _keep(_record_of(plain), plain, sha256=old.sha256, **facts)
    return unpack(found, plain, **facts)


def unpack(found: Path, plain: Path, **facts: Any) -> PlainTar:
    """Unpack a gzip file to a plain tar, whole or not at all, hashing both sides on the way.

    Args:
        found: The gzip file.
        plain: The plain tar.
        facts: Fields of the record about the source.

    Raises:
        BadShardError: It is cut short, damaged or holds no tar.
        OutputError: The plain tar cannot be written.
    """
    packed, digest = hashlib.sha256(), hashlib.sha256()
    _record_of(plain).unlink(missing_ok=True)
    with atomic_writer(plain) as stream:
        for block in _inflate(found, packed.update):
            digest.update(block)
            stream.write(block)
        stream.flush()
        check_tar(Path(stream.name))
    facts["source_sha256"] = packed.hexdigest()
    return _keep(_record_of(plain), plain, sha256=digest.hexdigest(), **facts)


def install(part: Path, plain: Path, *, source: str) -> PlainTar:
    """Turn a finished download into the plain tar that it is or holds; the download is used up.

    Args:
        part: The download.
        plain: Where the plain tar belongs, in the same folder tree.
        source: The address that it came from.

    Raises:
        BadShardError: It is empty, cut short, damaged or no tar.
        OutputError: The plain tar cannot be written.
    """
    size = part.stat().st_size
    if _is_packed(part):
        tar = unpack(part, plain, source=source, source_size=size)
        part.unlink()
        return tar
    check_tar(part)
    sha256 = sha256_file(part)
    _record_of(plain).unlink(missing_ok=True)
    try:
        make_folder(plain.parent)
        part.replace(plain)
    except OSError as error:
        raise write_failure(plain, error) from error
    return _keep(_record_of(plain), plain, sha256=sha256, source=source, source_size=size)


def recorded_tar(found: Path, plain: Path, *, home: Path) -> PlainTar | None:
    """What is on record of a found shard, whether or not the files still look so."""
    in_place = found != plain and not _is_packed(found)
    record = _stat_path(home, found) if in_place else _record_of(plain)
    try:
        return PlainTar(**{**read_json(record), "path": found if in_place else plain})
    except (OSError, ValueError, TypeError):
        return None


def tars_by_content(home: Path) -> dict[str, Path]:
    """Plain tars by SHA-256 that were ever made ready and, by their size, still are what they were.

    Their records lie beside them, also of a data home that was moved since, or among the index's.
    """
    beside = (home / "shards").rglob("*.tar.json")
    found: dict[str, Path] = {}
    for record in (*(home / "index" / "stat").glob("*.json"), *beside):
        try:
            facts = read_json(record)
            own = record.with_suffix("")
            path = own if own.suffix == ".tar" else Path(facts["path"])
            if path.stat().st_size == facts["size"]:
                found[facts["sha256"]] = path
        except (OSError, ValueError, TypeError, KeyError):
            continue  # a record of something else, or of what is gone
    return found


def check_tar(path: Path) -> None:
    """Walk a plain tar's headers to its end.

    Raises:
        BadShardError: It is empty, no tar, or a member ends beyond the file's end.
    """
    size = path.stat().st_size
    if size == 0:
        raise BadShardError("is empty")
    members = 0
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                members += 1
                if member.offset_data + member.size > size:
                    raise BadShardError(f"is cut short: {member.name} ends beyond its end")
            end = tar.offset
    except (tarfile.TarError, EOFError) as error:
        raise BadShardError(f"is no complete tar archive ({_reason(error)})") from error
    if members == 0:
        raise BadShardError("holds no files")
    # tarfile takes a header that is cut or damaged for the end, unless it is the first one.
    with path.open("rb") as stream:
        stream.seek(end)
        mark = stream.read(_RECORD)
    if end > size or 0 < len(mark) < _RECORD:
        raise BadShardError(f"is cut short after {members} files")
    if any(mark):
        raise BadShardError(f"is damaged after {members} files")


def has_end_mark(path: Path) -> bool:
    """Whether a tar ends as tars should; one that was cut between two files does not."""
    with path.open("rb") as stream:
        stream.seek(-min(_RECORD, path.stat().st_size), 2)
        return not any(stream.read(_RECORD))


def _inflate(found: Path, hash_packed: Callable[[bytes], object]) -> Iterator[bytes]:
    """Blocks of a gzip file's content; several members in a row are one content."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        with found.open("rb") as stream:
            while data := stream.read(_BLOCK):
                hash_packed(data)
                while data:
                    if inflater.eof:
                        if not data.strip(b"\0"):
                            break  # padding after the last member
                        inflater = zlib.decompressobj(wbits=31)
                    yield inflater.decompress(data, _BLOCK)
                    data = inflater.unconsumed_tail or inflater.unused_data
    except zlib.error as error:
        raise BadShardError(f"is a damaged gzip file ({_reason(error)})") from error
    except OSError as error:
        raise BadShardError(f"cannot be read ({error.strerror})") from error
    if not inflater.eof:
        raise BadShardError("is a gzip file that is cut short")


def _is_packed(found: Path) -> bool:
    try:
        with found.open("rb") as stream:
            start = stream.read(_RECORD)
    except OSError as error:
        raise BadShardError(f"cannot be read ({error.strerror})") from error
    if not start:
        raise BadShardError("is empty")
    return start[:2] == _GZIP


def _record_of(plain: Path) -> Path:
    return plain.with_name(plain.name + ".json")


def _stat_path(home: Path, path: Path) -> Path:
    key = hashlib.sha256(str(path.absolute()).encode()).hexdigest()
    return home / "index" / "stat" / f"{key}.json"


def _keep(record: Path, path: Path, *, sha256: str, **facts: Any) -> PlainTar:
    stat = path.stat()
    tar = PlainTar(path, sha256, stat.st_size, stat.st_mtime_ns, **facts)
    write_json(record, asdict(tar) | {"path": str(path)})
    return tar


def _read_record(record: Path, path: Path) -> PlainTar | None:
    """What is on record of a tar; None where there is no record or the tar has changed since."""
    try:
        known = PlainTar(**{**read_json(record), "path": path})
        stat = path.stat()
    except (OSError, ValueError, TypeError):
        return None
    return known if (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns) else None


def _reason(error: Exception) -> str:
    return str(error).rstrip(".").splitlines()[0] if str(error) else type(error).__name__
