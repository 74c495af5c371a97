"""``auricle board rank``: scores in, the same rows ranked out.

A CSV holds a row per team, and a scored run folder is a row by its folder's name. Columns of CSV:
``team``; a task by its catalog name, or ending in ``*`` where it is hidden, with scores from 0 to 1
(empty, ``-`` or ``n/a`` where missing); ``overall``, ``public``, ``hidden`` and ``rank`` are
computed again and differences reported; all others pass through, but for ``band``, ``missing`` and
``scores``, whose names the result needs itself. Scores are read as exact decimals, so that ties are
ties of what is written. A CSV has no intervals, so bands are known only where all rows are runs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from auricle.delimited import read_delimited
from auricle.errors import ScoringError
from auricle.names import NameBook
from auricle.records.manifest import Manifest
from auricle.records.scores import Estimate, Scores
from auricle.scoring.health import task_health
from auricle.scoring.ranks import Contestant, RankedRow, rank_rows
from auricle.scoring.tracks import mean_interval

_COMPUTED = ("overall", "public", "hidden", "rank")
_TAKEN = ("band", "missing", "scores")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_MISSING = {"", "-", "–", "—", "n/a", "na", "nan", "none", "null", "missing"}
CUSTOM = "it was measured by a recipe of its own"


def other_version(label: str) -> str:
    """Why a run takes no rank whose recipe is not of the version that is run now."""
    return f"it was measured by {label}, another version of its recipe"


_MOST_PROBLEMS = 10
_MOST_DIGITS = 40


@dataclass(frozen=True, slots=True)
class BoardTable:
    """What one or more files hold together."""

    public: list[str]
    hidden: list[str]
    rows: list[Contestant]
    stated: dict[str, dict[str, str]]
    """By team: what the file says of computed columns."""
    others: dict[str, dict[str, str]]
    """By team: columns that pass through."""
    notes: list[str] = field(default_factory=list)
    unranked: dict[str, str] = field(default_factory=dict)
    """By team: why its row, which is whole, has no rank."""
    unscored: list[str] = field(default_factory=list)
    """Runs that are not scored yet and have no row."""


def rank_board(paths: Sequence[Path], *, known_tasks: Collection[str]) -> dict[str, Any]:
    """Read files of scores and rank their rows together.

    Args:
        paths: CSV files and run folders with the same tasks.
        known_tasks: Names of the catalog's tasks.

    Returns:
        ``{"rows": [{"team", "public", "hidden", "overall", "rank", "band", "missing", "scores",
        and the columns that pass through}], "differences": [text], "notes": [text], "health":
        [{"task", "hidden", and the fields of `TaskHealth`}]}``, rows in rank order.

    Raises:
        ScoringError: A file cannot be read, or a value is no score; all problems at once.
    """
    table = read_board(paths, known_tasks=known_tasks)
    whole = [row for row in table.rows if row.team not in table.unranked]
    rest = [row for row in table.rows if row.team in table.unranked]
    ranked = rank_rows(whole, public=table.public, hidden=table.hidden)
    ranked += [
        replace(row, rank=None, band=None)
        for row in rank_rows(rest, public=table.public, hidden=table.hidden)
    ]
    values = {row.team: row.values for row in table.rows}
    rows = [
        {
            **table.others[row.team],
            "team": row.team,
            "public": row.public.value,
            "hidden": row.hidden.value,
            "overall": row.overall.value,
            "rank": row.rank,
            "band": list(row.band) if row.band else None,
            "missing": list(row.missing),
            "reason": table.unranked.get(row.team),
            "scores": {
                task: None if value.value is None else float(value.value)
                for task, value in values[row.team].items()
            },
        }
        for row in ranked
    ]
    differences = [text for row in ranked for text in _differences(row, table.stated[row.team])]
    return {
        "rows": rows,
        "differences": differences,
        "notes": table.notes,
        "unscored": table.unscored,
        "health": _health(table),
    }


def _health(table: BoardTable) -> list[dict[str, Any]]:
    """Whether each task, hidden ones first, still tells the rows apart."""
    found = []
    for task in [*table.hidden, *table.public]:
        others = [name for name in table.public if name != task]
        means = {row.team: _mean(row, others) for row in table.rows}
        health = task_health(
            task,
            {row.team: row.values[task] for row in table.rows},
            {team: mean for team, mean in means.items() if mean is not None},
        )
        found.append({"hidden": task in table.hidden, **asdict(health)})
    return found


def _mean(row: Contestant, tasks: Sequence[str]) -> float | None:
    return mean_interval([row.values[task] for task in tasks]).value


def read_board(paths: Sequence[Path], *, known_tasks: Collection[str]) -> BoardTable:
    """Read files of scores.

    Raises:
        ScoringError: As `rank_board` says.
    """
    table = BoardTable([], [], [], {}, {})
    problems: list[str] = []
    folded = NameBook()
    for path in paths:
        if path.is_dir() and (path / "manifest.json").is_file() and not has_scores(path):
            table.unscored.append(str(path))
            continue
        read = _read_run(path, known_tasks) if path.is_dir() else _read(path)
        header, rows, runs, remark = read
        if remark:
            table.notes.append(f"{path}: {remark}")
        if path.is_dir() and _is_custom(path):
            table.unranked.update(dict.fromkeys(runs, CUSTOM))
        hidden = [name for name in header if name.endswith("*")]
        public = [name for name in header if name in known_tasks]
        if not public and not hidden:
            raise ScoringError(
                f"{path} has no task column. Columns are catalog names (auricle tasks), or end in "
                f"'*' where the task is hidden; seen: {', '.join(header[:10])}."
            )
        if table.rows and (set(public), set(hidden)) != (set(table.public), set(table.hidden)):
            other = sorted(set(public + hidden) ^ set(table.public + table.hidden))
            raise ScoringError(
                f"{path} has other task columns than {paths[0]} ({', '.join(other[:8])}). Rows are "
                "ranked together over the same tasks; rank tracks apart."
            )
        both = [name for name in public if f"{name}*" in hidden]
        if both:
            raise ScoringError(
                f"{path} has {', '.join(both)} as a public and as a hidden task (with '*'). Each "
                "task counts once; rename or remove one of the columns."
            )
        table.public[:], table.hidden[:] = public, hidden
        table.notes.extend(_suspects(path, header, known_tasks))
        for team, values in runs.items():
            _add(table, Contestant(team, values), str(path), problems, folded)
        for number, row in rows:
            _add_row(table, f"{path}, row {number}", row, problems, folded)
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        shown = problems[:_MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise ScoringError("The table cannot be ranked:\n- " + "\n- ".join(shown))
    if not table.rows and table.unscored:
        raise ScoringError(
            f"None of these runs is scored yet: {', '.join(table.unscored)}. Let them finish: "
            "give their 'auricle run' again."
        )
    if not table.rows:
        raise ScoringError(
            f"{', '.join(map(str, paths))}: a header and no rows. Expected a row for each team."
        )
    if not table.hidden:
        table.notes.append("no hidden tasks: overall is the public mean")
    if not table.public:
        table.notes.append("no public tasks: overall is the hidden mean")
    return table


class _Read(NamedTuple):
    header: list[str]
    rows: list[tuple[int, dict[str, str]]]
    """Of a CSV, with their numbers."""
    runs: dict[str, dict[str, Estimate]]
    """By team: scores with their intervals."""
    remark: str = ""
    """What is to be said of rows that are left out."""


def _read_run(folder: Path, known_tasks: Collection[str]) -> _Read:
    """A run's scores and, of its further evaluations, those of hidden tasks."""
    path = folder / "scores.json"
    if not path.is_file():
        raise ScoringError(
            f"{folder} has no scores.json. Give CSV files, or run folders that are scored: auricle "
            "score RUN."
        )
    values: dict[str, Estimate] = {}
    for file in (path, *sorted((folder / "scores").glob("*.json"))):
        for name, task in Scores.read(file).tasks.items():
            if name in known_tasks and file == path:
                values[name] = task.estimate
            elif name not in known_tasks:
                values[f"{name}*"] = task.estimate
    return _Read([*values], [], {folder.resolve().name: values})


