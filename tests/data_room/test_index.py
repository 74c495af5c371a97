"""The byte index: it finds the very bytes, survives damage and refuses broken shards."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auricle.catalog.spec import Task
from auricle.data.clips import AudioSource, ClipTable
from auricle.data.index import LeftOut, index_path, open_indexes
from auricle.data.shards import LockedShard
from auricle.data.tables import collect_asked_clips
from auricle.errors import DataError
from auricle.progress import SilentProgress
from making import audio_bytes, locked, tone, write_tar


def opened(home: Path, *shards: LockedShard) -> ClipTable:
    indexes = open_indexes(shards, home=home, workers=2, progress=SilentProgress())
    return ClipTable(shards, indexes)


def test_offsets_are_those_that_tarfile_reads(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    clips = {f"clip{j}": audio_bytes(tone(200 + j, 0.1 + j / 100)) for j in range(5)}
    shard = make_shard([(key, "flac", data, {"label": key}) for key, data in clips.items()])
    table = opened(home, shard)
    source = AudioSource([table])
    assert [table.clip_id(j) for j in range(5)] == [f"shard/clip{j}" for j in range(5)]
    with tarfile.open(shard.tar) as tar:
        for j, key in enumerate(clips):
            member = tar.extractfile(f"{key}.flac")
            assert member is not None
            assert source.encoded(table.window(j))[0] == member.read()
            assert table.fields(j) == {"label": key}
            assert table.window(j).duration_s == pytest.approx(0.1 + j / 100)


def test_clips_are_numbered_by_shard_then_by_place(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    audio = audio_bytes(tone(300, 0.1))
    a = make_shard([("x", "flac", audio, {"n": 0}), ("y", "flac", audio, {"n": 1})], "a.tar")
    b = make_shard([("x", "flac", audio, {"n": 2})], "b.tar")
    table = opened(home, b, a)
    assert [table.clip_id(j) for j in range(3)] == ["b/x", "a/x", "a/y"]
    assert [table.place(j) for j in range(3)] == [(0, 0), (1, 0), (1, 1)]
    assert [table.fields(j)["n"] for j in range(3)] == [2, 0, 1]


def test_clips_of_one_key_are_not_asked(make_shard: Callable[..., LockedShard], home: Path) -> None:
    audio = audio_bytes(tone(300, 0.1))
    shard = make_shard([(key, "flac", audio, {"text": "x"}) for key in ("x", "y", "x")])
    facts = {"track": "a", "domain": "sound", "prompt": "?", "metric": "accuracy"}
    task = Task(name="pitch", test_shards=["shard.tar"], **facts)
    with pytest.raises(DataError, match=r"Task pitch: shard/x stand in their shards more than"):
        collect_asked_clips(task, opened(home, shard))


def test_an_index_is_found_by_content_and_read_again(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    shard = make_shard([("x", "flac", audio_bytes(tone(300, 0.1)), {"n": 0})])
    first = opened(home, shard)
    path = index_path(home, shard.sha256)
    written = path.stat().st_mtime_ns
    again = opened(home, shard)
    assert path.stat().st_mtime_ns == written
    assert again.indexes[0].keys == first.indexes[0].keys
    np.testing.assert_array_equal(again.indexes[0].audio_offset, first.indexes[0].audio_offset)


def test_a_damaged_index_is_built_again(make_shard: Callable[..., LockedShard], home: Path) -> None:
    shard = make_shard([("x", "flac", audio_bytes(tone(300, 0.1)), {"n": 0})])
    opened(home, shard)
    path = index_path(home, shard.sha256)
    path.write_bytes(path.read_bytes()[:100])
    assert len(opened(home, shard)) == 1


def test_members_that_belong_to_no_complete_clip_are_counted(tmp_path: Path, home: Path) -> None:
    audio = audio_bytes(tone(300, 0.1))
    members = [("a.flac", audio), ("a.json", b"{}"), ("b.flac", audio), ("c.json", b"{}")]
    table = opened(home, locked(write_tar(tmp_path / "s.tar", members)))
    assert (len(table), table.left_out) == (1, LeftOut(incomplete=2))


def tar_of(path: Path, members: list[tuple[str | bytes, bytes, dict[str, object]]]) -> LockedShard:
    """A tar of members with fields of their own; names may be bytes."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        for name, data, fields in members:
            text = name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
            info = tarfile.TarInfo(text)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))
    return locked(path)


AUDIO = audio_bytes(tone(300, 0.1))
KINDS = ("flac", "json")


