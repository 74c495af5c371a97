"""Run folders as entries of the board.

A run folder that holds a ``submission.yaml`` (a judged one) stands under its team's name with its
declaration; others stand under their encoder's name. Of a run with hidden tasks that are not
released nothing is kept but the fact: no score, no task's name, no note that mentions one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auricle.board.model import (
    NOT_RUN,
    Cell,
    Column,
    DataSet,
    Declaration,
    Entry,
    Found,
    Report,
    Result,
)
from auricle.board.names import base_slug, clean_name, clean_text
from auricle.board.read_values import (
    catalog_column,
    hidden_column,
    is_hidden,
    read_cell,
    read_object,
)
from auricle.catalog.load import get_suite, list_suites
from auricle.challenge.submission import FILE_NAME, ORGANISERS_SET, Submission, read_submission
from auricle.errors import ScoringError
from auricle.runs.folder import RunFolder, run_hash

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class _Measured:
    """The tasks of a run that may be shown."""

    columns: dict[str, Column]
    cells: dict[str, Cell]
    withheld: tuple[str, ...]
    """Names of hidden tasks that are not released; for filtering, never for showing."""


def read_run(path: Path, *, released: bool) -> list[Found]:
    """A run folder's scores, one `Found` per track.

    Args:
        path: The run folder, or its ``scores.json``.
        released: Whether hidden scores may be shown.

    Raises:
        ScoringError: It is no run folder, it has not been scored, or a score is not valid.
    """
    folder = RunFolder.open(path.parent if path.name == "scores.json" else path)
    if not folder.scores.is_file():
        raise ScoringError(
            f"{folder.path} has no scores.json: its run has not ended. Continue it with the "
            "command that started it, or score what there is: auricle score "
            f"{folder.path}."
        )
    manifest, scores = read_object(folder.manifest), read_object(folder.scores)
    measured = _measure(folder, manifest, scores, released=released)
    entry = _entry(folder, manifest, scores, measured.withheld)
    suite = clean_text(str(scores.get("suite") or "suite"), limit=40)
    tracks = sorted({column.track for column in measured.columns.values()})
    return [
        _found(entry, suite, track, measured, comparable=entry.mode != "custom") for track in tracks
    ]


def _found(entry: Entry, suite: str, track: str, measured: _Measured, *, comparable: bool) -> Found:
    columns = [column for column in measured.columns.values() if column.track == track]
    cells = {column.name: measured.cells[column.name] for column in columns}
    for name in _planned_tasks(suite, track) - cells.keys():
        columns.append(catalog_column(name))
        cells[name] = Cell(None, missing=NOT_RUN)
    result = Result(entry, cells, withheld=bool(measured.withheld), comparable=comparable)
    return Found(suite, track, tuple(columns), (result,))


def _planned_tasks(suite: str, track: str) -> set[str]:
    if suite not in list_suites():
        return set()
    return {name for name in get_suite(suite).tasks if catalog_column(name).track == track}


def _measure(
    folder: RunFolder, manifest: Mapping[str, Any], scores: Mapping[str, Any], *, released: bool
) -> _Measured:
    """Collect the run's own suite and, of its further evaluations, the hidden tasks."""
    columns: dict[str, Column] = {}
    cells: dict[str, Cell] = {}
    withheld: list[str] = []
    further = sorted(folder.further_scores("any").parent.glob("*.json"))
    for file, content in [(folder.scores, scores), *((f, read_object(f)) for f in further)]:
        own = content is scores
        for name, value in _tasks_of(content, file).items():
            if not is_hidden(name):
                if own:  # a further public suite is not what this run was trained for
                    columns[name] = catalog_column(name)
                    cells[name] = read_cell(value, f"{file}, task {name}")
            elif not released:
                withheld.append(name)
            else:
                facts = _facts(manifest, name)
                column = hidden_column(name, track=_track(facts, value, content), facts=facts)
                columns[column.name] = column
                cells[column.name] = read_cell(value, f"{file}, task {name}")
    return _Measured(columns, cells, tuple(withheld))


