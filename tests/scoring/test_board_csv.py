import csv
import json
from pathlib import Path

import pytest

from auricle.cli.app import execute
from auricle.errors import DamagedFileError, ScoringError
from auricle.records.scores import Scores
from auricle.scoring.board_csv import rank_board
from auricle.scoring.summary import ScoredClip, missing_task, score_task

DATA = Path(__file__).parent.parent / "data"
TASKS = {"esc-50", "gtzan", "clotho"}


@pytest.fixture
def write(tmp_path):
    def make(content, name="board.csv"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return make


def ranked(*paths):
    return rank_board(paths, known_tasks=TASKS)


@pytest.mark.parametrize("track", ["a", "b"])
def test_a_published_table_ranks_as_published_without_differences(track):
    path = DATA / f"published_track_{track}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        printed = list(csv.DictReader(stream))
    names = {name for name in list(printed[0])[5:] if not name.endswith("*")}
    board = rank_board([path], known_tasks=names)
    assert [row["rank"] for row in board["rows"]] == list(range(1, 24))
    assert board["differences"] == []
    assert {row["affiliation"] for row in board["rows"]} == {r["affiliation"] for r in printed}
    printed_overall = {row["team"]: float(row["overall"]) for row in printed}
    for row in board["rows"]:
        assert row["overall"] == pytest.approx(printed_overall[row["team"]], abs=5.1e-5)


def test_rows_have_the_fields_of_the_format(write):
    board = ranked(write("team,esc-50,x*\nA,0.5,0.7\n"))
    (row,) = board["rows"]
    assert row["team"] == "A"
    assert (row["public"], row["hidden"], row["overall"]) == pytest.approx((0.5, 0.7, 0.6))
    assert (row["rank"], row["band"]) == (1, None)


def test_ties_share_a_rank_and_the_next_is_skipped(write):
    text = "team,esc-50,gtzan,x*\nA,0.1,0.2,0.5\nB,0.2,0.1,0.5\nC,0.3,0.0,0.5\nD,0,0,0\nE,1,1,1\n"
    ranks = {row["team"]: row["rank"] for row in ranked(write(text))["rows"]}
    assert ranks == {"E": 1, "A": 2, "B": 2, "C": 2, "D": 5}


@pytest.mark.parametrize("mark", ["", "-", "n/a", "NaN", "–"])
def test_a_missing_score_leaves_a_row_unranked(write, mark):
    board = ranked(write(f"team,esc-50,x*\nA,0.9,{mark}\nB,0.1,0.1\n"))
    assert [(row["team"], row["rank"]) for row in board["rows"]] == [("B", 1), ("A", None)]
    assert board["rows"][1]["missing"] == ["x*"]


def test_differences_from_the_file_are_reported(write):
    text = "team,rank,overall,public,hidden,esc-50,x*\nA,2,0.61,0.5,oops,0.5,0.7\n"
    assert sorted(ranked(write(text))["differences"]) == [
        "A: hidden in the file is no number: oops",
        "A: overall is 0.600000, the file says 0.61",
        "A: rank is 1, the file says 2",
    ]


def test_a_mean_rounded_in_the_file_is_no_difference(write):
    text = "team,overall,esc-50,gtzan,x*\nA,0.583,0.5,0.6666,0.5834\n"
    assert ranked(write(text))["differences"] == []


def test_several_files_are_ranked_together(write):
    one, other = (
        write("team,esc-50,x*\nA,0.5,0.7\n", "1.csv"),
        write("x*,team,esc-50\n0,B,0\n", "2.csv"),
    )
    assert [row["team"] for row in ranked(one, other)["rows"]] == ["A", "B"]


def test_other_columns_pass_through_and_near_misses_are_noted(write):
    board = ranked(write("team,country,esc50,gtzan,x*\nA,DE,0.5,0.5,0.5\n"))
    assert board["rows"][0]["country"] == "DE"
    assert board["rows"][0]["esc50"] == "0.5"
    assert "column 'esc50' is no task and passes through; 'esc-50' is" in board["notes"][0]


def test_a_column_that_cannot_pass_through_is_named(write):
    board = ranked(write("team,band,scores,esc-50,x*\nA,1 to 2,7,0.5,0.5\n"))
    assert board["rows"][0]["scores"] == {"esc-50": 0.5, "x*": 0.5}
    assert ["column 'band' is left out" in note for note in board["notes"]] == [True, False]
    assert "column 'scores' is left out" in board["notes"][1]


def test_without_hidden_tasks_a_note_says_so(write):
    board = ranked(write("team,esc-50\nA,0.5\n"))
    assert board["rows"][0]["overall"] == 0.5
    assert board["notes"] == ["no hidden tasks: overall is the public mean"]


def test_all_problems_are_reported_at_once(write):
    text = "team,esc-50,x*\nA,93.5,0.5\nB,high,1e-99999999\n,0.1,0.1\nA,0.1,0.1\n"
    with pytest.raises(ScoringError) as caught:
        ranked(write(text))
    for part in (
        "esc-50 of 'A': 93.5 is no score; expected 0 to 1",
        "'high' is no number",
        "more than 40 decimals",
        "the team has no name",
        "'A' has a row already",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,esc-50\nA,0.5\n", "has no column 'team'; seen: name, esc-50"),
        ("", "seen: an empty file"),
        ("team,foo\nA,0.5\n", "has no task column"),
        ("team,esc-50,esc-50\nA,1,1\n", "more than one column named esc-50"),
        ("team,esc-50\nA,1,1\n", "row 2 has 3 fields, the header 2"),
        ("team,esc-50\nA,1_0e-1\n", "'1_0e-1' is no number"),
        ("team,esc-50\nA,\u0660.\u0665\n", "'\u0660.\u0665' is no number"),
        ("team,esc-50\nA,inf\n", "'inf' is no number"),
        ("team,esc-50,esc-50*\nA,1,1\n", "has esc-50 as a public and as a hidden task"),
        ("team,esc-50\n", "board.csv: a header and no rows"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(write, text, message):
    with pytest.raises(ScoringError, match=message):
        ranked(write(text))


def test_tracks_are_not_ranked_together(write):
    one, other = write("team,esc-50\nA,0.5\n", "1.csv"), write("team,clotho\nB,0.5\n", "2.csv")
    with pytest.raises(ScoringError, match=r"other task columns than .*rank tracks apart"):
        ranked(one, other)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ScoringError, match="There is no file"):
        ranked(tmp_path / "nowhere.csv")


def test_the_health_of_every_task_is_told_hidden_ones_first(write):
    text = "team,esc-50,gtzan,x*\nA,0.9,0.8,0.99\nB,0.8,0.7,0.98\nC,0.7,0.6,0.99\nD,0.6,0.5,1\n"
    health = ranked(write(text))["health"]
    assert [(t["task"], t["hidden"]) for t in health] == [
        ("x*", True), ("esc-50", False), ("gtzan", False),
    ]  # fmt: skip
    assert health[0]["at_ceiling"] == 1.0
    assert health[0]["verdict"].startswith("at its ceiling")
    assert health[1]["agreement"] == pytest.approx(1.0)


def test_the_terminal_names_the_unranked_and_shows_the_health(write, capsys):
    path = write("team,esc-50,x*\nA,0.9,0.5\nB,0.8,-\nC,0.7,0.6\nD,0.6,0.7\n")
    assert execute(["board", "rank", str(path), "--health"]) == 3
    out = capsys.readouterr().out
    assert "B has no rank: missing x*" in out
    assert "runs against the public tasks" in out


@pytest.mark.parametrize("form", [[], ["--table", "csv"], ["--json"]])
def test_a_row_without_a_rank_is_printed_with_its_reason_and_exit_code_3(write, capsys, form):
    path = write("team,esc-50,tacos*\nowls,.5,.5\nlarks,.9,\n")
    assert execute(["board", "rank", str(path), *form]) == 3
    printed, said = capsys.readouterr()
    assert "owls" in printed
    assert "larks" in printed
    if form == ["--json"]:
        assert [r["missing"] for r in json.loads(printed)["rows"]] == [[], ["tacos*"]]
    else:
        assert "larks has no rank: missing tacos*" in (said if form else printed)
    assert execute(["board", "rank", str(write("team,esc-50\nowls,.5\n")), *form]) == 0


@pytest.mark.parametrize("form", [[], ["--table", "markdown"], ["--table", "latex"]])
def test_strangers_control_characters_never_reach_the_terminal(write, capsys, form):
    path = write('team,esc-50,x*\n"A\x1b[31m\u202e\nB has rank 1",.5,\n')
    assert execute(["board", "rank", str(path), *form]) == 3
    printed, said = capsys.readouterr()
    assert "\x1b" not in printed + said
    assert "\u202e" not in printed + said
    assert not any(line.startswith("B has") for line in (printed + said).splitlines())
    assert execute(["board", "rank", str(write("te\x1b[31mam\n"))]) == 2
    said = capsys.readouterr().err
    assert "te\ufffd[31mam" in said


def test_names_are_no_markup(write, capsys):
    assert execute(["board", "rank", str(write("team,esc-50\n[bold]x[/],.5\n"))]) == 0
    assert "[bold]x[/]" in capsys.readouterr().out


def scored(folder, tasks, further=()):
    """A scored run; each task has its right answers of 100, or None where it is missing."""

    def entry(right):
        clips = [ScoredClip(str(i), "a" if i < right else "b", ["a"]) for i in range(100)]
        return score_task("accuracy", clips, expected=100)

    def write(path, values):
        path.parent.mkdir(parents=True, exist_ok=True)
        entries = {
            name: missing_task("accuracy", expected=100, failure="it died")
            if right is None
            else entry(right)
            for name, right in values.items()
        }
        Scores(schema_version=1, suite="s", tasks=entries).write(path)

    write(folder / "scores.json", tasks)
    if further:
        write(folder / "scores" / "more.json", dict(further))
    return folder


def test_runs_are_ranked_with_bands(tmp_path):
    rights = {"a": 90, "b": 88, "c": 20}
    runs = [scored(tmp_path / name, {"esc-50": right}) for name, right in rights.items()]
    rows = ranked(*runs)["rows"]
    assert [(row["team"], row["rank"], row["band"]) for row in rows] == [
        ("a", 1, [1, 2]),
        ("b", 2, [1, 2]),
        ("c", 3, [3, 3]),
    ]
    assert rows[0]["overall"] == 0.9


def test_hidden_tasks_of_a_run_come_from_its_further_evaluations(tmp_path, write):
    more = {"tacos": 50, "gtzan": 1}  # a public task asked further is not the run's own
    run = scored(tmp_path / "a", {"esc-50": 90}, further=more.items())
    rows = ranked(run, write("team,esc-50,tacos*\nB,0.5,0.7\n"))["rows"]
    assert [(r["team"], r["public"], r["hidden"], r["band"]) for r in rows] == [
        ("a", 0.9, 0.5, None),
        ("B", 0.5, 0.7, None),
    ]


def test_a_run_that_lacks_a_task_has_no_rank(tmp_path):
    runs = [scored(tmp_path / n, {"esc-50": 9, "gtzan": g}) for n, g in (("a", 5), ("b", None))]
    rows = ranked(*runs)["rows"]
    assert [(row["team"], row["rank"], row["missing"]) for row in rows] == [
        ("a", 1, []),
        ("b", None, ["gtzan"]),
    ]


def test_a_folder_without_scores_is_no_row(tmp_path):
    with pytest.raises(ScoringError, match=r"has no scores.json. Give CSV files, or run folders"):
        ranked(tmp_path)
    (tmp_path / "scores.json").write_text("[1]")
    with pytest.raises(DamagedFileError, match=r"scores\.json is damaged: it holds \[1\]"):
        ranked(tmp_path)
    run = scored(tmp_path / "x" / "a", {"esc-50": 9})
    other = scored(tmp_path / "y" / "a", {"esc-50": 9})
    with pytest.raises(ScoringError, match="the team 'a' has a row already"):
        ranked(run, other)
