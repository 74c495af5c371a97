"""What is known of each task's data before and after they are there."""

from __future__ import annotations

from typing import Any

from auricle.catalog.spec import Task
from auricle.data.inventory import list_data
from auricle.job import Data, Job
from auricle.plan.amounts import hours_of


def describe_tasks(job: Job, data: Data | None = None) -> list[dict[str, Any]]:
    """One record per task and side.

    Args:
        job: What was asked for.
        data: Its data, where all of them are there.

    Returns:
        ``task, side, shards, present, bytes`` (of what is there), ``missing``, ``problem`` as
        `auricle data list` has them; ``clips`` with ``clips_from`` (``data`` or ``catalog``) and
        ``hours``, None where nobody knows.
    """
    tasks = {task.name: task for task in job.tasks}
    found = []
    for record in list_data(job.tasks, home=job.home):
        task, side = tasks[record["task"]], record["side"]
        if side not in job.sides:
            continue
        clips, hours = (None, None) if data is None else _opened(data, task, side)
        source = "data" if clips is not None else None
        if clips is None and (clips := _known(task, side)) is not None:
            source = "catalog"
        names = ("task", "side", "shards", "present", "bytes", "problem")
        found.append(
            {name: record[name] for name in names}
            | {"missing": len(record["missing"]), "clips": clips, "clips_from": source}
            | {"hours": hours}
        )
    if data is not None and data.held_out is not None:
        found += [_held_out(data, task) for task in job.tasks if task.name in data.tests]
    return found


def is_complete(records: list[dict[str, Any]]) -> bool:
    """Whether all shards are there."""
    return not any(record["missing"] or record["problem"] for record in records)


def _opened(data: Data, task: Task, side: str) -> tuple[int, float]:
    if side == "test":
        table, asked = data.tests[task.name]
        return len(asked), hours_of(table, [a.clip for a in asked])
    table = next(part.table for part in data.mixture.parts if part.task.name == task.name)
    return len(table), hours_of(table, range(len(table)))


def _held_out(data: Data, task: Task) -> dict[str, Any]:
    """Clips that are asked instead of the test's: they lie in the train shards."""
    clips, hours = _opened(data, task, "test")
    nothing = {"shards": 0, "present": 0, "bytes": 0, "problem": None, "missing": 0}
    known = {"clips": clips, "clips_from": "data", "hours": hours}
    return {"task": task.name, "side": "held out", **nothing, **known}


def _known(task: Task, side: str) -> int | None:
    """Clips as the catalog says."""
    if task.synthetic is not None:
        return task.synthetic.train_clips if side == "train" else task.synthetic.test_clips
    return task.test_clips if side == "test" else None
