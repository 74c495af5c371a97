"""A submission's whole way through the command line: from the template to the public board.

The judged run is one synthetic task with thirty steps of training: the way is tried, not the score.
The submission also brings results of its own, at every place where a run would keep them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from auricle.challenge.archive import extract_archive
from auricle.challenge.bundle import list_folder, write_archive
from auricle.challenge.receipt import is_unchanged
from commands import auricle
from making import audio_bytes, filled_in, tone, write_tar

PLANTED = (
    *("scores.json", "runs/synth-keyword/encoder/scores.json", "features/store/0.bin"),
    *("checkpoints/final.safetensors", "predictions/synth-keyword.jsonl"),
)


def plant(folder: Path) -> None:
    task = {"score": 1.0, "raw": 1.0, "failure": None}
    for name in PLANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps({"mean": 1.0, "tasks": {"synth-keyword": task}}))


def hidden_suites(folder: Path) -> list[Path]:
    """One that the run answers itself, and one whose task is trained apart."""
    members = []
    for j in range(3):
        members += [(f"{j}.flac", audio_bytes(tone(300 + 50 * j, 0.5)))]
        members += [(f"{j}.json", json.dumps({"label": f"tone {j}"}).encode())]
    write_tar(folder / "clips.tar", members)
    paths = []
    for training in ("apart", "reuse"):
        task = {"prompt": "Which?", "metric": "accuracy", "track": "a", "weight": 1}
        task |= {f"{side}_field": "label" for side in ("train", "test")}
        task |= {f"{side}_shards": ["clips.tar"] for side in ("train", "test")}
        suite = {"name": f"secret-{training}", "recipe": "mini", "training": training}
        paths.append(folder / f"{suite['name']}.yaml")
        paths[-1].write_text(yaml.safe_dump({**suite, "tasks": {f"Secret-{training}": task}}))
    return paths


@pytest.mark.slow
@pytest.mark.usefixtures("bubblewrap", "machine")
def test_from_the_template_to_the_board(tmp_path: Path, shared_home: Path) -> None:
    team, archive, judged = (tmp_path / name for name in ("owls", "owls.zip", "judged"))

    said = auricle("new", team, home=shared_home).stdout
    assert f"auricle check {team}" in said
    shutil.rmtree(team)
    filled_in(team)
    plant(team)
    (team / ".env").write_text("TOKEN=secret")
    assert "keeps the contract" in auricle("check", team, home=shared_home).stdout

    said = auricle("pack", team, home=shared_home).stdout
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert f"{archive}   sha256 {sha256}" in said
    assert "left out: .env" in said
    write_archive(team, list_folder(team).files, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
    packed = {entry.name for entry in extract_archive(archive, tmp_path / "unpacked")}
    assert {"encoder.py", "MANIFEST.json", *PLANTED} <= packed

    paper = tmp_path / "receipt.json"
    said = auricle("verify", archive, "--receipt", paper, home=shared_home).stdout
    assert said.splitlines()[-1] == "accepted"
    receipt = json.loads(paper.read_text())
    assert is_unchanged(receipt)
    assert receipt["archive_sha256"] == sha256
    assert receipt["locks"]["sandbox"].startswith("bubblewrap")
    assert receipt["stages"]["smoke"] == "good"

    words = ["--suite", "synth-keyword", "--set", "train.steps=30", "--out", judged, "--json"]
    for path in hidden_suites(tmp_path):
        words += ["--eval", path]
    done = auricle("challenge", "judge", archive, *words, home=shared_home)
    record = json.loads(done.stdout)
    assert record["accepted"]
    further = {name: scores["training"] for name, scores in record["further"].items()}
    assert further == {"secret-apart": "apart", "secret-reuse": "reuse"}
    for scores in record["further"].values():
        (task,) = scores["tasks"].values()
        assert task["clips_scored"] == 3
    assert [stage["name"] for stage in record["stages"]][-2:] == ["smoke", "judged"]
    score = record["scores"]["tasks"]["synth-keyword"]
    assert score["clips_scored"] == score["clips_expected"] > 0
    assert score["score"] < 0.5  # thirty steps teach little
    assert json.loads((judged / "scores.json").read_text())["tasks"]["synth-keyword"] == score
    assert is_unchanged(json.loads((judged / "receipt.json").read_text()))
    for report in judged.rglob("report.html"):
        text = report.read_text()
        assert "Night Owls" in text
        assert str(tmp_path) not in text
        assert "auricle-verify" not in text
    assert not list(tmp_path.glob(".judging-*"))
    # Within what a run may fill, so that no large suite becomes the encoder's fault.
    assert 0 < json.loads((judged / "plan.json").read_text())["disk_budget"] < 50 << 30

    site = tmp_path / "site"
    auricle("board", "build", "--run", judged, "--no-published", "--out", site, home=shared_home)
    (table,) = site.glob("synth-keyword-track-?.json")
    (row,) = json.loads(table.read_text())["rows"]
    assert row["team"] == "Night Owls"
    assert "Night Owls" in (site / table.name.replace(".json", ".html")).read_text()
    public = [*(path for path in site.rglob("*") if path.is_file()), judged / "receipt.json"]
    assert not [path for path in public if b"secret" in path.read_bytes().lower()]
    words = ["--run", judged, "--released", "--no-published", "--out", site]
    auricle("board", "build", *words, home=shared_home)
    (row,) = json.loads(table.read_text())["rows"]
    assert "Secret-reuse" in json.dumps(row)
