"""What is on this machine, and whether it is still what it was: `data list` and `data verify`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auricle.catalog.spec import Task
from auricle.data.places import IN_PLACE, LOCAL, Place, find_shards
from auricle.data.shards import shards_lock
from auricle.data.unpack import BadShardError, make_tar, recorded_tar
from auricle.errors import DataError
from auricle.files import sha256_file
from auricle.progress import Progress


def list_data(tasks: Sequence[Task], *, home: Path) -> list[dict[str, Any]]:
    """What is there and what is missing.

    Args:
        tasks: The tasks.
        home: The data home.

    Returns:
        One record per task and side: ``task, side, repository, commit, place, shards, present,
        bytes, missing`` (names), ``problem`` (null or text). ``place`` is ``in place``, ``home``,
        ``local``, ``mixed`` or null where nothing is there.
    """
    return [
        _list_side(task, side, home)
        for task in tasks
        for side in ("train", "test")
        if task.expanded_shards(side)
    ]


def verify_data(tasks: Sequence[Task], *, home: Path, progress: Progress) -> list[dict[str, Any]]:
    """Read every byte of every shard again and compare it with what is on record.

    Args:
        tasks: The tasks.
        home: The data home.
        progress: Shows how far it is.

    Returns:
        One record per shard: ``task, side, shard, state, path, message``. ``state`` is ``good``,
        ``damaged`` or ``missing``; ``message`` says what to do and is empty where it is good.
    """
    every: list[tuple[Task, str, Place]] = []
    records: list[dict[str, Any]] = []
    for task in tasks:
        for side in ("train", "test"):
            try:
                every += [(task, side, place) for place in find_shards(task, side, home=home)]
            except DataError as error:
                records.append(_verdict(task, side, "*", None, "missing", str(error)))
    with (
        shards_lock(home, progress=progress),
        progress.stage("verify", len(every), "shards") as stage,
    ):
        for task, side, place in every:
            state, message = _check(task, place, home)
            records.append(_verdict(task, side, place.name, place.found, state, message))
            stage.advance()
    return records


def _list_side(task: Task, side: str, home: Path) -> dict[str, Any]:
    problem = None
    try:
        places = find_shards(task, side, home=home)
    except DataError as error:
        places, problem = [], str(error)
    present = [place for place in places if place.found is not None]
    kinds = {_kind(place) for place in present}
    return {
        "task": task.name,
        "side": side,
        "repository": task.repository,
        "commit": present[0].commit if present else None,
        "place": "mixed" if len(kinds) > 1 else next(iter(kinds), None),
        "shards": len(places),
        "present": len(present),
        "bytes": sum(place.found.stat().st_size for place in present if place.found),
        "missing": [place.name for place in places if place.found is None],
        "problem": problem,
    }


def _kind(place: Place) -> str:
    return {IN_PLACE: "in place"}.get(place.commit, LOCAL if place.repository == LOCAL else "home")


def _check(task: Task, place: Place, home: Path) -> tuple[str, str]:
    if place.found is None:
        return "missing", _way(task)
    try:
        known = recorded_tar(place.found, place.plain, home=home)
        if known is None:  # never used yet: reading it whole is the check
            make_tar(place.found, place.plain, home=home)
            return "good", ""
        packed = known.source_sha256 is not None and known.source == str(place.found)
        if packed and sha256_file(place.found) != known.source_sha256:
            return "damaged", f"{place.found} has changed since it was unpacked. {_way(task)}"
        if not known.path.is_file():
            return "good", ""  # the unpacked copy is gone; it is made again when it is needed
        if sha256_file(known.path) == known.sha256:
            return "good", ""
    except BadShardError as error:
        return "damaged", f"{place.found} {error}. Remove it. {_way(task)}"
    if packed:
        return "damaged", f"The unpacked copy {known.path} has changed. Remove it."
    return "damaged", f"{known.path} has changed since it was locked. Remove it. {_way(task)}"


def _way(task: Task) -> str:
    if task.synthetic is not None:
        return f"Make it again: auricle data make {task.name}"
    if task.repository is None:
        return "Bring it anew."
    return f"Fetch it again: auricle data fetch {task.name}"


def _verdict(
    task: Task, side: str, shard: str, path: Path | None, state: str, message: str
) -> dict[str, Any]:
    return {
        "task": task.name,
        "side": side,
        "shard": shard,
        "state": state,
        "path": None if path is None else str(path),
        "message": message,
    }
