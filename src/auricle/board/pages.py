"""The pages of a board as text, by file name: templates filled, white space at line ends dropped.

Jinja2 escapes everything that is not `Markup`, and no template has an attribute without quotes
around a value (tests/board/test_templates.py): names are strangers' input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from auricle.board import draw
from auricle.board.draw import Field
from auricle.board.exports import table_csv, table_json
from auricle.board.health import Chance, chance_of_column, describe
from auricle.board.model import NOT_STATED, Board, Column, Entry, Row, Table
from auricle.board.standing import places
from auricle.catalog.spec import Task
from auricle.records.scores import Estimate

STATIC = ("board.css", "board.js")
_KIND_CLASS = {
    "published": Markup(""),
    "baseline": Markup(" class=baseline"),
    "run": Markup(" class=run"),
    "result": Markup(" class=result"),
}
_BRACKETS = "A place in brackets is where the score of an unranked entry would stand."
_DOTS = {"published": "dots", "baseline": "base", "run": "own", "result": "own"}


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What several pages need to know about a table, worked out once."""

    table: Table
    fields: dict[str, Field | None]
    chances: dict[str, Chance | None]
    places: dict[str, dict[str, str]]
    """By task, then by the entry's slug."""
    spreads: dict[str, str]
    """By task, the class in ``field.css`` that holds its spread."""

    @classmethod
    def of(cls, table: Table, number: int) -> TableFacts:
        """Facts about every column of a table, which is the board's so-manieth."""
        fields, chances, found = {}, {}, {}
        for column in table.columns:
            scores = table.scores(column.name)
            fields[column.name] = Field.of(list(scores.values()))
            chances[column.name] = chance_of_column(table, column)
            found[column.name] = places(table.rows, column.name)
        names = {column.name: f"F{number}-{i}" for i, column in enumerate(table.columns)}
        return cls(table, fields, chances, found, names)

    def css(self) -> str:
        """The rules of ``field.css``: each task's spread and chance, once for all pages."""
        rules = []
        for name, css_class in self.spreads.items():
            field, chance = self.fields[name], self.chances[name]
            parts = [draw.spread(field)] if field else []
            parts += [f"--c:{draw.Axis().percent(chance.score)}"] if chance else []
            rules.append(f".{css_class}{{{';'.join(parts)}}}\n")
        return "".join(rules)


def render_pages(board: Board) -> Iterator[tuple[str, str]]:
    """Every file of the site: its name relative to the site's folder, and its content."""
    for name in STATIC:
        yield name, _source(name)
    facts = [TableFacts.of(table, number) for number, table in enumerate(board.tables)]
    yield "field.css", "".join(one.css() for one in facts)
    yield "index.html", _render("index.html", board)
    for one in facts:
        yield f"{one.table.key}.html", _table_page(board, one)
        yield f"{one.table.key}.csv", table_csv(one.table)
        yield f"{one.table.key}.json", table_json(one.table)
    for entry in board.entries:
        yield f"entries/{entry.slug}.html", _entry_page(board, entry, facts)
    columns = {column.slug: column for table in board.tables for column in table.columns}
    for slug, column in columns.items():
        yield f"tasks/{slug}.html", _task_page(board, column, facts)


def _table_page(board: Board, facts: TableFacts) -> str:
    table = facts.table
    axis = draw.axis_around(row.overall for row in table.rows)
    lines = [
        {
            "row": row,
            "overall": draw.mean_cell(row.overall, strong=True),
            "interval": draw.interval_cell(row.overall, axis),
            "public": draw.mean_cell(row.public),
            "hidden": draw.mean_cell(row.hidden),
            "tasks": Markup("").join(
                draw.score_cell(row.cells.get(column.name), facts.fields[column.name])
                for column in table.columns
            ),
        }
        for row in table.rows
    ]
    return _render(
        "table.html",
        board,
        here=table.key,
        width="wide",
        table=table,
        lines=lines,
        axis=axis,
        domains=list(dict.fromkeys(c.domain for c in table.columns if c.domain)),
    )


def _entry_page(board: Board, entry: Entry, facts: Sequence[TableFacts]) -> str:
    parts = [
        _entry_part(one, row)
        for one in facts
        for row in one.table.rows
        if row.entry.slug == entry.slug
    ]
    return _render(
        "entry.html",
        board,
        root="../",
        entry=entry,
        subtitle=" · ".join(_subtitle(entry)),
        parts_of_entry=parts,
    )


def _subtitle(entry: Entry) -> Iterator[str]:
    """Who it is and how it was measured; a custom mode stands beside the name already."""
    if entry.affiliation:
        yield entry.affiliation
    if entry.mode not in ("custom", NOT_STATED):
        yield f"{entry.mode} mode" if entry.mode in ("reference", "fast") else entry.mode
    if entry.protocol != NOT_STATED:
        yield f"protocol {entry.protocol}" if entry.protocol[:1].isdigit() else entry.protocol
    if entry.date:
        yield entry.date


