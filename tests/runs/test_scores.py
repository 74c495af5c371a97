"""``scores.json`` as a record: read whole, checked by field, written again as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auricle import score
from auricle.cli.app import execute
from auricle.errors import DamagedFileError
from auricle.files import read_json, write_json
from auricle.records.scores import Estimate, Scores, TaskScore
from report_material import make_run

STORED = sorted((Path(__file__).parent / "stored").rglob("scores*.json"))


@pytest.mark.parametrize("path", STORED, ids=lambda p: p.parent.name)
def test_stored_scores_are_written_again_byte_by_byte(path: Path, tmp_path: Path) -> None:
    Scores.read(path).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_what_a_later_version_adds_is_kept(tmp_path: Path) -> None:
    stored = read_json(STORED[0]) | {"later": [1]}
    assert json.dumps(Scores.from_json(stored, "x").to_json()) == json.dumps(stored)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"score": "0.5"}, r"tasks\.words\.score is '0\.5'; expected a valid number"),
        ({"score": True}, r"tasks\.words\.score is True"),
        ({"score": 1.01}, r"tasks\.words\.score is 1\.01; expected less than or equal to 1"),
        ({"score": float("nan")}, r"tasks\.words\.score is nan"),
        ({"raw": float("inf")}, r"tasks\.words\.raw is inf; expected a finite number"),
        ({"low": 0.9, "high": 0.2}, r"tasks\.words: low is 0\.9 and high 0\.2"),
        ({"clips_scored": 1.5}, r"tasks\.words\.clips_scored is 1\.5"),
        ({"failure": 3}, r"tasks\.words\.failure is 3"),
        ({"interval": [1]}, r"tasks\.words\.interval is \[1\]"),
        ({"detail": None}, r"tasks\.words\.detail is None"),
    ],
)
def test_a_damaged_field_is_named_and_scoring_again_mends_it(
    change: dict[str, Any], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", tasks=("words",), clips=12)
    before = run.scores.read_bytes()
    stored = read_json(run.scores)
    stored["tasks"]["words"] |= change
    run.scores.write_text(json.dumps(stored))
    with pytest.raises(DamagedFileError, match=text) as raised:
        run.read_scores()
    assert "score the run again (auricle score RUN)" in str(raised.value)
    assert execute(["report", str(run.path)]) == 2
    assert "damaged" in capsys.readouterr().err
    score(run.path)
    assert run.scores.read_bytes() == before


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_is_refused(version: object, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    write_json(path, read_json(STORED[0]) | {"schema_version": version})
    with pytest.raises(DamagedFileError, match=r"schema_version is .+; expected 1"):
        Scores.read(path)


def test_what_was_not_measured_whole_has_no_value() -> None:
    seen = TaskScore(score=0.5, low=0.4, high=0.6, failure="3 clips were answered; the task has 4")
    assert seen.estimate == Estimate()
    assert TaskScore(score=None).estimate.value is None
    assert TaskScore(score=0.5, low=0.4, high=0.6).estimate == Estimate(0.5, 0.4, 0.6)


def test_the_centre_of_an_interval_lies_within_it() -> None:
    assert Estimate(0.5, 0.6, 0.8).bounds == (0.6, 0.6, 0.8)
    assert Estimate(0.5, 0.1, 0.8, centre=0.3).bounds == (0.3, 0.1, 0.8)
    assert Estimate(0.5, None, 0.8).bounds is None
