"""Commands that are ended from outside: what they say, and what they leave."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_command_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    # A shell's background jobs ignore the interrupt and nohup's the hang-up, and so would what
    # they start.
    start = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        "sys.argv[0] = 'auricle'; from auricle.__main__ import main; main()"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", start, "run", "logmel", "--suite", "smoke", "--out", "runs"],
        cwd=tmp_path,
        env=os.environ | {"AURICLE_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "home").glob("shards/**/*")):
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for _ in range(6):  # where it arrives in a finaliser, Python drops it
        command.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(timeout=10)
            break
    _, said = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "interrupted; nothing is lost. Give the same command again to continue." in said
    assert "Traceback" not in said


BOUNDED = """
import sys
from pathlib import Path
from auricle.challenge.processes import Bounds, run_bounded
folder = Path(sys.argv[1])
words = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(300)"]
run_bounded(words, bounds=Bounds(300), logs=folder, name="x", folder=folder, environment={})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal for a lost parent")
def test_a_judge_that_is_killed_takes_its_commands_along(tmp_path: Path) -> None:
    judge = subprocess.Popen([sys.executable, "-c", BOUNDED, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not (tmp_path / "x.out").exists() or not (tmp_path / "x.out").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    stranger = int((tmp_path / "x.out").read_text())
    judge.kill()
    judge.wait(timeout=60)
    while Path(f"/proc/{stranger}").exists():
        state = Path(f"/proc/{stranger}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_damaged_manifest_is_a_sentence(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text('{"x')
    for words in (["score", "run"], ["report", "run"]):
        done = subprocess.run(
            [sys.executable, "-m", "auricle", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done
        assert "is damaged: it is no JSON" in done.stderr
        assert "Traceback" not in done.stderr
