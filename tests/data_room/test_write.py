"""Shards are deterministic, complete and readable by any WebDataset reader."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest
import soundfile
import webdataset

from auricle.data.write import Sample, encode_flac, write_shard
from auricle.errors import DataError

TONE = np.sin(np.arange(1600) * 0.3).astype(np.float32) * 0.5


def _samples(count=3):
    for j in range(count):
        yield Sample(f"clip_{j:06d}", "flac", encode_flac(TONE * (j + 1) / 4), {"label": f"猫 {j}"})


def test_same_samples_give_the_same_bytes(tmp_path):
    digests = set()
    for name in ("a.tar.gz", "sub/b.tar.gz"):
        assert write_shard(tmp_path / name, _samples()) == 3
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_gzip_header_carries_neither_time_nor_name(tmp_path):
    write_shard(tmp_path / "a.tar.gz", _samples())
    head = (tmp_path / "a.tar.gz").read_bytes()[:10]
    # RFC 1952: magic, deflate, no flags (so no name), four bytes of time.
    assert head[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_audio_and_json_of_a_clip_lie_side_by_side(tmp_path):
    write_shard(tmp_path / "a.tar.gz", _samples(2))
    with tarfile.open(tmp_path / "a.tar.gz", "r:gz") as tar:
        members = tar.getmembers()
    names = [f"clip_{j:06d}.{suffix}" for j in range(2) for suffix in ("flac", "json")]
    assert [m.name for m in members] == names
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 0)}


def test_webdataset_reads_what_we_write(tmp_path):
    write_shard(tmp_path / "a.tar.gz", _samples())
    dataset = webdataset.WebDataset(str(tmp_path / "a.tar.gz"), shardshuffle=False).decode()
    seen = list(dataset)
    assert [s["__key__"] for s in seen] == ["clip_000000", "clip_000001", "clip_000002"]
    assert [s["json"]["label"] for s in seen] == ["猫 0", "猫 1", "猫 2"]


def test_flac_keeps_samples_to_half_a_sixteen_bit_step():
    audio, rate = soundfile.read(io.BytesIO(encode_flac(TONE)), dtype="float32")
    assert rate == 16_000
    # libsndfile scales by 2**15 on reading, we by 2**15 - 1 on writing, so that +1 fits.
    assert np.abs(audio - TONE).max() < 1 / 32768


def test_samples_outside_full_scale_are_clipped():
    audio, _ = soundfile.read(io.BytesIO(encode_flac(np.array([2, -2] * 50, np.float32))))
    assert audio.max() == 32767 / 32768
    assert audio.min() == -32767 / 32768


@pytest.mark.parametrize("key", ["", "a.b", "back\\slash"])
def test_a_key_with_a_dot_or_backslash_is_refused(tmp_path, key):
    with pytest.raises(DataError, match=r"cannot be the key of a clip in a\.tar\.gz"):
        write_shard(tmp_path / "a.tar.gz", [Sample(key, "flac", b"", {})])


def test_a_key_occurs_once(tmp_path):
    with pytest.raises(DataError, match=r"occurs once\. Rename the clip"):
        write_shard(tmp_path / "a.tar.gz", [*_samples(1), *_samples(1)])


def test_a_failing_writer_leaves_nothing_behind(tmp_path):
    def failing():
        yield from _samples(2)
        raise KeyError("the source broke")

    with pytest.raises(KeyError):
        write_shard(tmp_path / "a.tar.gz", failing())
    assert list(tmp_path.iterdir()) == []


def test_the_gzip_stream_holds_a_whole_tar(tmp_path):
    write_shard(tmp_path / "a.tar.gz", _samples())
    plain = gzip.decompress((tmp_path / "a.tar.gz").read_bytes())
    assert plain[-1024:] == bytes(1024)  # two empty blocks end a tar
