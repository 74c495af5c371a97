"""Files of results as entries: CSV with a row per team, or ``scores.json`` of a run folder.

CSV is read as ``auricle board rank`` reads it: ``team``, a column per task of the catalog, hidden
tasks with ``*``; ``affiliation``, ``mode``, ``protocol`` and ``date`` are shown where they are
given. Means and ranks in the file are ignored, because they are computed again. Hidden columns that
are not released are left where they are: neither their names nor their numbers are taken over.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from auricle.board.from_runs import read_run
from auricle.board.model import NOT_RUN, Cell, Column, Entry, Found, Result
from auricle.board.names import clean_name, clean_text, hashed_slug
from auricle.board.read_values import (
    MAX_BYTES,
    catalog_column,
    hidden_column,
    is_hidden,
    score_in,
    suite_of_tasks,
)
from auricle.errors import ScoringError

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
    header, lines = _read_csv(path)
    public = [name for name in header if not is_hidden(name)]
    hidden = [name for name in header if name.endswith("*")]
    tracks = sorted({catalog_column(name).track for name in public})
    if "team" not in header or not public:
        raise ScoringError(
            f"{path} has the columns {', '.join(header[:8])}; expected 'team' and at least one "
            "task of the catalog (auricle tasks), hidden tasks with '*'. Rename the columns."
        )
    if hidden and len(tracks) > 1:
        raise ScoringError(
            f"{path} has tasks of both tracks, so the track of its hidden tasks is not known. Give "
            "one file per track."
        )
    suite = suite_of_tasks(set(public)) or _OTHER_SUITE
    return [
        _found(path, suite, track, lines, names=_names(public, hidden, track, released=released))
        for track in tracks
    ]


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ScoringError(
                f"{path} has {path.stat().st_size >> 20} MiB; a file of results has at most "
                f"{MAX_BYTES >> 20}. Give a CSV with one row per team."
            )
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScoringError(
            f"{path} cannot be read as CSV ({error}); expected UTF-8 text with a header line and "
            "one row per team. Export it again."
        ) from error
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ScoringError(
            f"{path} has the column {twice[0]} twice; once is expected. Remove one of them."
        )
    for number, line in enumerate(lines, 2):
        if None in line or None in line.values():
            raise ScoringError(
                f"{path}, line {number} has another number of fields than the header; expected "
                f"{len(header)}. Quote texts that hold a comma."
            )
    return header, lines


def _names(
    public: Sequence[str], hidden: Sequence[str], track: str, *, released: bool
) -> tuple[dict[str, Column], bool]:
    """Columns by the CSV's name that may be shown, and whether others are withheld."""
    columns = [catalog_column(name) for name in public]
    shown = {column.name: column for column in columns if column.track == track}
    if released:
        shown |= {name: hidden_column(name, track=track) for name in hidden}
    return shown, bool(hidden) and not released


def _found(
    path: Path,
    suite: str,
    track: str,
    lines: Sequence[Mapping[str, str]],
    *,
    names: tuple[dict[str, Column], bool],
) -> Found:
    columns, withheld = names
    results = []
    for number, line in enumerate(lines, 2):
        cells = {}
        for name, column in columns.items():
            score = _score(line[name], f"{path}, line {number}, {name}")
            cells[column.name] = Cell(score, missing="" if score is not None else NOT_RUN)
        results.append(Result(_entry(line), cells, withheld=withheld))
    return Found(suite, track, tuple(columns.values()), tuple(results))


def _entry(line: Mapping[str, str]) -> Entry:
    def text(name: str, default: str = "") -> str:
        return clean_text(line.get(name) or default, limit=120)

    return Entry(
        slug=hashed_slug(line["team"]),
        team=clean_name(line["team"]),
        affiliation=text("affiliation"),
        kind="result",
        mode=text("mode", "not stated"),
        protocol=text("protocol", "not stated"),
        date=text("date"),
    )


def _score(text: str, place: str) -> float | None:
    if not text.strip():
        return None
    try:
        value: object = float(text)
    except ValueError:
        value = text
    return score_in(value, place)
