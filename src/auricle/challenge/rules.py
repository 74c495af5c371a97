"""The challenge's rules, as far as a program can hold them.

One model per team and a person in one team only; training data public or the organisers' set, with
shares that sum to 100 %; a report that documents them; deadlines at 23:59 anywhere on Earth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from auricle.challenge.submission import (
    FILE_NAME,
    ORGANISERS_SET,
    Registration,
    Submission,
    address_of,
    name_of,
)
from auricle.challenge.verdicts import Problem, Verdict, shown
from auricle.names import NameBook, fold, fold_name

SHARE_TOLERANCE = 0.5
"""Shares are written rounded; a third each, as 33.3, is meant to be everything."""
ORGANISERS_HOURS = 20.0
PARAMETER_TOLERANCE = 0.05
"""People write 86 million for 85.9."""
CARD_BYTES = 24 * 10**9
"""The encoder must run on a card of this size."""


def check_rules(submission: Submission, folder: Path) -> list[Problem]:
    """Hold a declaration against the rules and against the files beside it.

    Args:
        submission: The declaration; fields that were not valid may be missing.
        folder: The submission's files.

    Returns:
        Every rule that is broken, with the way to mend it.
    """
    problems = _check_template(submission)
    if hasattr(submission, "training_data"):
        problems += _check_training_data(submission)
    if hasattr(submission, "members") and hasattr(submission, "tracks"):
        problems += check_people(submission)
    problems += _check_files(submission, folder)
    problems += _check_arguments(submission.arguments)
    return problems


_TEMPLATE = {
    "team": "My Team",
    "members": ["First Person", "Second Person"],
    "contact": "team@example.org",
}
"""What 'auricle new' writes for somebody to write over."""


def _check_template(submission: Submission) -> list[Problem]:
    left = [name for name, text in _TEMPLATE.items() if getattr(submission, name, None) == text]
    problems = [
        _broken(f"{name}: still says what the template says; write your own.") for name in left
    ]
    if left and getattr(submission, "training_data", None) == []:
        problems.append(
            _broken(
                "training_data: still is the template's empty list; list every data set, or leave "
                "it empty only for an encoder without trained parameters."
            )
        )
    return problems


def _broken(message: str) -> Problem:
    return Problem(Verdict.RULE_BROKEN, f"{FILE_NAME}, {message}")


def _check_training_data(submission: Submission) -> list[Problem]:
    data = submission.training_data
    if not data:
        parameters = getattr(submission, "parameters", None)
        if parameters == 0:
            return []
        why = f"yet the encoder has {parameters} parameters" if parameters else "as is parameters"
        return [
            _broken(
                f"training_data: is empty, {why}. List every data set that they were trained on, "
                "pre-training included."
            )
        ]
    problems = []
    total = sum(each.share for each in data)
    if abs(total - 100) > SHARE_TOLERANCE:
        problems.append(
            _broken(
                f"training_data: the shares sum to {total:g} %; 100 % is expected. A share is the "
                "part of all audio that the encoder heard in training."
            )
        )
    seen: dict[str, str] = {}
    for each in data:
        name = fold_name(each.name)
        if name in seen:
            problems.append(_broken(f"training_data: '{shown(each.name)}' is listed twice."))
        seen[name] = each.name
        if each.source == ORGANISERS_SET and each.hours > ORGANISERS_HOURS:
            problems.append(
                _broken(
                    f"training_data: the organisers' set has {ORGANISERS_HOURS:g} hours, not "
                    f"{each.hours:g}."
                )
            )
    return problems


def _check_files(submission: Submission, folder: Path) -> list[Problem]:
    problems = []
    named = submission.encoder_file if hasattr(submission, "encoder") else None
    if named is not None and not (folder / named).is_file():
        problems.append(_broken(f"encoder: there is no file '{shown(named)}'."))
    if not hasattr(submission, "weights"):
        return problems
    weights = submission.weights
    if weights.source == "inside":
        if not weights.files:
            problems.append(_broken("weights: source is 'inside', so list them under 'files'."))
        problems += [
            _broken(f"weights.files: there is no file '{shown(name)}' in the submission.")
            for name in weights.files
            if not (folder / name).is_file()
        ]
    if weights.source == "fetched" and not weights.urls:
        problems.append(
            _broken("weights: source is 'fetched', so list the public addresses under 'urls'.")
        )
    if weights.source == "none" and (
        weights.files or weights.urls or getattr(submission, "parameters", None)
    ):
        problems.append(
            _broken(
                "weights: source is 'none', which means an encoder without parameters; "
                "write 'inside' or 'fetched'."
            )
        )
    return problems


def _check_arguments(value: Any) -> list[Problem]:
    """Whoever hashes an encoder's files also looks at files that its arguments name."""
    if isinstance(value, dict):
        return [p for pair in value.items() for item in pair for p in _check_arguments(item)]
    if isinstance(value, list):
        return [problem for item in value for problem in _check_arguments(item)]
    if not isinstance(value, str):
        return []
    outside = value.startswith(("/", "~", "\\", "file:")) or ".." in re.split(r"[/\\]", value)
    if not outside:
        return []
    return [
        _broken(
            f"arguments: '{shown(value)}' names a file outside of the submission; write names "
            "relative to its folder, and find them in the code by Path(__file__).parent."
        )
    ]


