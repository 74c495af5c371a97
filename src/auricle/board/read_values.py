"""What a board takes from run folders and the catalog: scores, cells, columns.

A task is public if the catalog has it. Everything else counts as hidden: a participant's own task
shown too late does no harm, a hidden score shown too early cannot be taken back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from auricle.board.model import Cell, Column
from auricle.board.names import base_slug, clean_name, clean_text, hashed_slug
from auricle.catalog.load import get_suite, get_task, list_suites, list_tasks
from auricle.errors import ScoringError
from auricle.records.manifest import TestTask
from auricle.records.scores import Scores, TaskScore
from auricle.runs.report_facts import without_folders

MAX_BYTES = 64 << 20
OFFICIAL_SUITES = ("track-a", "track-b")


@cache
def public_tasks() -> frozenset[str]:
    """Names of the tasks whose scores may always be shown."""
    return frozenset(list_tasks())


def is_hidden(task: str) -> bool:
    """Whether a task's scores wait for their release."""
    return task not in public_tasks()


def suite_of_tasks(names: set[str]) -> str | None:
    """The suite that a set of public tasks belongs to: the smallest that holds them all."""
    suites = [*OFFICIAL_SUITES, *list_suites()]
    fitting = [name for name in suites if names <= set(get_suite(name).tasks)]
    return min(fitting, key=lambda name: len(get_suite(name).tasks), default=None)


def catalog_column(name: str) -> Column:
    """The column of a task of the catalog."""
    task = get_task(name)
    prompt = task.prompt if isinstance(task.prompt, str) else task.prompt[0]
    return Column(
        name=name,
        slug=base_slug(name),
        track=task.track,
        domain=task.domain,
        metric=task.metric or "",
        hidden=False,
        prompt=prompt,
        num_classes=task.num_classes,
        test_clips=task.test_clips or (task.synthetic.test_clips if task.synthetic else None),
        licence=task.licence,
        homepage=task.homepage if task.homepage.startswith("https://") else "",
    )


def hidden_column(name: str, *, track: str, facts: TestTask | None = None) -> Column:
    """The column of a hidden task, from what the run that measured it knows."""
    shown = clean_name(name.removesuffix("*").strip())
    slug = base_slug(shown)
    if slug in public_tasks() or slug != shown.lower():
        slug = hashed_slug(name)
    return Column(
        name=shown,
        slug=slug,
        track=track,
        domain=clean_text((facts.domain if facts else None) or "", limit=20),
        metric=clean_text(facts.metric if facts else "", limit=20),
        hidden=True,
    )


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ScoringError: It cannot be read, or is no object.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ScoringError(
                f"{path} has {path.stat().st_size >> 20} MiB; a file of scores has at most "
                f"{MAX_BYTES >> 20}. Give scores.json of a run folder."
            )
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ScoringError(
            f"{path} cannot be read as JSON ({error}); expected {path.name} of a run. "
            f"{_way_to_mend(path)}"
        ) from error
    if not isinstance(value, dict):
        raise ScoringError(
            f"{path} holds a {type(value).__name__}; expected {path.name} of a run, an object. "
            f"{_way_to_mend(path)}"
        )
    return value


def _way_to_mend(path: Path) -> str:
    if path.name == "scores.json":
        return "Score the run again: auricle score RUN."
    return "Give the file as auricle wrote it."


def require_version(value: Mapping[str, Any], path: Path) -> None:
    """Refuse a file of a later format, and an object that is no such file at all.

    Raises:
        ScoringError: Its ``schema_version`` is not 1.
    """
    if value.get("schema_version") != 1:
        raise ScoringError(
            f"{path} has schema_version {str(value.get('schema_version'))[:20]}; 1 is the version "
            f"that this auricle reads. {_way_to_mend(path)}"
        )


def read_scores(path: Path) -> Scores:
    """The scores of a stranger's run: the file's size is bounded.

    Raises:
        ScoringError: It cannot be read, or is of another format.
        DamagedFileError: A field is not what it should be.
    """
    value = read_object(path)
    require_version(value, path)
    return Scores.from_json(value, path)


def cell_of(task: TaskScore) -> Cell:
    """One task's cell; what has a failure is missing (law 7), and its reason fit to be shown."""
    found = task.estimate
    if found.value is None:
        reason = task.failure or task.reason or "not measured"
        return Cell(None, missing=clean_text(without_folders(reason), limit=240))
    return Cell(
        found.value,
        low=found.low,
        high=found.high,
        centre=found.centre,
        chance=task.chance,
        clips=task.clips_scored,
    )