def _read(path: Path) -> _Read:
    table = read_delimited(path, fault=ScoringError)
    header = [name.strip() for name in table.header]
    rows = [(row.number, row.cells) for row in table.rows]
    if "team" not in header:
        raise ScoringError(
            f"{path} has no column 'team'; seen: {', '.join(header[:10]) or 'an empty file'}."
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ScoringError(f"{path} has more than one column named {', '.join(twice)}.")
    for number, row in rows:
        if len(row) != len(header):
            raise ScoringError(
                f"{path}, row {number} has {len(row)} fields, the header {len(header)}. Quote "
                "fields that hold commas."
            )
    named = [(number, dict(zip(header, row, strict=True))) for number, row in rows]
    return _Read(header, named, {}, table.remark)


def has_scores(folder: Path) -> bool:
    """Whether a run folder has its scores."""
    return (folder / "scores.json").is_file()


def _is_custom(folder: Path) -> bool:
    """Whether a run's recipe, or its version of it, is not what it would be ranked beside."""
    manifest = folder / "manifest.json"
    if manifest.is_file() and not Manifest.read(manifest).has_current_recipe:
        return True
    return Scores.read(folder / "scores.json").mode == "custom"


def _add_row(
    table: BoardTable,
    place: str,
    row: dict[str, str],
    problems: list[str],
    folded: NameBook,
) -> None:
    team = row["team"].strip()
    tasks = [*table.public, *table.hidden]
    values = {}
    for task in tasks:
        try:
            values[task] = _score(row[task])
        except ValueError as error:
            problems.append(f"{place}, {task} of '{team}': {error}")
    if _add(table, Contestant(team, values), place, problems, folded):
        table.stated[team] = {name: row[name].strip() for name in _COMPUTED if name in row}
        kept = {*tasks, *_COMPUTED, *_TAKEN, "team"}
        table.others[team] = {name: value for name, value in row.items() if name not in kept}


def _add(
    table: BoardTable,
    row: Contestant,
    place: str,
    problems: list[str],
    folded: NameBook,
) -> bool:
    other = folded.first(row.team)
    if other != row.team:
        table.notes.append(
            f"{place}: '{row.team}' reads like '{other}'; a registration takes them for one team"
        )
    if not row.team:
        problems.append(f"{place}: the team has no name")
    elif row.team in table.stated:
        problems.append(f"{place}: the team '{row.team}' has a row already; each team needs one")
    else:
        table.rows.append(row)
        table.stated[row.team], table.others[row.team] = {}, {}
        return True
    return False


def _score(text: str) -> Estimate:
    """A score as it is written.

    Raises:
        ValueError: It is none.
    """
    text = text.strip()
    if text.lower() in _MISSING:
        return Estimate()
    value = _decimal(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text[:20]} is no score; expected 0 to 1 (percent divided by 100)")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_MOST_DIGITS:
        raise ValueError(f"{text[:20]} has more than {_MOST_DIGITS} decimals")
    return Estimate(float(value), exact=Fraction(value))


def _decimal(text: str) -> Decimal:
    """A number in plain digits; Decimal alone would also read 1_0 and digits of other scripts."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"'{text[:20]}' is no number")
    return Decimal(text)


def _suspects(path: Path, header: list[str], known_tasks: Collection[str]) -> list[str]:
    """Columns that pass through but look like a misspelt task, and those that cannot."""
    notes = []
    for name in header:
        if name in _TAKEN:
            notes.append(f"{path}: column '{name}' is left out; rename it if it is yours")
            continue
        if name in known_tasks or name.endswith("*") or name in (*_COMPUTED, "team"):
            continue
        near = difflib.get_close_matches(name.lower(), list(known_tasks), n=1, cutoff=0.8)
        if near:
            notes.append(f"{path}: column '{name}' is no task and passes through; '{near[0]}' is")
    return notes


def _differences(row: RankedRow, stated: dict[str, str]) -> list[str]:
    """Where a file's own means or rank are not what its scores give, beyond their last digit."""
    found = []
    for name, text in stated.items():
        if text.lower() in _MISSING:
            continue
        if name == "rank":
            if text != str(row.rank or "-"):
                found.append(f"{row.team}: rank is {row.rank or 'none'}, the file says {text}")
            continue
        mean = {"overall": row.overall, "public": row.public, "hidden": row.hidden}[name]
        try:
            value = _decimal(text)
            digits = -int(value.as_tuple().exponent)
        except ValueError:
            found.append(f"{row.team}: {name} in the file is no number: {text[:20]}")
            continue
        if mean.value is None:
            found.append(f"{row.team}: {name} is missing, the file says {text}")
        elif abs(mean.value - float(value)) > 0.51 * 10.0**-digits:
            found.append(f"{row.team}: {name} is {mean.value:.6f}, the file says {text}")
    return found
