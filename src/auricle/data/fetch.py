"""Brings missing shards from the hub or an address: several at once, continued, verified.

Nothing is asked of the network while nothing is missing. A shard that has arrived is compared
with the size and hash that its repository publishes, then unpacked; the packed file is not kept,
its hash is. The first fetch locks a revision to its commit (`auricle.data.places`).
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from auricle.catalog.spec import Task
from auricle.data.download import Patience, StoppedError, UnreachableError, download
from auricle.data.hub import (
    RemoteFile,
    auth_headers,
    describe_files,
    endpoint,
    is_offline,
    resolve_commit,
    shown_endpoint,
    without_password,
)
from auricle.data.places import (
    URL,
    Place,
    find_shards,
    lock_commit,
    locked_commit,
    shown,
    url_name,
)
from auricle.data.shards import shards_by_hand, shards_lock
from auricle.data.unpack import BadShardError, install
from auricle.errors import DataError, OutputError
from auricle.files import make_folder, sha256_file
from auricle.progress import Progress, Stage, bytes_text

SIDES = ("train", "test")
_DOWNLOADS = ".download"
_UNPACKED = 1.1
"""Estimated size of a plain tar relative to its download: audio hardly shrinks."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A missing shard and where it comes from."""

    task: Task
    place: Place
    address: str | None = None
    """Of a shard that comes from no repository."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A shard that is being fetched."""

    file: RemoteFile
    plain: Path
    part: Path


def fetch(
    tasks: Sequence[Task],
    *,
    home: Path,
    progress: Progress,
    workers: int = 8,
    retry_wait_s: float = 1.0,
) -> list[dict[str, Any]]:
    """Fetch every shard of these tasks that is not on this machine.

    Args:
        tasks: The tasks; synthetic ones are passed over, their shards are made.
        home: The data home.
        progress: Is told the bytes as they arrive.
        workers: How many files at once.
        retry_wait_s: Pause before the second attempt of a request; it doubles.

    Returns:
        One record per task: ``task, repository, commit, shards, fetched, bytes``.

    Raises:
        DataError: Files cannot be had: no network, not in the repository, no access, other bytes
            than promised. All problems are listed; what has arrived is kept.
        OutputError: The disk is too small or cannot be written.
    """
    real = [task for task in tasks if task.synthetic is None]
    wanted = _missing(real, home)
    arrived: dict[str, int] = {}
    if wanted:
        _check_addresses(wanted)
        if is_offline():
            raise DataError(
                _by_hand(wanted, home, "Unset HF_HUB_OFFLINE, which forbids the network")
            )
        with shards_lock(home, progress=progress):
            patience = Patience(threading.Event(), retry_wait_s)
            try:
                _lock_revisions(wanted, home, patience, progress)
                jobs = _plan(_missing(real, home), home, patience)
                _check_disk(jobs, home, workers)
                _fetch_all(jobs, patience, workers=workers, progress=progress)
            except UnreachableError as error:
                way = "Give the same command again, which continues"
                raise DataError(f"{error}\n{_by_hand(_missing(real, home), home, way)}") from error
            arrived = {str(job.plain): job.file.size or 0 for job in jobs}
    return [_record(task, home, arrived) for task in real]


def missing_bytes(tasks: Sequence[Task], *, home: Path) -> int | None:
    """What `fetch` would download, as the hub says; nothing is written.

    Args:
        tasks: The tasks.
        home: The data home.

    Returns:
        Bytes of the packed shards; None where the hub cannot be asked or does not say.
    """
    try:
        wanted = _missing([task for task in tasks if task.synthetic is None], home)
        if wanted and is_offline():
            return None
        sizes = [job.file.size for job in _plan(wanted, home, Patience(threading.Event(), 0, 2))]
    except DataError:
        return None
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _missing(tasks: Sequence[Task], home: Path) -> list[_Wanted]:
    wanted: dict[Path, _Wanted] = {}
    for task in tasks:
        for side in SIDES:
            names = task.expanded_shards(side)
            addresses = {url_name(name): name for name in names if "://" in name}
            for place in find_shards(task, side, home=home) if names else []:
                remote = place.repository == URL or task.repository is not None
                if place.found is None and remote:
                    address = (
                        addresses.get(url_name(place.name)) if place.repository == URL else None
                    )
                    wanted.setdefault(place.plain, _Wanted(task, place, address))
    return list(wanted.values())


