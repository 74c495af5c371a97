"""Several runs side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from auricle.errors import ScoringError
from auricle.files import read_json, write_json, write_text
from auricle.records.comparison import Outcome
from auricle.runs.compare import labels_of, read_runs
from auricle.runs.compare_page import compare_table, write_comparison
from report_material import make_run


def test_a_row_has_every_runs_score_and_tracks_end_with_their_mean(tmp_path: Path) -> None:
    names = ("words", "counting", "digits")
    runs = [
        make_run(tmp_path / "a", tasks=names, clips=30),
        make_run(tmp_path / "b", tasks=names, clips=30, encoder="other"),
    ]
    rows = compare_table(runs)
    assert [(row.track, row.name) for row in rows] == [
        ("a", "words"),
        ("a", "counting"),
        ("a", "mean"),
        ("b", "digits"),
    ]
    for place, run in enumerate(runs):
        scores = run.read_scores()
        assert scores is not None
        assert rows[0].cells[place].estimate.value == scores.tasks["words"].score
        assert rows[2].cells[place].estimate.value == scores.tracks["a"].mean
    assert [cell.run for cell in rows[0].cells] == ["logmel", "other"]


def test_the_other_run_is_worse_where_it_hears_less(tmp_path: Path) -> None:
    good = make_run(tmp_path / "a", tasks=("words",), clips=80, hearing=0.9)
    bad = make_run(tmp_path / "b", tasks=("words",), clips=80, hearing=0.2, encoder="other")
    (row,) = compare_table([good, bad])
    first, second = row.cells
    assert first.finding is None
    assert second.finding is not None
    assert second.finding.verdict == "worse"
    assert first.estimate.value is not None
    assert second.estimate.value is not None
    assert second.finding.difference == pytest.approx(second.estimate.value - first.estimate.value)
    (turned,) = compare_table([bad, good])
    assert turned.cells[1].finding is not None
    assert turned.cells[1].finding.verdict == "better"


def test_a_finding_is_said_in_words() -> None:
    worse = Outcome(difference=-0.1, low=-0.15, high=-0.05, verdict="worse", clips=300)
    assert worse.text == "worse by 0.100 (0.050 to 0.150)"
    unsure = Outcome(
        difference=0.01, low=-0.02, high=0.04, verdict="cannot tell", clips=300, more_clips=42_433
    )
    assert (
        unsure.text == "cannot tell: +0.010 (−0.020 to +0.040); about 42,000 more clips would tell"
    )


def test_page_and_terminal_say_alike_what_would_tell() -> None:
    far = Outcome(
        difference=0.001, low=-0.02, high=0.02, verdict="cannot tell", clips=300, more_clips=321_919
    )
    for said in (far.text, far.sentence_end):
        assert said.endswith("; no test set of this kind would tell")


def test_no_difference_has_no_sign(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / n, tasks=("words",), clips=30, encoder=n) for n in "ab"]
    (row,) = compare_table(runs)
    assert row.cells[1].finding is not None
    assert row.cells[1].finding.text.startswith("cannot tell: +0.000 (")


def test_runs_asked_other_clips_are_shown_but_not_tested(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a", tasks=("words",), clips=30)
    other = make_run(tmp_path / "b", tasks=("words",), clips=31, encoder="other")
    (row,) = compare_table([one, other])
    assert not row.comparable
    assert row.cells[1].estimate.value is not None
    assert row.cells[1].finding is None
    page = write_comparison([one, other], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "these numbers do not compare" in page


def test_a_missing_task_is_missing_and_so_is_the_mean(tmp_path: Path) -> None:
    names = ("words", "counting")
    one = make_run(tmp_path / "a", tasks=names, clips=12)
    other = make_run(tmp_path / "b", tasks=names, clips=12, missing={"words": "it died"})
    words, _, mean = compare_table([one, other])
    assert words.cells[1].failure == "it died"
    assert mean.cells[1].estimate.value is None
    assert mean.cells[1].failure == "missing: words"


def test_a_task_of_another_suite_is_no_zero(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a", tasks=("words", "counting"), clips=12)
    other = make_run(tmp_path / "b", tasks=("words",), clips=12, encoder="other")
    _, counting, mean = compare_table([one, other])
    assert counting.cells[1].failure == "not in this run's suite"
    assert mean.cells[1].estimate.value is None


def test_names_are_as_long_as_it_takes(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a", tasks=("words",), clips=12)
    seed = make_run(tmp_path / "b", tasks=("words",), clips=12, seed=7)
    same = make_run(tmp_path / "c", tasks=("words",), clips=12)
    deep = make_run(tmp_path / "more" / "a", tasks=("words",), clips=12)

    def labels(*runs: object) -> list[str]:
        return [cell.run for cell in compare_table(runs)[0].cells]  # type: ignore[arg-type]

    steps = make_run(tmp_path / "d", tasks=("words",), clips=12)
    text = steps.manifest.read_text(encoding="utf-8")
    write_text(steps.manifest, text.replace('"steps": 400', '"steps": 40'))
    other = make_run(tmp_path / "e", tasks=("words",), clips=12, encoder="other")
    assert labels(one, other) == ["logmel", "other"]
    assert labels(one, seed, other) == ["logmel, seed 42", "logmel, seed 7", "other"]
    facts = read_runs([one, seed, other])
    assert labels_of(facts, of_seeds=[True, False, False]) == ["logmel", "logmel, seed 7", "other"]
    manifest = read_json(seed.manifest) | {"seed": 42}
    manifest["encoder"]["arguments"] = {"layer": 7}
    write_json(seed.manifest, manifest)
    assert labels(one, seed) == ["logmel", "logmel, layer 7"]
    assert labels(one, steps) == ["logmel, train.steps 400", "logmel, train.steps 40"]
    assert labels(one, same) == ["logmel (1: a)", "logmel (2: c)"]
    assert labels(one, deep) == ["logmel (1: a)", "logmel (2: a)"]


def test_what_differs_besides_the_encoder_is_listed(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a", tasks=("words",), clips=12)
    other = make_run(tmp_path / "b", tasks=("words",), clips=12, encoder="other")
    text = other.manifest.read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    assert "differ in more" not in write_comparison([one, other], page).read_text(encoding="utf-8")
    write_text(other.manifest, text.replace('"steps": 400', '"steps": 40'))
    found = write_comparison([one, other], page).read_text(encoding="utf-8")
    assert "differ in more than their encoders" in found
    assert "steps" in found


def test_one_run_is_too_few(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a", tasks=("words",), clips=12)
    with pytest.raises(ScoringError, match="1 run was given to compare; expected two or more"):
        compare_table([one])


def test_names_of_encoders_never_become_markup(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a", tasks=("words",), clips=12, hostile=True)
    other = make_run(tmp_path / "b", tasks=("words",), clips=12)
    page = write_comparison([one, other], tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<script>") == 1
    assert "<img" not in page
