"""``auricle score FOLDER`` on the files that XARES-LLM writes, one per task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auricle.catalog.load import get_suite, get_task
from auricle.cli.app import execute


def write(folder: Path, name: str, right: int, wrong: int = 0) -> None:
    rows = "rain,Rain\n" * right + "rain,dog\n" * wrong
    (folder / name).write_text("predict,labels\n" + rows, encoding="utf-8")


def score(folder: Path, capsys: pytest.CaptureFixture[str], expect: int) -> dict:
    assert execute(["score", str(folder), "--json"]) == expect
    return json.loads(capsys.readouterr().out)["scores"]


def test_each_file_is_scored_as_the_task_in_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "predictions_eval_esc-50.csv", 300, 100)
    write(tmp_path, "predictions_gtzan.csv", 33, 66)
    (tmp_path / "score_eval_esc-50.yaml").write_text("0.99")  # theirs is never read
    scores = score(tmp_path, capsys, expect=3)
    assert scores["tasks"]["esc-50"]["score"] == 0.75
    assert scores["tasks"]["gtzan"]["score"] == pytest.approx(1 / 3)
    # A track's mean over two of its fifteen tasks is none.
    assert set(scores["tasks"]) == set(get_suite("track-a").tasks)
    assert "no predictions_eval_nsynth.csv" in scores["tasks"]["nsynth"]["failure"]
    assert scores["tracks"]["a"]["mean"] is None

    assert execute(["score", str(tmp_path)]) == 3
    out = capsys.readouterr().out
    assert "400/400" in out
    assert "mean of track A" in out
    assert execute(["score", str(tmp_path), "--table", "csv"]) == 3
    assert "esc-50,accuracy,0.75," in capsys.readouterr().out


def test_synthetic_tasks_have_the_mean_of_the_files_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [name for name in get_suite("mini").tasks if name.startswith("synth-")][:2]
    for name in tasks:
        write(tmp_path, f"predictions_{name}.csv", 10)
    scores = score(tmp_path, capsys, expect=0)
    assert list(scores["tasks"]) == sorted(tasks)
    assert scores["mean"] == 1.0
    assert scores["unknown"] == {}


def test_a_whole_track_has_its_mean_and_exit_code_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for task in get_suite("track-a").tasks:
        write(tmp_path, f"predictions_eval_{task}.csv", get_task(task).test_clips or 20)
    scores = score(tmp_path, capsys, expect=0)
    # All answers are right; one of mAP's 200 and 41 classes is all that the references name.
    expected = (13 + 1 / 200 + 1 / 41) / 15
    assert scores["mean"] == scores["tracks"]["a"]["mean"] == pytest.approx(expected)


def test_a_file_named_after_no_task_is_counted_with_the_nearest_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "predictions_eval_esc-50.csv", 400)
    write(tmp_path, "predictions_eval_gtzn.csv", 99)
    write(tmp_path, "predictions_eval_zzz.csv", 1)
    assert score(tmp_path, capsys, expect=3)["unknown"] == {
        "predictions_eval_gtzn.csv": ["gtzan"],
        "predictions_eval_zzz.csv": [],
    }
    assert execute(["score", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "not scored, named after no task: 2" in said
    assert "predictions_eval_gtzn.csv (nearest: gtzan)" in said
    assert "predictions_eval_zzz.csv (no task comes near)" in said


def test_a_file_that_cannot_be_scored_leaves_its_task_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "predictions_eval_esc-50.csv").write_text("predict\nrain\n")
    (tmp_path / "predictions_eval_gtzan.csv").write_text("")
    (tmp_path / "predictions_eval_cremad.csv").write_text("predict,labels\n")
    write(tmp_path, "predictions_eval_libricount.csv", 1143)
    write(tmp_path, "predictions_eval_voxceleb1.csv", 5)
    tasks = score(tmp_path, capsys, expect=3)["tasks"]
    assert "has the columns: predict. Expected a header" in tasks["esc-50"]["failure"]
    assert "predictions_eval_gtzan.csv is empty" in tasks["gtzan"]["failure"]
    assert "has a header and no answers" in tasks["cremad"]["failure"]
    assert tasks["libricount"]["failure"] == "1143 clips were answered; the task has 1144"
    assert tasks["voxceleb1"]["failure"] is None
    # The catalog knows no size of it, so five answers are not said to be all.
    assert (tasks["voxceleb1"]["clips_scored"], tasks["voxceleb1"]["clips_expected"]) == (5, None)
    assert execute(["score", str(tmp_path)]) == 3
    out = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line.count("│") > 6}
    assert "5/?" in rows["voxceleb1"]
    assert "0/?" in rows["fsd50k"]
    # An incomplete task has no score of its own, whatever its answers are worth.
    assert [cell.strip() for cell in rows["libricount"].split("│")[3:5]] == ["missing", ""]
    assert "the task has 1144; their score alone: 1.000" in out


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["predictions_eval_gtzan.csv", "predictions_GTZAN.csv"], "two files of the task gtzan"),
        (["predictions_esc50.csv"], r"none is named after a task: predictions_esc50.csv (nearest"),
        (["answers.csv"], "is no run folder (it has no manifest.json) and holds no predictions_"),
    ],
)
def test_a_folder_that_cannot_be_scored_says_why(
    names: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in names:
        write(tmp_path, name, 1)
    assert execute(["score", str(tmp_path)]) == 2
    assert text in capsys.readouterr().err


EVAL = """
eval_birds:
  data: {data: ["birds_{0..3}.tar"], key: label, prompt: Which bird?}
  metric: Accuracy