@pytest.mark.parametrize(
    ("members", "keys", "left_out"),
    [
        # macOS writes a file of its own before each; what begins with a dot parts no clip
        (["._a.flac", "a.flac", "._a.json", "a.json"], ["a"], LeftOut(hidden=2)),
        (["a.flac", "x/._a.json", "a.json"], ["a"], LeftOut(hidden=1)),
        # the same key twice in a row is two clips, as it is where another one stands between
        (["a.flac", "a.json", "a.flac", "a.json"], ["a", "a"], LeftOut()),
        (["a.flac", "a.wav", "a.json"], ["a"], LeftOut(second=1)),
        (["a.json", "a.json", "a.flac"], ["a"], LeftOut(second=1)),
        (["a.flac", "a.json", "a.wav"], ["a"], LeftOut(apart=0, incomplete=1)),
        # sorted by kind, not by name
        (["a.flac", "b.flac", "a.json", "b.json", "c.flac", "c.json"], ["c"], LeftOut(apart=4)),
        (["a.flac", "a.txt", "a.json", "README.txt"], ["a"], LeftOut(others=1)),
        (["A.FLAC", "A.JSON", "./b.flac", "./b.json"], ["A", "b"], LeftOut()),
        (["a.b.flac", "a.b.json", "c.flac", "c.json"], ["c"], LeftOut(others=2)),
    ],
)
def test_what_is_in_no_clip_is_counted_by_kind(
    members: list[str], keys: list[str], left_out: LeftOut, tmp_path: Path, home: Path
) -> None:
    audio = {"flac": AUDIO, "wav": AUDIO}
    shard = tar_of(
        tmp_path / "s.tar",
        [(n, audio.get(n.rpartition(".")[2].lower(), b"{}"), {}) for n in members],
    )
    table = opened(home, shard)
    assert [table.indexes[0].keys[j] for j in range(len(table))] == keys
    assert table.left_out == left_out
    again = opened(home, shard)  # from the file
    assert again.left_out == left_out
    assert again.select([0]).left_out == LeftOut()


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_links_are_counted(kind: bytes, tmp_path: Path, home: Path) -> None:
    link = {"type": kind, "linkname": "a.flac"}
    members = [("a.flac", AUDIO, {}), ("a.json", b"{}", {}), ("b.flac", b"", link)]
    members += [("b.json", b"{}", {}), ("c.txt", b"", link), ("d", b"", {"type": tarfile.DIRTYPE})]
    table = opened(home, tar_of(tmp_path / "s.tar", members))
    assert (len(table), table.left_out) == (1, LeftOut(incomplete=1, links=1))
    assert table.left_out.texts(lost_only=True) == [
        "1 file in no complete clip (audio + JSON)",
        "1 links to audio or JSON (pack the files themselves: tar --dereference "
        "--hard-dereference)",
    ]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (b"caf\xe9", "caf%E9"),  # Latin-1
        ("\u72d7".encode("gbk"), "%B9%B7"),
        ("caf\u00e9".encode(), "caf\u00e9"),
        (b"\xed\xa0\x80", "%ED%A0%80"),  # half of a surrogate pair
    ],
)
def test_names_that_are_no_utf_8_are_read(
    name: bytes, key: str, tmp_path: Path, home: Path
) -> None:
    members = [(name + b".flac", AUDIO, {}), (name + b".json", b'{"n": 1}', {})]
    table = opened(home, tar_of(tmp_path / "s.tar", members))
    assert table.clip_id(0) == f"s/{key}"
    assert table.fields(0) == {"n": 1}
    assert opened(home, table.shards[0]).clip_id(0) == f"s/{key}"


def test_a_sparse_member_is_named(tmp_path: Path, home: Path) -> None:
    tar = shutil.which("tar")
    if tar is None:
        pytest.skip("no tar program here")
    with (tmp_path / "a.flac").open("wb") as stream:
        stream.write(AUDIO)
        stream.truncate(1 << 20)
    (tmp_path / "a.json").write_text("{}")
    made = subprocess.run(
        [tar, "--sparse", "--format=gnu", "-cf", "s.tar", "a.flac", "a.json"],
        cwd=tmp_path,
        check=False,
    )
    assert made.returncode == 0
    with pytest.raises(DataError, match=r"s\.tar holds 1 sparse members.* \(a\.flac\).*--sparse"):
        opened(home, locked(tmp_path / "s.tar"))