def _check_addresses(wanted: Sequence[_Wanted]) -> None:
    """What no attempt could reach is refused before the first."""
    for one in wanted:
        address = endpoint() if one.address is None else one.address
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.netloc:
            continue
        raise DataError(
            f"Task {one.task.name}: {without_password(address)} cannot be fetched; expected an "
            "address that starts with https:// or http://. Correct the shard, or bring it here "
            "and name its path."
        )


def _by_hand(wanted: Sequence[_Wanted], home: Path, instead: str) -> str:
    """What is missing and where it may be put, a sentence for each repository."""
    lines = []
    for repository, group in _by_repository(wanted).items():
        names = [without_password(w.address or w.place.name) for w in group]
        source = f"{shown_endpoint()}/datasets/{repository}" if repository else "their addresses"
        task = group[0].task
        way = f" to {shards_by_hand(task, home)}" if repository else f" below {home / 'shards'}"
        lines.append(
            f"Shards that are missing ({len(names)}): {shown(names)}. {instead}, or bring them by "
            f"hand from {source}{way}. All names: auricle data list SUITE --json"
        )
    return "\n".join(lines)


def _by_repository(wanted: Sequence[_Wanted]) -> dict[str | None, list[_Wanted]]:
    groups: dict[str | None, list[_Wanted]] = {}
    for one in wanted:
        groups.setdefault(one.task.repository, []).append(one)
    return groups


def _lock_revisions(
    wanted: Sequence[_Wanted], home: Path, patience: Patience, progress: Progress
) -> None:
    for one in wanted:
        repository, revision = one.task.repository, one.task.revision
        if repository is not None and locked_commit(home, repository, revision) is None:
            commit = resolve_commit(repository, revision, a_file=one.place.name, patience=patience)
            lock_commit(home, repository, revision, commit)
            progress.message(f"{repository}: '{revision}' is locked to commit {commit[:12]}")


def _plan(wanted: Sequence[_Wanted], home: Path, patience: Patience) -> list[_Job]:
    jobs, problems = [], []
    groups: dict[tuple[str | None, str], list[_Wanted]] = {}
    for one in wanted:
        groups.setdefault((one.task.repository, one.place.commit), []).append(one)
    for (repository, commit), group in groups.items():
        if repository is None:
            files = [
                RemoteFile(without_password(str(w.address)), str(w.address), None, None, None)
                for w in group
            ]
        else:
            try:
                names = [w.place.name for w in group]
                files = describe_files(repository, commit, names, patience=patience)
            except UnreachableError:
                raise
            except DataError as error:
                problems.append(str(error))
                continue
        jobs += [_job(w.place.plain, file) for w, file in zip(group, files, strict=True)]
    if problems:
        raise DataError("\n".join(problems))
    return jobs


def _job(plain: Path, file: RemoteFile) -> _Job:
    """The part file is named after the content, so that it never continues another version."""
    key = hashlib.sha256(f"{file.url} {file.size} {file.sha256}".encode()).hexdigest()[:12]
    return _Job(file, plain, plain.parent / _DOWNLOADS / f"{plain.name}.{key}.part")


def _check_disk(jobs: Sequence[_Job], home: Path, workers: int) -> None:
    sizes = sorted((job.file.size or 0 for job in jobs), reverse=True)
    here = sum(job.part.stat().st_size for job in jobs if job.part.exists())
    needed = int(sum(sizes) * _UNPACKED) + sum(sizes[:workers]) - here
    free = shutil.disk_usage(make_folder(home)).free
    if needed > free:
        raise OutputError(
            f"Fetching {len(jobs)} shards needs about {bytes_text(needed)} below {home}, and "
            f"{bytes_text(free)} are free. Free some space, or set AURICLE_HOME to another disk."
        )


