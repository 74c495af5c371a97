import csv
import io
import json

import pytest

from auricle.errors import UnknownNameError
from auricle.records.comparison import Comparison, SuiteComparison
from auricle.records.scores import Scores
from auricle.scoring.board_csv import rank_board
from auricle.scoring.compare import RunAnswers, TaskAnswers, compare_runs
from auricle.scoring.summary import ScoredClip, score_task, summarise
from auricle.scoring.tables import ResultTable, board_table, comparison_table, scores_table

TABLE = ResultTable(
    ["team", "score", "rank"],
    [
        {"team": "A & B_1 | 50%", "score": 0.123456, "rank": 1},
        {"team": '"C", D', "score": None, "rank": None},
    ],
)


def test_csv_keeps_all_digits_and_leaves_missing_empty():
    rows = list(csv.DictReader(io.StringIO(TABLE.render("csv"))))
    assert rows == [
        {"team": "A & B_1 | 50%", "score": "0.123456", "rank": "1"},
        {"team": '"C", D', "score": "", "rank": ""},
    ]


def test_json_keeps_missing_as_null():
    assert json.loads(TABLE.render("json"))["rows"][1] == {
        "team": '"C", D', "score": None, "rank": None,
    }  # fmt: skip


def test_markdown_escapes_and_shows_missing_as_a_dash():
    lines = TABLE.render("markdown", digits=3).splitlines()
    assert lines[:2] == ["| team | score | rank |", "| --- | ---: | ---: |"]
    assert lines[2] == r"| A & B\_1 \| 50% | 0.123 | 1 |"
    assert lines[3] == '| "C", D | – | – |'


def test_latex_escapes_and_is_a_booktabs_table():
    lines = TABLE.render("latex", digits=2).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[4] == r"A \& B\_1 \textbar{} 50\% & 0.12 & 1 \\"
    assert lines[5] == r"''C'', D & -- & -- \\"
    assert lines[-1] == r"\end{tabular}"


def named(name, style):
    return ResultTable(["team"], [{"team": name}]).render(style).splitlines()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a<b>c", r"a\textless{}b\textgreater{}c"),
        ("`x`", r"\textasciigrave{}x\textasciigrave{}"),
        ("a\nb\x1b[31m", r"a b?[31m"),
    ],
)
def test_latex_prints_the_signs_that_were_written(name, shown):
    assert named(name, "latex")[4] == rf"{shown} \\"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("&lt;b", r"\&lt;b"),
        ("a & b; c", "a & b; c"),
        ("$x^2$ ~~s~~", r"\$x^2\$ \~\~s\~\~"),
        ("https://x.org WWW.x.org", r"https\://x.org WWW\.x.org"),
        ("@someone a@b.org", "@<!-- -->someone a@<!-- -->b.org"),
        ("a\r\nb\x1b[31m\u202e", "a b\ufffd\\[31m\ufffd"),
    ],
)
def test_markdown_shows_the_signs_that_were_written(name, shown):
    assert named(name, "markdown")[2] == f"| {shown} |"


def test_a_spreadsheet_takes_no_text_for_a_formula():
    names = ["=cmd|'/C calc'!A0", "+1+1", "@x", "-a", "-0.5", "+1.5e-3", "a=1"]
    shown = named(names[0], "csv")[1]
    assert shown == "'=cmd|'/C calc'!A0"
    assert [named(name, "csv")[1] for name in names[1:]] == [
        *("'+1+1", "'@x", "'-a"),
        *("-0.5", "+1.5e-3", "a=1"),  # numbers stay numbers
    ]
    assert ResultTable(["=x"], []).render("csv") == "'=x\n"


def test_an_unknown_format_is_refused():
    with pytest.raises(UnknownNameError, match="no table format named 'cvs'"):
        TABLE.render("cvs")


def test_scores_become_a_table_with_their_means():
    task = score_task("accuracy", [ScoredClip("x", "a", ["a"])] * 3, expected=3)
    means = summarise({"t": task}, tracks={"t": "a"}, official=True)
    scores = Scores(schema_version=1, suite="s", tracks=means.tracks, tasks={"t": task})
    table = scores_table(scores)
    assert [row["task"] for row in table.rows] == ["t", "mean of track a"]
    assert "| t | accuracy | 1.0000 |" in table.render("markdown")


def test_a_board_becomes_a_table(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("team,city,esc-50,x*\nA,Oslo,0.5,0.7\n")
    table = board_table(rank_board([path], known_tasks={"esc-50"}))
    assert list(table.columns) == [
        "rank", "band", "team", "city", "overall", "public", "hidden", "esc-50", "x*",
    ]  # fmt: skip
    assert "| 1 | – | A | Oslo | 0.60 |" in table.render("markdown", digits=2)


def test_a_column_of_one_file_stands_there_whoever_ranks_first(tmp_path):
    files = {"1.csv": "team,city,esc-50\nA,Oslo,0.5\n", "2.csv": "team,mode,esc-50\nB,full,0.7\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    table = board_table(rank_board([tmp_path / n for n in files], known_tasks={"esc-50"}))
    rows = list(csv.DictReader(io.StringIO(table.render("csv"))))
    assert [(r["team"], r["city"], r["mode"]) for r in rows] == [
        ("B", "", "full"),
        ("A", "Oslo", ""),
    ]


def test_a_comparison_becomes_a_table():
    runs = [
        RunAnswers(
            name,
            {"t": TaskAnswers("accuracy", "a", [ScoredClip(str(i), a, ["a"]) for i in range(3)])},
        )
        for name, a in (("x", "a"), ("y", "b"))
    ]
    table = comparison_table(Comparison(SuiteComparison(compare_runs(runs), None), []))
    assert [row["task"] for row in table.rows] == ["t", "track A"]
