"""Tables from what the sources found: one per suite and track, columns in a fixed order, ranked.

Only numbers of one suite and one track are comparable, so they never share a table with others.
Ranks, bands and means come from `auricle.scoring` (`auricle.board.standing`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from auricle.board.model import Column, Entry, Found, Result, Row, Table
from auricle.board.names import base_slug
from auricle.board.standing import edition, rank_results
from auricle.errors import ScoringError
from auricle.names import NameBook

_TRACKS = {"a": "classification", "b": "transcription and captions"}
_DOMAINS = ("speech", "sound", "music", "general")


def build_tables(found: Iterable[Found]) -> list[Table]:
    """Group what was found, rank it, and order the tables: the challenge's first.

    Raises:
        ScoringError: A team stands twice in one table.
    """
    groups: dict[tuple[str, str], list[Found]] = {}
    for one in found:
        groups.setdefault((one.suite, one.track), []).append(one)
    official = [("track-a", "a"), ("track-b", "b")]
    keys = sorted(groups, key=lambda key: (key not in official, key))
    return [_build(suite, track, groups[suite, track]) for suite, track in keys]


def _build(suite: str, track: str, found: Sequence[Found]) -> Table:
    results = [result for one in found for result in one.results]
    columns = _columns(found)
    ranking = edition(results, columns)
    columns = tuple(replace(c, counted=not c.hidden or c.name in ranking) for c in columns)
    _refuse_doubles(results, suite, track)
    official = suite == f"track-{track}"
    rows = _tell_apart(rank_results(results, columns, official_track=track if official else None))
    kind = _TRACKS[track]
    return Table(
        key=suite if official else f"{base_slug(suite) or 'suite'}-track-{track}",
        name=f"{'Track' if official else suite} {track.upper()}",
        title=f"Track {track.upper()} · {kind}" if official else f"{suite} · track {track.upper()}",
        subtitle="" if official else f"Suite {suite}, {kind}.",
        track=track,
        columns=columns,
        rows=rows,
        rule=_rule(columns),
        notes=tuple(_notes(results, rows, columns)),
    )


def _tell_apart(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Mark entries of one name with where each comes from, and where that is one, their hash."""
    book = NameBook()
    names = Counter(book.first(row.entry.team) for row in rows)
    sources = Counter((book.first(row.entry.team), row.entry.source) for row in rows)

    def marked(entry: Entry) -> Entry:
        name = book.first(entry.team)
        if names[name] == 1:
            return entry
        if sources[name, entry.source] == 1:
            return replace(entry, mark=entry.source)
        return replace(entry, mark=f"{entry.source} · {entry.slug.rpartition('-')[2]}")

    return tuple(replace(row, entry=marked(row.entry)) for row in rows)


def namesakes(rows: Sequence[Row]) -> Iterator[str]:
    """A sentence for every name that stands on rows of different kinds: one may pose as another."""
    book = NameBook()
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(book.first(row.entry.team), []).append(row)
    for group in groups.values():
        if len({row.entry.kind for row in group}) > 1:
            sources = ", ".join(row.entry.mark for row in group)
            yield f"{group[0].entry.team} stands here {len(group)} times, from: {sources}."


def _notes(
    results: Sequence[Result], rows: Sequence[Row], columns: Sequence[Column]
) -> Iterator[str]:
    yield from namesakes(rows)
    if others := ", ".join(column.label for column in columns if not column.counted):
        yield f"Shown, and no part of any mean or rank, because few were asked: {others}."
    if any(result.withheld for result in results):
        yield _WITHHELD_NOTE
    if all(row.band is None for row in rows) and any(row.rank for row in rows):
        yield "There are no bands, because not every ranked entry has an interval on each task."


_WITHHELD_NOTE = (
    "Some entries were also measured on hidden tasks. Those scores are not released yet and stand "
    "nowhere on this site."
)


def _rule(columns: Sequence[Column]) -> str:
    if any(column.hidden and column.counted for column in columns):
        return "Ranked by the overall score: the mean of the public and the hidden tasks' means."
    return "Ranked by the mean over all tasks."


def _columns(found: Sequence[Found]) -> tuple[Column, ...]:
    """All tasks of a table: public ones by domain, then hidden ones."""
    known: dict[str, Column] = {}
    for column in (column for one in found for column in one.columns):
        if column.name not in known or (column.domain and not known[column.name].domain):
            known[column.name] = column
    return tuple(sorted(known.values(), key=_column_order))


def _column_order(column: Column) -> tuple[bool, int, str]:
    place = _DOMAINS.index(column.domain) if column.domain in _DOMAINS else len(_DOMAINS)
    return column.hidden, place, column.name.lower()


def _refuse_doubles(results: Sequence[Result], suite: str, track: str) -> None:
    seen: dict[str, str] = {}
    for result in results:
        entry = result.entry
        if entry.slug in seen:
            raise ScoringError(
                f"{entry.team} stands twice in track {track.upper()} of {suite}; a team has one "
                "row per track, and a run folder is given once. Remove one of the two."
            )
        seen[entry.slug] = entry.team
