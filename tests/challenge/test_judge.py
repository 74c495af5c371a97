"""A judged run: from an empty scratch, behind locks, with nothing of a submission's believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auricle.challenge.bundle import list_folder, write_archive
from auricle.challenge.judge import JudgeOptions, judge
from auricle.challenge.new import create_submission
from auricle.challenge.stages import Settings
from auricle.challenge.verdicts import Verdict
from auricle.challenge.verify import VerifyOptions
from auricle.errors import UserError

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
    create_submission(team)
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
