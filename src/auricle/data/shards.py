"""The shards of a task, found, unpacked and locked by content.

Everything downstream reads plain tars by offset, so a packed shard is unpacked once. A shard that
is empty, cut short or no tar is refused here, before anything is trained; all of them at once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from auricle.catalog.spec import Task
from auricle.data.hub import shown_endpoint
from auricle.data.places import Place, find_shards, in_place_roots, shard_folder, shown
from auricle.data.unpack import BadShardError, PlainTar, has_end_mark, known_tar, make_tar
from auricle.errors import DataError, RunBusyError
from auricle.files import clean_temporary, folder_lock
from auricle.progress import Progress
from auricle.records.manifest import DataLock, ShardFacts

_THREADS = 8


@dataclass(frozen=True, slots=True)
class LockedShard:
    """One shard, ready to be read by offset."""

    repository: str
    commit: str
    name: str
    """Path in the repository."""
    tar: Path
    """The plain tar."""
    sha256: str
    """Of the plain tar."""
    size: int
    """Bytes of the plain tar."""
    download_sha256: str | None
    """Of the packed file that it was unpacked from; None if it never was packed."""


def prepare_shards(
    task: Task, side: str, *, home: Path, progress: Progress
) -> tuple[LockedShard, ...]:
    """Find every shard of one side of a task and make it ready.

    Args:
        task: The task.
        side: ``train`` or ``test``.
        home: The data home.
        progress: Shows what takes long.

    Raises:
        DataError: Shards are missing, empty, cut short or no tar; all of them are named.
    """
    places = find_shards(task, side, home=home)
    if not places:
        raise DataError(
            f"Task {task.name} has no {side} shards. Give it {side}_shards, or leave it out of "
            f"the {'training mixture' if side == 'train' else 'evaluation'}."
        )
    missing = [place.name for place in places if place.found is None]
    if missing:
        raise DataError(_missing_text(task, side, missing, len(places), home=home))
    ready, problems = _make_ready(places, home=home, progress=progress)
    if problems:
        raise DataError(
            f"Task {task.name}: {'; '.join(problems)}. {_way_to_mend(task, len(problems))}"
        )
    return tuple(_lock(place, tar) for place, tar in zip(places, ready, strict=True))


def data_lock(shards: Sequence[LockedShard], *, clips: int) -> DataLock:
    """What one side of a task resolved to on this machine, for a manifest."""
    return DataLock(
        repository=shards[0].repository,
        commit=shards[0].commit,
        clips=clips,
        shards=[ShardFacts(name=s.name, size=s.size, sha256=s.sha256) for s in shards],
    )


@contextlib.contextmanager
def shards_lock(home: Path, *, progress: Progress) -> Iterator[None]:
    """Be the only process that writes shards; says so when it has to wait."""
    root = home / "shards"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(root, what="the shards"))
        except RunBusyError:
            progress.message(f"Waiting for another process that writes shards in {root}")
            stack.enter_context(folder_lock(root, what="the shards", wait=True))
        yield


def shards_by_hand(task: Task, home: Path) -> str:
    """Where a user may put files of a repository themselves."""
    repository = str(task.repository)
    roots = in_place_roots()
    return f"{roots[0]}/<path> or {shard_folder(home, repository, task.revision)}/<path>"


def _make_ready(
    places: Sequence[Place], *, home: Path, progress: Progress
) -> tuple[list[PlainTar], list[str]]:
    found = {place: place.found for place in places if place.found is not None}
    ready: dict[Place, PlainTar] = {}
    problems: dict[Place, str] = {}
    work: list[Place] = []
    for place, path in found.items():
        try:
            known = known_tar(path, place.plain, home=home)
        except BadShardError as error:
            problems[place] = f"shard {place.name} {error} ({path})"
            continue
        if known is None:
            work.append(place)
        else:
            ready[place] = known
    if work:
        with shards_lock(home, progress=progress):
            for folder in {place.plain.parent for place in work}:
                clean_temporary(folder)
            _work_off(work, ready, problems, home=home, progress=progress)
    for place in work:
        if place in ready and not has_end_mark(ready[place].path):
            progress.warn(
                f"Shard {place.name} lacks the mark that ends a tar; if it was cut short between "
                "two clips, the clips after them are missing."
            )
    return [ready[p] for p in places if p in ready], [problems[p] for p in places if p in problems]


def _work_off(
    work: Sequence[Place],
    ready: dict[Place, PlainTar],
    problems: dict[Place, str],
    *,
    home: Path,
    progress: Progress,
) -> None:
    pool = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
    try:
        with progress.stage("prepare shards", len(work), "shards") as stage:
            jobs = {p: pool.submit(_make, p, home) for p in work}
            for place, job in jobs.items():
                try:
                    ready[place] = job.result()
                except BadShardError as error:
                    problems[place] = f"shard {place.name} {error} ({place.found})"
                stage.advance()
    finally:
        pool.shutdown(cancel_futures=True)


def _make(place: Place, home: Path) -> PlainTar:
    assert place.found is not None
    return make_tar(place.found, place.plain, home=home)


def _lock(place: Place, tar: PlainTar) -> LockedShard:
    return LockedShard(
        repository=place.repository,
        commit=place.commit,
        name=place.name,
        tar=tar.path,
        sha256=tar.sha256,
        size=tar.size,
        download_sha256=tar.source_sha256,
    )


def _missing_text(task: Task, side: str, missing: list[str], total: int, *, home: Path) -> str:
    text = (
        f"{len(missing)} of {total} {side} shards of task {task.name} are missing: {shown(missing)}"
    )
    if task.synthetic is not None:
        return f"{text}. Make them: auricle data make {task.name}"
    if task.repository is None:
        remote = any("://" in name for name in missing)
        way = f"Fetch them: auricle data fetch {task.name}" if remote else "Correct the path"
        return f"{text}. {way}."
    return (
        f"{text}. They lie at {shown_endpoint()}/datasets/{task.repository}: fetch them with "
        f"'auricle data fetch {task.name}', or put them at {shards_by_hand(task, home)}."
    )


def _way_to_mend(task: Task, count: int) -> str:
    them = "it" if count == 1 else "them"
    if task.synthetic is not None:
        return f"Remove {them}, then make {them} again: auricle data make {task.name}"
    if task.repository is not None:
        return f"Remove {them}, then fetch {them} again: auricle data fetch {task.name}"
    return f"Bring {them} anew, or leave {them} out of the task."
