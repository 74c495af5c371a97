"""Shards: where they are looked for, how they are unpacked, what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from auricle.catalog.spec import Task
from auricle.data.places import lock_commit, locked_commit, shard_folder
from auricle.data.shards import LockedShard, data_lock, prepare_shards
from auricle.errors import DataError, OutputError
from auricle.progress import SilentProgress
from making import write_tar

REPOSITORY = "owner/data"
COMMIT = "c" * 40


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """The folder that XARES_DATA_HOME names."""
    folder = tmp_path / "xares"
    monkeypatch.setenv("XARES_DATA_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def task(*shards: str, **changes: Any) -> Task:
    known = {"name": "mine", "track": "a", "domain": "sound", "prompt": "?", "metric": "accuracy"}
    return Task(**{**known, "repository": REPOSITORY, "train_shards": list(shards), **changes})


def tar_bytes(tmp_path: Path, text: str = "x", files: int = 3) -> bytes:
    members = [(f"{j}.json", json.dumps({"label": f"{text}{j}"}).encode()) for j in range(files)]
    return write_tar(tmp_path / "made.tar", members).read_bytes()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def prepared(one: Task, home: Path) -> tuple[LockedShard, ...]:
    return prepare_shards(one, "train", home=home, progress=SilentProgress())


class Heard(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)


def test_a_packed_shard_is_unpacked_once_and_locked_by_the_tars_hash(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    data = tar_bytes(tmp_path)
    packed = put(elsewhere / "a/b_0.tar.gz", gzip.compress(data))
    (shard,) = prepared(task("a/b_0.tar.gz"), home)
    assert shard.tar.read_bytes() == data
    assert shard.tar.is_relative_to(home / "shards" / REPOSITORY)
    assert (shard.sha256, shard.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert shard.download_sha256 == hashlib.sha256(packed.read_bytes()).hexdigest()
    assert (shard.repository, shard.commit, shard.name) == (REPOSITORY, "in-place", "a/b_0.tar.gz")
    first = shard.tar.stat().st_ino
    assert prepared(task("a/b_0.tar.gz"), home) == (shard,)
    assert shard.tar.stat().st_ino == first


def test_a_folder_read_in_place_is_never_written(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    put(elsewhere / "0.tar.gz", gzip.compress(tar_bytes(tmp_path)))
    put(elsewhere / "1.tar", tar_bytes(tmp_path))
    before = sorted(elsewhere.rglob("*"))
    elsewhere.chmod(0o555)
    shards = prepared(task("{0..1}.tar.gz"), home)
    assert [s.tar.parent == elsewhere for s in shards] == [False, True]
    assert sorted(elsewhere.rglob("*")) == before


def test_the_folder_xares_data_is_used_where_no_other_is_named(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "xares_data/0.tar", tar_bytes(tmp_path))
    assert prepared(task("0.tar"), home)[0].tar == tmp_path / "xares_data/0.tar"


def test_a_plain_tar_is_not_hashed_again_until_it_changes(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    path = put(elsewhere / "0.tar", tar_bytes(tmp_path, "x"))
    (before,) = prepared(task("0.tar"), home)
    stat = path.stat()
    put(path, tar_bytes(tmp_path, "y"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert prepared(task("0.tar"), home) == (before,)  # same size and time: the record is trusted
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    (after,) = prepared(task("0.tar"), home)
    assert after.sha256 == hashlib.sha256(tar_bytes(tmp_path, "y")).hexdigest() != before.sha256


def test_a_changed_source_is_unpacked_anew_and_a_touched_one_is_not(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    packed = put(elsewhere / "0.tar.gz", gzip.compress(tar_bytes(tmp_path, "x"), mtime=0))
    (before,) = prepared(task("0.tar.gz"), home)
    inode = before.tar.stat().st_ino
    os.utime(packed, ns=(1, 1))
    assert prepared(task("0.tar.gz"), home) == (before,)
    assert before.tar.stat().st_ino == inode
    changed = tar_bytes(tmp_path, "longer")
    put(packed, gzip.compress(changed, mtime=0))
    (after,) = prepared(task("0.tar.gz"), home)
    assert after.tar.read_bytes() == changed
    assert after.sha256 == hashlib.sha256(changed).hexdigest()


def test_a_damaged_copy_of_ours_is_unpacked_anew(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    data = tar_bytes(tmp_path)
    put(elsewhere / "0.tar.gz", gzip.compress(data))
    (shard,) = prepared(task("0.tar.gz"), home)
    shard.tar.write_bytes(data[:700])
    assert prepared(task("0.tar.gz"), home) == (shard,)
    assert shard.tar.read_bytes() == data


def test_a_copy_without_its_record_is_not_believed(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    data = tar_bytes(tmp_path)
    put(elsewhere / "0.tar.gz", gzip.compress(data))
    put(shard_folder(home, REPOSITORY, "in-place") / "0.tar", tar_bytes(tmp_path, "planted"))
    assert prepared(task("0.tar.gz"), home)[0].tar.read_bytes() == data


def test_what_a_killed_process_left_is_cleaned(tmp_path: Path, elsewhere: Path, home: Path) -> None:
    left = put(shard_folder(home, REPOSITORY, "in-place") / ".tmp-abc-0.tar", b"half")
    put(elsewhere / "0.tar.gz", gzip.compress(tar_bytes(tmp_path)))
    prepared(task("0.tar.gz"), home)
    assert not left.exists()


def test_gzip_members_in_a_row_are_one_tar(tmp_path: Path, elsewhere: Path, home: Path) -> None:
    data = tar_bytes(tmp_path)
    put(elsewhere / "0.tar.gz", gzip.compress(data[:1000]) + gzip.compress(data[1000:]) + b"\0" * 9)
    assert prepared(task("0.tar.gz"), home)[0].tar.read_bytes() == data


def test_our_own_downloads_are_found_by_the_locked_commit(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    assert locked_commit(home, REPOSITORY, "main") is None
    lock_commit(home, REPOSITORY, "main", COMMIT)
    lock_commit(home, REPOSITORY, "v2", "d" * 40)
    assert locked_commit(home, REPOSITORY, "main") == COMMIT
    assert locked_commit(home, REPOSITORY, "e" * 40) == "e" * 40
    put(shard_folder(home, REPOSITORY, COMMIT) / "0.tar", tar_bytes(tmp_path))
    (shard,) = prepared(task("0.tar.gz"), home)
    assert shard.commit == COMMIT
    put(elsewhere / "0.tar.gz", gzip.compress(tar_bytes(tmp_path)))
    assert prepared(task("0.tar.gz"), home)[0].commit == "in-place"


def test_a_file_brought_by_hand_is_found_under_the_revision(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    put(shard_folder(home, REPOSITORY, "main") / "0.tar.gz", gzip.compress(tar_bytes(tmp_path)))
    assert prepared(task("0.tar.gz"), home)[0].commit == "main"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"no archive at all" * 99, "is no complete tar archive"),
        (b"\0" * 10240, "holds no files"),
        (gzip.compress(b"no archive at all" * 99), "is no complete tar archive"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(b"x" * 9000)[:-9], "is a gzip file that is cut short"),
        (b"\x1f\x8bno gzip", "is a damaged gzip file"),
        (b"BZh91AY&SY" * 60, "is no complete tar archive"),
    ],
    ids=["empty", "text", "zeros", "gz-text", "gz-empty", "gz-cut", "gz-damaged", "bzip2"],
)
def test_a_broken_shard_is_named_with_what_is_wrong(
    elsewhere: Path, home: Path, data: bytes, problem: str
) -> None:
    put(elsewhere / "0.tar.gz", data)
    with pytest.raises(DataError, match=rf"Task mine: shard 0.tar.gz {problem}.*Remove it, then"):
        prepared(task("0.tar.gz"), home)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("keep", [700, 1024 + 100, 2048 + 200])
def test_a_truncated_tar_is_refused(
    tmp_path: Path, elsewhere: Path, home: Path, pack: Any, keep: int
) -> None:
    put(elsewhere / "0.tar", pack(tar_bytes(tmp_path)[:keep]))
    with pytest.raises(DataError, match=r"is no complete tar archive|is cut short"):
        prepared(task("0.tar"), home)


def test_a_header_that_is_damaged_in_the_middle_is_refused(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    data = bytearray(tar_bytes(tmp_path))
    data[1024:1536] = b"\xff" * 512
    put(elsewhere / "0.tar", bytes(data))
    with pytest.raises(DataError, match=r"shard 0.tar is damaged after 1 files"):
        prepared(task("0.tar"), home)


def test_all_broken_shards_are_named_at_once(tmp_path: Path, elsewhere: Path, home: Path) -> None:
    put(elsewhere / "0.tar", b"")
    put(elsewhere / "1.tar", tar_bytes(tmp_path))
    put(elsewhere / "2.tar", b"junk" * 200)
    with pytest.raises(DataError, match=r"shard 0.tar is empty.*; shard 2.tar is no complete tar"):
        prepared(task("{0..2}.tar"), home)


def test_a_tar_without_its_end_mark_is_used_with_a_warning(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    data = tar_bytes(tmp_path, files=1)
    put(elsewhere / "0.tar", data[:1024])
    heard = Heard()
    assert len(prepare_shards(task("0.tar"), "train", home=home, progress=heard)) == 1
    assert "lacks the mark that ends a tar" in heard.lines[0]


def test_missing_shards_say_which_from_where_and_how(elsewhere: Path, home: Path) -> None:
    expected = (
        r"5 of 5 train shards of task mine are missing: 0.tar.gz, 1.tar.gz, 2.tar.gz and 2 more. "
        r"They lie at https://huggingface.co/datasets/owner/data: fetch them with 'auricle data "
        r"fetch mine', or put them at .*xares/<path> or .*shards/owner/data/main/<path>"
    )
    with pytest.raises(DataError, match=expected):
        prepared(task("{0..4}.tar.gz"), home)


def test_missing_synthetic_shards_say_how_to_make_them(elsewhere: Path, home: Path) -> None:
    counts = {"train_clips": 1, "test_clips": 1, "clips_per_shard": 1}
    with pytest.raises(DataError, match="Make them: auricle data make mine"):
        prepared(task("0.tar.gz", synthetic=counts), home)


def test_a_task_without_shards_of_a_side_is_refused(home: Path) -> None:
    with pytest.raises(DataError, match="Task mine has no test shards"):
        prepare_shards(task("0.tar"), "test", home=home, progress=SilentProgress())


def test_local_files_and_globs_are_named_from_the_suites_folder(tmp_path: Path, home: Path) -> None:
    for name in ("x/b_1.tar", "x/b_0.tar", "y/c.tar"):
        put(tmp_path / "suite" / name, tar_bytes(tmp_path, name))
    one = task("x/b_*.tar", "y/c.tar", repository=None, folder=str(tmp_path / "suite"))
    shards = prepared(one, home)
    assert [s.name for s in shards] == ["x/b_0.tar", "x/b_1.tar", "y/c.tar"]
    assert {s.repository for s in shards} == {"local"}


def test_a_glob_that_matches_nothing_is_refused(tmp_path: Path, home: Path) -> None:
    one = task("x/*.tar", repository=None, folder=str(tmp_path))
    with pytest.raises(DataError, match=r"pattern 'x/\*.tar' matches no file below"):
        prepared(one, home)


def test_a_missing_local_file_is_refused(tmp_path: Path, home: Path) -> None:
    one = task("x.tar", repository=None, folder=str(tmp_path))
    with pytest.raises(DataError, match=r"1 of 1 train shards .*: x.tar. Correct the path"):
        prepared(one, home)


def test_a_shard_that_is_listed_twice_is_refused(tmp_path: Path, home: Path) -> None:
    put(tmp_path / "x.tar", tar_bytes(tmp_path))
    one = task("x.tar", "*.tar", repository=None, folder=str(tmp_path))
    with pytest.raises(DataError, match=r"Task mine lists train shards twice: x.tar"):
        prepared(one, home)


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path, elsewhere: Path) -> None:
    put(elsewhere / "0.tar.gz", gzip.compress(tar_bytes(tmp_path)))
    blocked = put(tmp_path / "blocked", b"a file, not a folder")
    with pytest.raises(OutputError, match="cannot be written"):
        prepared(task("0.tar.gz"), blocked)


def test_the_data_lock_says_what_was_read_by_content(
    tmp_path: Path, elsewhere: Path, home: Path
) -> None:
    data = tar_bytes(tmp_path)
    put(elsewhere / "0.tar.gz", gzip.compress(data))
    assert data_lock(prepared(task("0.tar.gz"), home), clips=3).to_json() == {
        "repository": REPOSITORY,
        "commit": "in-place",
        "clips": 3,
        "shards": [
            {
                "name": "0.tar.gz",
                "size": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        ],
    }
