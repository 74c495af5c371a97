"""Registration: each team sends one small YAML file, and the organiser keeps a table of teams.

A registration is the beginning of a ``submission.yaml``::

    schema: 1
    team: Night Owls
    members: [Ada Example, Bo Example]
    contact: owls@example.org
    tracks: [a, b]

The table is JSON, ``{"schema_version": 1, "teams": [...]}``: a team as it registered, and when. Its
e-mail addresses are not for publication. Whoever comes first keeps a name; a file that says what
the table says already changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from auricle.challenge.plain_yaml import MAX_BYTES
from auricle.challenge.rules import (
    check_people,
    deadline,
    find_conflicts,
    find_namesakes,
    is_in_time,
)
from auricle.challenge.submission import (
    FILE_NAME,
    Registration,
    Submission,
    SubmissionError,
    parse_declaration,
)
from auricle.challenge.verdicts import Problem, Verdict, shown
from auricle.errors import UserError
from auricle.files import folder_lock, read_json, write_json
from auricle.names import NameBook, fold, same_name

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of one file."""

    file: Path
    team: str | None
    """None where the file does not say."""
    problems: tuple[Problem, ...] = ()
    note: str = ""
    hints: tuple[str, ...] = ()
    """What the organiser may want to ask; nothing is refused for it."""

    def record(self) -> dict[str, Any]:
        """As it stands in JSON output."""
        problems = [{"verdict": str(p.verdict), "message": p.message} for p in self.problems]
        return {
            "file": str(self.file),
            "team": self.team,
            "accepted": not problems,
            "problems": problems,
            "hints": list(self.hints),
        }


def register_teams(
    files: Sequence[Path], table: Path, *, now: datetime, last_day: date | None = None
) -> tuple[list[Registered], list[dict[str, Any]]]:
    """Check registrations, and add those that keep the rules to the table of teams.

    Args:
        files: A YAML file per team; the first come, first served.
        table: The table, made where it does not exist.
        now: The moment of registration, with a time zone.
        last_day: Registration ends with this day, anywhere on Earth.

    Returns:
        What became of each file, with every rule that it breaks, and all teams of the table.

    Raises:
        UserError: The table cannot be read or written.
    """
    with folder_lock(table.parent, what="the table of teams", wait=True):
        teams = _read_table(table)
        entries = {f"{table} ({team['team']})": _registration(team, table) for team in teams}
        found = []
        for file in files:
            said, entry = _register(file, entries, now=now, last_day=last_day)
            found.append(said)
            if entry is not None:
                entries[str(file)] = entry
                stamp = now.astimezone(UTC).isoformat(timespec="seconds")
                teams.append(entry.model_dump(by_alias=True) | {"registered": stamp})
        if any(str(file) in entries for file in files):
            write_json(table, {"schema_version": SCHEMA_VERSION, "teams": teams})
    return found, teams


def check_registered(submission: Submission, table: Path) -> list[Problem]:
    """Hold a submission against the table of teams: the team is in it, and says the same of itself.

    Args:
        submission: The declaration.
        table: The table.

    Raises:
        UserError: There is no such table, or it is none.
    """
    entries = [_registration(team, table) for team in require_table(table)]
    entry = next((each for each in entries if same_name(each.team, submission.team)), None)
    if entry is None:
        said = (
            f"{FILE_NAME}, team: '{shown(submission.team)}' is not registered. Write the name as "
            "it was registered, or register first."
        )
        return [Problem(Verdict.NOT_REGISTERED, said)]
    problems = []
    for field in ("team", "members", "contact", "tracks"):
        there, here = (getattr(one, field) for one in (entry, submission))
        if _comparable(there) != _comparable(here):
            said = (
                f"{FILE_NAME}, {field}: {shown(_text(here), 300)} was seen, and "
                f"{shown(_text(there), 300)} is registered. Write what is registered, or have the "
                "registration changed."
            )
            problems.append(Problem(Verdict.REGISTRATION_DIFFERS, said))
    return problems


def require_table(table: Path) -> list[dict[str, Any]]:
    """The teams of a table that must be there.

    Raises:
        UserError: It is not, or it is no table of teams.
    """
    if not table.is_file():
        raise UserError(
            f"There is no file {table}; the table of teams that 'auricle challenge register' wrote "
            "is expected. Give another one with --teams."
        )
    return _read_table(table)


def _comparable(value: str | list[str]) -> str | set[str]:
    return fold(value) if isinstance(value, str) else {fold(each) for each in value}


def _text(value: str | list[str]) -> str:
    return f"'{value}'" if isinstance(value, str) else f"[{', '.join(value)}]"


def _register(
    file: Path, entries: dict[str, Registration], *, now: datetime, last_day: date | None
) -> tuple[Registered, Registration | None]:
    """What becomes of a file, and its registration where it is new and keeps the rules."""
    name = shown(str(file))
    try:
        with file.open("rb") as stream:
            entry = parse_declaration(Registration, stream.read(MAX_BYTES + 1), name)
    except OSError as error:
        text = f"{name} cannot be read ({error.strerror}); the YAML file of a team is expected."
        return Registered(file, None, (Problem(Verdict.DECLARATION_MISSING, text),)), None
    except SubmissionError as error:
        return Registered(file, None, tuple(error.problems)), None
    if entry in entries.values():
        return Registered(file, entry.team, note="registered before"), None
    problems = [*check_people(entry, name), *find_conflicts({**entries, str(file): entry})]
    if last_day is not None and not is_in_time(now, last_day):
        end = deadline(last_day).isoformat(timespec="minutes")
        problems.append(
            Problem(
                Verdict.RULE_BROKEN,
                f"{name}: registration ended with {last_day} anywhere on Earth ({end}).",
            )
        )
    if problems:
        return Registered(file, entry.team, tuple(problems)), None
    before = set(find_namesakes(entries))
    hints = [h for h in find_namesakes({**entries, str(file): entry}) if h not in before]
    return Registered(file, entry.team, note="registered", hints=tuple(hints)), entry


def _read_table(table: Path) -> list[dict[str, Any]]:
    if not table.exists():
        return []
    try:
        value = read_json(table)
        teams, version = value["teams"], value.get("schema_version")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        teams, version = None, None
    if isinstance(teams, list) and all(isinstance(team, dict) for team in teams):
        if type(version) is not int or version != SCHEMA_VERSION:
            raise UserError(
                f"{table} has schema_version {shown(repr(version), 40)}; {SCHEMA_VERSION} is the "
                "one that this auricle reads. Use the auricle that wrote it."
            )
        _refuse_doubles(teams, table)
        return teams
    raise UserError(
        f"{table} is no table of teams; a JSON file that this command wrote is expected, or a new "
        "name. Give another one with --teams."
    )


def _refuse_doubles(teams: list[dict[str, Any]], table: Path) -> None:
    """A table where one team stands twice says two things of it: nobody knows which holds."""
    seen: set[str] = set()
    book = NameBook()
    for team in teams:
        name = str(team.get("team"))
        other = book.first(name)
        if other in seen:
            raise UserError(
                f"{table}: the team '{shown(name)}' stands in it twice, the other time as "
                f"'{shown(other)}'. Take one of the two out."
            )
        seen.add(other)


def _registration(team: dict[str, Any], table: Path) -> Registration:
    known = {key: value for key, value in team.items() if key != "registered"}
    try:
        return Registration.model_validate(known)
    except ValidationError as error:
        raise UserError(
            f"{table}: the entry of '{shown(str(team.get('team')))}' is not valid "
            f"({error.errors()[0]['msg']}). Mend it, or take it out."
        ) from error
