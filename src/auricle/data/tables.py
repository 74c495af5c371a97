"""The clips of a suite's tasks, opened and checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auricle.catalog.spec import Task
from auricle.data.clips import ClipTable
from auricle.data.index import open_indexes
from auricle.data.mixture import prompt_at_test, texts_of
from auricle.data.shards import prepare_shards
from auricle.errors import DataError
from auricle.progress import Progress

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class AskedClip:
    """One test clip of a task: asked once, scored once per reference."""

    clip: int
    id: str
    prompt: str
    references: tuple[str, ...]


def open_tables(
    tasks: Sequence[Task], side: str, *, home: Path, workers: int, progress: Progress
) -> dict[str, ClipTable]:
    """Open the shards of one side of each task.

    Args:
        tasks: The tasks.
        side: ``train`` or ``test``.
        home: The data home.
        workers: Threads that index shards.
        progress: Shows what takes long.

    Raises:
        DataError: Shards are missing or damaged; all of them are named.
    """
    tables: dict[str, ClipTable] = {}
    problems: list[str] = []
    for task in tasks:
        try:
            shards = prepare_shards(task, side, home=home, progress=progress)
            indexes = open_indexes(shards, home=home, workers=workers, progress=progress)
        except DataError as error:
            problems.append(str(error))
            continue
        tables[task.name] = ClipTable(shards, indexes)
        if left_out := tables[task.name].left_out:
            progress.warn(
                f"{task.name}: {left_out} files in its {side} shards belong to no complete clip "
                "(audio + JSON) and are left out."
            )
    if problems:
        raise DataError("\n".join(problems))
    return tables


def check_texts(task: Task, table: ClipTable, side: str) -> list[str]:
    """Read every label of one side of a task.

    Returns:
        All texts, clip by clip.

    Raises:
        DataError: Clips lack the field; the first few are named with their number.
    """
    texts: list[str] = []
    problems: list[str] = []
    for clip in range(len(table)):
        try:
            texts += texts_of(task, table, clip, side)
        except DataError as error:
            problems.append(str(error))
    if problems:
        more = len(problems) - _SHOWN
        raise DataError(
            "\n".join(problems[:_SHOWN]) + (f"\nand {more} clips more." if more > 0 else "")
        )
    return texts


def collect_asked_clips(task: Task, table: ClipTable) -> list[AskedClip]:
    """The clips that a task is tested on, without those known to be undecodable at the source."""
    known_bad = set(task.undecodable)
    clips = []
    for clip in range(len(table)):
        clip_id = table.clip_id(clip)
        if clip_id not in known_bad:
            references = tuple(texts_of(task, table, clip, "test"))
            prompt = prompt_at_test(task, table, clip)
            clips.append(AskedClip(clip, clip_id, prompt, references))
    return clips
