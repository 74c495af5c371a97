"""The byte index: it finds the very bytes, survives damage and refuses broken shards."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auricle.catalog.spec import Task
from auricle.data.clips import AudioSource, ClipTable
from auricle.data.index import index_path, open_indexes
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
    assert (len(table), table.left_out) == (1, 2)


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
