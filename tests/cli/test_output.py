"""What every command writes: warnings that are never dropped, any terminal's encoding."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from commands import auricle, command, environment
from making import audio_bytes, tone, write_tar

TASK = """prompt: q
metric: accuracy
train_field: label
test_field: label
train_shards: [train.tar]
test_shards: [test.tar]
"""


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task whose test shard has a clip without JSON."""
    audio = audio_bytes(tone(300, 0.2))
    clip = [("a.flac", audio), ("a.json", b'{"label": "low"}')]
    other = [("b.flac", audio_bytes(tone(400, 0.2))), ("b.json", b'{"label": "high"}')]
    write_tar(tmp_path / "train.tar", [*clip, *other])
    write_tar(tmp_path / "test.tar", [*clip, ("c.flac", audio)])
    path = tmp_path / "t.yaml"
    path.write_text(TASK, encoding="utf-8")
    return path


def test_quiet_shows_warnings_and_json_holds_them(task: Path, home: Path) -> None:
    said = "t: left out of its test shards: 1 file in no complete clip (audio + JSON)."
    quiet = auricle("data", "check", task, "--quiet", home=home)
    assert said in quiet.stderr.replace("\n", " ")
    assert "index shards" not in quiet.stderr
    shown = auricle("data", "check", task, "--quiet", "--json", home=home)
    assert said in json.loads(shown.stdout)["warnings"]
    assert auricle("tasks", "--json", home=home).stdout.endswith('"warnings": []}\n')


def test_a_score_of_some_clips_ends_with_3_and_says_why(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("predict,labels\ndog,dog\n,\n", encoding="utf-8")
    done = auricle("score", path, "--task", "esc-50", home=home, expect=3)
    assert "warning: 1 clips were answered; the task has 400" in done.stderr
    assert "warning: 1 rows without any value are no clips." in done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("more", [(), ("--json",), ("--table", "csv")])
def test_any_encoding_of_the_output_will_do(
    encoding: str, more: tuple[str, ...], tmp_path: Path, home: Path
) -> None:
    table = tmp_path / "b.csv"
    table.write_text("team,esc-50,gtzan\n\u8033\u6735,0.5,0.6\nB\u00e9,0.4,0.6\n", encoding="utf-8")
    done = subprocess.run(
        command("board", "rank", table, *more),
        env=environment(home, PYTHONIOENCODING=encoding),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    if "--json" in more:
        assert json.loads(text)["rows"][0]["team"] == "\u8033\u6735"
    else:
        shown = "\u8033\u6735" if encoding == "utf-8" else r"\u8033\u6735"
        assert shown in text


def test_a_separator_that_normalisation_changes_stops_a_run_before_training(
    task: Path, home: Path
) -> None:
    text = task.read_text(encoding="utf-8").replace("accuracy", "mAP\nnum_classes: 2")
    task.write_text(text + "separator: '-'\n", encoding="utf-8")
    for words in (("data", "check", task), ("run", "noise", "--suite", task)):
        done = auricle(*words, home=home, expect=2)
        assert "Task t: the separator '-' does not survive" in " ".join(done.stderr.split())
    assert not list(home.glob("features/*"))