def _entry_part(facts: TableFacts, row: Row) -> dict[str, object]:
    table = facts.table
    means: list[tuple[str, Estimate]] = [(overall_name(table).lower(), row.overall)]
    if table.has_hidden:
        means += [("public", row.public), ("hidden", row.hidden)]
    lines = Markup("").join(_entry_line(facts, row, column) for column in table.columns)
    in_brackets = row.rank is None and any(row.entry.slug in p for p in facts.places.values())
    return {
        "brackets": _BRACKETS if in_brackets else "",
        "table": table,
        "row": row,
        "means": means,
        "ranked": sum(other.rank is not None for other in table.rows),
        "missing": draw.MISSING,
        "lines": lines,
    }


def _entry_line(facts: TableFacts, row: Row, column: Column) -> Markup:
    cell = row.cells[column.name]
    head = Markup('<tr><th><a href="../tasks/{}.html">{}</a>').format(column.slug, column.label)
    name, bar = facts.spreads[column.name], draw.bullet(cell)
    if cell.score is None:
        return head + Markup("<td colspan=3>{} {}\n").format(
            draw.MISSING, "" if cell.missing == "missing" else cell.missing
        )
    place = facts.places[column.name].get(row.entry.slug, "–")
    return head + Markup("<td>{:.3f}<td>{}<td class={} style={}>\n").format(
        cell.score, place, name, bar
    )


def _task_page(board: Board, column: Column, facts: Sequence[TableFacts]) -> str:
    parts = [
        _task_part(one, column)
        for one in facts
        if any(c.slug == column.slug for c in one.table.columns)
    ]
    chance = next((part["known_chance"] for part in parts if part["known_chance"]), None)
    assert chance is None or isinstance(chance, Chance)
    return _render(
        "task.html",
        board,
        root="../",
        column=column,
        facts=list(_task_facts(column, chance)),
        parts_of_task=parts,
    )


def _task_facts(column: Column, chance: Chance | None) -> Iterator[tuple[str, str]]:
    if column.domain:
        yield "Domain", column.domain
    yield "Track", column.track.upper()
    if column.metric:
        yield "Metric", column.metric
    if column.num_classes:
        yield "Classes", str(column.num_classes)
    if column.test_clips:
        yield "Test clips", draw.thousands(column.test_clips)
    if chance is not None:
        yield "Chance", f"{chance.score:.3f} ({chance.source})"
    else:
        yield "Chance", "not known here: it needs the test labels"
    told = column.homepage or column.licence != Task.model_fields["licence"].default
    if column.licence and told:
        yield "Licence", column.licence


def _task_part(facts: TableFacts, column: Column) -> dict[str, object]:
    table, name = facts.table, column.name
    field, chance = facts.fields[name], facts.chances[name]
    series: dict[str, list[float]] = {}
    measured = []
    for row in table.rows:
        cell = row.cells.get(name)
        if cell is not None and cell.score is not None:
            series.setdefault(_DOTS[row.entry.kind], []).append(cell.score)
            measured.append((cell, row))
    measured.sort(key=lambda pair: -(pair[0].score or 0.0))
    words = (
        "no scores"
        if field is None
        else (
            f"{field.count} scores from {field.lowest:.3f} to {field.highest:.3f}, "
            f"median {field.median:.3f}"
        )
    )
    lines = Markup("").join(
        Markup(
            '<tr{}><td>{}<th><a href="../entries/{}.html">{}</a><td>{:.3f}<td style={}>\n'
        ).format(
            _KIND_CLASS[row.entry.kind],
            facts.places[name].get(row.entry.slug, "–"),
            row.entry.slug,
            row.entry.team,
            cell.score,
            draw.bullet(cell),
        )
        for cell, row in measured
    )
    return {
        "table": table,
        "brackets": _BRACKETS if any("(" in each for each in facts.places[name].values()) else "",
        "figure": draw.distribution(
            list(series.items()), chance=chance.score if chance else None, label=words
        ),
        "kinds": list(dict.fromkeys(row.entry.kind for _, row in measured)),
        "spread": facts.spreads[name],
        "health": list(describe(table, column, chance)),
        "chance": chance is not None,
        "known_chance": chance,
        "lines": lines,
    }


def overall_name(table: Table) -> str:
    """What the score that ranks is called."""
    return "Overall" if table.has_hidden else "Mean"


def census(table: Table) -> str:
    """How many entries and tasks a table has, in words."""
    names = {
        "published": ("published entry", "published entries"),
        "result": ("result", "results"),
        "run": ("run", "runs"),
        "baseline": ("baseline", "baselines"),
    }
    counts = [
        (sum(row.entry.kind == kind for row in table.rows), one, many)
        for kind, (one, many) in names.items()
    ]
    hidden = sum(column.hidden for column in table.columns)
    counts.append((len(table.columns) - hidden, "public task", "public tasks"))
    counts.append((hidden, "hidden task", "hidden tasks"))
    return ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in counts if n)


def standing(row: Row) -> float | None:
    """The mean to show where there is room for one."""
    return row.overall.value


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("auricle.board", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "four": draw.four,
        "short": draw.short,
        "thousands": draw.thousands,
        "band": draw.band_text,
        "overall_name": overall_name,
        "census": census,
        "standing": standing,
    }
    return environment


def _source(name: str) -> str:
    return files("auricle.board").joinpath("static", name).read_text(encoding="utf-8")


def _render(template: str, board: Board, **values: object) -> str:
    context = {"board": board, "root": "", "here": "", "width": "", **values}
    text = _environment().get_template(template).render(context)
    return "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())
