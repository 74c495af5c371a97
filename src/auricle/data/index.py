"""Random access into shards: where each clip's bytes lie in a tar, and how long the clip is.

An index is found by the SHA-256 of its tar, so a copy of a shard elsewhere needs no second one and
a changed shard never meets a stale one (law 5). One file per shard,
``index/<first two digits>/<sha256>.npz`` (numpy's zip of arrays, read without pickle), holds for
the n clips in the order of the tar:

    version       int64   []   layout version, `INDEX_VERSION`
    keys          uint8   [k]  the clips' keys, UTF-8, one after another
    key_ends      int64   [n]  where each key ends in ``keys``
    suffixes      S8      [n]  suffix of the audio file, lower case
    audio_offset  int64   [n]  first byte of the audio file in the tar
    audio_size    int64   [n]  its bytes
    json_offset   int64   [n]  the same for the JSON file
    json_size     int64   [n]
    num_samples   int64   [n]  source samples per channel that can be decoded, which need not be
                               what the header says; -1 = it cannot be read
    sample_rate   int32   [n]  source rate in Hz; 0 where ``num_samples`` is -1
    flaw          uint8   [n]  how the clip differs from what its header says, `containers.Flaw`
    digest        uint64  [n]  first 8 bytes of the SHA-256 of the audio file, big-endian; it puts
                               clips into an order that says nothing of their labels
    left_out      int64   [7]  members of the tar that are in no clip, by kind, `LeftOut`

A clip is a run of neighbouring members with one key: the name up to the first dot of its last part.
Bytes of a name that are no UTF-8, and control characters, stand in the key as ``%E9``, ``%0A``.
Members whose last part begins with a dot belong to no clip and do not part one, as in the
reference's reader.
"""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auricle.data.decode import AUDIO_SUFFIXES, read_header
from auricle.data.places import shown
from auricle.data.shards import LockedShard
from auricle.errors import DataError
from auricle.files import atomic_writer
from auricle.progress import Progress

INDEX_VERSION = 4
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\udc80-\udcff]|%(?=[0-9A-F]{2})")


class LeftOut(NamedTuple):
    """Members of a tar that are in no clip, by kind."""

    incomplete: int = 0
    """Audio without JSON, or JSON without audio."""
    apart: int = 0
    """The same, where the other half lies elsewhere in the tar: it is not sorted by name."""
    second: int = 0
    """A second audio or JSON file of a clip."""
    links: int = 0
    """Links to audio or JSON, which have no bytes of their own."""
    hidden: int = 0
    """Names that begin with a dot, as macOS writes beside every file."""
    others: int = 0
    """Files that are neither audio nor JSON of a clip."""
    unmarked: int = 0
    """Archives without the empty block that ends one."""

    def plus(self, other: LeftOut) -> LeftOut:
        """The sum."""
        return LeftOut(*(one + more for one, more in zip(self, other, strict=True)))

    def texts(self, *, lost_only: bool = False) -> list[str]:
        """What was left out, in words.

        Args:
            lost_only: Only what may have been clips.
        """
        said = {
            "incomplete": "{} files in no complete clip (audio + JSON)",
            "apart": "{} files whose clip's other half lies elsewhere (sort the archive by name: "
            "tar --sort=name)",
            "second": "{} second audio or JSON files of a clip",
            "links": "{} links to audio or JSON (pack the files themselves: tar --dereference "
            "--hard-dereference)",
            "hidden": "{} files whose names begin with a dot",
            "others": "{} other files",
            "unmarked": "{} archives end without an end mark and may have been cut",
        }
        if lost_only:
            del said["hidden"], said["others"], said["unmarked"]
        return [
            text.format(count).replace("1 files", "1 file")
            for name, text in said.items()
            if (count := getattr(self, name))
        ]


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """The index of one shard; row j is the clip at position j of the tar."""

    keys: tuple[str, ...]
    suffixes: tuple[str, ...]
    audio_offset: NDArray[np.int64]
    audio_size: NDArray[np.int64]
    json_offset: NDArray[np.int64]
    json_size: NDArray[np.int64]
    num_samples: NDArray[np.int64]
    sample_rate: NDArray[np.int32]
    flaw: NDArray[np.uint8]
    digest: NDArray[np.uint64]
    left_out: LeftOut

    def __len__(self) -> int:
        return len(self.keys)