def _tasks_of(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    tasks = content.get("tasks")
    if not isinstance(tasks, dict) or not tasks:
        raise ScoringError(
            f"{file} has no tasks; expected what 'auricle score RUN' writes. Score the run again."
        )
    return tasks


def _facts(manifest: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    test = manifest.get("test")
    facts = test.get(task) if isinstance(test, dict) else None
    return facts if isinstance(facts, dict) else {}


def _track(facts: Mapping[str, Any], value: Any, scores: Mapping[str, Any]) -> str:
    """The track of a hidden task: the manifest says it, or its scores are of one track only."""
    own = value.get("track") if isinstance(value, dict) else None
    tracks = scores.get("tracks")
    single = next(iter(tracks)) if isinstance(tracks, dict) and len(tracks) == 1 else None
    track = str(facts.get("track") or own or single or "a")
    return track if track in ("a", "b") else "a"


def _entry(
    folder: RunFolder,
    manifest: Mapping[str, Any],
    scores: Mapping[str, Any],
    withheld: tuple[str, ...],
) -> Entry:
    encoder = manifest.get("encoder")
    encoder = encoder if isinstance(encoder, dict) else {}
    submission = read_submission(folder.path) if (folder.path / FILE_NAME).is_file() else None
    name = str(encoder.get("name") or folder.path.name)
    versions = manifest.get("versions")
    version = versions.get("auricle") if isinstance(versions, dict) else None
    notes = manifest.get("notes")
    slug = _slug(submission.team if submission else name, manifest)
    return Entry(
        slug=slug,
        team=clean_name(submission.team if submission else name),
        affiliation="",
        kind="run",
        mode=clean_text(str(scores.get("mode") or "unknown"), limit=20),
        protocol=clean_text(f"auricle {version or '(unknown version)'}", limit=40),
        date=_date_of(folder),
        facts=(*_suite_mean(scores), *_facts_of(manifest, encoder)),
        notes=_safe_notes(notes if isinstance(notes, list) else [], withheld),
        declaration=_declaration(submission) if submission else None,
        reports=() if withheld else tuple(_reports(folder, slug)),
    )


def _reports(folder: RunFolder, slug: str) -> Iterator[Report]:
    """Documents of a run whose every score is public: its report shows answers and references."""
    pdf = folder.path / "report.pdf"
    if pdf.is_file():
        yield Report("Technical report (PDF)", f"reports/{slug}.pdf", pdf)
    if folder.report.is_file():
        yield Report("Report of the run, with answers", f"reports/{slug}.html", folder.report)


def _suite_mean(scores: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The number that ``auricle run`` prints for a suite whose tracks are averaged together."""
    tasks, mean = scores.get("tasks"), scores.get("mean")
    tracks = scores.get("tracks")
    whole = isinstance(tasks, dict) and not any(is_hidden(name) for name in tasks)
    if whole and isinstance(mean, float) and isinstance(tracks, dict) and len(tracks) > 1:
        yield f"Mean over all {len(tasks or {})} tasks", f"{mean:.4f}"


def _slug(name: str, manifest: Mapping[str, Any]) -> str:
    """Name and the run's own hash, so that each run keeps an address of its own."""
    encoder, mixture = manifest.get("encoder"), manifest.get("mixture")
    recipe, seed = manifest.get("recipe"), manifest.get("seed")
    identity = run_hash(
        encoder=str(encoder.get("content_hash")) if isinstance(encoder, dict) else "",
        mixture=mixture if isinstance(mixture, dict) else {},
        recipe=recipe if isinstance(recipe, dict) else {},
        seed=seed if isinstance(seed, int) else 0,
    )
    return f"{base_slug(name) or 'run'}-{identity}"


def _safe_notes(notes: list[Any], withheld: tuple[str, ...]) -> tuple[str, ...]:
    kept = [str(note) for note in notes if not any(name in str(note) for name in withheld)]
    return tuple(clean_text(note, limit=300) for note in kept)


def _date_of(folder: RunFolder) -> str:
    """The day of the log's last line; without a log, of the scores' file."""
    if folder.log.is_file():
        lines = folder.log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in reversed(lines):
            if found := _DATE.match(line):
                return found[0]
    return datetime.fromtimestamp(folder.scores.stat().st_mtime, UTC).date().isoformat()


def _facts_of(manifest: Mapping[str, Any], encoder: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Facts for the entry's page; no local path is among them."""
    recipe, hardware = manifest.get("recipe"), manifest.get("hardware")
    recipe = recipe if isinstance(recipe, dict) else {}
    hardware = hardware if isinstance(hardware, dict) else {}
    properties = encoder.get("properties")
    rate = properties.get("frame_rate_hz") if isinstance(properties, dict) else None
    train = recipe.get("train")
    stages = manifest.get("stages_s")
    seconds = sum(v for v in stages.values() if isinstance(v, int | float)) if stages else None
    pairs = {
        "Encoder class": encoder.get("class_name"),
        "Feature dimension": encoder.get("output_dim"),
        "Frame rate": f"{rate:.4g} Hz" if isinstance(rate, int | float) else None,
        "Encoder parameters": _thousands(encoder.get("num_parameters")),
        "Encoder hash": str(encoder.get("content_hash") or "")[:12],
        "Recipe": recipe.get("name"),
        "Decoder": recipe.get("decoder"),
        "Training steps": _thousands(train.get("steps") if isinstance(train, dict) else None),
        "Precision": recipe.get("precision"),
        "Seed": manifest.get("seed"),
        "Measured on": hardware.get("gpu") or hardware.get("processor"),
        "Time": f"{seconds / 60:.0f} min" if seconds else None,
    }
    for name, value in pairs.items():
        if value not in (None, ""):
            yield name, clean_text(str(value), limit=80)


def _thousands(value: Any) -> str | None:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else None


def _declaration(submission: Submission) -> Declaration:
    return Declaration(
        parameters=submission.parameters,
        hardware=clean_text(submission.hardware, limit=200),
        training_data=tuple(
            DataSet(
                name=clean_text(each.name, limit=120),
                source="" if each.source == ORGANISERS_SET else each.source,
                licence=clean_text(each.licence, limit=80),
                hours=each.hours,
                share=each.share,
            )
            for each in submission.training_data
        ),
    )
