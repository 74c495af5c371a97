"""The published results of 2026 as entries: 23 teams and two baselines per track.

Their hidden scores are public, so nothing is withheld here. Published teams have addresses without
a hash: they are a fixed set, and no other entry's address can equal theirs.
"""

from __future__ import annotations

from auricle.board.model import Cell, Column, Entry, Found, Result
from auricle.board.names import base_slug, clean_name
from auricle.board.read_values import catalog_column, hidden_column, is_hidden
from auricle.scoring.published import (
    BASELINE_SOURCE,
    SOURCE,
    published_baselines,
    published_rows,
)

_MODE = "published"
_PROTOCOL = "XARES-LLM 0.0.12"
_DATE = "2026-03-26"
"""When the organisers published the final table."""
_BASELINE_DATE = "2026-02-11"
"""Of the release whose README prints the baselines."""


def read_published() -> list[Found]:
    """Both tracks of the published table, with its baselines."""
    return [_track("a"), _track("b")]


def _track(track: str) -> Found:
    rows = published_rows(track)
    columns = {name: _column(name, track) for name in rows[0].scores}
    results = [
        Result(
            _entry(row.team, row.affiliation),
            {columns[name].name: Cell(float(score)) for name, score in row.scores.items()},
        )
        for row in rows
    ]
    for name, scores in sorted(published_baselines(track).items()):
        cells = {task: Cell(score) for task, score in scores.items()}
        results.append(Result(_baseline(name), cells))
    return Found(f"track-{track}", track, tuple(columns.values()), tuple(results))


def _column(name: str, track: str) -> Column:
    return hidden_column(name, track=track) if is_hidden(name) else catalog_column(name)


def _entry(team: str, affiliation: str) -> Entry:
    return Entry(
        slug=base_slug(team),
        team=clean_name(team),
        affiliation=affiliation,
        kind="published",
        mode=_MODE,
        protocol=_PROTOCOL,
        date=_DATE,
        facts=(("Source", SOURCE),),
        source="published",
    )


def _baseline(name: str) -> Entry:
    return Entry(
        slug=base_slug(name),
        team=name,
        affiliation="",
        kind="baseline",
        mode=_MODE,
        protocol=_PROTOCOL,
        date=_BASELINE_DATE,
        facts=(("Source", BASELINE_SOURCE),),
        source="published",
    )
