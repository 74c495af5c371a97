"""A report's audio is found by its shards' content, wherever they lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from auricle.catalog.spec import Task
from auricle.data.places import find_shards
from auricle.data.recall import LockedAudio
from auricle.data.tables import open_tables
from auricle.data.unpack import install
from auricle.data.write import Sample, write_shard
from auricle.progress import SilentProgress
from making import PITCH, audio_bytes, tone, write_tar

ADDRESS = "http://localhost:1/data/part-0.tar"
MEMBERS = [("a.flac", audio_bytes(tone(300, 0.5))), ("a.json", b'{"label": "low"}')]


def heard(task: Task, home: Path) -> LockedAudio:
    """The audio of a task's lock, after it was opened as a run opens it."""
    table = open_tables([task], "test", home=home, workers=1, progress=SilentProgress())["t"]
    return LockedAudio({"t": table.lock()}, home=home)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", ["own", "in place", "repository"])
def test_a_clip_is_found_where_its_shard_lies(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, kind: str, packed: bool
) -> None:
    name = "part-0.tar.gz" if packed else "part-0.tar"
    folder = {
        "own": tmp_path / "own",
        "in place": tmp_path / "xares",
        "repository": home / "shards/some/data/main",
    }[kind]
    if packed:
        folder.mkdir(parents=True)
        write_shard(folder / name, [Sample("a", "flac", MEMBERS[0][1], {"label": "low"})])
    else:
        write_tar(folder / name, MEMBERS)
    monkeypatch.setenv("XARES_DATA_HOME", str(tmp_path / "xares"))
    where = {"folder": str(folder)} if kind == "own" else {"repository": "some/data"}
    task = Task(name="t", test_shards=[name], **where, **PITCH)
    audio = heard(task, home)("t", "part-0/a")
    assert audio is not None
    assert len(audio) == 8_000


def test_a_clip_of_a_shard_with_an_address_is_found(tmp_path: Path, home: Path) -> None:
    task = Task(name="t", test_shards=[ADDRESS], **PITCH)
    (place,) = find_shards(task, "test", home=home)
    install(write_tar(tmp_path / "part", MEMBERS), place.plain, source=ADDRESS)
    audio = heard(task, home)
    lock = audio._locks["t"]
    clip = f"{lock.shards[0].name.removesuffix('.tar')}/a"
    assert audio("t", clip) is not None


def test_a_data_home_that_was_moved_is_still_read(tmp_path: Path, home: Path) -> None:
    write_tar(home / "shards/some/data/main/part-0.tar", MEMBERS)
    task = Task(name="t", test_shards=["part-0.tar"], repository="some/data", **PITCH)
    locks = heard(task, home)._locks
    shutil.move(home, tmp_path / "moved")
    assert LockedAudio(locks, home=tmp_path / "moved")("t", "part-0/a") is not None
    assert LockedAudio(locks, home=home)("t", "part-0/a") is None
