"""``auricle challenge register``: the table of teams, through the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auricle.challenge.registration import check_registered, register_teams, require_table
from auricle.challenge.submission import parse_submission
from auricle.challenge.verdicts import Verdict
from auricle.cli.app import execute
from auricle.errors import UserError

OWLS = """\
schema: 1
team: Night Owls
members: [Ada Example, Bo Example]
contact: owls@example.org
tracks: [a, b]
"""


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("owls.yaml").write_text(OWLS, encoding="utf-8")
    return tmp_path


def register(
    capsys: pytest.CaptureFixture[str], *words: str, expect: int = 0
) -> dict[str, dict[str, Any]]:
    assert execute(["challenge", "register", *words, "--json"]) == expect
    return {each["file"]: each for each in json.loads(capsys.readouterr().out)["files"]}


def teams(path: str = "teams.json") -> list[dict[str, Any]]:
    return json.loads(Path(path).read_text(encoding="utf-8"))["teams"]


def test_a_team_is_registered_once_however_often_its_file_is_given(
    inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert register(capsys, "owls.yaml")["owls.yaml"]["accepted"]
    (entry,) = teams()
    assert (entry["team"], entry["tracks"]) == ("Night Owls", ["a", "b"])
    assert entry["members"] == ["Ada Example", "Bo Example"]
    assert datetime.now(UTC) - datetime.fromisoformat(entry["registered"]) < timedelta(hours=1)
    before = Path("teams.json").read_bytes()
    assert register(capsys, "owls.yaml", "owls.yaml")["owls.yaml"]["accepted"]
    assert Path("teams.json").read_bytes() == before


def test_a_name_and_a_person_belong_to_the_first_team(
    inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("again.yaml").write_text(OWLS.replace("Night Owls", "NIGHT OWLS").replace("[a, b]", "[a]"))
    larks = OWLS.replace("Night Owls", "Larks").replace("Bo Example", "Cy Example")
    Path("larks.yaml").write_text(larks)
    crows = larks.replace("Larks", "Crows").replace("owls@", "crows@")
    Path("crows.yaml").write_text(crows)
    register(capsys, "owls.yaml")
    files = register(capsys, "again.yaml", "larks.yaml", "crows.yaml", expect=3)
    said = {file: " ".join(p["message"] for p in each["problems"]) for file, each in files.items()}
    assert (
        "'NIGHT OWLS' stands in both teams.json (Night Owls) and again.yaml" in said["again.yaml"]
    )
    assert "'owls@example.org' is in 'Night Owls' and in 'Larks'" in said["larks.yaml"]
    # A name alone refuses nobody: two people may have one.
    assert files["crows.yaml"]["accepted"]
    assert files["crows.yaml"]["hints"] == [
        "'Ada Example' is in 'Night Owls' and in 'Crows': one person, or two of one name?"
    ]
    assert [team["team"] for team in teams()] == ["Night Owls", "Crows"]


ALIKE = [
    "night  owls",
    "NIGHT OWLS",
    "N\u0456ght Owls",  # a Cyrillic letter
    "NlGHT OWLS",  # a small L
    "N1ght Owls",
    "\u0274\u026a\u0262\u029c\u1d1b \u1d0f\u1d21\u029f\ua731",  # small capitals
    "\U0001d40dight Owls",  # mathematical
    "\U0001f17dight Owls",  # in a square
    "Night 0wls",
]


@pytest.mark.parametrize("name", ALIKE)
def test_a_team_that_looks_the_same_is_the_same(
    name: str, inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = OWLS.replace("owls@", "larks@").replace("Night Owls", f'"{name}"')
    Path("larks.yaml").write_text(other, encoding="utf-8")
    register(capsys, "owls.yaml")
    found = register(capsys, "larks.yaml", expect=3)["larks.yaml"]
    (problem,) = found["problems"]
    assert "one model per team is allowed" in problem["message"]


@pytest.mark.parametrize(
    "name",
    [
        *("Night Owls\ufe0f", "Night\u034f Owls", "Night Owls\U000e0100", "Night\u3164Owls"),
        *("Night\u2800Owls", "\u3164", "\uffa0\u115f", "Night\u200bOwls", "Night\u00adOwls"),
        *("\u2800\u2800", "\u0301"),
    ],
)
def test_a_name_with_what_nobody_sees_is_refused(
    name: str, inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for old in ("Night Owls", "[Ada Example, Bo Example]"):
        new = f'"{name}"' if old == "Night Owls" else f'["{name}"]'
        Path("owls.yaml").write_text(OWLS.replace(old, new), encoding="utf-8")
        found = register(capsys, "owls.yaml", expect=3)["owls.yaml"]
        (problem,) = found["problems"]
        assert problem["verdict"] == "declaration_invalid"
        assert re.search("nobody sees|can be seen|invisible characters", problem["message"])


def test_a_person_is_an_address(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    owls = "[Ada Example <ada@example.org>, Ada Example <other@example.org>]"
    Path("owls.yaml").write_text(OWLS.replace("[Ada Example, Bo Example]", owls))
    larks = OWLS.replace("Night Owls", "Larks").replace("owls@", "larks@")
    larks = larks.replace("Bo Example", "A. Example <ADA@example.org>")
    Path("larks.yaml").write_text(larks)
    register(capsys, "owls.yaml")
    (problem,) = register(capsys, "larks.yaml", expect=3)["larks.yaml"]["problems"]
    assert "'ada@example.org' is in 'Night Owls' and in 'Larks'" in problem["message"]
    Path("larks.yaml").write_text(larks.replace("ADA@", "no address "))
    (problem,) = register(capsys, "larks.yaml", expect=3)["larks.yaml"]["problems"]
    assert "an e-mail address like team@example.org is expected" in problem["message"]


def test_a_submission_must_be_what_its_team_registered(
    inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(capsys, "owls.yaml")
    more = "encoder: encoder.py\nweights: {source: none}\ntraining_data: []\nparameters: 0\n"
    declared = OWLS + more + "hardware: none\n"

    def found(text: str) -> dict[Verdict, str]:
        problems = check_registered(parse_submission(text.encode()), Path("teams.json"))
        return {problem.verdict: problem.message for problem in problems}

    assert found(declared) == {}
    assert found(declared.replace("[Ada Example, Bo Example]", "[Bo Example, ada example]")) == {}
    unknown = found(declared.replace("Night Owls", "Day Owls"))
    assert "'Day Owls' is not registered" in unknown[Verdict.NOT_REGISTERED]
    other = found(declared.replace("Bo Example", "Cy Example"))
    assert (
        "members: [Ada Example, Cy Example] was seen, and [Ada Example, Bo Example] is registered"
        in other[Verdict.REGISTRATION_DIFFERS]
    )
    with pytest.raises(UserError, match=r"There is no file gone\.json; the table of teams"):
        check_registered(parse_submission(declared.encode()), Path("gone.json"))


def test_all_problems_are_told_at_once(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text("schema: 1\nteem: X\nmembers: [Ada, ada]\ncontact: nowhere\n")
    Path("twice.yaml").write_text(OWLS.replace("Bo Example", "ada example"))
    Path("empty.yaml").write_text("")
    files = ["bad.yaml", "twice.yaml", "empty.yaml", "gone.yaml"]
    assert execute(["challenge", "register", *files, "owls.yaml"]) == 3
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for text in (
        "bad.yaml, team: is missing",
        "bad.yaml, tracks: is missing",
        "there is no such field; did you mean 'team'?",
        "an e-mail address like team@example.org is expected",
        "'ada example' is listed twice",
        "empty.yaml is empty",
        "gone.yaml cannot be read (No such file or directory)",
        "teams.json: teams 1, in track A 1, in track B 1; refused now: 4",
    ):
        assert text in out
    assert [team["team"] for team in teams()] == ["Night Owls"]


def test_registration_ends_at_noon_utc_after_its_last_day(
    inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, day = [inbox / "owls.yaml"], date(2026, 1, 31)
    late = datetime(2026, 2, 1, 12, tzinfo=UTC)
    (found,), table = register_teams(files, inbox / "t.json", now=late, last_day=day)
    assert "registration ended with 2026-01-31 anywhere on Earth" in found.problems[0].message
    assert table == []
    in_time = late - timedelta(seconds=1)
    (found,), table = register_teams(files, inbox / "t.json", now=in_time, last_day=day)
    assert (found.problems, len(table)) == ((), 1)
    # Who registered in time stays registered when the file is given again.
    (found,), table = register_teams(files, inbox / "t.json", now=late, last_day=day)
    assert (found.problems, len(table)) == ((), 1)
    register(capsys, "owls.yaml", "--deadline", "2026-01-31", expect=3)
    assert not Path("teams.json").exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "teams.json is no table of teams"),
        ('{"teams": [1]}', "teams.json is no table of teams"),
        ('{"schema_version": 1, "teams": [{"team": "X"}]}', "the entry of 'X' is not valid"),
    ],
)
def test_a_table_that_is_none_is_left_alone(
    content: str, text: str, inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("teams.json").write_text(content)
    assert execute(["challenge", "register", "owls.yaml"]) == 2
    assert text in capsys.readouterr().err
    assert Path("teams.json").read_text() == content


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t | {"schema_version": 2}, "has schema_version 2; 1 is the one"),
        (lambda t: t | {"schema_version": "1"}, "has schema_version '1'; 1 is the one"),
        (lambda t: t | {"schema_version": True}, "has schema_version True"),
        (lambda t: {"teams": t["teams"]}, "has schema_version None"),
        (lambda t: t | {"teams": t["teams"] * 2}, "stands in it twice"),
        (
            lambda t: t | {"teams": [*t["teams"], t["teams"][0] | {"team": "NIGHT  OWLS"}]},
            "'NIGHT  OWLS' stands in it twice, the other time as 'Night Owls'",
        ),
        (lambda t: [t], "is no table of teams"),
    ],
)
def test_a_table_that_says_two_things_is_refused(
    tmp_path: Path, change: Callable[[Any], Any], text: str
) -> None:
    table = tmp_path / "teams.json"
    team = {"schema": 1, "team": "Night Owls", "members": ["Ada"], "contact": "a@owls.org"}
    whole = {"schema_version": 1, "teams": [team | {"tracks": ["a"]}]}
    table.write_text(json.dumps(change(whole)))
    with pytest.raises(UserError, match=re.escape(text)):
        require_table(table)
    table.write_text(json.dumps(whole))
    assert require_table(table)[0]["team"] == "Night Owls"