def open_indexes(
    shards: Sequence[LockedShard], *, home: Path, workers: int, progress: Progress
) -> list[ShardIndex]:
    """Load the index of each shard, building those that are missing.

    Raises:
        DataError: Shards that are no tar, are truncated or hold no clip; all of them are named.
    """
    files = [index_path(home, shard.sha256) for shard in shards]
    found = [_load(path) for path in files]
    missing = [j for j, index in enumerate(found) if index is None]
    problems: list[str] = []
    if missing:
        with (
            progress.stage("index shards", len(missing), "shards") as stage,
            ThreadPoolExecutor(max(1, workers)) as pool,
        ):
            jobs = {j: pool.submit(_build, shards[j], files[j]) for j in missing}
            for j, job in jobs.items():
                try:
                    found[j] = job.result()
                except DataError as error:
                    problems.append(str(error))
                stage.advance()
    for shard, index in zip(shards, found, strict=True):
        if index is not None and not len(index):
            seen = ", ".join(index.left_out.texts())
            problems.append(
                f"Shard {shard.name} holds no clip (audio file + JSON of one key)"
                f"{f' but {seen}' if seen else ''}."
            )
    if problems:
        raise DataError(
            " ".join(problems) + " Fetch or make these shards anew, or leave their task out."
        )
    return [index for index in found if index is not None]


def index_path(home: Path, sha256: str) -> Path:
    """Where the index of a shard lies."""
    return home / "index" / sha256[:2] / f"{sha256}.npz"


def _load(path: Path) -> ShardIndex | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["version"]) != INDEX_VERSION:
                return None
            blob, ends = arrays["keys"].tobytes(), arrays["key_ends"].tolist()
            starts = [0, *ends[:-1]]
            return ShardIndex(
                keys=tuple(blob[a:b].decode() for a, b in zip(starts, ends, strict=True)),
                suffixes=tuple(s.decode() for s in arrays["suffixes"].tolist()),
                left_out=LeftOut(*arrays["left_out"].tolist()),
                **{name: arrays[name] for name in _COLUMNS},
            )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None  # damaged by something outside auricle; it is built again


_COLUMNS = (
    "audio_offset",
    "audio_size",
    "json_offset",
    "json_size",
    "num_samples",
    "sample_rate",
    "flaw",
    "digest",
)


@dataclass(slots=True)
class _Sample:
    key: str
    audio: tuple[int, int, str] | None = None
    json: tuple[int, int] | None = None
    second: int = 0
    others: int = 0

    @property
    def is_complete(self) -> bool:
        return self.audio is not None and self.json is not None


def _build(shard: LockedShard, path: Path) -> ShardIndex:
    rows, left_out = _clips(shard)
    audio = [row.audio for row in rows if row.audio is not None]
    text = [row.json for row in rows if row.json is not None]
    facts = list(_read_audio(shard.tar, audio))
    index = ShardIndex(
        keys=tuple(row.key for row in rows),
        suffixes=tuple(a[2] for a in audio),
        audio_offset=np.array([a[0] for a in audio], np.int64),
        audio_size=np.array([a[1] for a in audio], np.int64),
        json_offset=np.array([t[0] for t in text], np.int64),
        json_size=np.array([t[1] for t in text], np.int64),
        num_samples=np.array([f.num_samples for f in facts], np.int64),
        sample_rate=np.array([f.sample_rate for f in facts], np.int32),
        flaw=np.array([f.flaw for f in facts], np.uint8),
        digest=np.array([f.digest for f in facts], np.uint64),
        left_out=left_out,
    )
    _save(index, path)
    return index


def _clips(shard: LockedShard) -> tuple[list[_Sample], LeftOut]:
    """The complete clips in the tar's order, and what is in none."""
    samples: list[_Sample] = []
    links = hidden = unknown = 0
    current: _Sample | None = None
    for member in _members(shard):
        name = _plain(member.name)
        folder, last = str(PurePosixPath(name).parent), PurePosixPath(name).name
        if last.startswith("."):
            hidden += member.isreg()
            continue
        stem, _, suffix = last.partition(".")
        key = stem if folder == "." else f"{folder.rstrip('/')}/{stem}"
        suffix = suffix.lower()
        is_audio, is_json = suffix in AUDIO_SUFFIXES, suffix == "json"
        if not member.isreg():
            is_link = member.islnk() or member.issym()
            links += is_link and (is_audio or is_json)
            unknown += not is_link and not member.isdir()
            continue
        # A complete clip whose key comes again is followed by another of that key.
        again = current is not None and current.is_complete and (is_audio or is_json)
        if current is None or key != current.key or again:
            current = _Sample(key)
            samples.append(current)
        if (is_audio and current.audio) or (is_json and current.json):
            current.second += 1
        elif is_audio:
            current.audio = (member.offset_data, member.size, suffix)
        elif is_json:
            current.json = (member.offset_data, member.size)
        else:
            current.others += 1
    halves = [one for one in samples if not one.is_complete and (one.audio or one.json)]
    heard, described = ({o.key for o in halves if o.audio}, {o.key for o in halves if o.json})
    apart = sum(one.key in heard & described for one in halves)
    return [one for one in samples if one.is_complete], LeftOut(
        incomplete=len(halves) - apart,
        apart=apart,
        second=sum(one.second for one in samples),
        links=links,
        hidden=hidden,
        unmarked=int(_is_unmarked(shard.tar)),
        others=unknown + sum(one.others for one in samples if not one.is_complete),
    )


