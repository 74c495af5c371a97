"""What a board is made of: entries, their cells, and tables of rows under task columns.

Everything that must not be published is gone before these objects exist: a hidden score that is not
released never becomes a `Cell` with a number, so no page, CSV or JSON can leak it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from auricle.records.scores import Estimate

Kind = Literal["published", "baseline", "result", "run"]

WITHHELD = "not released yet"
NOT_PUBLISHED = "not published"
NOT_RUN = "not run"
NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry's result on one task."""

    score: float | None
    """0 to 1; None where it is missing, never zero for want of a value."""
    low: float | None = None
    high: float | None = None
    centre: float | None = None
    """What the interval was built around, where it is not the score."""
    chance: float | None = None
    clips: int | None = None
    missing: str = ""
    """Why there is no score; empty where there is one."""

    @property
    def estimate(self) -> Estimate:
        """The score with its interval."""
        return Estimate(self.score, self.low, self.high, self.centre)


@dataclass(frozen=True, slots=True)
class DataSet:
    """One line of a declaration of training data."""

    name: str
    source: str
    """A public web address, or empty."""
    licence: str
    hours: float
    share: float
    """Percent."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a team says about its encoder; its people and its address are not published."""

    parameters: int
    hardware: str
    training_data: tuple[DataSet, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A document of an entry that the site takes along."""

    label: str
    address: str
    """Relative to the site."""
    source: Path
    """Where it is copied from; of a run's own report, the run's folder."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One encoder on the board."""

    slug: str
    team: str
    """Fit to be shown (`auricle.board.names`)."""
    affiliation: str
    kind: Kind
    mode: str
    """reference, fast, custom, or what a published table calls itself."""
    protocol: str
    """By which version of which software it was measured."""
    date: str
    """ISO date, or empty where it is not known."""
    facts: tuple[tuple[str, str], ...] = ()
    """Further facts for the entry's own page, name and text."""
    notes: tuple[str, ...] = ()
    """What a reader of the scores must know, e.g. replaced clips."""
    declaration: Declaration | None = None
    reports: tuple[Report, ...] = ()
    """Documents that are put beside the entry's page."""
    source: str = ""
    """Where it comes from, short: a file, a seed; tells entries of one name apart."""
    signer: str = ""
    """Whose signature, of those who are trusted, vouches for it; empty without one."""
    mark: str = ""
    """The source, where another entry of the table has the same name."""

    @property
    def is_unsigned(self) -> bool:
        """Whether nobody vouches for it; the published results of 2026 come with auricle."""
        return self.kind in ("run", "result") and not self.signer


@dataclass(frozen=True, slots=True)
class Column:
    """One task of a table."""

    name: str
    slug: str
    track: str
    domain: str
    """speech, sound, music, general; empty where it is not published."""
    metric: str
    hidden: bool
    counted: bool = True
    """Whether it is part of what ranks; a hidden task of another edition is shown alone."""
    prompt: str = ""
    num_classes: int | None = None
    test_clips: int | None = None
    licence: str = ""
    homepage: str = ""

    @property
    def label(self) -> str:
        """The name, with the mark of a hidden task."""
        return f"{self.name}*" if self.hidden else self.name


@dataclass(frozen=True, slots=True)
class Result:
    """One entry's cells for one table, before they are ranked."""

    entry: Entry
    cells: Mapping[str, Cell]
    withheld: bool = False
    """Whether it has hidden results that are not released."""
    obstacle: str = ""
    """Why it takes no rank whatever its scores, e.g. a recipe of its own; empty without one."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one source contributes to one table."""

    suite: str
    track: str
    columns: tuple[Column, ...]
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One entry in a table."""

    entry: Entry
    cells: Mapping[str, Cell]
    public: Estimate
    hidden: Estimate
    overall: Estimate
    rank: int | None
    band: tuple[int, int] | None
    """Best and worst rank that its interval allows."""
    unranked: str = ""
    """Why it has no rank; empty where it has one."""
    standing: str = ""
    """Where an unranked row would stand by its public mean, as a sentence."""


@dataclass(frozen=True, slots=True)
class Table:
    """Entries that can be compared: one suite, one track."""

    key: str
    """File name without suffix, and address."""
    name: str
    """Short, for the navigation."""
    title: str
    subtitle: str
    track: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    """Ranked rows first, in rank order; then the others by public mean."""
    rule: str
    """How the order comes about, as a sentence."""
    notes: tuple[str, ...] = ()

    def scores(self, task: str) -> dict[str, float]:
        """The scores on one task by entry's slug, in the order of the rows."""
        cells = ((row.entry.slug, row.cells.get(task)) for row in self.rows)
        return {slug: c.score for slug, c in cells if c is not None and c.score is not None}

    @property
    def has_intervals(self) -> bool:
        """Whether any score that ranks has an interval."""
        return any(row.overall.low is not None for row in self.rows)

    @property
    def has_hidden(self) -> bool:
        """Whether hidden tasks are shown."""
        return any(column.hidden for column in self.columns)


@dataclass(frozen=True, slots=True)
class Board:
    """The whole site's content."""

    title: str
    tables: tuple[Table, ...]
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = field(default=())
