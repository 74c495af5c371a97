"""Files of results as entries: CSV with a row per team, or ``scores.json`` of a run folder.

CSV is read by `auricle.scoring.board_csv`, as ``auricle board rank`` reads it; ``affiliation``,
``mode``, ``protocol`` and ``date`` are shown where they are given. Means and ranks in the file are
ignored, because they are computed again. Hidden columns that are not released are left where they
are: neither their names nor their numbers are taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from auricle.board.from_runs import read_run
from auricle.board.model import NOT_RUN, Cell, Column, Entry, Found, Result
from auricle.board.names import clean_name, clean_text, hashed_slug
from auricle.board.read_values import (
    catalog_column,
    hidden_column,
    public_tasks,
    suite_of_tasks,
)
from auricle.errors import ScoringError
from auricle.scoring.board_csv import BoardTable, read_board

_OTHER_SUITE = "results"


def read_results(path: Path, *, released: bool) -> list[Found]:
    """A file of results, one `Found` per track.

    Args:
        path: A CSV file, or ``scores.json`` of a run folder.
        released: Whether hidden scores may be shown.

    Raises:
        ScoringError: It is neither, or a value in it is not valid.
    """
    if path.suffix.lower() == ".json":
        return read_run(path, released=released)
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
    return [_found(table, suite, track, released=released) for track in tracks]


def _found(table: BoardTable, suite: str, track: str, *, released: bool) -> Found:
    known = {name: catalog_column(name) for name in table.public}
    columns: dict[str, Column] = {name: c for name, c in known.items() if c.track == track}
    if released:
        columns |= {name: hidden_column(name, track=track) for name in table.hidden}
    withheld = bool(table.hidden) and not released
    results = []
    for row in table.rows:
        cells = {}
        for name, column in columns.items():
            score = row.values[name].score
            cells[column.name] = (
                Cell(None, missing=NOT_RUN) if score is None else Cell(float(score))
            )
        results.append(Result(_entry(row.team, table.others[row.team]), cells, withheld=withheld))
    return Found(suite, track, tuple(columns.values()), tuple(results))


def _entry(team: str, others: Mapping[str, str]) -> Entry:
    def text(name: str, default: str = "") -> str:
        return clean_text(others.get(name) or default, limit=120)

    return Entry(
        slug=hashed_slug(team),
        team=clean_name(team),
        affiliation=text("affiliation"),
        kind="result",
        mode=text("mode", "not stated"),
        protocol=text("protocol", "not stated"),
        date=text("date"),
    )
