"""What is known of each task's data before and after they are there."""

from __future__ import annotations

from collections.abc import Iterable

from auricle.catalog.spec import Task, encoded_s
from auricle.data.clips import ClipTable
from auricle.data.inventory import list_data
from auricle.job import Data, Job
from auricle.records.plan import PlannedSide, Source


def describe_tasks(job: Job, data: Data | None = None) -> list[PlannedSide]:
    """One record per task and side.

    Args:
        job: What was asked for.
        data: Its data, where all of them are there.

    """
    tasks = {task.name: task for task in job.tasks}
    found = []
    for record in list_data(job.tasks, home=job.home):
        task, side = tasks[record["task"]], record["side"]
        if side not in job.sides:
            continue
        clips, hours = (None, None) if data is None else _opened(data, task, side)
        source: Source = "data" if clips is not None else None
        if clips is None:
            clips, hours = _known(task, side)
            source = None if clips is None else "catalog"
        listed = {name: record[name] for name in _LISTED} | {"missing": len(record["missing"])}
        found.append(PlannedSide(**listed, clips=clips, clips_from=source, hours=hours))
    if data is not None and data.held_out is not None:
        found += [_held_out(data, task) for task in job.tasks if task.name in data.tests]
    return found


_LISTED = ("task", "side", "shards", "present", "bytes", "problem")
"""What `auricle data list` says too."""


def is_complete(records: Iterable[PlannedSide]) -> bool:
    """Whether all shards are there."""
    return not any(record.missing or record.problem for record in records)


def _opened(data: Data, task: Task, side: str) -> tuple[int, float]:
    if side == "test":
        table, asked = data.tests[task.name]
        return len(asked), _hours_of(table, [a.clip for a in asked])
    table = next(part.table for part in data.mixture.parts if part.task.name == task.name)
    return len(table), _hours_of(table, range(len(table)))


def _held_out(data: Data, task: Task) -> PlannedSide:
    """Clips that are asked instead of the test's: they lie in the train shards."""
    clips, hours = _opened(data, task, "test")
    return PlannedSide(
        task=task.name,
        side="held out",
        shards=0,
        present=0,
        bytes=0,
        problem=None,
        missing=0,
        clips=clips,
        clips_from="data",
        hours=hours,
    )


def _hours_of(table: ClipTable, clips: Iterable[int]) -> float:
    """Hours of audio of the readable ones of these clips."""
    return sum(table.window(clip).duration_s for clip in clips if table.readable(clip)) / 3600


def _known(task: Task, side: str) -> tuple[int | None, float | None]:
    """Clips and hours as the catalog says."""
    size = task.size_of(side)
    if size is not None:
        return size.clips, size.hours
    return (task.test_clips if side == "test" else None), None


def audio_at_least_s(job: Job, sides: Iterable[PlannedSide]) -> float:
    """Seconds of audio that a job encodes at least, as far as the hours of its sides are known."""
    total = 0.0
    for one in sides:
        if one.hours is None or not one.clips:
            continue
        drawn = job.total_draws * job.suite.shares[one.task] if one.side == "train" else None
        total += encoded_s(one.clips, one.hours, draws=drawn, crop_s=job.recipe.crop.length_s)
    return total
