"""A data set's JSON can hold half of a surrogate pair, which UTF-8 cannot: a traceback once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auricle.cli.app import execute
from auricle.runs.predictions import Prediction, read_predictions, write_predictions
from auricle.runs.report import write_report
from report_material import make_run, silence

HALF = "\ud800 half \udfff"


def test_it_goes_to_disk_and_back(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    made = [Prediction(HALF, (HALF,), HALF, 1.0)]
    write_predictions(path, made)
    assert read_predictions(path) == made


def test_a_run_with_it_is_scored_and_reported(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    run = make_run(tmp_path / "run", clips=12)
    for path in run.predictions_folder.glob("*.jsonl"):
        found = read_predictions(path)
        strange = [Prediction(HALF + p.id, (HALF,), HALF + p.prediction, 1.0) for p in found]
        write_predictions(path, strange)
    assert execute(["score", str(run.path), "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["scores"]["tasks"]["words"]["score"] == 0
    assert execute(["score", str(run.path)]) == 0
    write_report(run, audio=silence)
