"""The rules that a program can hold: shares, sources, people, files, deadlines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from auricle.challenge.rules import (
    check_parameters,
    check_rules,
    deadline,
    find_conflicts,
    find_namesakes,
    is_in_time,
)
from auricle.challenge.submission import Submission

SET = {
    "name": "Some",
    "source": "https://zenodo.org/records/1",
    "licence": "CC0",
    "hours": 10.0,
    "share": 100.0,
}


def make(**changes: Any) -> Submission:
    base: dict[str, Any] = {
        "schema": 1,
        "team": "Owls",
        "members": ["Ada"],
        "contact": "a@example.org",
        "encoder": "encoder.py:E",
        "tracks": ["a"],
        "weights": {"source": "inside", "files": ["w.bin"]},
        "training_data": [SET],
        "parameters": 10,
        "hardware": "a laptop",
    }
    return Submission.model_validate(base | changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("encoder.py", "w.bin", "report.pdf"):
        (tmp_path / name).write_text("x")
    return tmp_path


def messages(submission: Submission, folder: Path) -> str:
    return "\n".join(problem.message for problem in check_rules(submission, folder))


def test_a_good_submission_breaks_no_rule(folder: Path) -> None:
    assert messages(make(), folder) == ""


@pytest.mark.parametrize(
    ("shares", "good"),
    [
        ((100,), True),
        ((33.3, 33.3, 33.3), True),
        ((50, 49.5), True),
        ((50, 49.4), False),
        ((60, 60), False),
    ],
)
def test_shares_sum_to_100_percent(shares: tuple[float, ...], good: bool, folder: Path) -> None:
    data = [SET | {"name": f"set {i}", "share": share} for i, share in enumerate(shares)]
    text = messages(make(training_data=data), folder)
    assert ("the shares sum to" not in text) is good


def test_training_data_may_be_empty_only_without_parameters(folder: Path) -> None:
    nothing = make(training_data=[], parameters=0, weights={"source": "none"})
    assert messages(nothing, folder) == ""
    assert "is empty, yet the encoder has 10 parameters" in messages(make(training_data=[]), folder)


def test_a_set_counts_once_and_the_organisers_has_twenty_hours(folder: Path) -> None:
    data = [
        SET | {"share": 50.0},
        SET | {"name": "SOME", "share": 40.0},
        SET | {"name": "theirs", "source": "organisers", "hours": 21.0, "share": 10.0},
    ]
    text = messages(make(training_data=data), folder)
    assert "'SOME' is listed twice" in text
    assert "has 20 hours, not 21" in text


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"source": "inside"}, "list them under 'files'"),
        ({"source": "inside", "files": ["gone.bin"]}, "there is no file 'gone.bin'"),
        ({"source": "fetched"}, "under 'urls'"),
        ({"source": "none"}, "an encoder without parameters"),
    ],
)
def test_weights_are_where_they_are_said_to_be(
    weights: dict[str, Any], expected: str, folder: Path
) -> None:
    assert expected in messages(make(weights=weights), folder)


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "~/x", "../other/w.bin", "a/../../x", "/", "file:///etc/shadow"]
)
def test_arguments_name_nothing_outside_the_submission(path: str, folder: Path) -> None:
    text = messages(make(arguments={"nested": [{"weights": path}]}), folder)
    assert "arguments" in text
    assert "names a file outside" in text


def test_ordinary_arguments_may_stay(folder: Path) -> None:
    assert messages(make(arguments={"file": "w.bin", "layer": 3, "model": "owner/x"}), folder) == ""


def test_the_encoders_file_must_exist(folder: Path) -> None:
    assert "there is no file 'other.py'" in messages(make(encoder="other.py"), folder)


@pytest.mark.parametrize(
    ("declared", "counted", "good"),
    [
        (86_000_000, 85_900_000, True),
        (100, 94, False),
        (0, 5, False),
        (0, 0, True),
        (9, None, True),
    ],
)
def test_the_declared_parameters_are_the_encoders(
    declared: int, counted: int | None, good: bool
) -> None:
    problems = check_parameters(make(parameters=declared), counted)
    assert (problems == []) is good


def test_a_deadline_ends_at_noon_utc_of_the_next_day() -> None:
    day = date(2026, 3, 31)
    assert deadline(day) == datetime(2026, 4, 1, 12, tzinfo=UTC)
    howland = timezone(timedelta(hours=-12))
    assert is_in_time(datetime(2026, 3, 31, 23, 59, 59, tzinfo=howland), day)
    assert not is_in_time(datetime(2026, 4, 1, 0, 0, tzinfo=howland), day)
    assert is_in_time(datetime(2026, 4, 1, 11, 59, tzinfo=UTC), day)
    with pytest.raises(ValueError, match="without a time zone"):
        is_in_time(datetime(2026, 4, 1), day)  # noqa: DTZ001


def test_a_team_has_one_model_and_a_person_one_team() -> None:
    entries = {
        "1.zip": make(),
        "2.zip": make(team="OWLS", members=["Bo"], contact="b@example.org"),
        "3.zip": make(team="Crows", members=["ada"]),
    }
    text = "\n".join(problem.message for problem in find_conflicts(entries))
    assert "'OWLS' stands in both 1.zip and 2.zip" in text
    assert "'a@example.org' is in 'Owls' and in 'Crows'" in text
    assert "'ada' is in" not in text
    assert find_namesakes(entries) == [
        "'ada' is in 'Owls' and in 'Crows': one person, or two of one name?"
    ]
    assert find_conflicts({"1.zip": make()}) == []
