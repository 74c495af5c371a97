"""Packing tells everything at once and writes an archive only when there is nothing to tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from auricle.challenge.new import create_submission
from auricle.challenge.pack import STAGES, Packed, pack
from auricle.challenge.stages import Settings
from auricle.challenge.verdicts import Verdict
from auricle.errors import UserError
from making import filled_in

QUICK = Settings(smoke_settings=("train.steps=2",))


@pytest.fixture
def team(tmp_path: Path) -> Path:
    filled_in(tmp_path / "team")
    return tmp_path / "team"


def verdicts(packed: Packed) -> dict[str, Verdict]:
    return {stage.name: stage.verdict for stage in packed.stages}


def test_what_can_be_known_without_running_is_told_at_once(team: Path) -> None:
    text = (team / "submission.yaml").read_text()
    text = text.replace("team: Night Owls", "team: 7").replace("encoder.py:MyEncoder", "gone.py")
    (team / "submission.yaml").write_text(text)
    (team / "report.pdf").write_bytes(b"a text")
    (team / "weights.bin").symlink_to("/etc/hosts")
    packed = pack(team)
    assert tuple(verdicts(packed)) == STAGES
    assert verdicts(packed)["files"] is Verdict.LINK
    assert verdicts(packed)["declaration"] is Verdict.DECLARATION_INVALID
    assert verdicts(packed)["report"] is Verdict.REPORT_INVALID
    assert verdicts(packed)["environment"] is Verdict.NOT_REACHED
    assert packed.archive is None
    assert not (team.parent / "team.zip").exists()
    assert packed.record()["packed"] is False


def test_empty_fields_and_broken_rules_are_told_in_one_try(team: Path) -> None:
    text = (team / "submission.yaml").read_text()
    for old, new in (
        ("team: Night Owls", "team:"),
        ("contact: owls@example.org", "contact:"),
        ("hardware: none", "hardware:"),
        ("parameters: 0", "parameters:"),
        ("[Ada Example, Bo Example]", "[Ada, Ada]"),
        ("source: none  ", "source: inside"),
        ("encoder.py:MyEncoder", "gone.py"),
        ("arguments: {}", "arguments: {x: /etc/passwd}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (team / "submission.yaml").write_text(text)
    said = {stage.name: stage for stage in pack(team).stages}["declaration"].message
    for field in ("team", "contact", "hardware", "parameters"):
        assert f"{field}: is empty; fill it in" in said
    for rule in (
        *("members: 'ada' is listed twice", "list them under 'files'", "no file 'gone.py'"),
        *("training_data: is empty, as is parameters", "names a file outside of the submission"),
    ):
        assert rule in said


def test_an_unfilled_template_is_refused(tmp_path: Path) -> None:
    create_submission(tmp_path / "new")
    (tmp_path / "new" / "encoder.py").unlink()  # so that nothing of it is tried
    packed = pack(tmp_path / "new")
    assert packed.archive is None
    found = {stage.name: stage.message for stage in packed.stages}
    for field in ("team", "members", "contact"):
        assert f"{field}: still says what the template says" in found["declaration"]
    assert "training_data: still is the template's empty list" in found["declaration"]
    assert "the template's skeleton" in found["report"]


def test_a_folder_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder"):
        pack(tmp_path / "gone")
    with pytest.raises(UserError, match="--out names the ZIP"):
        pack(tmp_path, out=tmp_path)


@pytest.mark.slow
def test_an_encoder_is_tried_even_if_its_declaration_is_bad(team: Path, data_here: Path) -> None:
    text = (team / "submission.yaml").read_text().replace("team: Night Owls", "team:")
    (team / "submission.yaml").write_text(text)
    code = (team / "encoder.py").read_text()
    (team / "encoder.py").write_text(code.replace("self.output_dim = BANDS", "self.output_dim = 7"))
    packed = pack(team, settings=QUICK)
    assert verdicts(packed)["declaration"] is Verdict.DECLARATION_INVALID
    assert verdicts(packed)["environment"] is Verdict.GOOD
    assert verdicts(packed)["contract"] is Verdict.CONTRACT_BROKEN
    assert verdicts(packed)["smoke"] is Verdict.NOT_REACHED
    assert packed.archive is None


@pytest.mark.slow
def test_a_file_that_is_left_out_is_missed_at_home(team: Path, data_here: Path) -> None:
    """What is tried is what will be unpacked, not the folder with its caches and secrets."""
    (team / ".cache").mkdir()
    (team / ".cache" / "weights.bin").write_text("w")
    code = (
        (team / "encoder.py")
        .read_text()
        .replace(
            "        super().__init__()\n",
            "        super().__init__()\n"
            "        open(__file__.replace('encoder.py', '.cache/weights.bin'))\n",
        )
    )
    (team / "encoder.py").write_text(code)
    packed = pack(team, settings=QUICK)
    assert verdicts(packed)["environment"] is Verdict.ENVIRONMENT_FAILED
    assert packed.left_out == (".cache/",)
