"""Means, ranks and bands of a table's rows, all from `auricle.scoring.ranks`.

What may take part is decided here: an entry that is no baseline and has no obstacle of its own (a
custom recipe, a submission that was not accepted). A row that lacks a task has no rank (law 7);
where it would stand by its public mean is said on its own page. Hidden tasks differ by edition: a
table ranks by one set of them, and who was asked others has no rank beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from auricle.board.model import NOT_PUBLISHED, NOT_RUN, WITHHELD, Cell, Column, Result, Row
from auricle.scoring.published import standing_sentence
from auricle.scoring.ranks import Contestant, RankedRow, exact, rank_rows


def rank_results(
    results: Sequence[Result], columns: Sequence[Column], *, official_track: str | None
) -> tuple[Row, ...]:
    """Rank what was found for one table.

    Args:
        results: One per entry.
        columns: The table's tasks; those that are not counted are shown alone.
        official_track: ``a`` or ``b`` where the table is the challenge's own.

    Returns:
        Ranked rows in rank order, then the others by public mean.
    """
    filled = {result.entry.slug: _filled(result, columns) for result in results}
    public = [column.name for column in columns if not column.hidden]
    hidden = [column.name for column in columns if column.hidden and column.counted]
    able = [result for result in results if _obstacle(result) is None]
    found = rank_rows(
        [_contestant(r, filled[r.entry.slug]) for r in able], public=public, hidden=hidden
    )
    for result in results:
        if _obstacle(result) is not None:  # its means are wanted, its place among others is not
            alone = _contestant(result, filled[result.entry.slug])
            found += rank_rows([alone], public=public, hidden=hidden)
    by_slug = {result.entry.slug: result for result in results}
    others = [column.name for column in columns if not column.counted]
    rows = [_row(by_slug[one.team], filled[one.team], one, others, official_track) for one in found]
    return tuple(sorted(rows, key=_order))


def edition(results: Sequence[Result], columns: Sequence[Column]) -> frozenset[str]:
    """The hidden tasks that a table ranks by: those of its published entries, else of most others.

    Args:
        results: Of one table.
        columns: Its tasks.
    """
    hidden = {column.name for column in columns if column.hidden}
    sets = Counter(
        (result.entry.kind == "published", frozenset(hidden & result.cells.keys()))
        for result in results
        if _obstacle(result) is None
    )
    asked = [(published, count, names) for (published, names), count in sets.items() if names]
    best = max(asked, key=lambda one: (*one[:2], len(one[2]), sorted(one[2])), default=None)
    return best[2] if best else frozenset(hidden)


def places(rows: Sequence[Row], task: str) -> dict[str, str]:
    """Places on one task by entry's slug, ties sharing the better one.

    They are counted among ranked rows alone. Another row has its place in brackets, where its score
    would stand; without any ranked row there are none.
    """
    scores = {
        row.entry.slug: (exact(row.cells[task].estimate), row.rank is not None) for row in rows
    }
    ranked = [score for score, has_rank in scores.values() if has_rank and score is not None]
    found = {}
    for slug, (score, has_rank) in scores.items():
        if score is not None and ranked:
            place = 1 + sum(other > score for other in ranked)
            found[slug] = str(place) if has_rank else f"({place})"
    return found


def _filled(result: Result, columns: Sequence[Column]) -> dict[str, Cell]:
    return {c.name: result.cells.get(c.name) or _blank(result, c) for c in columns}


def _blank(result: Result, column: Column) -> Cell:
    if column.hidden and result.withheld:
        return Cell(None, missing=WITHHELD)
    published = result.entry.kind in ("published", "baseline")
    return Cell(None, missing=NOT_PUBLISHED if published else NOT_RUN)


def _contestant(result: Result, cells: Mapping[str, Cell]) -> Contestant:
    return Contestant(result.entry.slug, {name: cell.estimate for name, cell in cells.items()})


def _obstacle(result: Result) -> str | None:
    """Why an entry takes no rank, whatever its scores."""
    if result.entry.kind == "baseline":
        return "a baseline takes no rank"
    return result.obstacle or None


def _row(
    result: Result,
    cells: dict[str, Cell],
    found: RankedRow,
    others: Sequence[str],
    official_track: str | None,
) -> Row:
    reason = _obstacle(result)
    if reason is None and found.missing:
        reason = _missing_words(found.missing, cells)
        if any(name in result.cells for name in others):
            reason += ", and it was asked other hidden tasks than this table ranks by"
    standing = ""
    if official_track is not None and reason and found.public.value is not None:
        standing = standing_sentence(official_track, found.public.value)
    return Row(
        entry=result.entry,
        cells=cells,
        public=found.public,
        hidden=found.hidden,
        overall=found.overall,
        rank=None if reason else found.rank,
        band=None if reason else found.band,
        unranked=reason or "",
        standing=standing,
    )


def _missing_words(missing: Sequence[str], cells: Mapping[str, Cell]) -> str:
    reasons = {cells[name].missing for name in missing}
    if reasons == {WITHHELD}:
        return "its scores on hidden tasks are not released yet"
    if len(missing) == 1:
        return f"{missing[0]} is missing"
    return f"{len(missing)} tasks are missing"


def _order(row: Row) -> tuple[bool, int, float, str]:
    public = -1.0 if row.public.value is None else row.public.value
    return row.rank is None, row.rank or 0, -public if row.rank is None else 0.0, row.entry.slug