def _fetch_all(
    jobs: Sequence[_Job], patience: Patience, *, workers: int, progress: Progress
) -> None:
    total = sum(job.file.size or 0 for job in jobs) / 1e6
    here = sum(job.part.stat().st_size for job in jobs if job.part.exists()) / 1e6
    problems: list[DataError] = []
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        with progress.stage("fetch", total, "MB", done=here) as stage:
            count = _Counter(stage)
            running = [pool.submit(_try_one, job, patience, count.add) for job in jobs]
            for job in running:
                try:
                    job.result()
                except StoppedError:
                    continue
                except DataError as error:
                    problems.append(error)
    finally:
        patience.stop.set()
        pool.shutdown(cancel_futures=True)
    for folder in {job.part.parent for job in jobs}:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if problems:
        text = "\n".join(str(problem) for problem in problems)
        if any(isinstance(problem, UnreachableError) for problem in problems):
            raise UnreachableError(f"{text}\nWhat has arrived is kept.")
        raise DataError(f"{text}\nWhat has arrived is kept; the same command continues.")


def _try_one(job: _Job, patience: Patience, on_bytes: Callable[[int], None]) -> None:
    if patience.stop.is_set():
        raise StoppedError
    try:
        _fetch_one(job, patience, on_bytes)
    except (UnreachableError, OutputError):
        patience.stop.set()  # no other file would fare better
        raise


def _fetch_one(job: _Job, patience: Patience, on_bytes: Callable[[int], None]) -> None:
    ours = urlsplit(job.file.url)[:2] == urlsplit(endpoint())[:2]  # a prefix is no host
    headers = auth_headers() if ours else {}
    seen = ""
    for _ in range(2):
        download(
            job.file.url,
            job.part,
            size=job.file.size,
            headers=headers,
            on_bytes=on_bytes,
            patience=patience,
        )
        seen = _difference(job)
        if not seen:
            break
        on_bytes(-job.part.stat().st_size)
        job.part.unlink()
    if seen:
        raise DataError(
            f"{job.file.url} arrived twice with other bytes than promised ({seen}). A proxy or "
            "mirror may change it: try without."
        )
    try:
        install(job.part, job.plain, source=job.file.url)
    except BadShardError as error:
        job.part.unlink(missing_ok=True)
        raise DataError(f"{job.file.url}, as it is published, {error}.") from error


def _difference(job: _Job) -> str:
    """How a download differs from what was promised; empty where it does not."""
    size = job.part.stat().st_size
    if job.file.size is not None and size != job.file.size:
        return f"{size} bytes, expected {job.file.size}"
    if job.file.sha256 is not None:
        sha256 = sha256_file(job.part)
        return (
            ""
            if sha256 == job.file.sha256
            else f"sha256 {sha256[:12]}, expected " + (job.file.sha256[:12])
        )
    if job.file.git_sha1 is not None:
        sha1 = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        with job.part.open("rb") as stream:
            while block := stream.read(1 << 20):
                sha1.update(block)
        if sha1.hexdigest() != job.file.git_sha1:
            return f"git hash {sha1.hexdigest()[:12]}, expected {job.file.git_sha1[:12]}"
    return ""


class _Counter:
    """Adds bytes from several threads to one bar."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._stage.advance(count / 1e6)


def _record(task: Task, home: Path, arrived: dict[str, int]) -> dict[str, Any]:
    places = [
        place
        for side in SIDES
        if task.expanded_shards(side)
        for place in find_shards(task, side, home=home)
    ]
    new = [arrived[str(place.plain)] for place in places if str(place.plain) in arrived]
    return {
        "task": task.name,
        "repository": task.repository,
        "commit": places[0].commit,
        "shards": len(places),
        "fetched": len(new),
        "bytes": sum(new),
    }
