"""Files of results as entries: CSV with a row per team, or ``scores.json`` of a run folder.

CSV is read by `auricle.scoring.board_csv`, as ``auricle board rank`` reads it; ``affiliation``,
``mode``, ``protocol`` and ``date`` are shown where they are given. Means and ranks in the file are
ignored, because they are computed again. Hidden columns that are not released are left where they
are: neither their names nor their numbers are taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from auricle.board.from_runs import NotTrustedError, Trust, read_run
from auricle.board.model import NOT_RUN, NOT_STATED, Cell, Column, Entry, Found, Result
from auricle.board.names import clean_name, clean_text, hashed_slug
from auricle.board.read_values import (
    catalog_column,
    hidden_column,
    public_tasks,
    read_object,
    suite_of_tasks,
)
from auricle.catalog.load import list_recipes
from auricle.errors import ScoringError
from auricle.records.manifest import is_current
from auricle.scoring.board_csv import BoardTable, other_version, read_board

_OTHER_SUITE = "results"


def read_results(path: Path, *, released: bool, trust: Trust | None = None) -> list[Found]:
    """A file of results, one `Found` per track.

    Args:
        path: A CSV file, or ``scores.json`` of a run folder.
        released: Whether hidden scores may be shown.
        trust: Whose signature is believed; a CSV file has none.

    Raises:
        ScoringError: It is neither, or a value in it is not valid.
    """
    if path.suffix.lower() == ".json":
        read_object(path)
        if path.name != "scores.json":
            raise ScoringError(
                f"{path} is JSON, but no scores.json; expected a CSV file, or scores.json in a run "
                "folder. Give the run's own file, or the folder with --run."
            )
        return read_run(path, released=released, trust=trust)
    if trust is not None and trust.alone:
        raise NotTrustedError(f"{path}: a CSV file has no receipt")
    table = read_board([path], known_tasks=public_tasks())
    tracks = sorted({catalog_column(name).track for name in table.public})
    if not tracks:
        raise ScoringError(
            f"{path} has hidden tasks only; expected at least one task of the catalog (auricle "
            "tasks), which says the suite and the track. Add its column."
        )
    if table.hidden and len(tracks) > 1:
        raise ScoringError(
            f"{path} has tasks of both tracks, so the track of its hidden tasks is not known. Give "
            "one file per track."
        )
    suite = suite_of_tasks(set(table.public)) or _OTHER_SUITE
    return [_found(table, suite, track, path, released=released) for track in tracks]


def _found(table: BoardTable, suite: str, track: str, path: Path, *, released: bool) -> Found:
    known = {name: catalog_column(name) for name in table.public}
    columns: dict[str, Column] = {name: c for name, c in known.items() if c.track == track}
    # A hidden column that nobody has a value in is no task, only a heading.
    hidden = [n for n in table.hidden if any(r.values[n].value is not None for r in table.rows)]
    if released:
        columns |= {name: hidden_column(name, track=track) for name in hidden}
    withheld = bool(table.hidden) and not released
    results = []
    for row in table.rows:
        cells = {}
        for name, column in columns.items():
            score = row.values[name].value
            cells[column.name] = (
                Cell(None, missing=NOT_RUN) if score is None else Cell(float(score))
            )
        entry = _entry(row.team, table.others[row.team], path)
        obstacle = _of_another_version(entry.protocol)
        results.append(Result(entry, cells, withheld=withheld, obstacle=obstacle))
    return Found(suite, track, tuple(columns.values()), tuple(results))


def _of_another_version(protocol: str) -> str:
    """Why a row that a board wrote takes no rank: its ``auricle 0.1.0, official-1``."""
    label = protocol.rpartition(", ")[2]
    versioned = label.rpartition("-")[0] in list_recipes()
    return other_version(label) if versioned and not is_current(label) else ""


def _entry(team: str, others: Mapping[str, str], path: Path) -> Entry:
    def text(name: str, default: str = "") -> str:
        return clean_text(others.get(name) or default, limit=120)

    return Entry(
        slug=hashed_slug(team),
        team=clean_name(team),
        affiliation=text("affiliation"),
        kind="result",
        mode=text("mode", NOT_STATED),
        protocol=text("protocol", NOT_STATED),
        date=_date(text("date"), f"{path}, {clean_name(team)}"),
        facts=(("Source", f"file of results {clean_text(path.name)}"),),
        source=clean_text(path.name, limit=40),
    )


def _date(text: str, place: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError as error:
        raise ScoringError(
            f"{place}: date is '{text}'; a day is expected, YYYY-MM-DD, or an empty field."
        ) from error