def check_parameters(submission: Submission, counted: int | None) -> list[Problem]:
    """Hold the declared number of parameters against the constructed encoder's.

    Args:
        submission: The declaration.
        counted: How many the encoder has; None where nobody could count.
    """
    declared = submission.parameters
    if counted is None or abs(counted - declared) <= PARAMETER_TOLERANCE * max(counted, declared):
        return []
    return [
        _broken(
            f"parameters: says {declared}, and the encoder that was constructed has {counted}. "
            "Write the number of the encoder as it is handed in."
        )
    ]


def deadline(day: date) -> datetime:
    """The instant at which a deadline's day has ended everywhere: 23:59 anywhere on Earth.

    The last minute counts whole, so this is noon UTC of the next day (AoE is UTC-12).
    """
    return datetime.combine(day, time(12), UTC) + timedelta(days=1)


def is_in_time(moment: datetime, day: date) -> bool:
    """Whether a moment (with a time zone) is before the end of a deadline's day."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be compared with a deadline")
    return moment < deadline(day)


def check_people(entry: Registration, name: str = FILE_NAME) -> list[Problem]:
    """Hold one team's members and tracks against the rules.

    Args:
        entry: A registration or a declaration.
        name: What problems call it.
    """
    people = [address_of(member) or fold(member) for member in entry.members]
    problems = [
        Problem(
            Verdict.RULE_BROKEN,
            f"{name}, members: '{shown(twice)}' is listed twice. Two people of one name: write "
            "both with their addresses, 'Ada Example <ada@example.org>'.",
        )
        for twice in sorted({person for person in people if people.count(person) > 1})
    ]
    if len(set(entry.tracks)) < len(entry.tracks):
        said = f"{name}, tracks: one track is listed twice."
        problems.append(Problem(Verdict.RULE_BROKEN, said))
    return problems


def find_conflicts(entries: Mapping[str, Registration]) -> list[Problem]:
    """Hold all entries against each other: one model per team, a person in one team only.

    Teams are compared by how their names look, look-alike letters of other scripts included. A
    person is an e-mail address: that of the contact, or of a member who is written with one.

    Args:
        entries: Registrations or declarations by what problems call them.
    """
    problems = []
    book = NameBook()
    teams: dict[str, str] = {}
    people: dict[str, tuple[str, str]] = {}
    for name, entry in entries.items():
        team = book.first(entry.team)
        if team in teams:
            problems.append(
                Problem(
                    Verdict.RULE_BROKEN,
                    f"The team '{shown(entry.team)}' stands in both {shown(teams[team])} and "
                    f"{shown(name)}; one model per team is allowed. A team whose name only looks "
                    "the same takes another one.",
                )
            )
        teams.setdefault(team, name)
        for address in _addresses(entry):
            known, other = people.setdefault(address, (team, entry.team))
            if known != team:
                problems.append(
                    Problem(
                        Verdict.RULE_BROKEN,
                        f"'{shown(address)}' is in '{shown(other)}' and in '{shown(entry.team)}'; "
                        "a person may be in one team only.",
                    )
                )
    return problems


def find_namesakes(entries: Mapping[str, Registration]) -> list[str]:
    """Members of different teams whose names are alike: a hint, because two may have one name.

    Args:
        entries: Registrations or declarations by what problems call them.

    Returns:
        A sentence for each, for the organiser.
    """
    book, names = NameBook(), NameBook()
    people: dict[str, tuple[str, str]] = {}
    hints = []
    for entry in entries.values():
        team = book.first(entry.team)
        for member in entry.members:
            person = names.first(name_of(member))
            known, other = people.setdefault(person, (team, entry.team))
            if known != team:
                hints.append(
                    f"'{shown(name_of(member))}' is in '{shown(other)}' and in "
                    f"'{shown(entry.team)}': one person, or two of one name?"
                )
    return hints


def _addresses(entry: Registration) -> list[str]:
    found = [fold(entry.contact), *(address_of(member) for member in entry.members)]
    return [address for address in dict.fromkeys(found) if address]
