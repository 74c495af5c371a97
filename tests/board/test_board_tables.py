"""Tables: who is ranked, in which order, and what is said about those who are not."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import pytest
from board_material import make_results, make_run, task_entry

from auricle.board.from_published import read_published
from auricle.board.from_results import read_results
from auricle.board.from_runs import read_run
from auricle.board.health import chance_of_column, describe
from auricle.board.tables import build_tables
from auricle.catalog.load import get_suite
from auricle.errors import ScoringError


def test_the_published_order_is_the_organisers() -> None:
    for table, track in zip(build_tables(read_published()), "ab", strict=True):
        source = files("auricle.scoring").joinpath("published", f"published_track_{track}.csv")
        rows = list(csv.DictReader(source.read_text(encoding="utf-8").splitlines()))
        rows.sort(key=lambda row: -float(row["overall"]))
        ranked = [row for row in table.rows if row.rank is not None]
        assert len(ranked) == 23
        assert [row.entry.affiliation for row in ranked][:12] == [
            row["affiliation"] for row in rows
        ][:12]
        for row in ranked:
            printed = next(r for r in rows if r["team"] == row.entry.team)
            for value, name in ((row.public, "public"), (row.hidden, "hidden")):
                assert value.value == pytest.approx(float(printed[name]), abs=5.1e-5)
            assert row.overall.value == pytest.approx(float(printed["overall"]), abs=5.1e-5)


def test_baselines_lack_hidden_tasks_and_take_no_rank() -> None:
    for table, mean in zip(build_tables(read_published()), (0.652, 0.435), strict=True):
        whisper = next(row for row in table.rows if row.entry.team == "whisper-base")
        assert whisper.rank is None
        assert whisper.overall.value is None
        assert whisper.public.value == pytest.approx(mean, abs=5e-4)
        assert whisper.unranked == "a baseline takes no rank"
        assert "of 24 in track" in whisper.standing


def test_columns_stand_by_domain_and_hidden_ones_last() -> None:
    table = build_tables(read_published())[0]
    domains = [column.domain for column in table.columns if not column.hidden]
    assert domains == ["speech"] * 8 + ["sound"] * 4 + ["music"] * 3
    assert [column.hidden for column in table.columns] == [False] * 15 + [True] * 6


def test_a_run_without_hidden_scores_is_told_where_it_would_stand(tmp_path: Path) -> None:
    found = read_published() + read_run(make_run(tmp_path / "run"), released=False)
    row = next(row for row in build_tables(found)[0].rows if row.entry.kind == "run")
    assert row.unranked == "6 tasks are missing"
    assert row.cells["Fingersnap"].missing == "not run"
    # Three published public means are below 0.5: 0.2208, 0.2085, 0.3002.
    assert row.standing.startswith("By public mean this would stand 21st of 24 in track A")


def test_withheld_scores_are_called_so_and_rank_nobody(tmp_path: Path) -> None:
    hidden = {name: task_entry(0.9) for name in ("Fingersnap", "KeyScratch", "King-ASR-457")}
    hidden |= {name: task_entry(0.9) for name in ("King-ASR-719", "King-ASR-876", "King-ASR-955")}
    run = make_run(tmp_path / "run", hidden=hidden)
    for released, words in ((False, "its scores on hidden tasks are not released yet"), (True, "")):
        found = read_published() + read_run(run, released=released)
        table = build_tables(found)[0]
        row = next(row for row in table.rows if row.entry.kind == "run")
        assert row.unranked == words
        assert (row.rank is not None) == released
        assert row.hidden.value == (pytest.approx(0.9) if released else None)
        assert any("not released yet" in note for note in table.notes) != released


def test_a_custom_run_is_shown_but_not_ranked(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / mode, name=mode, mode=mode) for mode in ("custom", "fast")]
    found = [one for run in runs for one in read_run(run, released=False)]
    (table,) = build_tables(found)
    assert [(row.entry.team, row.rank) for row in table.rows] == [("fast", 1), ("custom", None)]
    assert table.rows[1].unranked == "it was measured by a recipe of its own"
    assert table.rows[1].public.value == 0.5


def test_equal_scores_share_a_rank_and_bands_follow_the_intervals(tmp_path: Path) -> None:
    # Intervals of 15 equal tasks: 0.02 / sqrt(15) = 0.0052; two means differ by more than
    # sqrt(2) * 0.0052 = 0.0073 or cannot be told apart.
    scores = {"first": 0.8, "same": 0.8, "near": 0.795, "far": 0.7}
    tasks = get_suite("track-a").tasks
    found = []
    for name, score in scores.items():
        entries = {task: task_entry(score) for task in tasks}
        found += read_run(make_run(tmp_path / name, name=name, tasks=entries), released=False)
    (table,) = build_tables(found)
    ranks = {row.entry.team: (row.rank, row.band) for row in table.rows}
    assert ranks == {
        "first": (1, (1, 3)),
        "same": (1, (1, 3)),
        "near": (3, (1, 3)),
        "far": (4, (4, 4)),
    }


def test_a_missing_task_leaves_no_mean_and_no_rank(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tasks={"gtzan": task_entry(None)})
    (table,) = build_tables(read_run(run, released=False))
    row = table.rows[0]
    assert (row.rank, row.public.value, row.overall.value) == (None, None, None)
    assert row.unranked == "gtzan is missing"


def test_suites_never_share_a_table(tmp_path: Path) -> None:
    found = read_run(make_run(tmp_path / "a"), released=False)
    found += read_run(make_run(tmp_path / "s", suite="smoke"), released=False)
    keys = [table.key for table in build_tables(found)]
    assert keys == ["track-a", "smoke-track-a", "smoke-track-b"]


def test_a_team_stands_once_in_a_table(tmp_path: Path) -> None:
    files = [make_results(tmp_path / n, ["team", "gtzan"], [["A", "0.5"]]) for n in ("1", "2")]
    with pytest.raises(ScoringError, match="A stands twice in track A of track-a"):
        build_tables([one for file in files for one in read_results(file, released=False)])
    run = make_run(tmp_path / "run")
    with pytest.raises(ScoringError, match="a run folder is given once"):
        build_tables([*read_run(run, released=False), *read_run(run, released=False)])


def test_chance_is_measured_by_a_run_or_guessed_from_the_classes(tmp_path: Path) -> None:
    table = build_tables(read_published())[0]
    columns = {column.name: column for column in table.columns}
    guess = chance_of_column(table, columns["esc-50"])
    assert guess is not None
    assert (guess.score, guess.source) == (0.02, "a guess among 50 classes")
    assert chance_of_column(table, columns["fsd50k"]) is None
    (table,) = build_tables(read_run(make_run(tmp_path / "run"), released=False))
    measured = chance_of_column(table, columns["esc-50"])
    assert measured is not None
    assert (measured.score, measured.source) == (0.1, "best constant answer on the test labels")


def test_a_saturated_task_is_called_so() -> None:
    table = build_tables(read_published())[0]
    column = next(column for column in table.columns if column.name == "King-ASR-876")
    facts = dict(describe(table, column, None))
    assert facts["Verdict"] == "at its ceiling"  # 12 of 23 teams have 0.98 or more
    assert facts["Ceiling"] == "52% of entries at 0.98 or above"
    assert facts["Entries"] == "23 of 25 have a score"


HIDDEN = ("Fingersnap", "KeyScratch", "King-ASR-457", "King-ASR-719", "King-ASR-876")
HIDDEN_2026 = (*HIDDEN, "King-ASR-955")


def results_in_track_a(path: Path, teams: str, hidden: dict[str, object]) -> Path:
    public = sorted(get_suite("track-a").tasks)
    header = ["team", *public, *(f"{name}*" for name in hidden)]
    rows = [[team, *["0.5"] * len(public), *hidden.values()] for team in teams]
    return make_results(path, header, rows)


@pytest.mark.parametrize("hidden", [{"typo hidden": ""}, {"Other": "0.9"}])
def test_another_hidden_task_takes_nobody_elses_rank(
    tmp_path: Path, hidden: dict[str, object]
) -> None:
    path = results_in_track_a(tmp_path / "one.csv", "X", hidden)
    alone = build_tables(read_published())[0]
    table = build_tables([*read_published(), *read_results(path, released=True)])[0]
    standing = {r.entry.slug: (r.rank, r.overall.value, r.hidden.value) for r in alone.rows}
    for row in table.rows:
        if row.entry.kind != "result":
            assert (row.rank, row.overall.value, row.hidden.value) == standing[row.entry.slug]
    (own,) = (row for row in table.rows if row.entry.kind == "result")
    assert (own.rank, own.public.value, own.overall.value) == (None, 0.5, None)
    assert own.unranked.startswith("6 tasks are missing")
    other = "Other" in hidden
    assert ("other hidden tasks than this table" in own.unranked) == other
    assert [c.label for c in table.columns if not c.counted] == ["Other*"] * other
    assert any("Other*" in note for note in table.notes) == other


def test_who_was_asked_more_is_ranked_by_the_tables_hidden_tasks(tmp_path: Path) -> None:
    hidden: dict[str, object] = dict.fromkeys(HIDDEN_2026, "0.5") | {"Other": "1"}
    path = results_in_track_a(tmp_path / "one.csv", "X", hidden)
    table = build_tables([*read_published(), *read_results(path, released=True)])[0]
    (own,) = (row for row in table.rows if row.entry.kind == "result")
    assert (own.hidden.value, own.overall.value) == (0.5, 0.5)
    assert own.rank is not None


def test_a_hidden_task_that_was_asked_and_failed_still_counts(tmp_path: Path) -> None:
    """The set that ranks is what was asked, so that no failure makes a table easier."""
    good, bad = (task_entry(0.9), task_entry(None))
    found = []
    for name, second in (("first", bad), ("second", bad), ("third", good)):
        hidden = {"One": good, "Two": second}
        found += read_run(make_run(tmp_path / name, name=name, hidden=hidden), released=True)
    (table,) = build_tables(found)
    assert [(row.entry.team, row.rank) for row in table.rows[:1]] == [("third", 1)]
    assert {row.unranked for row in table.rows[1:]} == {"Two is missing"}


def test_entries_of_one_name_show_where_each_comes_from(tmp_path: Path) -> None:
    path = results_in_track_a(tmp_path / "mine.csv", "X", {})
    path.write_text(path.read_text().replace("X,", "thuvoice,"))
    table = build_tables([*read_published(), *read_results(path, released=False)])[0]
    marks = {row.entry.team: row.entry.mark for row in table.rows if row.entry.mark}
    assert marks == {"THUVoice": "published", "thuvoice": "mine.csv"}
    assert "THUVoice stands here 2 times, from: published, mine.csv." in table.notes
    runs = [make_run(tmp_path / str(seed), name="logmel", seed=seed) for seed in (1, 2)]
    (table,) = build_tables([one for run in runs for one in read_run(run, released=False)])
    assert {row.entry.mark for row in table.rows} == {"seed 1", "seed 2"}
    assert not table.notes
