"""Run folders as results of the board's tables.

Of a run with hidden tasks that are not released nothing is kept but the fact: no score, no task's
name, no note that mentions one. Of its further evaluations only hidden tasks are taken: a further
public suite is not what the run was trained for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auricle.board.model import NOT_RUN, Cell, Column, Entry, Found, Result
from auricle.board.names import clean_text
from auricle.board.read_values import (
    catalog_column,
    cell_of,
    hidden_column,
    is_hidden,
    read_object,
    read_scores,
    require_version,
)
from auricle.board.run_entry import read_receipt, run_entry
from auricle.catalog.load import get_suite, list_suites
from auricle.errors import ScoringError
from auricle.records.manifest import Manifest, TestTask
from auricle.records.scores import Scores, TaskScore
from auricle.runs.folder import RunFolder
from auricle.scoring.board_csv import CUSTOM, other_version


@dataclass(frozen=True, slots=True)
class _Measured:
    """The tasks of a run that may be shown."""

    columns: dict[str, Column]
    cells: dict[str, Cell]
    withheld: tuple[str, ...]
    """Names of hidden tasks that are not released; for filtering, never for showing."""


class NotTrustedError(ScoringError):
    """A run that nobody who is trusted vouches for, where only such runs are wanted."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signature on a receipt is believed."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """Whose each key is, by the key."""
    alone: bool = False
    """Whether runs that none of them signed are left out."""


def read_run(path: Path, *, released: bool, trust: Trust | None = None) -> list[Found]:
    """A run folder's scores, one `Found` per track.

    Args:
        path: The run folder, or its ``scores.json``.
        released: Whether hidden scores may be shown.
        trust: Whose signature is believed; nobody's when None.

    Raises:
        NotTrustedError: Only runs with a trusted signature are wanted, and it has none.
        ScoringError: It is no run folder, it has not been scored, or a score is not valid.
    """
    folder = RunFolder.open(path.parent if path.name == "scores.json" else path)
    if not folder.scores.is_file():
        raise ScoringError(
            f"{folder.path} has no scores.json: its run has not ended. Continue it with the "
            "command that started it, or score what there is: auricle score "
            f"{folder.path}."
        )
    trust = trust or Trust()
    examined = read_receipt(folder, trust.keys)
    if trust.alone and examined.fault:
        raise NotTrustedError(f"{folder.path}: {examined.fault}")
    manifest, scores = _read_manifest(folder), read_scores(folder.scores)
    measured = _measure(folder, manifest, scores, released=released)
    entry = run_entry(folder, manifest, scores, measured.withheld, examined)
    suite = clean_text(scores.suite or "suite", limit=40)
    if not measured.columns:
        raise ScoringError(
            f"{folder.path} has scores on hidden tasks only, and they are not released. Leave it "
            "out, or build with --released."
        )
    tracks = sorted({column.track for column in measured.columns.values()})
    obstacle = CUSTOM if entry.mode == "custom" else ""
    if not manifest.has_current_recipe:
        obstacle = other_version(manifest.recipe_label)
    if examined.receipt is not None and not examined.receipt.accepted:
        obstacle = "its submission was not accepted"
    return [_found(entry, suite, track, measured, obstacle=obstacle) for track in tracks]


def _found(entry: Entry, suite: str, track: str, measured: _Measured, *, obstacle: str) -> Found:
    columns = [column for column in measured.columns.values() if column.track == track]
    cells = {column.name: measured.cells[column.name] for column in columns}
    for name in _planned_tasks(suite, track) - cells.keys():
        columns.append(catalog_column(name))
        cells[name] = Cell(None, missing=NOT_RUN)
    result = Result(entry, cells, withheld=bool(measured.withheld), obstacle=obstacle)
    return Found(suite, track, tuple(columns), (result,))


def _planned_tasks(suite: str, track: str) -> set[str]:
    if suite not in list_suites():
        return set()
    return {name for name in get_suite(suite).tasks if catalog_column(name).track == track}


def _measure(folder: RunFolder, manifest: Manifest, scores: Scores, *, released: bool) -> _Measured:
    """Collect the run's own suite and, of its further evaluations, the hidden tasks."""
    columns: dict[str, Column] = {}
    cells: dict[str, Cell] = {}
    withheld: list[str] = []
    further = sorted(folder.further_scores("any").parent.glob("*.json"))
    for file, content in [(folder.scores, scores), *((f, read_scores(f)) for f in further)]:
        own = content is scores
        asked = manifest.test if own else _asked_further(folder, file)
        for name, value in _tasks_of(content, file).items():
            if not is_hidden(name):
                if own:
                    columns[name] = catalog_column(name)
                    cells[name] = cell_of(value)
            elif not released:
                withheld.append(name)
            else:
                facts = asked.get(name)
                track = _track(facts, value, content, f"{file}, task {name}")
                column = hidden_column(name, track=track, facts=facts)
                columns[column.name] = column
                cells[column.name] = cell_of(value)
    return _Measured(columns, cells, tuple(withheld))


def _read_manifest(folder: RunFolder) -> Manifest:
    """The manifest of a stranger's run: its size is bounded, and it is read as no other file."""
    value = read_object(folder.manifest)
    require_version(value, folder.manifest)
    return Manifest.from_json(value, folder.manifest)


def _asked_further(folder: RunFolder, scores: Path) -> Mapping[str, TestTask]:
    further = folder.further(scores.stem)
    return _read_manifest(further).test if further.manifest.is_file() else {}


def _tasks_of(content: Scores, file: Path) -> dict[str, TaskScore]:
    if not content.tasks:
        raise ScoringError(
            f"{file} has no tasks; expected what 'auricle score RUN' writes. Score the run again."
        )
    return content.tasks


def _track(facts: TestTask | None, task: TaskScore, scores: Scores, place: str) -> str:
    """The track of a hidden task: the manifest says it, or its scores are of one track only."""
    single = next(iter(scores.tracks)) if len(scores.tracks) == 1 else None
    track = (facts.track if facts else None) or task.track or single
    if track not in ("a", "b"):
        raise ScoringError(
            f"{place} has no track; expected a or b in the manifest. Score the run again: "
            "auricle score RUN."
        )
    return str(track)
