"""Law 4: kill any process at any instant; the same command ends with the same bytes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from commands import QUICK, auricle, command, environment, predictions

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
    before = set(folder.glob(pattern))
    with subprocess.Popen(
        command(*arguments),
        env=environment(folder / "home"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 240
        while process.poll() is None:
            assert time.monotonic() < deadline, f"no {pattern} within the limit"
            if set(folder.glob(pattern)) - before:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.005)
    return False


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
        assert kill_when(broken, pattern, again), f"the run ended before it was killed in {stage}"
    auricle(*again, home=broken / "home")
    (run,) = (broken / "runs").glob("*/*")
    assert run.name == expected.name
    assert predictions(run) == predictions(expected)
    assert (run / "losses.jsonl").read_bytes() == (expected / "losses.jsonl").read_bytes()
    shutil.rmtree(broken)
