"""The CSV and JSON beside each table.

CSV: a row per entry in rank order; ``team``, ``affiliation``, ``kind``, ``mode``, ``protocol``,
``date``, ``page``, ``rank``, ``band_best``, ``band_worst``, ``overall``, ``public``, ``hidden``,
their ``_low`` and ``_high``, then a column per task, hidden ones with ``*``: what
``auricle board rank`` reads. Missing is an empty field. A text that a spreadsheet would take for a
formula begins with an apostrophe.

JSON: ``{"schema_version", "table", "title", "track", "rule", "tasks": [{"name", "hidden",
"counted" (in means and ranks), "domain", "metric", "page"}], "rows": [{"team", …, "source", "rank",
"band", "overall": {"mean", "low", "high"}, …, "unranked", "tasks": {name: score}, "intervals":
{name: [low, high]}, "missing": {name: reason}}]}``; a missing score is null, and fields may be
added.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from auricle.board.model import Row, Table
from auricle.records.scores import Estimate
from auricle.scoring.tables import spreadsheet_text

SCHEMA_VERSION = 1
_MEANS = ("overall", "public", "hidden")


def table_csv(table: Table) -> str:
    """A table as CSV with a header line."""
    means = [f"{name}{part}" for name in _MEANS for part in ("", "_low", "_high")]
    facts = ("team", "affiliation", "kind", "mode", "protocol", "date", "page")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [*facts, "rank", "band_best", "band_worst", *means, *(c.label for c in table.columns)]
    )
    for row in table.rows:
        entry = row.entry
        texts = [entry.team, entry.affiliation, entry.kind, entry.mode, entry.protocol, entry.date]
        best, worst = row.band or ("", "")
        cells = [row.cells[column.name] for column in table.columns]
        writer.writerow(
            [
                *map(spreadsheet_text, texts),
                _page(row),
                _blank(row.rank),
                best,
                worst,
                *(_blank(part) for value in _values(row) for part in value),
                *(_blank(cell.score) for cell in cells),
            ]
        )
    return stream.getvalue()


def table_json(table: Table) -> str:
    """A table as JSON, one row per line."""
    tasks = [
        {
            "name": column.name,
            "hidden": column.hidden,
            "counted": column.counted,
            "domain": column.domain or None,
            "metric": column.metric or None,
            "page": f"tasks/{column.slug}.html",
        }
        for column in table.columns
    ]
    head = {
        "schema_version": SCHEMA_VERSION,
        "table": table.key,
        "title": table.title,
        "track": table.track,
        "rule": table.rule,
    }
    lines = [json.dumps(head, ensure_ascii=False)[:-1]]
    lines.append(f'"tasks": {_lines(tasks)}')
    lines.append(f'"rows": {_lines([_row_json(row, table) for row in table.rows])}}}')
    return ",\n".join(lines) + "\n"


def _lines(values: list[dict[str, Any]]) -> str:
    texts = (
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for value in values
    )
    return "[\n" + ",\n".join(texts) + "]"


def _row_json(row: Row, table: Table) -> dict[str, Any]:
    entry = row.entry
    return {
        "team": entry.team,
        "affiliation": entry.affiliation or None,
        "kind": entry.kind,
        "mode": entry.mode,
        "protocol": entry.protocol,
        "date": entry.date or None,
        "page": _page(row),
        "source": entry.source or None,
        "signed_by": entry.signer or None,
        "rank": row.rank,
        "band": list(row.band) if row.band else None,
        **{
            name: _known({"mean": mean, "low": low, "high": high}, "mean")
            for name, (mean, low, high) in zip(_MEANS, _values(row), strict=True)
        },
        "unranked": row.unranked or None,
        **_cells_json(row, table),
    }


def _cells_json(row: Row, table: Table) -> dict[str, Any]:
    cells = {column.label: row.cells[column.name] for column in table.columns}
    value: dict[str, Any] = {"tasks": {label: cell.score for label, cell in cells.items()}}
    intervals = {
        label: [cell.low, cell.high] for label, cell in cells.items() if cell.low is not None
    }
    missing = {label: cell.missing for label, cell in cells.items() if cell.missing}
    if intervals:
        value["intervals"] = intervals
    if missing:
        value["missing"] = missing
    return value


def _known(values: dict[str, float | None], always: str) -> dict[str, float | None]:
    return {k: v for k, v in values.items() if v is not None or k == always}


def _values(row: Row) -> list[tuple[float | None, float | None, float | None]]:
    values: tuple[Estimate, ...] = (row.overall, row.public, row.hidden)
    return [(value.value, value.low, value.high) for value in values]


def _page(row: Row) -> str:
    return f"entries/{row.entry.slug}.html"


def _blank(value: float | None) -> str:
    return "" if value is None else repr(value)