def test_a_second_archive_behind_the_first_is_refused(tmp_path: Path, home: Path) -> None:
    members = [("a.flac", AUDIO, {}), ("a.json", b"{}", {})]
    one = tar_of(tmp_path / "one.tar", members).tar.read_bytes()
    both = tmp_path / "both.tar"
    both.write_bytes(one + one)
    with pytest.raises(DataError, match=rf"second archive behind its end, at byte {len(one):,}"):
        opened(home, locked(both))
    both.write_bytes(one + bytes(2_000_384) + one)
    with pytest.raises(DataError, match=rf"at byte {len(one) + 2_000_384:,}"):
        opened(home, locked(both))
    both.write_bytes(one + bytes(99_840))  # padding alone
    assert len(opened(home, locked(both))) == 1


@pytest.mark.parametrize("kept", [1, 100, 511])
def test_an_archive_that_was_cut_in_a_header_is_refused(
    kept: int, tmp_path: Path, home: Path
) -> None:
    members = [(f"{k}.{s}", AUDIO if s == "flac" else b"{}", {}) for k in "ab" for s in KINDS]
    whole = tar_of(tmp_path / "whole.tar", members).tar.read_bytes()
    second = whole.index(b"b.flac")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: second + kept])
    with pytest.raises(DataError, match=rf"cut\.tar is cut or damaged at byte {second:,}"):
        opened(home, locked(cut))


def test_an_archive_that_was_cut_between_members_is_said(tmp_path: Path, home: Path) -> None:
    members = [(f"{k}.{s}", AUDIO if s == "flac" else b"{}", {}) for k in "ab" for s in KINDS]
    whole = tar_of(tmp_path / "whole.tar", members).tar.read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: whole.index(b"b.flac")])
    table = opened(home, locked(cut))
    assert (len(table), table.left_out) == (1, LeftOut(unmarked=1))
    assert table.left_out.texts() == ["1 archives end without an end mark and may have been cut"]
    assert table.left_out.texts(lost_only=True) == []


def test_a_damaged_header_in_the_middle_is_no_end(tmp_path: Path, home: Path) -> None:
    members = [(f"{k}.{s}", AUDIO if s == "flac" else b"{}", {}) for k in "ab" for s in KINDS]
    data = bytearray(tar_of(tmp_path / "whole.tar", members).tar.read_bytes())
    second = data.index(b"b.flac")
    data[second + 148 : second + 156] = b"0000000\0"  # the header's checksum
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(data)
    with pytest.raises(DataError, match=rf"is cut or damaged at byte {second:,}"):
        opened(home, locked(damaged))


def test_a_second_archive_of_the_oldest_format_is_found(tmp_path: Path, home: Path) -> None:
    members = [("a.flac", AUDIO, {}), ("a.json", b"{}", {})]
    one = tar_of(tmp_path / "one.tar", members).tar.read_bytes()
    old = bytearray(one)
    for start in (0, one.index(b"a.json")):
        header = old[start : start + 512]
        header[257:265] = bytes(8)  # version 7 has no magic
        header[148:156] = b" " * 8
        header[148:156] = f"{sum(header):06o}\0 ".encode()
        old[start : start + 512] = header
    both = tmp_path / "both.tar"
    both.write_bytes(one + bytes(old))
    with pytest.raises(DataError, match=rf"second archive behind its end, at byte {len(one):,}"):
        opened(home, locked(both))


def test_unsorted_archives_are_told_how_to_be_sorted(tmp_path: Path, home: Path) -> None:
    names = ["a.flac", "b.flac", "a.json", "b.json"]
    shard = tar_of(tmp_path / "s.tar", [(n, AUDIO if "flac" in n else b"{}", {}) for n in names])
    with pytest.raises(DataError, match=r"holds no clip .* 4 files .*tar --sort=name"):
        opened(home, shard)


def test_json_that_is_nested_deep_is_named(tmp_path: Path, home: Path) -> None:
    deep = b'{"n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    table = opened(
        home, locked(write_tar(tmp_path / "s.tar", [("a.flac", AUDIO), ("a.json", deep)]))
    )
    with pytest.raises(DataError, match=r"JSON of clip s/a cannot be read"):
        table.fields(0)


