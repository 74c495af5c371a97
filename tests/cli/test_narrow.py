"""A terminal of 80 columns cuts no number, no verdict and no time."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from commands import command
from report_material import make_run

LONG = "a-rather-long-name-of-an-encoder-base-960h"


def on_terminal(columns: int, *arguments: str) -> str:
    """What a command prints on a terminal of so many columns, without its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        command(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm"},
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            data = os.read(ours, 65_536)
        except OSError:
            break
        if not data:
            break
        said += data
    os.close(ours)
    assert process.wait() == 0, said.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode()).replace("\r\n", "\n")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Six runs, with a seed each."""
    place = tmp_path_factory.mktemp("runs")
    made = []
    for name, hearing in ((LONG, 0.9), ("logmel", 0.6), ("noise", 0.0), ("d", 0.5), ("e", 0.7)):
        made.append(make_run(place / name, encoder=name, hearing=hearing, clips=40))
    made.append(make_run(place / "six", encoder="six", hearing=0.3, clips=40))
    return [str(run.path) for run in made]


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_a_pair_is_told_whole(columns: int, runs: list[str]) -> None:
    text = on_terminal(columns, "compare", *runs[:2])
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= columns
    first = " ".join(text.split())
    assert first.startswith(f"this run of {LONG} is better than this run of logmel, track A: +0.")
    number = r"[+-]0\.\d{3} \[[+-]\d\.\d{3}, [+-]\d\.\d{3}\]"
    for task in ("captions", "counting", "digits", "events", "tones", "words", "track A"):
        (row,) = [line for line in text.splitlines() if re.match(rf" ?{task} ", line)]
        assert re.search(rf"0\.\d{{3}} +0\.\d{{3}} +{number} .*(better|cannot tell)", row), row
    assert "0.0000" not in text.replace("<0.0001", "")


def test_six_runs_fit_a_screen(runs: list[str]) -> None:
    text = on_terminal(80, "compare", *runs)
    assert "…" not in text
    lines = text.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if re.match(r" ?words ", line)]
    assert len(re.findall(r"\d\.\d{3}", row)) == 6
    assert re.search(r"\d\.\d{3}-", row), "worse than the first"


def test_scores_and_their_notes_are_told_whole(runs: list[str]) -> None:
    text = on_terminal(80, "score", runs[0])
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_progress_bar_keeps_count_and_times(tmp_path: Path) -> None:
    from io import StringIO

    from auricle.cli.terminal import BarProgress, PlainConsole

    for width in (60, 80, 120):
        stream = StringIO()
        console = PlainConsole(file=stream, force_terminal=True, width=width)
        with BarProgress(console).stage("encode train and test", 321_919, "windows") as stage:
            stage.advance(123_456)
            stage.note("loss 0.1234, 12 windows a second and more that nobody needs to know")
        last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).split("\r")
        shown = [line for line in last if "123456/321919" in line]
        assert shown, stream.getvalue()
        assert re.search(r"123456/321919 windows 0:00:\d\d left", shown[-1]), shown[-1]
