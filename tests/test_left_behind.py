"""What writers leave behind when they are killed, and who sweeps it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from auricle.errors import OutputError
from auricle.files import TEMPORARY_PREFIX, building_folder, scratch_folder


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_folder_that_a_killed_writer_left_goes_with_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / f"{TEMPORARY_PREFIX}build-killed"
    (left / "scratch" / "deep").mkdir(parents=True)
    (left / "scratch" / "deep" / "page.html").write_text("half")
    (left / ".lock").touch()
    age(left / ".lock", 3600)
    with building_folder(tmp_path / "site") as fresh:
        assert not left.exists()
        (fresh / "index.html").write_text("whole")
        fresh.rename(tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert (tmp_path / "site" / "index.html").read_text() == "whole"


def test_a_living_writers_folder_stays(tmp_path: Path) -> None:
    with building_folder(tmp_path / "a") as mine:
        age(mine.parent / ".lock", 3600)
        with building_folder(tmp_path / "b"):
            assert mine.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_other_peoples_folders_are_not_swept(tmp_path: Path) -> None:
    other = tmp_path / "mine" / ".lock"
    other.parent.mkdir()
    other.touch()
    age(other, 3600)
    with building_folder(tmp_path / "site"):
        pass
    assert other.exists()


def test_a_place_that_cannot_hold_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match=r"file.* cannot be written"),
        scratch_folder("auricle-test-", place=tmp_path / "file" / "below"),
    ):
        pass
