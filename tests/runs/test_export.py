"""A run's folder is complete by itself, and what is handed on holds nothing that may not be."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from auricle.board.site import BoardOptions, build_board
from auricle.cli.app import execute
from auricle.errors import OutputError
from auricle.files import read_json, write_json
from auricle.runs.export import export_run, page_to_share
from auricle.runs.folder import RunFolder
from auricle.runs.predictions import read_predictions
from auricle.runs.report import write_report
from auricle.runs.report_facts import plain_id, without_folders
from report_material import hum, make_run, silence

HOME = "/home/ada.lovelace/secret project"
CREDIT = "Captions by C. Babbage, CC BY 4.0"
FREE, CREDITED, KEPT_BACK = "tones", "captions", "digits"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of three tasks of which one may not be handed on, by an author with a name."""
    folder = make_run(
        tmp_path / "runs/smoke/lovelace-0123456789ab",
        encoder="lovelace",
        tasks=(FREE, CREDITED, KEPT_BACK),
        clips=30,
    )
    manifest = read_json(folder.manifest)
    manifest["encoder"] |= {
        "text": f"{HOME}/lovelace.py:LovelaceNet",
        "class_name": "LovelaceNet",
        "arguments": {"weights": f"{HOME}/w.safetensors"},
        "files": {f"{HOME}/lovelace.py": "b3bb5cd598b0" * 5},
    }
    manifest["notes"] = [f"lovelace read {HOME}/a.txt and /mnt/data/ada/b.txt"]
    manifest["test"][FREE]["redistribute"] = "yes"
    manifest["test"][CREDITED] |= {"redistribute": "attribution", "attribution": CREDIT}
    manifest["test"][KEPT_BACK]["redistribute"] = "no"
    for shard in manifest["test"][KEPT_BACK]["shards"]:
        shard["name"] = f"../../..{HOME}/digits.tar"
    write_json(folder.manifest, manifest)
    (folder.checkpoints / "step-1").mkdir(parents=True)
    (folder.checkpoints / "step-1/weights.safetensors").write_bytes(b"weights")
    folder.log.write_text(f"started in {HOME}\n")
    write_report(folder, audio=hum)
    return folder


def players(page: str) -> int:
    return page.count("<audio controls")


def everything(folder: Path) -> str:
    return "\n".join(
        f"{path.relative_to(folder)}\n{path.read_text(encoding='utf-8')}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )


def references(folder: RunFolder, task: str) -> set[str]:
    """References of a task that no answer happens to equal."""
    answers = read_predictions(folder.predictions(task))
    given = {answer.prediction for answer in answers}
    # A digit alone would be found in any number; whole sentences cannot be there by chance.
    long = {text for answer in answers for text in answer.references if len(text.split()) > 2}
    return long - given


def sounds(folder: RunFolder, task: str) -> set[str]:
    clips: dict[str, Any] = json.loads(folder.excerpts(task).read_text())["clips"]
    return {one[kind] for one in clips.values() for kind in ("audio", "picture")}


def test_a_copied_folder_gives_the_same_page_without_the_data(
    run: RunFolder, tmp_path: Path
) -> None:
    before = run.report.read_bytes()
    assert players(before.decode()) == 15
    copy = RunFolder(tmp_path / "elsewhere/smoke" / run.path.name)
    shutil.copytree(run.path, copy.path)
    assert write_report(copy, audio=silence).read_bytes() == before


def test_the_floor_is_kept_with_the_page(tmp_path: Path) -> None:
    mine = make_run(tmp_path / "runs/mine-1", tasks=("words",), clips=20)
    noise = make_run(tmp_path / "runs/noise-1", encoder="noise", tasks=("words",), clips=20)
    with_floor = write_report(mine, audio=hum, floor=noise).read_bytes()
    copy = RunFolder(tmp_path / "elsewhere" / mine.path.name)
    shutil.copytree(mine.path, copy.path)
    assert write_report(copy, audio=silence).read_bytes() == with_floor


def test_a_page_whose_sound_cannot_be_made_again_is_not_overwritten(run: RunFolder) -> None:
    before = run.report.read_bytes()
    shutil.rmtree(run.excerpts_folder)  # as an older version left it
    with pytest.raises(OutputError, match="plays 15 excerpts, of which 0 can be made here"):
        write_report(run, audio=silence)
    assert run.report.read_bytes() == before
    assert execute(["report", str(run.path)]) == 2
    assert run.report.read_bytes() == before


def test_excerpts_go_when_other_clips_are_asked(run: RunFolder) -> None:
    from auricle.runs.manifest import start_manifest

    stored = run.read_manifest()
    other = stored.test[FREE].with_fields(prompt="another")
    start_manifest(run, stored.with_fields(test=stored.test | {FREE: other}))
    assert not run.excerpts(FREE).exists()
    assert run.excerpts(CREDITED).exists()


def test_the_page_names_no_folder_of_its_author(run: RunFolder) -> None:
    page = run.report.read_text(encoding="utf-8")
    for text in ("ada.lovelace", "/home", "/mnt", "secret project"):
        assert text not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)


