"""The organiser's side: stages in order, all problems at once, and a receipt for each."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from auricle.challenge.archive import Limits
from auricle.challenge.bundle import list_folder, write_archive
from auricle.challenge.receipt import is_unchanged
from auricle.challenge.verdicts import Verdict
from auricle.challenge.verify import Verification, VerifyOptions, open_examination, verify
from auricle.errors import UserError
from auricle.progress import SilentProgress
from making import filled_in

STATIC = ("archive", "manifest", "report", "declaration")


@pytest.fixture
def team(tmp_path: Path) -> Path:
    filled_in(tmp_path / "team")
    return tmp_path / "team"


def zipped(folder: Path) -> Path:
    target = folder.parent / f"{folder.name}.zip"
    write_archive(folder, list_folder(folder).files, target)
    return target


def examine(archive: Path, **changes: Any) -> Verification:
    """Without a sandbox: none of these submissions gets as far as running code."""
    return verify(archive, options=VerifyOptions(sandbox=False, **changes))


def verdicts(found: Verification) -> dict[str, Verdict]:
    return {stage.name: stage.verdict for stage in found.stages}


def assert_refused_before_code_ran(found: Verification) -> None:
    assert not found.accepted
    assert [stage.passed for stage in found.stages[4:]] == [None] * 4
    assert {stage.verdict for stage in found.stages[4:]} == {Verdict.NOT_REACHED}
    assert found.receipt["accepted"] is False


def test_a_refused_archive_ends_the_examination(tmp_path: Path, machine: Path) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("../../evil.py", "x")
    found = examine(archive)
    assert verdicts(found)["archive"] is Verdict.PATH_TRAVERSAL
    assert {stage.verdict for stage in found.stages[1:]} == {Verdict.NOT_REACHED}


def test_the_receipt_is_of_the_bytes_that_were_examined(
    team: Path, tmp_path: Path, machine: Path
) -> None:
    archive = zipped(team)
    examined = hashlib.sha256(archive.read_bytes()).hexdigest()
    size = archive.stat().st_size
    options = VerifyOptions(sandbox=False)
    with open_examination(archive, options, SilentProgress()) as examination:
        examination.run(("archive",))
        archive.write_bytes(b"another team's ZIP")
        examination.run(("manifest",))
        found = examination.result()
    assert found.receipt["archive_sha256"] == examined
    assert found.receipt["archive_bytes"] == size


def test_a_team_that_is_not_registered_is_refused_before_its_code_runs(
    team: Path, tmp_path: Path
) -> None:
    (tmp_path / "teams.json").write_text(json.dumps({"schema_version": 1, "teams": []}))
    found = examine(zipped(team), teams=tmp_path / "teams.json")
    assert verdicts(found)["declaration"] is Verdict.NOT_REGISTERED
    assert_refused_before_code_ran(found)
    with pytest.raises(UserError, match=r"There is no file .*gone\.json; the table of teams"):
        examine(zipped(team), teams=tmp_path / "gone.json")


def test_a_crash_is_quoted_without_this_machines_folders(team: Path, data_here: Path) -> None:
    code = (team / "encoder.py").read_text()
    crash = code.replace("super().__init__()", "super().__init__()\n        1 / 0", 1)
    (team / "encoder.py").write_text(crash)
    found = {stage.name: stage for stage in examine(zipped(team)).stages}["environment"]
    assert found.verdict is Verdict.ENVIRONMENT_FAILED
    assert 'File "encoder.py", line' in found.message
    assert "auricle/encoder" not in found.message  # a team reads its own lines alone
    assert "ZeroDivisionError" in found.message
    assert 'File "/' not in found.message


def test_a_folder_is_told_how_it_becomes_a_zip(team: Path) -> None:
    with pytest.raises(UserError, match="is a folder; a ZIP is expected: auricle pack"):
        examine(team)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("weights.bin", bytes(64 << 20))
    assert verdicts(examine(archive))["archive"] is Verdict.BOMB


def test_all_static_problems_are_told_at_once(team: Path) -> None:
    (team / "report.pdf").unlink()
    (team / "submission.yaml").write_text("team: &a [*a]\n")
    archive = zipped(team)
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr("planted.py", "x")
    found = examine(archive)
    assert [verdicts(found)[name] for name in STATIC] == [
        Verdict.GOOD,
        Verdict.MANIFEST_MISMATCH,
        Verdict.REPORT_MISSING,
        Verdict.DECLARATION_INVALID,
    ]
    assert_refused_before_code_ran(found)


def test_code_that_was_changed_after_packing_is_noticed(team: Path, tmp_path: Path) -> None:
    packed = zipped(team).read_bytes()
    archive = tmp_path / "changed.zip"
    archive.write_bytes(packed.replace(b"HOP = 640", b"HOP = 641"))
    found = examine(archive)
    assert verdicts(found)["archive"] is Verdict.LYING_SIZE  # the checksum is the first to tell


def test_a_rule_that_is_broken_is_named(team: Path) -> None:
    text = (team / "submission.yaml").read_text()
    text = text.replace("source: none", "source: inside").replace(
        "parameters: 0", "parameters: 86000000"
    )
    (team / "submission.yaml").write_text(text)
    found = examine(zipped(team))
    (stage,) = [stage for stage in found.stages if stage.name == "declaration"]
    assert stage.verdict is Verdict.RULE_BROKEN
    assert "list them under 'files'" in stage.message
    assert "yet the encoder has 86000000 parameters" in stage.message
    assert_refused_before_code_ran(found)


def test_arguments_that_name_the_machines_files_are_refused(team: Path) -> None:
    text = (team / "submission.yaml").read_text()
    (team / "submission.yaml").write_text(
        text.replace("arguments: {} ", "arguments: {weights: /etc/shadow} ")
    )
    found = examine(zipped(team))
    assert verdicts(found)["declaration"] is Verdict.RULE_BROKEN
    assert_refused_before_code_ran(found)


def test_a_repository_of_2026_is_met_with_what_is_missing(tmp_path: Path, team: Path) -> None:
    archive = tmp_path / "repository.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.write(team / "encoder.py", "owl-main/src/owl.py")
        out.write(team / "report.pdf", "owl-main/paper/technical_report.pdf")
        out.writestr("owl-main/README.md", "An owl.")
    found = examine(archive)
    (stage,) = [stage for stage in found.stages if stage.name == "manifest"]
    assert stage.verdict is Verdict.REPOSITORY_WITHOUT_DECLARATION
    for text in ("src/owl.py:MyEncoder", "technical_report.pdf", "requirements.txt", "--adopt"):
        assert text in stage.message
    assert verdicts(found)["report"] is Verdict.GOOD
    assert verdicts(found)["declaration"] is Verdict.DECLARATION_MISSING
    draft = found.record()["draft"]
    assert "encoder: src/owl.py:MyEncoder" in draft
    assert "report: paper/technical_report.pdf" in draft
    assert_refused_before_code_ran(found)


def test_an_archive_with_one_folder_around_it_is_read(team: Path) -> None:
    inner = zipped(team)
    archive = team.parent / "around.zip"
    with zipfile.ZipFile(inner) as old, zipfile.ZipFile(archive, "w") as out:
        for info in old.infolist():
            out.writestr(f"team-1.0/{info.filename}", old.read(info))
    (team / "encoder.py").unlink()
    found = examine(archive, limits=Limits(), settings=_hurried())
    assert [verdicts(found)[name] for name in STATIC] == [Verdict.GOOD] * 4


def _hurried() -> Any:
    from auricle.challenge.limits import FetchLimits
    from auricle.challenge.stages import Settings

    return Settings(fetch=FetchLimits(install_s=0.1, construct_s=0.1))


def test_a_receipt_says_what_was_found_and_cannot_be_changed_unseen(team: Path) -> None:
    (team / "report.pdf").unlink()
    found = examine(zipped(team))
    receipt = found.receipt
    assert receipt["locks"]["sandbox"] == "none (--unsafe-no-sandbox)"
    assert receipt["team"] == "Night Owls"
    assert receipt["stages"]["report"] == "report_missing"
    assert is_unchanged(json.loads(json.dumps(receipt)))
    assert not is_unchanged(receipt | {"accepted": True})
    assert found.record()["accepted"] is False


def test_the_record_has_the_documented_shape(team: Path) -> None:
    (team / "report.pdf").unlink()
    record = json.loads(json.dumps(examine(zipped(team)).record()))
    assert {"accepted", "stages", "receipt"} <= record.keys()
    for stage in record["stages"]:
        assert {"name", "passed", "verdict", "message"} <= stage.keys()


def test_a_missing_archive_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        verify(tmp_path / "gone.zip", options=VerifyOptions(sandbox=False))


def test_judging_starts_from_an_empty_folder(team: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "features").mkdir()
    with pytest.raises(UserError, match="not empty"):
        examine(zipped(team), work=tmp_path / "work")
