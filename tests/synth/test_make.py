"""Shards are made once, whole, and whatever was missing is made by the same call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest

from auricle.catalog.spec import Synthetic, Task
from auricle.errors import CatalogError, OutputError
from auricle.progress import SilentProgress
from auricle.synth.clips import make_clip
from auricle.synth.make import make_shards


def _task(name="synth-keyword", *, train=6, test=2, per_shard=3, shards="{0000..0001}", **more):
    values = {
        "name": name,
        "track": "a",
        "domain": "speech",
        "prompt": "Which word is spoken?",
        "metric": "accuracy",
        "train_field": "label",
        "test_field": "label",
        "repository": "auricle/synthetic",
        "revision": "v1",
        "train_shards": [f"{name}/train_{shards}.tar.gz"],
        "test_shards": [f"{name}/test_0000.tar.gz"],
        "synthetic": Synthetic(train_clips=train, test_clips=test, clips_per_shard=per_shard),
    }
    return Task(**{**values, **more})


def _make(tasks, home, workers=1):
    make_shards(tasks, home=home, workers=workers, progress=SilentProgress())


def _files(home):
    root = home / "shards" / "auricle" / "synthetic" / "v1"
    return {p.relative_to(root).as_posix(): p for p in root.rglob("*.tar.gz")}


def test_every_shard_of_both_sides_is_made(tmp_path):
    _make([_task()], tmp_path)
    assert sorted(_files(tmp_path)) == [
        "synth-keyword/test_0000.tar.gz",
        "synth-keyword/train_0000.tar.gz",
        "synth-keyword/train_0001.tar.gz",
    ]


def test_a_shard_holds_its_clips_in_order_under_the_task_split_and_number(tmp_path):
    _make([_task()], tmp_path)
    with tarfile.open(_files(tmp_path)["synth-keyword/train_0001.tar.gz"]) as tar:
        assert tar.getnames()[::2] == [f"synth-keyword_train_{j:06d}.flac" for j in (3, 4, 5)]
        label = make_clip("synth-keyword", split="train", index=4).fields["label"]
        member = tar.extractfile("synth-keyword_train_000004.json")
        assert member.read().decode() == f'{{"label": "{label}"}}'


def test_the_number_of_workers_changes_no_byte(tmp_path):
    for home, workers in ((tmp_path / "one", 1), (tmp_path / "three", 3)):
        _make([_task()], home, workers)
    one, three = _files(tmp_path / "one"), _files(tmp_path / "three")
    assert {n: p.read_bytes() for n, p in one.items()} == {
        n: p.read_bytes() for n, p in three.items()
    }


def test_what_is_there_is_left_alone_and_what_is_missing_is_made_again(tmp_path):
    _make([_task()], tmp_path)
    files = _files(tmp_path)
    kept, lost = files["synth-keyword/train_0000.tar.gz"], files["synth-keyword/test_0000.tar.gz"]
    stamp, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    (lost.parent / ".tmp-left-by-a-kill").write_bytes(b"half")
    _make([_task()], tmp_path)
    assert kept.stat().st_mtime_ns == stamp
    assert lost.read_bytes() == content
    assert not list(lost.parent.glob(".tmp-*"))


def test_nothing_is_touched_when_all_shards_are_there(tmp_path):
    _make([_task()], tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    _make([_task()], tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_progress_counts_the_clips(tmp_path):
    class Counting(SilentProgress):
        total, seen = 0.0, 0.0

        def stage(self, name, total, unit, *, done=0):
            self.total = total
            return super().stage(name, total, unit, done=done)

    progress = Counting()
    make_shards([_task()], home=tmp_path, workers=2, progress=progress)
    assert progress.total == 8


def test_tasks_with_real_data_are_passed_over(tmp_path):
    _make([_task(synthetic=None, repository="some/dataset", revision="main")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_task_that_the_synthesiser_does_not_know_is_refused(tmp_path):
    with pytest.raises(CatalogError, match="marked as synthetic, but the synthesiser does not"):
        _make([_task("synth-nothing")], tmp_path)


def test_another_revision_is_refused(tmp_path):
    with pytest.raises(CatalogError, match="at revision v0; this version of auricle makes"):
        _make([_task(revision="v0")], tmp_path)


def test_shards_must_fit_the_clips(tmp_path):
    with pytest.raises(CatalogError, match="so it needs 3 train shards; its file names 2"):
        _make([_task(train=9)], tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    folder = tmp_path / "shards" / "auricle" / "synthetic" / "v1"
    folder.mkdir(parents=True)
    (folder / "synth-keyword").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        _make([_task()], tmp_path)


PARENT = """
import sys
from pathlib import Path
from auricle.catalog.spec import Task
from auricle.progress import SilentProgress
from auricle.synth.make import make_shards
task = Task.model_validate_json(sys.argv[1])
make_shards([task], home=Path(sys.argv[2]), workers=2, progress=SilentProgress())
"""


def test_killed_and_restarted_it_ends_with_the_same_bytes(tmp_path):
    task = _task(train=240, per_shard=40, shards="{0000..0005}")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, task.model_dump_json(), str(tmp_path / "killed")]
    )
    give_up = time.monotonic() + 30
    while not _files(tmp_path / "killed") and time.monotonic() < give_up:
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    made = len(_files(tmp_path / "killed"))
    assert 0 < made < 7
    _make([task], tmp_path / "killed", 2)
    _make([task], tmp_path / "whole", 1)
    killed, whole = _files(tmp_path / "killed"), _files(tmp_path / "whole")
    assert {n: p.read_bytes() for n, p in killed.items()} == {
        n: p.read_bytes() for n, p in whole.items()
    }
    assert not list((tmp_path / "killed").rglob(".tmp-*"))


def test_a_worker_that_dies_before_its_first_job_is_one_sentence(tmp_path, monkeypatch):
    def start_dead():
        process = subprocess.Popen(
            [sys.executable, "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        process.wait()
        return process

    monkeypatch.setattr("auricle.synth.make._start", start_dead)
    with pytest.raises(OutputError, match="ended with code 0"):
        _make([_task(train=20, per_shard=20, shards="0000")], tmp_path)


def test_a_killed_worker_is_one_sentence(tmp_path):
    def kill_first_child():
        own = str(os.getpid())
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            listed = subprocess.run(
                ["ps", "-o", "pid=,args=", "--ppid", own],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for line in listed.splitlines():
                if "auricle.synth.worker" in line:
                    os.kill(int(line.split()[0]), signal.SIGKILL)
                    return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_first_child)
    killer.start()
    with pytest.raises(OutputError, match="ended with code -9"):
        _make([_task(train=3000, per_shard=3000, shards="0000")], tmp_path)
    killer.join()


def test_one_shard_is_not_made_by_two_processes_at_once(tmp_path):
    task = _task(train=60, per_shard=30)
    racers = [
        subprocess.Popen([sys.executable, "-c", PARENT, task.model_dump_json(), str(tmp_path)])
        for _ in range(2)
    ]
    assert [racer.wait() for racer in racers] == [0, 0]
    assert len(_files(tmp_path)) == 3
