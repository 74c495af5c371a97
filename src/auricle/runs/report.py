"""``report.html``: one page about one run, for the person whose encoder it was.

The page is one file that opens from disk, asks no network for anything, works without JavaScript
and stays below 5 MB: excerpts get shorter as tasks get more. It is a function of the run folder and
the audio alone, so writing it again gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path

from auricle.files import write_text
from auricle.runs.folder import RunFolder
from auricle.runs.report_curves import loss_curve
from auricle.runs.report_examples import AudioReader, choose, make_example
from auricle.runs.report_facts import RunFacts, read_run
from auricle.runs.report_floor import floor_scores
from auricle.runs.report_further import further_rows
from auricle.runs.report_making import data_rows, making_facts, stage_times
from auricle.runs.report_media import excerpt_length_s
from auricle.runs.report_overview import groups, headlines, remarks, track_bars
from auricle.runs.report_page import render
from auricle.runs.report_sections import task_section

MEDIA_BUDGET_BYTES = 3_600_000


def write_report(folder: RunFolder, *, audio: AudioReader, floor: RunFolder | None = None) -> Path:
    """Write ``report.html`` of a run.

    Args:
        folder: The run; it is scored first if it never was.
        audio: Reads a test clip by task and clip id: float32 ``[n]`` at 16 kHz, or None where the
            clip is not at hand.
        floor: A run of an encoder that hears nothing, e.g. from `find_floor`; its scores stand
            beside those of tasks with the same test data.

    Raises:
        ScoringError: A file of the run cannot be read.
        OutputError: The page cannot be written.
    """
    run = read_run(folder)
    below = floor_scores(run.manifest, floor)
    anchors = {task.name: f"task-{index}" for index, task in enumerate(run.tasks, 1)}
    chosen = {task.name: choose(task) for task in run.tasks}
    longest_s = excerpt_length_s(sum(map(len, chosen.values())), MEDIA_BUDGET_BYTES)
    sections = []
    for task in run.tasks:
        examples = [
            make_example(task, choice, audio=audio, longest_s=longest_s)
            for choice in chosen[task.name]
        ]
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
        notes=[str(note) for note in run.manifest.get("notes", [])],
        failures=failures(run),
    )
    write_text(folder.report, page)
    return folder.report


def failures(run: RunFacts) -> list[tuple[str, str]]:
    """Tasks that count as missing, with their reasons, and failures of no task."""
    found = {str(name): str(why) for name, why in run.manifest.get("failures", {}).items()}
    found |= {task.name: task.failure for task in run.tasks if task.failure is not None}
    return list(found.items())
