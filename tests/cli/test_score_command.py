"""``auricle score FILE`` as a researcher gives it: fields, options, exit codes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auricle.cli.app import execute
from commands import environment
from report_material import make_run

CASES = json.loads(
    (Path(__file__).parent.parent / "data" / "metric_cases.json").read_text(encoding="utf-8")
)["cases"]
FIELDS = ["metric", "score", "raw", "corrected", "reason", "per_clip"]


def write_case(path: Path, case: dict[str, Any]) -> Path:
    pairs = list(zip(case["predictions"], case["references"], strict=True))
    with path.open("w", encoding="utf-8", newline="") as stream:
        if path.suffix == ".jsonl":
            for number, (answer, text) in enumerate(pairs):
                line = {"id": str(number), "prediction": answer, "references": [text]}
                stream.write(json.dumps(line) + "\n")
        else:
            writer = csv.writer(stream, delimiter="\t" if path.suffix == ".tsv" else ",")
            # With an id, an empty answer to an empty text is a clip; without one it is none.
            rows = [(str(number), *pair) for number, pair in enumerate(pairs)]
            writer.writerows([("id", "predict", "labels"), *rows])
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_every_text_case_has_its_number_from_any_format(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for case in CASES:
        if case["metric"] in ("FENSE", "DATE"):
            continue
        path = write_case(tmp_path / f"{case['id']}.{suffix}", case)
        options = [
            part
            for name, value in case["args"].items()
            for part in (f"--{name.replace('_', '-')}", str(value))
        ]
        assert execute(["score", str(path), "--metric", case["metric"], *options, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert list(report)[:6] == FIELDS
        assert report["raw"] == pytest.approx(case["expected"], abs=1e-12), case["id"]
        assert (report["per_clip"] is None) == (case["metric"] == "mAP")


@pytest.mark.parametrize("metric", ["FENSE", "DATE"])
def test_captions_take_their_models_from_the_options(
    metric: str,
    tmp_path: Path,
    home: Path,
    sentence_model: Path,
    detector_checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cases = [case for case in CASES if case["metric"] == metric]
    models = ["--sentence-model", str(sentence_model)]
    models += ["--fluency-detector", str(detector_checkpoint)]
    for case in (cases[0], next(case for case in cases if "raises" in case)):
        path = write_case(tmp_path / f"{case['id']}.csv", case)
        code = execute(["score", str(path), "--metric", metric, *models, "--json"])
        report = json.loads(capsys.readouterr().out)
        assert code == (3 if report["score"] is None else 0)
        assert report["raw"] == case.get("expected")
        assert bool(report["reason"]) == ("raises" in case)


@pytest.mark.parametrize("shown", [[], ["--json"], ["--table", "csv"]])
def test_a_missing_score_is_seen_in_the_exit_code(
    shown: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.csv"
    path.write_text("predict,labels\na,a\nb,b\n")
    assert execute(["score", str(path), "--metric", "mAP", *shown]) == 3
    assert execute(["score", str(path), "--metric", "accuracy", *shown]) == 0


def test_a_number_stands_with_its_interval_and_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.csv"
    path.write_text("predict,labels\n" + "dog,dog\n" * 30 + "cat,dog\n" * 5 + "dog,cat\n" * 15)
    assert execute(["score", str(path), "--metric", "accuracy", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["low"] < report["score"] == 0.6 < report["high"]
    assert report["chance"] == 0.7
    assert execute(["score", str(path), "--metric", "accuracy", "--table", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["field,value", "metric,accuracy", "raw,0.6", "score,0.6"]
    # Recall 30 of 35 and 0 of 15.
    assert "corrected: balanced accuracy,0.428571" in lines


def test_a_task_of_the_catalog_says_how_its_file_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "predictions_fsdkaggle2018.csv"
    path.write_text("predict,labels\ncough,Cough\nbark,Laughter\n")
    assert execute(["score", str(path), "--task", "fsdkaggle2018", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    # Two of the task's 41 classes: one perfect, one never answered (its share, a half).
    assert (report["metric"], report["raw"]) == ("mAP", pytest.approx(1.5 / 41))


def test_texts_that_utf_8_cannot_hold_are_printed_as_json_all_the_same(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(r'{"prediction": "\ud800", "references": ["\u0000 \ud800 \u2028"]}' + "\n")
    assert execute(["score", str(path), "--metric", "accuracy", "--json"]) == 0
    report = json.loads(capfdbinary.readouterr().out)
    assert report["detail"]["outside_examples"] == ["\ud800"]
    assert execute(["score", str(path), "--metric", "accuracy"]) == 0


def test_a_sparse_interval_is_marked_and_its_weakness_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", tasks=("words",), clips=12)
    assert execute(["score", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert " * " in out
    assert "words: * n p (1 - p) is under 5: covers 96 % on average, but 84 % at worst" in out
    assert "words: balanced accuracy" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["nowhere.csv", "--metric", "mAP"],
            "There is no file or folder nowhere.csv. Give the folder",
        ),
        (["p.csv", "--metric", "mAP", "--task", "esc-50"], "Both --task and --metric were given"),
        ([".", "--metric", "mAP"], "is a folder, whose tasks say their metrics"),
        (["p.csv"], "p.csv is a file of answers: say how to score it"),
        (["p.csv", "--metric", "acuracy"], "no metric named 'acuracy'. Nearest: accuracy"),
        (["p.csv", "--metric", "accuracy", "--table", "cvs"], "no table format named 'cvs'"),
        (["p.csv", "--metric", "FENSE", "--sentence-model", "./none"], "is no folder"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("predict,labels\na,b\n")
    assert execute(["score", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_a_run_is_scored_where_torch_cannot_be_loaded(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", clips=12)
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'sklearn']));"
        "from auricle.cli.app import execute; sys.exit(execute(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "score", str(run.path), "--json"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["scores"]["tracks"]["b"]["mean"] is not None


@pytest.mark.parametrize("command", [["score"], ["compare"], ["board", "rank"]])
def test_one_format_at_a_time(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*command, str(tmp_path), "--json", "--table", "csv"]) == 2
    assert "Both --json and --table were given" in capsys.readouterr().err


def test_a_clip_that_stands_twice_never_hides_a_missing_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run(tmp_path / name, tasks=("words",), clips=12) for name in "xy"]
    path = runs[0].predictions("words")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:4], *lines[5:], lines[0]]), encoding="utf-8")
    for command in (["score", str(runs[0].path)], ["compare", *(str(r.path) for r in runs)]):
        assert execute(command) == 2
        said = capsys.readouterr().err
        assert "words.jsonl, line 12: the clip 'words/" in said.replace("\n", "")
        assert "stands there twice; expected each clip once" in said
