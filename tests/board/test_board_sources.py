"""Run folders, result files and the published table as the board reads them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from board_material import make_results, make_run, task_entry

from auricle.board.from_published import read_published
from auricle.board.from_results import read_results
from auricle.board.from_runs import read_run
from auricle.board.model import Cell
from auricle.board.run_entry import run_entry
from auricle.catalog.load import get_suite
from auricle.challenge.receipt import Examined, make_receipt
from auricle.challenge.verdicts import Problem, Verdict, judged
from auricle.errors import DamagedFileError, ScoringError
from auricle.records.scores import Scores
from auricle.runs.folder import RunFolder

SUBMISSION = """
schema: 1
team: Night <b>Owls</b>
members: [Ada Example]
contact: secret@owls.org
encoder: encoder.py:MyEncoder
tracks: [a]
weights: {source: none}
training_data:
  - {name: LibriSpeech, source: "https://www.openslr.org/12", licence: CC BY 4.0, hours: 960,
     share: 90}
  - {name: the organisers' set, source: organisers, licence: challenge, hours: 20, share: 10}
parameters: 86000000
hardware: 8 x A100 for 3 days
"""


def test_a_run_is_named_after_its_encoder_and_keeps_the_address_of_its_hash(tmp_path: Path) -> None:
    first, second = (
        read_run(make_run(tmp_path / str(seed), seed=seed), released=False)[0].results[0].entry
        for seed in (1, 2)
    )
    assert first.team == second.team == "my-encoder"
    assert first.slug != second.slug
    assert (first.mode, first.date) == ("reference", "2026-05-06")
    assert first.protocol == "auricle 0.1.0, official-2"


def test_every_task_of_the_suite_is_a_column_also_where_the_run_lacks_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    scores = json.loads((run / "scores.json").read_text())
    del scores["tasks"]["gtzan"]
    (run / "scores.json").write_text(json.dumps(scores))
    found = read_run(run, released=False)[0]
    assert {column.name for column in found.columns} == set(get_suite("track-a").tasks)
    assert found.results[0].cells["gtzan"] == Cell(None, missing="not run")


def test_a_failed_task_is_missing_with_its_reason_though_it_has_a_number(tmp_path: Path) -> None:
    entry = task_entry(0.4, failure="incomplete: 3 of 400 test clips cannot be decoded")
    run = make_run(tmp_path / "run", tasks={"esc-50": entry})
    cell = read_run(run, released=False)[0].results[0].cells["esc-50"]
    assert cell.score is None
    assert cell.missing == "incomplete: 3 of 400 test clips cannot be decoded"


def test_a_judged_run_stands_under_its_team_without_people_and_address(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "submission.yaml").write_text(SUBMISSION)
    entry = read_run(run, released=False)[0].results[0].entry
    assert entry.team == "Night <b>Owls</b>"
    assert entry.declaration is not None
    assert [data.share for data in entry.declaration.training_data] == [90, 10]
    assert [data.source for data in entry.declaration.training_data] == [
        "https://www.openslr.org/12",
        "",
    ]
    assert "secret@owls.org" not in repr(entry)
    assert "Ada" not in repr(entry)


def test_a_receipt_names_the_team_and_the_day_and_must_be_unchanged(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"archive")
    run = make_run(tmp_path / "run")
    locks = {"sandbox": "bwrap 0.8", "system_calls": "filtered"}
    half = "hearing: nothing answers to 4.9-10 s of 10 s; is the hop 320 or 160?"
    stages = [replace(judged("contract", [], "25 checks passed"), remark=half), judged("smoke", [])]
    assert stages[0].message == f"25 checks passed\n{half}"
    assert stages[0].passed
    receipt = make_receipt(archive, stages, team="Night Owls", locks=locks, environment={})
    assert receipt["remarks"] == {"contract": half}
    (run / "receipt.json").write_text(json.dumps(receipt))
    result = read_run(run, released=False)[0].results[0]
    assert (result.entry.team, result.entry.date) == ("Night Owls", receipt["time"][:10])
    assert ("Locks", "bwrap 0.8; system calls: filtered") in result.entry.facts
    assert ("To be known", half) in result.entry.facts
    assert result.obstacle == ""
    (run / "receipt.json").write_text(json.dumps(receipt | {"team": "Others"}))
    with pytest.raises(ScoringError, match="was changed after it was written"):
        read_run(run, released=False)


def test_a_submission_that_was_not_accepted_takes_no_rank(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"archive")
    run = make_run(tmp_path / "run")
    failed = judged("memory", [Problem(Verdict.MEMORY_LIMIT, "too much")])
    receipt = make_receipt(archive, [failed], team="A", locks={}, environment={})
    (run / "receipt.json").write_text(json.dumps(receipt))
    assert read_run(run, released=False)[0].results[0].obstacle == "its submission was not accepted"


def test_hidden_tasks_of_a_run_are_dropped_until_they_are_released(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", hidden={"SecretTask": task_entry(0.777)})
    kept = read_run(run, released=False)[0]
    assert kept.results[0].withheld
    assert "SecretTask" not in repr(kept)
    assert "0.777" not in repr(kept)
    shown = read_run(run, released=True)[0]
    assert shown.results[0].cells["SecretTask"].score == 0.777
    assert [column.label for column in shown.columns if column.hidden] == ["SecretTask*"]


def test_a_run_with_nothing_to_show_is_refused_and_a_task_without_track_too(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    scores = json.loads((run / "scores.json").read_text())
    scores["tasks"] = {"SecretTask": task_entry(0.7)}
    (run / "scores.json").write_text(json.dumps(scores | {"tracks": {}}))
    with pytest.raises(ScoringError, match="hidden tasks only, and they are not released"):
        read_run(run, released=False)
    with pytest.raises(ScoringError, match="task SecretTask has no track"):
        read_run(run, released=True)


def test_a_note_that_names_a_withheld_task_is_withheld(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", hidden={"SecretTask": task_entry(0.777)})
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["notes"] = ["SecretTask: 2 training clips cannot be decoded.", "gtzan: a note."]
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert read_run(run, released=False)[0].results[0].entry.notes == ("gtzan: a note.",)


def test_a_run_with_withheld_scores_offers_no_report(tmp_path: Path) -> None:
    for name, hidden in (("open", None), ("secret", {"SecretTask": task_entry(0.7)})):
        (make_run(tmp_path / name, hidden=hidden) / "report.html").write_text("<p>")
    reports = [
        len(read_run(tmp_path / name, released=False)[0].results[0].entry.reports)
        for name in ("open", "secret")
    ]
    assert reports == [1, 0]


def test_a_folder_without_scores_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "scores.json").unlink()
    with pytest.raises(ScoringError, match=r"has no scores.json: its run has not ended"):
        read_run(run, released=False)
    with pytest.raises(ScoringError, match="is no run folder"):
        read_run(tmp_path, released=False)


@pytest.mark.parametrize("score", [1.5, -0.1, "0.5", True, [1]])
def test_a_score_that_is_none_is_refused(tmp_path: Path, score: object) -> None:
    run = make_run(tmp_path / "run", tasks={"esc-50": task_entry(0.5) | {"score": score}})
    with pytest.raises(DamagedFileError, match=r"tasks\.esc-50\.score is .*; expected"):
        read_run(run, released=False)


@pytest.mark.parametrize("text", ["[]", "{", "3", '{"tasks": {}}', '{"tasks": []}'])
def test_scores_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path / "run")
    (run / "scores.json").write_text(text)
    with pytest.raises(ScoringError, match=r"scores\.json"):
        read_run(run, released=False)


def test_the_published_table_is_read_whole() -> None:
    for found, track in zip(read_published(), "ab", strict=True):
        source = files("auricle.scoring").joinpath("published", f"published_track_{track}.csv")
        rows = list(csv.DictReader(source.read_text(encoding="utf-8").splitlines()))
        teams = [result for result in found.results if result.entry.kind == "published"]
        assert [result.entry.affiliation for result in teams] == [
            row["affiliation"] for row in rows
        ]
        for result, row in zip(teams, rows, strict=True):
            for column in found.columns:
                assert result.cells[column.name].score == float(row[column.label])
        baselines = [result for result in found.results if result.entry.kind == "baseline"]
        assert {result.entry.team for result in baselines} == {"dasheng-base", "whisper-base"}


def test_a_csv_takes_the_suite_of_its_tasks_and_passes_origin_through(tmp_path: Path) -> None:
    tasks = sorted(get_suite("track-b").tasks)
    path = make_results(
        tmp_path / "r.csv",
        ["team", "mode", "date", "overall", *tasks, "tacos*"],
        [["A", "fast", "2027-01-02", "0.99", *["0.5"] * 4, "", "0.321"]],
    )
    kept = read_results(path, released=False)[0]
    assert (kept.suite, kept.track) == ("track-b", "b")
    assert (kept.results[0].entry.mode, kept.results[0].entry.date) == ("fast", "2027-01-02")
    assert kept.results[0].cells[tasks[-1]] == Cell(None, missing="not run")
    assert "tacos" not in repr(kept)
    assert "0.321" not in repr(kept)
    shown = read_results(path, released=True)[0]
    assert shown.results[0].cells["tacos"].score == 0.321


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (["team", "nonsense"], ["A", "0.5"], "has no task column"),
        (["team", "nonsense*"], ["A", "0.5"], "expected at least one task of the catalog"),
        (["name", "gtzan"], ["A", "0.5"], "has no column 'team'"),
        (["team", "gtzan"], ["A", "zero"], "gtzan of 'A': 'zero' is no number"),
        (["team", "gtzan"], ["A", "71.2"], "71.2 is no score"),
        (["team", "gtzan", "clotho", "x*"], ["A", "0", "0", "0"], "one file per track"),
    ],
)
def test_a_csv_of_another_form_is_refused(
    tmp_path: Path, header: list[str], row: list[str], words: str
) -> None:
    with pytest.raises(ScoringError, match=words):
        read_results(make_results(tmp_path / "r.csv", header, [row]), released=False)


def test_what_is_no_run_is_told_by_its_own_fault(tmp_path: Path) -> None:
    broken = tmp_path / "brk.json"
    broken.write_text("{")
    with pytest.raises(ScoringError, match=r"brk\.json cannot be read as JSON"):
        read_results(broken, released=False)
    broken.write_text("{}")
    with pytest.raises(ScoringError, match=r"is JSON, but no scores\.json"):
        read_results(broken, released=False)
    run = make_run(tmp_path / "run")
    (run / "manifest.json").write_text("{")
    with pytest.raises(ScoringError, match=r"expected manifest\.json of a run\. Give the file as"):
        read_run(run, released=False)


@pytest.mark.parametrize("version", [None, 99])
@pytest.mark.parametrize("name", ["manifest.json", "scores.json"])
def test_another_format_is_refused(tmp_path: Path, name: str, version: int | None) -> None:
    run = make_run(tmp_path / "run")
    value = json.loads((run / name).read_text())
    (run / name).write_text(json.dumps(value | {"schema_version": version}))
    with pytest.raises(ScoringError, match=f"{name} has schema_version {version}; 1 is"):
        read_run(run, released=False)


def test_an_interval_goes_from_low_to_high(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tasks={"gtzan": task_entry(0.5, low=0.9, high=0.1)})
    with pytest.raises(DamagedFileError, match=r"low is 0\.9 and high 0\.1"):
        read_run(run, released=False)


def test_the_address_of_a_run_ends_with_the_hash_of_its_folder() -> None:
    stored = Path(__file__).parents[1] / "runs" / "stored" / "pitch" / "logmel-5560f8366447"
    folder = RunFolder(stored)
    scores = Scores(schema_version=1, suite="pitch", mode="custom", tasks={})
    entry = run_entry(folder, folder.read_manifest(), scores, ("pitch",), Examined())
    assert entry.slug == stored.name


def test_a_damaged_manifest_is_told_by_its_field(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    value = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(value | {"seed": "x"}))
    with pytest.raises(DamagedFileError, match="seed is 'x'; expected a valid integer"):
        read_run(run, released=False)


def test_a_day_must_exist(tmp_path: Path) -> None:
    path = make_results(tmp_path / "a.csv", ["team", "date", "gtzan"], [["A", "2026-02-30", "0.5"]])
    with pytest.raises(ScoringError, match=r"A: date is '2026-02-30'; a day is expected"):
        read_results(path, released=False)


def test_versions_of_a_recipe_are_never_ranked_together(tmp_path: Path) -> None:
    now = make_run(tmp_path / "now", name="now")
    before = make_run(tmp_path / "before", name="before", version=1)
    (found,) = read_run(now, released=False)
    assert found.results[0].obstacle == ""
    assert found.results[0].entry.mode == "reference"
    assert found.results[0].entry.protocol == "auricle 0.1.0, official-2"
    (found,) = read_run(before, released=False)
    assert found.results[0].obstacle == (
        "it was measured by official-1, another version of its recipe"
    )
    assert found.results[0].entry.mode == "custom"


def test_a_row_that_a_board_wrote_of_another_version_takes_no_rank(tmp_path: Path) -> None:
    tasks = sorted(get_suite("track-b").tasks)
    rows = [
        ["now", "auricle 0.1.0, official-2", *["0.5"] * len(tasks)],
        ["before", "auricle 0.1.0, official-1", *["0.6"] * len(tasks)],
        ["elsewhere", "a lab, part-1", *["0.6"] * len(tasks)],
    ]
    path = make_results(tmp_path / "r.csv", ["team", "protocol", *tasks], rows)
    (found,) = read_results(path, released=False)
    obstacles = {result.entry.team: result.obstacle for result in found.results}
    assert obstacles == {
        "now": "",
        "before": "it was measured by official-1, another version of its recipe",
        "elsewhere": "",
    }