def _is_unmarked(tar: Path) -> bool:
    """Whether a tar lacks the empty block at its end, as one that was cut between members does."""
    with tar.open("rb") as stream:
        stream.seek(max(0, tar.stat().st_size - tarfile.BLOCKSIZE))
        return any(stream.read())


def _plain(name: str) -> str:
    """A member's name without what no id can hold, each byte of it as ``%E9``.

    That is bytes that are no UTF-8, which tarfile reads as surrogates, and control characters. A
    ``%`` that would read like one of these is ``%25``, so that two names stay two.
    """
    return _UNFIT.sub(
        lambda sign: "".join(f"%{byte:02X}" for byte in sign[0].encode("utf-8", "surrogateescape")),
        name,
    )


def _members(shard: LockedShard) -> Iterator[tarfile.TarInfo]:
    """All members of a tar.

    Raises:
        DataError: It is none, is cut short, holds sparse members or has another tar behind it.
    """
    size = shard.tar.stat().st_size
    sparse: list[str] = []
    try:
        with tarfile.open(shard.tar, "r:", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                if member.issparse():
                    sparse.append(_plain(member.name))
                elif member.isreg() and member.offset_data + member.size > size:
                    raise tarfile.ReadError("unexpected end of data")
                yield member
            end = tar.offset
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise DataError(f"Shard {shard.name} is no complete tar archive ({error}).") from error
    if sparse:
        raise DataError(
            f"Shard {shard.name} holds {len(sparse)} sparse members, whose holes are not stored "
            f"({shown(sparse)}). Pack it without --sparse."
        )
    with shard.tar.open("rb") as stream:
        stream.seek(end)
        block = stream.read(tarfile.BLOCKSIZE)
    if any(block):  # tarfile takes what is no header for the end, and would say nothing
        raise DataError(
            f"Shard {shard.name} is cut or damaged at byte {end:,}: a member's header or the end "
            "of the archive is expected there."
        )
    if behind := _archive_behind(shard.tar, end):
        raise DataError(
            f"Shard {shard.name} has a second archive behind its end, at byte {behind:,}, which no "
            "reader of tar files looks at. Make one archive of both (tar --concatenate), or a "
            "shard of each."
        )


def _archive_behind(tar: Path, end: int) -> int | None:
    """Where another archive begins behind the end of the first; None where none does."""
    block = tarfile.BLOCKSIZE
    with tar.open("rb") as stream:
        stream.seek(end)
        place = end
        while data := stream.read(2048 * block):
            if any(data):
                for start in range(0, len(data) - block + 1, block):
                    header = data[start : start + block]
                    if any(header) and _is_header(header):
                        return place + start
            place += len(data)
    return None


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


class _AudioFacts(NamedTuple):
    digest: int
    num_samples: int = -1
    sample_rate: int = 0
    flaw: int = 0


def _read_audio(tar: Path, audio: Sequence[tuple[int, int, str]]) -> Iterator[_AudioFacts]:
    with tar.open("rb") as stream:
        for offset, length, suffix in audio:
            data = os.pread(stream.fileno(), length, offset)
            digest = int.from_bytes(sha256(data).digest()[:8], "big")
            try:
                header = read_header(data, suffix)
            except DataError:
                yield _AudioFacts(digest)
                continue
            if header.num_samples > 0 and header.sample_rate > 0:
                yield _AudioFacts(digest, header.num_samples, header.sample_rate, header.flaw)
            else:
                yield _AudioFacts(digest)


def _save(index: ShardIndex, path: Path) -> None:
    encoded = [key.encode() for key in index.keys]
    arrays: dict[str, Any] = {name: getattr(index, name) for name in _COLUMNS}
    with atomic_writer(path) as stream:
        np.savez(
            stream,
            version=np.int64(INDEX_VERSION),
            left_out=np.array(index.left_out, np.int64),
            keys=np.frombuffer(b"".join(encoded), np.uint8),
            key_ends=np.cumsum([len(k) for k in encoded], dtype=np.int64),
            suffixes=np.array([s.encode() for s in index.suffixes], "S8"),
            **arrays,
        )
