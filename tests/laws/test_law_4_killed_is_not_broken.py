"""Law 4: kill any process at any instant; the same command ends with the same bytes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

from auricle import RunOptions, run
from auricle.encoder.host import EncoderProcess
from auricle.encoder.load import parse_encoder
from auricle.errors import OutputError
from auricle.files import TEMPORARY_PREFIX, make_folder, write_bytes
from commands import QUICK, auricle, command, environment, predictions
from making import audio_bytes, tone, write_tar

STAGES = {
    "shards": "home/shards/**/*.tar.gz",
    "index": "home/index/**/*.npz",
    "encode": "home/features/**/*.bin",
    "train": "runs/**/checkpoints/*",
    "answer": "runs/**/predictions/*.parts/*.jsonl",
}
"""What appears on disk when a stage has committed its first unit."""


def kill_when(folder: Path, pattern: str, arguments: list[str]) -> bool:
    """Start the command, kill it with SIGKILL once a new file matches; False = it ended first."""

    def committed() -> set[Path]:
        return {path for path in folder.glob(pattern) if not path.name.startswith(TEMPORARY_PREFIX)}

    before = committed()
    with subprocess.Popen(
        command(*arguments),
        env=environment(folder / "home"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 240
        while process.poll() is None:
            assert time.monotonic() < deadline, f"no {pattern} within the limit"
            if committed() - before:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.005)
    return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(made, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here; it takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(small_disk: Path) -> None:
    path = small_disk / "features.bin"
    write_bytes(path, b"old")
    with pytest.raises(OutputError, match=r"is full. Free some space and give the same command"):
        write_bytes(path, bytes(100_000))
    assert [p.name for p in small_disk.iterdir()] == ["features.bin"]
    assert path.read_bytes() == b"old"
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    write_bytes(path, bytes(100_000))
    assert path.stat().st_size == 100_000


def test_a_read_only_disk_is_a_sentence(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for work in (
        lambda: make_folder(small_disk),
        lambda: make_folder(small_disk / "shards"),
        lambda: write_bytes(small_disk / "features.bin", b"new"),
        lambda: EncoderProcess(parse_encoder("logmel"), log_path=small_disk / "log.txt").start(),
    ):
        with pytest.raises(OutputError, match=r"is on a read-only file system. Choose another"):
            work()


def full_from(name: str) -> Callable[[int], None]:
    """An ``os.fsync`` of a disk that is full once a file of this name is written."""
    sync, full = os.fsync, False

    def refuse(descriptor: int) -> None:
        nonlocal full
        full = full or Path(f"/proc/self/fd/{descriptor}").readlink().name.endswith(f"-{name}")
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    return refuse


@pytest.fixture
def one_thread() -> Iterator[None]:
    # Tiny products gain nothing from a second thread, and lose much where the cores are busy.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_disk_that_fills_up_while_training_or_answering_stops_the_run_in_a_sentence(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in ("train", "test"):
        members = []
        for j in range(8):
            members += [(f"{side}{j}.flac", audio_bytes(tone(300 + 30 * j, 0.5)))]
            members += [(f"{side}{j}.json", json.dumps({"label": f"tone {j % 2}"}).encode())]
        write_tar(tmp_path / f"{side}.tar", members)
    task = {"prompt": "Which?", "metric": "accuracy", "train_field": "label", "weight": 1}
    task |= {"train_shards": ["train.tar"], "test_shards": ["test.tar"], "test_field": "label"}
    (tmp_path / "tones.yaml").write_text(
        yaml.safe_dump({"name": "tones", "recipe": "mini", "tasks": {"tone": task}})
    )
    settings = ("train.steps=60", "train.batch_size=8", "answer.max_new_tokens=4")

    def measure(out: str) -> Path:
        options = RunOptions(out=tmp_path / out, settings=settings)
        return run("logmel", str(tmp_path / "tones.yaml"), options=options).folder.path

    expected = measure("whole")
    broken = tmp_path / "broken"
    for name in ("step-0000050.safetensors", "000000.jsonl"):
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full_from(name))
            with pytest.raises(OutputError, match=r"is full. Free some space and give") as stopped:
                measure("broken")
        assert (stopped.value.exit_code, str(stopped.value).count("\n")) == (2, 0)
        assert not list(broken.rglob(name))
        assert not list(broken.rglob(f"{TEMPORARY_PREFIX}*"))
    found = measure("broken")
    assert predictions(found) == predictions(expected)
    for name in ("losses.jsonl", "checkpoints/final.safetensors"):
        assert (found / name).read_bytes() == (expected / name).read_bytes()


@pytest.mark.slow
def test_a_run_killed_in_every_stage_ends_with_the_same_bytes(
    shared_home: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    arguments = ["run", "logmel", "--suite", "synth-keyword", "--quiet", *QUICK]
    auricle(*arguments, "--out", whole, home=shared_home)
    (expected,) = whole.glob("*/*")

    broken = tmp_path / "broken"
    broken.mkdir()
    again = [*arguments, "--out", str(broken / "runs")]
    for stage, pattern in STAGES.items():
        for _ in range(5):
            if kill_when(broken, pattern, again):
                break
            for answered in broken.glob("runs/*/*/predictions"):  # it was faster: answer again
                shutil.rmtree(answered)
        else:
            pytest.fail(f"the run ended before it was killed in {stage}")
    auricle(*again, home=broken / "home")
    (run,) = (broken / "runs").glob("*/*")
    assert run.name == expected.name
    assert predictions(run) == predictions(expected)
    assert (run / "losses.jsonl").read_bytes() == (expected / "losses.jsonl").read_bytes()
    shutil.rmtree(broken)
