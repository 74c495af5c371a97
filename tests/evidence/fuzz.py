"""Messages and archives that nobody meant: each is refused in a sentence, or is what it should be.

    make evidence-fuzz

Three targets, each from a seed and for a bounded time. *messages*: honest answers of an encoder's
process with values, bytes and whole parts changed, given to everything that reads them (the schema,
the features' reader, the identity, the sentences of refusals). *processes*: the same said by real
processes (`puppet.py`) that are started, asked for a batch and for what they are. *archives*: ZIPs
with bytes, fields and names changed, unpacked. A fault is an error that is not auricle's own, text
that could steer a terminal, or anything written outside of the archive's folder.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from auricle.challenge.archive import ArchiveError, Limits, extract_archive
from auricle.encoder.channel import MemoryFile
from auricle.encoder.contract import WindowNames, check_output_dim, read_batch, split_batch
from auricle.encoder.failures import clean, nonsense, refusal
from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.identity import content_hash, identity_files
from auricle.encoder.load import parse_encoder
from auricle.encoder.protocol import (
    Batch,
    EncoderSpec,
    Loaded,
    NonsenseError,
    Refusal,
    Report,
    Sums,
    read_answer,
)
from auricle.errors import EncoderError
from auricle.records.manifest import EncoderFacts
from puppet import DIM, HONEST, write_puppet

SEED = 20_261_127
KINDS = {"load": Loaded, "encode": Batch, "report": Report, "sums": Sums}
_REFUSAL = {"ok": False, "stage": "forward", "kind": "crash", "text": "a", "traceback": "b"}
_MASKED = {**HONEST["encode"], "mask": {"shape": [1, 1], "dtype": "torch.bool", "bytes": 8}}
_BAD = {**HONEST["encode"], "bad_output": {"rule": "output", "seen": "a dict"}, "features": None}
STARTS: dict[str, list[dict[str, Any]]] = {op: [said, _REFUSAL] for op, said in HONEST.items()}
STARTS["encode"] += [_MASKED, _BAD]
HOSTILE: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**53, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308),
    *("", "x", "\0", "\x1b[2J", "\u202e", "\u2028", "a\nb", "x" * 5_000, "/etc/shadow", "/root/x"),
    *("/a\0b", "../../x", "~root", "None", "0x1p+0", "float32", "\U0001f600", "-1", "1e999"),
    *([], {}, [[]], [None], {"": None}, [1] * 100, ["x"] * 1_000, {"a\0": "b"}, [[[[[[]]]]]]),
]
WORDS = [
    b"1e999",
    b"NaN",
    b"-Infinity",
    b'"\\ud800"',
    b'"\\u0000"',
    b"\xff",
    b"\xc0\x80",
    b"[" * 999,
]
WORDS += [b"1" * 5_000, b"{", b"}", b",", b'"', b"\\", b"null", b'{"ok":true}', b" " * 999, b"\0"]


def main() -> int:
    """Fuzz every target for some time each, and say how much was tried."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="for each target")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {asked.seconds:g} s for each target", flush=True)
    for target in TARGETS:
        print(line_of(target, fuzz(target, asked.seed, seconds=asked.seconds)), flush=True)
    print(f"peak memory of this process: {_peak_bytes() / 1e6:.0f} MB")
    return 0


def fuzz(target: str, seed: int, *, seconds: float = 1e9, count: int = 1 << 60) -> Counter[str]:
    """Try one target until the time or the count is over.

    Args:
        target: One of `TARGETS`.
        seed: Of everything that is drawn.
        seconds: At most so long.
        count: At most so many.

    Returns:
        How often each outcome came.

    Raises:
        AssertionError: Something was believed that must not be; the note says what was given.
    """
    draw = random.Random(f"{target} {seed}")
    ends = time.monotonic() + seconds
    found: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="auricle-fuzz-") as name,
        contextlib.ExitStack() as rest,
    ):
        attempt = rest.enter_context(TARGETS[target](Path(name)))
        while found.total() < count and time.monotonic() < ends:
            given, outcome = "", ""
            try:
                given, run = attempt(draw)
                outcome = run()
            except BaseException as error:
                error.add_note(f"{target}, seed {seed}, number {found.total()}: {given[:2_000]}")
                raise
            found[outcome] += 1
    return found


def line_of(target: str, found: Counter[str]) -> str:
    """What came of a target, in a line."""
    parts = ", ".join(f"{name} {number:,}" for name, number in found.most_common())
    return f"{target}: {found.total():,} tried, no fault ({parts})"


Attempt = Callable[[random.Random], tuple[str, Callable[[], str]]]


def spoiled(draw: random.Random, value: Any) -> bytes:
    """A message whose values or bytes are not what they were."""
    value = json.loads(json.dumps(value))
    for _ in range(draw.choice([0, 1, 1, 1, 2, 3])):
        value = _changed(draw, value)
    data = json.dumps(value, ensure_ascii=draw.random() < 0.8).encode("utf-8", "surrogatepass")
    for _ in range(draw.choice([0, 0, 0, 1, 1, 2, 5])):
        data = _cut(draw, data, draw.choice(WORDS))
    return data


