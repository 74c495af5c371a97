"""Law 6: scores are recomputed from predictions alone, without encoder, LALM or torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands import auricle, environment


@pytest.mark.slow
def test_a_copy_without_features_and_checkpoints_scores_the_same(
    run_json: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    result = run_json("logmel")
    run = tmp_path / "elsewhere"
    run.mkdir()
    shutil.copy(Path(result["run"]) / "manifest.json", run)
    shutil.copytree(Path(result["run"]) / "predictions", run / "predictions")
    done = auricle("score", run, "--json", home=tmp_path / "empty-home")
    assert json.loads(done.stdout)["scores"] == result["scores"]


@pytest.mark.slow
def test_changed_predictions_change_the_score_and_a_missing_file_makes_the_task_missing(
    run_json: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    run = Path(run_json("logmel")["run"])
    path = run / "predictions" / "synth-keyword.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    perfect = [line | {"prediction": line["references"][0]} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in perfect))
    scores = json.loads(auricle("score", run, "--json", home=tmp_path / "empty-home").stdout)
    assert scores["scores"]["tasks"]["synth-keyword"]["score"] == 1.0

    path.write_text("".join(json.dumps(line) + "\n" for line in perfect[:-1]))
    done = auricle("score", run, "--json", home=tmp_path / "empty-home", expect=3)
    task = json.loads(done.stdout)["scores"]["tasks"]["synth-keyword"]
    assert task["clips_scored"] == task["clips_expected"] - 1
    assert "299 clips were answered; the task has 300" in task["failure"]

    path.unlink()
    done = auricle("score", run, "--json", home=tmp_path / "empty-home", expect=3)
    scores = json.loads(done.stdout)["scores"]
    assert scores["tasks"]["synth-keyword"]["score"] is None
    assert scores["tracks"]["a"]["mean"] is None
    assert scores["mean"] is None


def test_scoring_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, auricle.runs.rescore, auricle.scoring.summary;"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment(tmp_path))
