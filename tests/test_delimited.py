"""One rule for tables of answers, of results and of recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.data.import_table import ImportPlan, read_clips
from auricle.delimited import TableRow, read_delimited
from auricle.errors import DataError, ScoringError, UserError
from auricle.scoring.board_csv import read_board
from auricle.scoring.score_file import read_answers


def test_rows_keep_their_number_and_their_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n"x\r\ny",1\r\n , \r\n\r\n,\r\nz,2\r\n')
    found = read_delimited(path, fault=ScoringError)
    assert found.header == ["a", "b"]
    assert found.rows == [TableRow(2, 3, ["x\r\ny", "1"]), TableRow(6, 7, ["z", "2"])]
    assert found.empty_rows == 2
    assert found.remark == "2 rows without any value are left out"


@pytest.mark.parametrize(
    ("name", "text", "cells"),
    [
        ("t.tsv", "a\tb\n1\t2\n", ["1", "2"]),
        ("t.txt", "a\tb\n1\t2\n", ["1", "2"]),
        ("t.csv", "a\tb\n1\t2\n", ["1\t2"]),
        ("t", "a,b\n1,2\n", ["1", "2"]),
    ],
)
def test_the_suffix_or_else_the_header_tells_the_separator(
    name: str, text: str, cells: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    assert read_delimited(tmp_path / name, fault=ScoringError).rows[0].cells == cells


def test_a_long_text_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "x" * 500_000 + ",1\n")
    found = read_delimited(tmp_path / "t.csv", fault=ScoringError)
    assert len(found.rows[0].cells[0]) == 500_000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a,b\n\xff,1\n", r"is not UTF-8 text \(byte 4\)"),
        (b'a,b\n"x"y,1\n', "line 2: no valid CSV"),
        (b'a,b\n"x,1\n', "no valid CSV"),
    ],
)
@pytest.mark.parametrize("fault", [DataError, ScoringError])
def test_what_is_no_table_is_told_as_its_readers_kind(
    data: bytes, text: str, fault: type[UserError], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(fault, match=text):
        read_delimited(tmp_path / "t.csv", fault=fault)
    with pytest.raises(fault, match="There is no file"):
        read_delimited(tmp_path, fault=fault)


@given(data=st.binary(max_size=80))
def test_any_bytes_are_a_table_or_one_sentence(data: bytes, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_bytes(data)
    plan = ImportPlan(name="x", prompt="?", metric="accuracy", label_columns=("label",))
    for read in (
        lambda: read_answers(path),
        lambda: read_board([path], known_tasks={"esc-50"}),
        lambda: read_clips(path.parent, path, plan),
    ):
        try:
            read()
        except UserError as error:
            assert str(path) in str(error)


def test_empty_rows_of_results_are_told(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("team,esc-50\nA,.5\n ,\n,,\n".replace(",,\n", ",\n"))
    table = read_board([path], known_tasks={"esc-50"})
    assert [row.team for row in table.rows] == ["A"]
    assert f"{path}: 2 rows without any value are left out" in table.notes