def _changed(draw: random.Random, value: Any) -> Any:
    """A value with one place in it replaced, removed, doubled or wrapped."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        way = draw.random()
        if way < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        if way < 0.2:
            return {**value, str(draw.choice(HOSTILE))[:300]: draw.choice(HOSTILE)}
        return {**value, key: _changed(draw, value[key])}
    if isinstance(value, list) and value and draw.random() < 0.7:
        place = draw.randrange(len(value))
        if draw.random() < 0.2:
            return value + value[place:] * draw.choice([1, 2, 50])
        return [*value[:place], _changed(draw, value[place]), *value[place + 1 :]]
    if type(value) is int and draw.random() < 0.5:
        return value + draw.choice([-1, 1, value, -value, 1 << 40])
    return draw.choice([draw.choice(HOSTILE), draw.choice(HOSTILE), [value], {"a": value}, value])


def _cut(draw: random.Random, data: bytes, word: bytes) -> bytes:
    place = draw.randrange(len(data) + 1)
    stop = min(len(data), place + draw.choice([0, 0, 1, 2, 8]))
    kind = draw.random()
    if kind < 0.3:
        return data[:place] + word + data[stop:]
    if kind < 0.6:
        return data[:place] + draw.randbytes(draw.choice([1, 2])) + data[stop:]
    if kind < 0.8:
        return data[:place]
    return data[:stop] + data[place:]


@contextlib.contextmanager
def messages(folder: Path) -> Iterator[Attempt]:
    """Everything that reads a message, without a process."""
    store = MemoryFile("fuzz")
    store.write(np.ones((1, 1, DIM + 2), np.float32))
    own = EncoderSpec("x", "x", "file", str(folder / "x.py"), None, {}, folder=folder)
    judged = EncoderSpec(
        *("x", "x", "file", str(folder / "x.py"), None, {}),
        folder=folder,
        judged=(folder / "submission", folder / "home"),
    )

    def attempt(draw: random.Random) -> tuple[str, Callable[[], str]]:
        op = draw.choice(list(KINDS))
        data = spoiled(draw, draw.choice(STARTS[op]))
        return repr(data), lambda: _read(op, data, store, draw.choice([own, judged]))

    try:
        yield attempt
    finally:
        store.close()


def _read(op: str, data: bytes, store: MemoryFile, spec: EncoderSpec) -> str:
    try:
        answer = read_answer(data, KINDS[op])
    except NonsenseError as error:
        _is_sentence(str(nonsense(clean(str(error), 400))))
        return "refused by the schema"
    try:
        if isinstance(answer, Refusal):
            raise refusal(answer, "encoding a.wav (1.00 s)")
        if isinstance(answer, Loaded):
            check_output_dim(answer.output_dim, clean(answer.output_dim_seen, 300))
        if isinstance(answer, Batch):
            windows = WindowNames(["a.wav"], [16_000])
            split_batch(read_batch(answer, store, output_dim=DIM, windows=windows), windows=windows)
        if isinstance(answer, Report):
            _identify(answer, spec)
    except EncoderError as error:
        _is_sentence(str(error))
        return "refused by its reader"
    return "believed"


def _identify(answer: Report, spec: EncoderSpec) -> None:
    files = identity_files(spec, answer.files)
    assert spec.judged is None or not files, files
    digest = content_hash(
        spec, class_name="x", files=files, packages=answer.packages, python=answer.python
    )
    _can_be_stored(
        EncoderFacts(
            num_parameters=answer.num_parameters,
            content_hash=digest,
            files=files,
            packages=answer.packages,
            python=answer.python,
        )
    )


def _can_be_stored(facts: EncoderFacts) -> None:
    text = json.dumps(facts.to_json(), allow_nan=False, ensure_ascii=False).encode().decode()
    assert EncoderFacts.from_json(json.loads(text), "here") == facts


def _is_sentence(text: str) -> None:
    assert 10 < len(text) < 30_000, len(text)
    assert clean(text) == text, text
    text.encode()


@contextlib.contextmanager
def processes(folder: Path) -> Iterator[Attempt]:
    """Real processes: started, asked for two batches, their sums and what they are."""

    def attempt(draw: random.Random) -> tuple[str, Callable[[], str]]:
        op = draw.choice(list(KINDS))
        said = {op: spoiled(draw, draw.choice(STARTS[op]))}
        laid = draw.choice([None, None, draw.randbytes(16), draw.randbytes(8), b""])
        size = draw.choice([None, 0, 1 << 36])
        encoder = write_puppet(folder / "puppet", said, laid=laid, file_bytes=size)
        return f"{said} {laid!r} {size}", lambda: _converse(encoder, folder)

    yield attempt


def _converse(encoder: Path, folder: Path) -> str:
    spec = parse_encoder(str(encoder), python=folder / "puppet")
    process = EncoderProcess(
        spec, log_path=folder / "log.txt", batch_timeout_s=20, start_timeout_s=20
    )
    try:
        with process:
            process.encode([probe_audio(0, 900)], labels=["a"])
            process.parameter_sums()
    except EncoderError as error:
        _is_sentence(str(error))
        return type(error).__name__
    info = process.info
    _can_be_stored(
        EncoderFacts(class_name=info.class_name, files=info.files, packages=info.packages)
    )
    return "believed"


NAMES = ["encoder.py", "net/layers.py", "weights.bin", "report.pdf", "submission.yaml"]
BAD_NAMES = ["../x", "/etc/x", "a\\..\\b", "C:x", "con", "a//b", "./a", "a/", "ENCODER.py", "a\0b"]
BAD_NAMES += ["\u202egnp", "e\u0301", "\xe9", "x" * 300, "a/" * 60 + "b", " ", ".", "..", "a."]
LIMITS = Limits(
    archive_bytes=1 << 20,
    total_bytes=1 << 21,
    file_bytes=1 << 20,
    entries=50,
    free_bytes=1 << 16,
)
_FIELDS = [0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 0x7FFFFFFF, 22, 46, 30, 8, 12, 99]


@contextlib.contextmanager
def archives(folder: Path) -> Iterator[Attempt]:
    """ZIPs, unpacked into a folder of their own beside one that must not change."""
    canary = folder / "canary"
    canary.mkdir()
    (canary / "x").write_text("as it was")

    def attempt(draw: random.Random) -> tuple[str, Callable[[], str]]:
        data = _archive(draw)
        for _ in range(draw.choice([0, 1, 1, 2, 3])):
            data = _with_field(draw, data) if draw.random() < 0.6 else _scratched(draw, data)
        return data.hex(), lambda: _unpack(data, folder)

    yield attempt


def _archive(draw: random.Random) -> bytes:
    stream = io.BytesIO()
    kinds = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED]
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name in draw.sample(NAMES, draw.randrange(len(NAMES) + 1)):
            if draw.random() < 0.1:
                name = draw.choice(BAD_NAMES)  # noqa: PLW2901
            info = zipfile.ZipInfo(name)
            info.compress_type = draw.choice(kinds)
            info.create_system = 3
            modes = [0o100644, 0o100755, 0o120777, 0o040755, 0o020666]
            info.external_attr = draw.choices(modes, [30, 10, 1, 1, 1])[0] << 16
            content = draw.choice([b"", b"x = 1\n", bytes(draw.choice([9, 70_000])), b"PK\x03\x04"])
            content += draw.randbytes(draw.choice([0, 1, 300]))
            with archive.open(info, "w", force_zip64=draw.random() < 0.2) as entry:
                entry.write(content)
        archive.comment = draw.choice([b"", b"", b"PK\x05\x06", draw.randbytes(30)])
    return stream.getvalue()


def _with_field(draw: random.Random, data: bytes) -> bytes:
    """Another value in a field of a header or of the directory."""
    magics = [b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"]
    magic = draw.choice([each for each in magics if each in data] or [b""])
    place = data.index(magic) + draw.randrange(4, 46)
    form = draw.choice(["<H", "<L", "<Q"])
    value = draw.choice(_FIELDS) & (1 << 8 * struct.calcsize(form)) - 1
    packed = struct.pack(form, value)
    return data[:place] + packed + data[place + len(packed) :]


def _scratched(draw: random.Random, data: bytes) -> bytes:
    return _cut(
        draw, data, draw.choice([b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"../", data])
    )


def _unpack(data: bytes, folder: Path) -> str:
    path, into = folder / "given.zip", folder / "into"
    path.write_bytes(data)
    try:
        entries = extract_archive(path, into, limits=LIMITS)
    except ArchiveError as error:
        _is_sentence(str(error))
        outcome = str(error.problems[0].verdict)
    else:
        outcome = "unpacked"
        files = {str(p.relative_to(into)): p for p in into.rglob("*") if p.is_file()}
        assert files.keys() == {entry.name for entry in entries}
        assert all(files[entry.name].stat().st_size == entry.size for entry in entries)
        assert not [p for p in into.rglob("*") if p.is_symlink()]
        assert sum(entry.size for entry in entries) <= LIMITS.total_bytes
    finally:
        shutil.rmtree(into, ignore_errors=True)
    assert sorted(p.name for p in folder.iterdir()) == ["canary", "given.zip"]
    assert (folder / "canary" / "x").read_text() == "as it was"
    return outcome


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


TARGETS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Attempt]]] = {
    "messages": messages,
    "processes": processes,
    "archives": archives,
}

if __name__ == "__main__":
    sys.exit(main())
