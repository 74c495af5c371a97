"""``report.html``: one page about one run, for the person whose encoder it was.

The page is one file that opens from disk, asks no network for anything, works without JavaScript
and stays below 5 MB: excerpts get shorter as tasks get more. It is a function of the run folder and
the audio alone, so writing it again gives the same bytes.
"""

from __future__ import annotations

import functools
from pathlib import Path

from auricle.errors import OutputError
from auricle.files import write_text
from auricle.runs.folder import RunFolder
from auricle.runs.report_curves import loss_curve
from auricle.runs.report_examples import AudioReader, choose, make_example
from auricle.runs.report_facts import RunFacts, read_run, without_folders
from auricle.runs.report_floor import kept_floor
from auricle.runs.report_further import further_rows
from auricle.runs.report_making import data_rows, making_facts, stage_times
from auricle.runs.report_media import KeptExcerpts, excerpt_length_s
from auricle.runs.report_overview import groups, headlines, remarks, track_bars
from auricle.runs.report_page import render
from auricle.runs.report_sections import task_section

MEDIA_BUDGET_BYTES = 3_600_000
_PLAYER = "<audio controls"


def write_report(folder: RunFolder, *, audio: AudioReader, floor: RunFolder | None = None) -> Path:
    """Write ``report.html`` of a run.

    Args:
        folder: The run; it is scored first if it never was.
        audio: Reads a test clip by task and clip id: float32 ``[n]`` at 16 kHz, or None where the
            clip is not at hand. What it gives is kept in the folder, so that the page is the
            same where the audio is not.
        floor: A run of an encoder that hears nothing, e.g. from `find_floor`; its scores stand
            beside those of tasks with the same test data.

    Raises:
        ScoringError: A file of the run cannot be read.
        OutputError: The page cannot be written, or the one that is there plays excerpts that
            cannot be made here.
    """
    run = read_run(folder)
    below = kept_floor(folder, floor)
    anchors = {task.name: f"task-{index}" for index, task in enumerate(run.tasks, 1)}
    chosen = {task.name: choose(task) for task in run.tasks}
    longest_s = excerpt_length_s(sum(map(len, chosen.values())), MEDIA_BUDGET_BYTES)
    sections, silent = [], 0
    for task in run.tasks:
        excerpts = KeptExcerpts(
            folder.excerpts(task.name), functools.partial(audio, task.name), longest_s
        )
        examples = [make_example(task, choice, excerpts) for choice in chosen[task.name]]
        excerpts.keep()
        silent += sum(example.excerpt is None for example in examples)
        sections.append(task_section(task, below.get(task.name), anchors[task.name], examples))
    page = render(
        "report.html",
        run=run,
        headlines=headlines(run, below) if run.tasks else [],
        further=further_rows(folder),
        tracks=track_bars(run, below, anchors),
        has_floor=bool(below),
        domains=groups(run, "domain"),
        skills=groups(run, "skill"),
        remarks=remarks(run),
        anchors=anchors,
        curve=loss_curve(run.losses, period=run.steps_a_block),
        sections=sections,
        facts=making_facts(run),
        stages=stage_times(run),
        data=data_rows(run),
        notes=[without_folders(str(note)) for note in run.manifest.notes],
        failures=failures(run),
    )
    if silent:
        _refuse_loss(folder.report, page)
    write_text(folder.report, page)
    return folder.report


def _refuse_loss(path: Path, page: str) -> None:
    """Keep a page from being replaced by one that lacks sound which cannot be made here.

    Raises:
        OutputError: The page that is there plays more.
    """
    before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    had, has = before.count(_PLAYER), page.count(_PLAYER)
    if had > has:
        raise OutputError(
            f"{path} plays {had} excerpts, of which {has} can be made here: neither the run's "
            "folder nor this machine has the others' audio. The page is left as it is. Give the "
            "command where the data are, or move the page away first."
        )


def failures(run: RunFacts) -> list[tuple[str, str]]:
    """Tasks that count as missing, with their reasons, and failures of no task."""
    found = {str(name): without_folders(str(why)) for name, why in run.manifest.failures.items()}
    found |= {t.name: without_folders(t.failure) for t in run.tasks if t.failure is not None}
    return list(found.items())
