"""The limits and models of ``auricle challenge judge`` and ``auricle verify``, at the door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auricle.challenge.commands import Workplace
from auricle.challenge.judge import Judgement, JudgeOptions
from auricle.challenge.limits import FetchLimits
from auricle.challenge.stages import Settings
from auricle.challenge.verify import VerifyOptions, verify
from auricle.cli.app import execute

JUDGE = ("challenge", "judge", "team.zip", "--suite", "smoke", "--out", "judged")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--memory", "much"), "'much' is no size"),
        (("--memory", "9" * 400), "is no size; expected e.g. 200GB"),
        (("--memory", "800MB"), "--memory is '800MB'; a size from 1GB to 1000TB is expected"),
        (("--disk", "5EB"), "'5EB' is no size"),
        (("--fetch-disk", "2000TB"), "--fetch-disk is '2000TB'; a size from 1GB"),
        (("--fetch-memory", "0"), "'0' is no size"),
        (("--check-limit", "nan"), "--check-limit is nan; a number of seconds from 5"),
        (("--batch-limit", "0"), "--batch-limit is 0; a number of seconds from 5"),
        (("--smoke-limit", "inf"), "--smoke-limit is inf; a number of seconds"),
        (("--install-limit", "1e99"), "--install-limit is 1e+99; a number of seconds"),
        (("--construct-limit", "-1"), "--construct-limit is -1; a number of seconds"),
        (("--run-limit", "0"), "--run-limit is 0; a number of hours from 0.01"),
        (("--sentence-model", "./gone"), "The sentence model './gone' is no folder"),
        (("--fluency-detector", "gone.ckpt"), "There is no fluency detector at 'gone.ckpt'"),
    ],
)
def test_a_limit_that_is_none_is_one_sentence(
    words: tuple[str, str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*JUDGE, *words]) == 2
    assert text in capsys.readouterr().err


def test_every_limit_and_model_reaches_the_judging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[JudgeOptions] = []

    def judge(archive: Path, *, options: JudgeOptions, progress: object) -> Judgement:
        seen.append(options)
        receipt = {"accepted": True, "locks": {}, "archive_sha256": "", "time": ""}
        return Judgement((), receipt, None, None)

    monkeypatch.setattr("auricle.challenge.judge.judge", judge)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector" / "detector.json").write_text("{}")
    words = "--memory 8GB --disk 2TB --check-limit 60 --batch-limit 30 --smoke-limit 600"
    words += " --install-limit 100 --construct-limit 200 --fetch-memory 4GiB --fetch-disk 9GB"
    words += " --run-limit 1.5 --fluency-detector detector --sentence-model owner/model"
    assert execute([*JUDGE, *words.split()]) == 0
    (options,) = seen
    assert options.limit_s == 5400
    assert options.models == (
        *("--sentence-model", "owner/model"),
        *("--fluency-detector", str(tmp_path / "detector")),
    )
    assert options.verify.settings == Settings(
        memory_bytes=8 * 10**9,
        disk_bytes=2 * 10**12,
        check_limit_s=60,
        batch_limit_s=30,
        smoke_limit_s=600,
        fetch=FetchLimits(100, 200, disk_bytes=9 * 10**9, memory_bytes=4 << 30),
    )
    assert options.limits()["run_limit_s"] == 5400
    assert options.limits()["memory_bytes"] == 8 * 10**9


def test_the_commands_own_limits_are_those_of_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[VerifyOptions] = []

    def stop(archive: Path, *, options: VerifyOptions, progress: object) -> None:
        seen.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("auricle.challenge.verify.verify", stop)
    execute(["verify", "team.zip"])
    assert seen[0].settings == Settings()


def test_a_receipt_says_the_limits(tmp_path: Path) -> None:
    (tmp_path / "team.zip").write_text("no ZIP")
    options = VerifyOptions(sandbox=False, settings=Settings(memory_bytes=3 << 30))
    limits = verify(tmp_path / "team.zip", options=options).receipt["limits"]
    assert limits["memory_bytes"] == 3 << 30
    assert json.loads(json.dumps(limits)) == options.settings.record()


def test_a_judged_run_finds_the_machines_models_and_adds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "machine"
    (home / "models" / "detector-1").mkdir(parents=True)
    (home / "models" / "detector-1" / "detector.json").write_text("{}")
    (home / "features").mkdir()
    monkeypatch.setenv("AURICLE_HOME", str(home))
    place = Workplace(tmp_path / "work")
    own = place.make_home()
    assert (own / "models" / "detector-1" / "detector.json").read_text() == "{}"
    assert not (own / "features").exists()
    (own / "models" / "detector-2").mkdir()
    assert [path.name for path in (home / "models").iterdir()] == ["detector-1"]
    (home / "models" / "detector-3").mkdir()
    (home / "models" / "detector-1").rename(home / "models" / "detector-4")
    assert place.make_home() == own
    names = {path.name for path in (own / "models").iterdir() if path.exists()}
    assert names == {"detector-2", "detector-3", "detector-4"}