def test_more_shards_than_open_files_can_be_read(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    """120 shards, 120 feature batches and a limit of 100 open files, in a process of its own."""
    for number in range(120):
        make_shard([(f"k{number}", "flac", AUDIO, {"n": number})], f"s{number:03}.tar")
    folder = next(iter(home.parent.glob("s000.tar"))).parent
    script = f"""
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from auricle.data.clips import AudioSource, ClipTable
from auricle.data.index import open_indexes
from auricle.data.shards import LockedShard
from auricle.features.store import FeatureStore
from auricle.files import sha256_file
from auricle.progress import SilentProgress
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
paths = sorted(Path({str(folder)!r}).glob("s*.tar"))
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from making import locked
shards = [locked(path) for path in paths]
indexes = open_indexes(shards, home=Path({str(home)!r}), workers=2, progress=SilentProgress())
table = ClipTable(shards, indexes)
source = AudioSource([table])
with ThreadPoolExecutor(8) as pool:
    for turn in range(2):
        fields = list(pool.map(table.fields, range(len(table))))
        samples = list(pool.map(lambda clip: source.samples(table.window(clip)), range(len(table))))
assert [one["n"] for one in fields] == list(range(120)), fields
assert all(np.array_equal(one, samples[0]) for one in samples)
store = FeatureStore(Path({str(home)!r}) / "features", dtype="float32", dim=3)
for number in range(120):
    store.write(f"{{number:064x}}", [np.full((2, 3), number, np.float32)])
for turn in range(2):
    for number in range(120):
        assert (store.read(f"{{number:064x}}", 0) == number).all()
print(len(table))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "120\n", "")


def test_audio_without_a_readable_header_is_marked(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    good = audio_bytes(tone(300, 0.1))
    shard = make_shard([("a", "flac", b"rubbish", {}), ("b", "flac", good, {})])
    table = opened(home, shard)
    assert [table.readable(j) for j in range(2)] == [False, True]


def test_broken_shards_are_named_together(
    make_shard: Callable[..., LockedShard], home: Path, tmp_path: Path
) -> None:
    good = make_shard([("a", "flac", audio_bytes(tone(300, 0.5)), {})], "good.tar")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(good.tar.read_bytes()[:900])
    text = tmp_path / "text.tar"
    text.write_bytes(b"this is no tar archive" * 100)
    empty = write_tar(tmp_path / "empty.tar", [])
    with pytest.raises(DataError, match=r"cut\.tar") as caught:
        opened(home, good, locked(cut), locked(text), locked(empty))
    assert "text.tar" in str(caught.value)
    assert "empty.tar" in str(caught.value)
    assert "good.tar" not in str(caught.value)


def test_json_that_is_no_object_is_named(tmp_path: Path, home: Path) -> None:
    members = [("a.flac", audio_bytes(tone(300, 0.1))), ("a.json", b"[1, 2]")]
    table = opened(home, locked(write_tar(tmp_path / "s.tar", members)))
    with pytest.raises(DataError, match="clip s/a is a list, expected an object"):
        table.fields(0)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (b"caf\xe9", "caf%E9"),
        (b"caf%E9", "caf%25E9"),
        (b"caf%25E9", "caf%2525E9"),
        (b"100%", "100%"),
        (b"50%off", "50%off"),
        (b"a\nb", "a%0Ab"),
        (b"a%0Ab", "a%250Ab"),
        (b"\x1b[31mred", "%1B[31mred"),
        ("\u0085".encode(), "%C2%85"),
        (b"../up", "../up"),
        (b"/top", "/top"),
    ],
)
def test_no_two_names_are_one_key_and_none_can_move_a_cursor(
    name: bytes, key: str, tmp_path: Path, home: Path
) -> None:
    members: list[tuple[str | bytes, bytes, dict[str, object]]] = [
        (name + b".flac", AUDIO, {}),
        (name + b".json", b"{}", {}),
    ]
    table = opened(home, tar_of(tmp_path / "s.tar", members))
    assert table.indexes[0].keys == (key,)


def test_members_that_are_no_files_are_counted(tmp_path: Path, home: Path) -> None:
    members: list[tuple[str | bytes, bytes, dict[str, object]]] = [
        ("a.flac", AUDIO, {}),
        ("a.json", b"{}", {}),
        ("pipe.flac", b"", {"type": tarfile.FIFOTYPE}),
        ("device.json", b"", {"type": tarfile.CHRTYPE}),
        ("folder", b"", {"type": tarfile.DIRTYPE}),
        ("link.flac", b"", {"type": tarfile.SYMTYPE, "linkname": "a.flac"}),
    ]
    table = opened(home, tar_of(tmp_path / "s.tar", members))
    assert table.left_out == LeftOut(links=1, others=2)
