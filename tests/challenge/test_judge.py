"""A judged run: from an empty scratch, behind locks, with nothing of a submission's believed."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from auricle.challenge.bundle import list_folder, write_archive
from auricle.challenge.judge import JudgeOptions, judge
from auricle.challenge.stages import Settings
from auricle.challenge.verdicts import Verdict
from auricle.challenge.verify import VerifyOptions
from auricle.errors import UserError
from making import filled_in

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("bubblewrap", "data_here")]

SETTINGS = Settings(batch_limit_s=20)


def zipped(folder: Path) -> Path:
    write_archive(folder, list_folder(folder).files, folder.parent / "team.zip")
    return folder.parent / "team.zip"


def options(tmp_path: Path) -> JudgeOptions:
    return JudgeOptions(
        suite="synth-keyword",
        out=tmp_path / "judged",
        settings=("train.steps=2",),
        smoke=False,
        verify=VerifyOptions(settings=SETTINGS),
    )


def test_a_judged_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "judged").mkdir()
    with pytest.raises(UserError, match="a judged run gets a folder of its own"):
        judge(tmp_path / "team.zip", options=options(tmp_path))


def test_suites_that_are_not_there_are_refused_before_anything_is_examined(tmp_path: Path) -> None:
    (tmp_path / "hidden.yaml").write_text("tasks: {esc-51: 1}")
    for given, text in (("track-z", "no suite"), (str(tmp_path / "hidden.yaml"), "esc-51")):
        with pytest.raises(UserError, match=text):
            judge(tmp_path / "no.zip", options=replace(options(tmp_path), evaluations=(given,)))


def test_an_encoder_that_stops_in_the_judged_run_is_told_from_a_good_one(tmp_path: Path) -> None:
    """It keeps the contract while it is checked, and sleeps once it hears real clips."""
    team = tmp_path / "team"
    filled_in(team)
    code = (team / "encoder.py").read_text()
    sleeping = (
        "        import time\n"
        "        if audio.shape[0] > 40:\n            time.sleep(600)\n"
        "        frames = -(-audio.shape[1] // HOP)\n"
    )
    (team / "encoder.py").write_text(
        code.replace("        frames = -(-audio.shape[1] // HOP)\n", sleeping, 1)
    )
    found = judge(zipped(team), options=options(tmp_path))
    verdicts = {stage.name: stage.verdict for stage in found.stages}
    assert verdicts["contract"] is Verdict.GOOD
    assert verdicts["judged"] is Verdict.TIME_LIMIT
    assert not found.accepted
    assert found.run is None
    assert not (tmp_path / "judged").exists()
    (problem,) = found.stages[-1].problems
    assert "seconds" not in problem.message
    assert "synth" not in problem.message
    key = found.receipt["archive_sha256"][:16]
    assert found.refused == tmp_path / f"judged.refused-{key}"
    assert json.loads((found.refused / "receipt.json").read_text()) == found.receipt
    assert "did not finish" in (found.refused / "logs" / "judged.err").read_text()


def test_a_broken_hidden_shard_is_told_before_anything_is_examined(tmp_path: Path) -> None:
    (tmp_path / "clips.tar").write_text("no tar")
    task = {"prompt": "Which?", "metric": "accuracy", "track": "a", "test_field": "label"}
    suite = {"name": "hidden", "recipe": "mini", "training": "reuse"}
    tasks = {"secret": task | {"test_shards": ["clips.tar"]}}
    (tmp_path / "hidden.yaml").write_text(json.dumps(suite | {"tasks": tasks}))
    (tmp_path / "team.zip").write_text("no ZIP, which an examination would refuse")
    chosen = replace(options(tmp_path), evaluations=(str(tmp_path / "hidden.yaml"),))
    with pytest.raises(UserError, match=r"clips\.tar"):
        judge(tmp_path / "team.zip", options=chosen)


def test_a_setting_that_does_not_exist_is_the_organisers(tmp_path: Path) -> None:
    (tmp_path / "team.zip").write_text("no ZIP")
    with pytest.raises(UserError, match=r"train\.step"):
        judge(tmp_path / "team.zip", options=replace(options(tmp_path), settings=("train.step=2",)))


# A shell's background jobs ignore the interrupt, and so would what they start.
JUDGE = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
from test_judge import judge, options
folder = Path(sys.argv[2])

assert judge(folder / "team.zip", options=options(folder)).accepted
"""


def test_a_judged_run_that_was_interrupted_continues(tmp_path: Path) -> None:
    filled_in(tmp_path / "team")
    archive = zipped(tmp_path / "team")
    words = [sys.executable, "-c", JUDGE, str(Path(__file__).parent), str(tmp_path)]
    first = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    key = hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    place = tmp_path / f".judging-judged-{key}"
    deadline = time.monotonic() + 120
    while not (seen := list(place.glob("runs/judged/*/*/manifest.json"))):
        assert first.poll() is None, first.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode != 0
    assert not (tmp_path / "judged").exists()
    begun = json.loads(seen[0].read_text())["created"]
    time.sleep(1.1)  # the moment is kept in seconds
    subprocess.run(words, check=True, timeout=300)
    manifest = json.loads((tmp_path / "judged" / "manifest.json").read_text())
    assert manifest["created"] == begun
    assert not place.exists()
