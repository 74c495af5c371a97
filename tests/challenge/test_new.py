"""The template is a whole submission; an old repository is told what it lacks."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from auricle.challenge.adopt import adopt_repository, examine_repository
from auricle.challenge.new import create_submission
from auricle.challenge.report import check_report
from auricle.challenge.rules import check_rules
from auricle.challenge.submission import SubmissionError, read_submission
from auricle.cli.app import execute
from auricle.errors import UserError
from hf_models import save_family
from making import filled_in


def test_the_template_lacks_only_what_is_to_be_filled_in(tmp_path: Path) -> None:
    folder = tmp_path / "team"
    written = create_submission(folder)
    assert {path.name for path in written} == {path.name for path in folder.iterdir()}
    submission = read_submission(folder)
    said = [problem.message for problem in check_rules(submission, folder)]
    assert [text.split(":")[0].split(", ")[1] for text in said] == [
        *("team", "members", "contact", "training_data")
    ]
    assert all("template" in text for text in said)
    (problem,) = check_report(folder / submission.report)
    assert "template's skeleton" in problem.message


def test_a_template_that_was_filled_in_is_valid(tmp_path: Path) -> None:
    folder = filled_in(tmp_path / "team")
    submission = read_submission(folder)
    assert check_rules(submission, folder) == []
    assert check_report(folder / submission.report) == []


def test_the_templates_report_is_the_same_each_time(tmp_path: Path) -> None:
    create_submission(tmp_path / "one")
    create_submission(tmp_path / "two")
    one, two = (tmp_path / name / "report.pdf" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"not empty.*--adopt"):
        create_submission(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("source", ["owner/model", "hf:", "hf:../x", "hf:a/b/c", "https://x"])
def test_a_source_that_is_no_model_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="hf:owner/model"):
        create_submission(tmp_path / "team", source=source)


def test_a_model_of_the_hub_is_filled_in(tmp_path: Path) -> None:
    create_submission(tmp_path / "team", source="hf:openai/whisper-base")
    text = (tmp_path / "team" / "submission.yaml").read_text()
    assert "arguments: {model: openai/whisper-base}" in text
    assert "urls: [https://huggingface.co/openai/whisper-base]" in text
    name = re.search(r"encoder: encoder.py:(\w+)", text)
    assert name is not None
    assert f"class {name[1]}(" in (tmp_path / "team" / "encoder.py").read_text()
    for path in (tmp_path / "team").glob("*.py"):
        for module in re.findall(r"^from (\w+) import", path.read_text(), re.MULTILINE):
            beside = (tmp_path / "team" / f"{module}.py").is_file()
            assert beside or importlib.util.find_spec(module) is not None, module
    with pytest.raises(SubmissionError) as caught:
        read_submission(tmp_path / "team")
    fields = {p.message.split(",")[1].split(":")[0].strip() for p in caught.value.problems}
    assert fields == {"training_data", "parameters", "hardware"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A ZIP's content as the challenge of 2026 took it."""
    folder = tmp_path / "repo"
    for name, text in {
        "src/my_encoder.py": "import torch\nclass OwlEncoder(torch.nn.Module):\n    pass\n",
        "train.py": "import sys; sys.exit('run!')\n",
        "broken.py": "def (:\n",
        "weights/model.safetensors": "x",
        "docs/paper.pdf": "%PDF-1.4",
        "technical_report.pdf": "%PDF-1.4",
        "README.md": "hello",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_an_old_repository_shows_what_it_has_and_lacks(repository: Path) -> None:
    found = examine_repository(repository)
    assert found.encoders == ("src/my_encoder.py:OwlEncoder",)
    assert found.reports[0] == "technical_report.pdf"
    assert found.weights == ("weights/model.safetensors",)
    assert [line.split(":")[0] for line in found.missing] == ["submission.yaml", "requirements.txt"]


def test_adopting_writes_the_rest_and_touches_nothing(repository: Path) -> None:
    before = {p: p.read_bytes() for p in repository.rglob("*") if p.is_file()}
    _, written = adopt_repository(repository)
    assert [path.name for path in written] == ["submission.yaml", "requirements.txt"]
    assert all(path.read_bytes() == data for path, data in before.items())
    with pytest.raises(SubmissionError) as caught:
        read_submission(repository)
    text = str(caught.value)
    for field in ("team", "members", "contact", "training_data", "parameters", "hardware"):
        assert f"submission.yaml, {field}" in text
    assert "submission.yaml, encoder" not in text
    with pytest.raises(UserError, match="there already"):
        adopt_repository(repository)


@pytest.mark.parametrize("name", ["", " ", "bad\nname"])
def test_a_folder_needs_a_plain_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(["new", name]) == 2
    assert "the name of a new folder is expected" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_without_options_that_do_not_exist(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"cannot be made \(Not a directory\)\. Name a folder where"
    ):
        create_submission(tmp_path / "file" / "team")


def test_what_an_adopted_repository_lacks_is_asked_for_by_its_own_field(tmp_path: Path) -> None:
    adopt_repository(tmp_path)
    with pytest.raises(SubmissionError) as caught:
        read_submission(tmp_path)
    text = str(caught.value)
    assert "weights.source: is empty; fill it in (inside, fetched or none)." in text
    assert "members: [] was seen; at least 1 entry is expected." in text


@pytest.mark.parametrize("prefix", ["", "hf:"])
def test_a_models_folder_is_taken_along(tmp_path: Path, prefix: str) -> None:
    model = tmp_path / "my model"
    (model / "more").mkdir(parents=True)
    (model / ".cache").mkdir()
    for name in ("config.json", "model.safetensors", "more/part two.bin", ".cache/x.bin"):
        (model / name).write_bytes(name.encode())
    team = tmp_path / "team"
    written = create_submission(team, source=f"{prefix}{model}")
    for name in ("config.json", "model.safetensors", "more/part two.bin"):
        assert (team / "model" / name).read_bytes() == name.encode()
    assert {p for p in team.rglob("*") if p.is_file()} == set(written)
    declared = yaml.safe_load((team / "submission.yaml").read_text())
    assert declared["arguments"] == {"model": "model"}
    assert declared["weights"] == {
        "source": "inside",
        "files": ["model/model.safetensors", "model/more/part two.bin"],
        "urls": [],
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "a folder without config.json.*save_pretrained"),
        (["config.json", ".hidden.bin"], r"has no weights \(.safetensors, .*save_pretrained"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(
    tmp_path: Path, names: list[str], message: str
) -> None:
    (tmp_path / "model").mkdir()
    for name in names:
        (tmp_path / "model" / name).write_text("{}")
    with pytest.raises(UserError, match=message):
        create_submission(tmp_path / "team", source=str(tmp_path / "model"))
    assert not (tmp_path / "team").exists()


@pytest.mark.slow
def test_a_submission_of_a_models_folder_passes_its_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_family("Whisper", tmp_path / "whisper")
    create_submission(tmp_path / "team", source=str(model))
    monkeypatch.chdir(tmp_path)
    assert execute(["check", "team"]) == 0
