"""Several runs side by side: one table of their scores, and a page of it.

Every run is read against the first one, by a paired test on the clips that both answered: the
intervals of two runs may overlap although one is better. Where the runs were not asked the same
clips in the same way, the row says so and nothing is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auricle.files import write_text
from auricle.records.comparison import Comparison, Outcome, Pair, SuiteComparison
from auricle.records.scores import Estimate, Mean
from auricle.runs.compare import ReadRuns, compared, read_all
from auricle.runs.folder import RunFolder
from auricle.runs.report_facts import TRACK_NAMES, RunFacts, TaskFacts, same_test
from auricle.runs.report_overview import Bar, Headline, headlines
from auricle.runs.report_page import render
from auricle.scoring.tables import ResultTable, pairs_table, seeds_table


@dataclass(frozen=True, slots=True)
class CompareCell:
    """One run's score on one task."""

    run: str
    """The run's label."""
    estimate: Estimate
    """The score; nothing where it is missing."""
    failure: str | None
    """Why there is no score, or none that counts."""
    finding: Outcome | None = None
    """What the paired test says of this run against the first; None for the first itself, and
    where nothing could be tested."""


@dataclass(frozen=True, slots=True)
class CompareRow:
    """One task, or the mean of a track, over all runs."""

    name: str
    track: str
    metric: str
    """Empty for a mean."""
    chance: float | None
    comparable: bool
    """Whether every run that has the task was asked the same clips in the same way."""
    cells: list[CompareCell]
    """One a run, in the order of the runs."""

    @property
    def is_mean(self) -> bool:
        """Whether the row is the mean of its track."""
        return not self.metric


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one track of one suite."""

    title: str
    rows: list[CompareRow]
    bars: list[list[Bar]]
    """A bar for each run, by row."""


def compare_table(folders: Sequence[RunFolder]) -> list[CompareRow]:
    """Scores of several runs, task by task, tracks in order, each closed by its mean.

    Raises:
        ScoringError: Fewer than two runs were given, or a file of one cannot be read.
    """
    runs = read_all(folders)
    return _rows(runs.own, runs.labels, compared(runs).own.pairs)


def write_comparison(folders: Sequence[RunFolder], path: Path) -> Path:
    """Write a page of several runs side by side.

    Args:
        folders: Two runs or more; the first is the one that the others are read against.
        path: The page.

    Raises:
        ScoringError: Fewer than two runs were given, or a file of one cannot be read.
        OutputError: The page cannot be written.
    """
    runs = read_all(folders)
    return write_page(runs, compared(runs), path)


def write_page(runs: ReadRuns, found: Comparison, path: Path) -> Path:
    """The same of runs that were read and compared already.

    Raises:
        OutputError: The page cannot be written.
    """
    sections = _sections("", runs.own, runs.labels, found.own)
    for name, asked in runs.further.items():
        labels = [runs.labels[place] for place in asked]
        sections += _sections(f"{name} · ", list(asked.values()), labels, found.further[name])
    several = len({row.track for section in sections for row in section.rows}) > 1
    page = render(
        "compare.html",
        runs=runs.own,
        labels=runs.labels,
        overall=_overall(runs.own) if several and not found.further else [],
        sections=sections,
        differences=found.differences,
        seeds=_seed_tables(found),
    )
    write_text(path, page)
    return path


def _sections(
    title: str, runs: Sequence[RunFacts], labels: Sequence[str], suite: SuiteComparison
) -> list[Section]:
    rows = _rows(runs, labels, suite.pairs)
    found = []
    for track in dict.fromkeys(row.track for row in rows):
        here = [row for row in rows if row.track == track]
        words = TRACK_NAMES.get(track, f"Track {track}")
        found.append(Section(f"{title}{words}", here, [_bars(row) for row in here]))
    return found


def _seed_tables(found: Comparison) -> list[tuple[str, ResultTable]]:
    """Each encoder over its seeds and, where each has several, the pairs."""
    tables = []
    for name, suite in found.suites:
        if suite.encoders is None:
            continue
        on = f" on {name}" if name else ""
        tables.append((f"Each encoder over its seeds{on}", seeds_table(suite.encoders)))
        if suite.encoders.several_seeds:
            title = f"Encoders compared{on}, clips and seeds together"
            tables.append((title, pairs_table([("", suite.encoders.pairs)])))
    return tables


def _rows(
    runs: Sequence[RunFacts], labels: Sequence[str], pairs: Sequence[Pair]
) -> list[CompareRow]:
    by_name = [{task.name: task for task in run.tasks} for run in runs]
    track_of = {
        task.name: (task.facts.track or "a") for run in reversed(runs) for task in run.tasks
    }
    order = list(dict.fromkeys(task.name for run in runs for task in run.tasks))
    rows = []
    for track in sorted(set(track_of.values())):
        names = [name for name in order if track_of[name] == track]
        rows += [
            _task_row(name, track, [tasks.get(name) for tasks in by_name], labels) for name in names
        ]
        if len(names) > 1:
            rows.append(_mean_row(track, rows[-len(names) :], runs, labels))
    against = {pair.right: pair for pair in pairs if pair.left == labels[0]}
    return [_with_findings(row, against) for row in rows]


def _with_findings(row: CompareRow, against: Mapping[str, Pair]) -> CompareRow:
    """A row with what was found of every run against the first, where they were asked the same."""
    if not row.comparable:
        return row
    cells = list(row.cells)
    for place, cell in enumerate(cells[1:], 1):
        pair = against[cell.run]
        entry = pair.tracks.get(row.track) if row.is_mean else pair.tasks.get(row.name)
        if entry is not None and entry.difference is not None:
            cells[place] = replace(cell, finding=entry.turned())
    return replace(row, cells=cells)


def _task_row(
    name: str, track: str, tasks: Sequence[TaskFacts | None], labels: Sequence[str]
) -> CompareRow:
    known = [task for task in tasks if task is not None]
    cells = []
    for task, label in zip(tasks, labels, strict=True):
        if task is None:
            cells.append(CompareCell(label, Estimate(), "not in this run's suite"))
        else:
            cells.append(CompareCell(label, task.entry.estimate, task.failure))
    return CompareRow(
        name=name,
        track=track,
        metric=known[0].metric,
        chance=known[0].entry.chance,
        comparable=all(same_test(known[0].facts, task.facts) for task in known),
        cells=cells,
    )


def _mean_row(
    track: str, rows: Sequence[CompareRow], runs: Sequence[RunFacts], labels: Sequence[str]
) -> CompareRow:
    cells = []
    for place, (run, label) in enumerate(zip(runs, labels, strict=True)):
        mean = run.scores.tracks.get(track, Mean())
        missing = [row.name for row in rows if row.cells[place].failure is not None]
        why = f"missing: {', '.join(missing)}" if missing else None
        cells.append(CompareCell(label, Estimate() if missing else mean.estimate, why))
    chances = [row.chance for row in rows if row.chance is not None]
    return CompareRow(
        name="mean",
        track=track,
        metric="",
        chance=sum(chances) / len(chances) if len(chances) == len(rows) else None,
        comparable=all(row.comparable for row in rows),
        cells=cells,
    )


def _overall(runs: Sequence[RunFacts]) -> list[Headline]:
    """The runs' means over all tasks; empty where official tracks are never averaged together."""
    heads = [headlines(run, {}) for run in runs]
    return [head[0] for head in heads] if all(len(head) == 1 for head in heads) else []


def _bars(row: CompareRow) -> list[Bar]:
    return [
        Bar(
            name=cell.run,
            value=cell.estimate.value,
            low=cell.estimate.low,
            high=cell.estimate.high,
            chance=row.chance,
            note="missing",
        )
        for cell in row.cells
    ]