@pytest.mark.parametrize("review", [False, True])
def test_an_export_holds_nothing_that_may_not_be_handed_on(
    run: RunFolder, tmp_path: Path, review: bool
) -> None:
    made = export_run(run, tmp_path / "out", review=review)
    text = everything(made.path)
    kept_back = references(run, KEPT_BACK)
    assert len(kept_back) >= 5
    assert not [reference for reference in kept_back if reference in text]
    assert not [sound for sound in sounds(run, KEPT_BACK) if sound in text]
    assert all(sound in text for sound in sounds(run, CREDITED) | sounds(run, FREE))
    assert all(reference in text for reference in references(run, CREDITED))
    assert CREDIT in made.report.read_text(encoding="utf-8")
    assert CREDIT in (made.path / "credits.txt").read_text(encoding="utf-8")
    assert players(made.report.read_text(encoding="utf-8")) == 10
    plain = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    for word in ("ada.lovelace", "/home", "/mnt", "secret project"):
        assert word not in plain, word
    assert ("ovelace" in plain) is not review
    assert {path.name for path in made.path.iterdir()} == {
        *("manifest.json", "scores.json", "predictions", "excerpts", "report.html"),
        *("credits.txt", "losses.jsonl"),
    }
    scores, mine = made.read_scores(), run.read_scores()
    assert scores is not None
    assert mine is not None
    for task in (FREE, CREDITED, KEPT_BACK):
        assert scores.tasks[task].score == mine.tasks[task].score
        answers = read_predictions(made.predictions(task))
        stored = read_predictions(run.predictions(task))
        assert [a.prediction for a in answers] == [a.prediction for a in stored]


def test_a_task_that_says_nothing_is_not_handed_on(run: RunFolder, tmp_path: Path) -> None:
    manifest = read_json(run.manifest)
    for facts in manifest["test"].values():
        facts.pop("redistribute")
    write_json(run.manifest, manifest)
    made = export_run(run, tmp_path / "out")
    assert players(made.report.read_text(encoding="utf-8")) == 0
    assert "attribution" not in everything(made.path) or not (made.path / "credits.txt").exists()


def test_an_export_is_a_run_folder_and_takes_a_new_one(run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert execute(["export", str(run.path), "--out", str(out), "--review"]) == 0
    before = (out / "report.html").read_bytes()
    assert b"left out: they may not be handed on" in before
    assert execute(["report", str(out)]) == 0
    assert (out / "report.html").read_bytes() == before
    scores = (out / "scores.json").read_bytes()
    assert execute(["score", str(out)]) == 0
    assert json.loads((out / "scores.json").read_text()) == json.loads(scores)
    with pytest.raises(OutputError, match="exists; an export gets a new folder"):
        export_run(run, out)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp")] == []


def test_the_boards_copy_of_a_page_is_one_that_may_be_handed_on(
    run: RunFolder, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    build_board(
        out=site,
        runs=[run.path],
        published=False,
        options=BoardOptions(released=True, with_reports=True),
    )
    text = everything(site)
    assert not [reference for reference in references(run, KEPT_BACK) if reference in text]
    assert not [sound for sound in sounds(run, KEPT_BACK) if sound in text]
    assert CREDIT in text
    assert "/home" not in text


def test_a_page_to_share_takes_the_place_of_the_whole_one(run: RunFolder) -> None:
    assert execute(["report", str(run.path), "--share"]) == 0
    page = run.report.read_text(encoding="utf-8")
    assert players(page) == 10
    assert page.encode() == page_to_share(run)
    assert not [reference for reference in references(run, KEPT_BACK) if reference in page]
    assert execute(["report", str(run.path)]) == 0
    assert players(run.report.read_text(encoding="utf-8")) == 15


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ada/x.py", "x.py"),
        ("weights=/home/ada/x.pt, size=3", "weights=x.pt, size=3"),
        (r"C:\Users\ada\x.py", "x.py"),
        ("~/ada/x.py", "x.py"),
        ("see https://example.org/a/b/c", "see https://example.org/a/b/c"),
        ("shard train/a.tar and 3 km/h", "shard train/a.tar and 3 km/h"),
    ],
)
def test_folders_are_left_out_of_texts(text: str, expected: str) -> None:
    assert without_folders(text) == expected


def test_an_id_outside_its_folder_keeps_its_last_parts() -> None:
    assert plain_id("../../home/ada/test/t01") == "test/t01"
    assert plain_id("test/shard/t01") == "test/shard/t01"