My Frogs:
  data: {data: frogs.tar, key: label, prompt: Which frogs?}
  metric: mAP
  metric_args: {num_classes: 4, separator: ","}
esc-50:
  data: {data: own.tar, key: label}
  metric: iWER
"""


def test_the_files_of_own_tasks_are_scored_as_their_evaluation_file_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write(folder, "predictions_eval_birds.csv", 3, 1)
    write(folder, "predictions_esc-50.csv", 2)
    (tmp_path / "eval.yaml").write_text(EVAL)
    words = ["score", str(folder), "--suite", str(tmp_path / "eval.yaml")]
    assert execute([*words, "--json"]) == 3
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert set(scores["tasks"]) == {"eval_birds", "My-Frogs", "esc-50-custom"}
    birds, own = scores["tasks"]["eval_birds"], scores["tasks"]["esc-50-custom"]
    assert (birds["metric"], birds["score"], birds["clips_expected"]) == ("accuracy", 0.75, None)
    assert (own["metric"], own["score"]) == ("iWER", 1.0)
    assert "no predictions_eval_my-frogs.csv" in scores["tasks"]["My-Frogs"]["failure"]
    write(folder, "predictions_My-Frogs.csv", 5)
    assert execute(words) == 0
    assert "eval_birds" in capsys.readouterr().out


def test_files_of_own_tasks_are_met_with_the_line_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "predictions_eval_birds.csv", 3)
    line = f"auricle score {tmp_path} --suite eval.yaml"
    assert execute(["score", str(tmp_path)]) == 2
    assert line in capsys.readouterr().err
    write(tmp_path, "predictions_eval_esc-50.csv", 3)
    assert execute(["score", str(tmp_path)]) == 3
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eval_x: {metric: iWER, data: {data: a.tar}}", "The suite has x"),
        ("train_data: {x: {data: a.tar}}", "The suite has no test task"),
        (
            "eval_x: {metric: iWER, data: {data: a.tar}}\nx: {metric: iWER, data: {data: a.tar}}",
            "names differ by 'eval_' alone",
        ),
    ],
)
def test_a_suite_that_does_not_fit_a_folder_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    write(tmp_path, "predictions_eval_birds.csv", 3)
    (tmp_path / "eval.yaml").write_text(text)
    assert execute(["score", str(tmp_path), "--suite", str(tmp_path / "eval.yaml")]) == 2
    assert message in capsys.readouterr().err
    answers = str(tmp_path / "predictions_eval_birds.csv")
    assert execute(["score", answers, "--suite", str(tmp_path / "eval.yaml")]) == 2
    assert "name its task with --task, in place of --suite" in capsys.readouterr().err
