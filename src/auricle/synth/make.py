"""Writes the missing shards of synthetic tasks, on all cores.

The workers are plain child processes that run `auricle.synth.worker`, not a `multiprocessing`
pool: a pool imports the caller's script anew in every child (and fails where that script has no
main guard), and its children outlive a parent that was killed. Ours end when their standard input
does. A shard is the unit of commit: it appears whole, and the same call goes on with the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from auricle.catalog.spec import Task
from auricle.errors import CatalogError, OutputError
from auricle.files import clean_temporary, folder_lock
from auricle.progress import Progress, Stage

PACKAGE_PARENT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard to write: clips ``first`` to ``stop - 1`` of a split."""

    task: str
    split: str
    first: int
    stop: int
    path: str


def make_shards(tasks: Sequence[Task], *, home: Path, workers: int, progress: Progress) -> None:
    """Write every shard of the synthetic tasks that is not there yet.

    Shards lie in ``home/shards/<repository>/<revision>/<shard name>``. Tasks that are not
    synthetic are passed over: their shards are fetched.

    Args:
        tasks: Tasks of a suite.
        home: The data home.
        workers: How many processes.
        progress: Is told about clips as they are made.

    Raises:
        CatalogError: A task that the synthesiser does not know, or whose shards do not fit its
            clips.
        OutputError: A shard cannot be written, or a worker was killed.
    """
    jobs = [job for task in tasks if task.synthetic is not None for job in _jobs(task, home)]
    if not _missing(jobs):
        return
    with folder_lock(home / "shards" / "auricle", what="the synthetic shards", wait=True):
        missing = _missing(jobs)
        _clean(missing)
        if missing:
            _write(missing, workers, progress)
        _clean(missing)  # once more: an orphan of a killed call may have lived until just now


def _jobs(task: Task, home: Path) -> list[ShardJob]:
    from auricle.synth.clips import KINDS, REPOSITORY, VERSION

    if task.synthetic is None or task.name not in KINDS:
        raise CatalogError(
            f"Task '{task.name}' is marked as synthetic, but the synthesiser does not know it. "
            f"It makes: {', '.join(KINDS)}. Take 'synthetic:' out, or use one of these."
        )
    if (task.repository, task.revision) != (REPOSITORY, VERSION):
        raise CatalogError(
            f"Task '{task.name}' asks for {task.repository} at revision {task.revision}; this "
            f"version of auricle makes {REPOSITORY} at {VERSION}. Correct the task's file."
        )
    root = home / "shards" / REPOSITORY / VERSION
    jobs = []
    size = task.synthetic.clips_per_shard
    for split, clips in (
        ("train", task.synthetic.train_clips),
        ("test", task.synthetic.test_clips),
    ):
        names = task.expanded_shards(split)
        if len(names) != -(-clips // size):
            raise CatalogError(
                f"Task '{task.name}' has {clips} {split} clips, {size} to a shard, so it needs "
                f"{-(-clips // size)} {split} shards; its file names {len(names)}. Correct one."
            )
        for number, name in enumerate(names):
            first = number * size
            stop = min(first + size, clips)
            jobs.append(ShardJob(task.name, split, first, stop, str(root / name)))
    return jobs


def _missing(jobs: Sequence[ShardJob]) -> list[ShardJob]:
    return [job for job in jobs if not Path(job.path).exists()]


def _clean(jobs: Sequence[ShardJob]) -> None:
    for folder in {Path(job.path).parent for job in jobs}:
        clean_temporary(folder)


def _write(jobs: Sequence[ShardJob], workers: int, progress: Progress) -> None:
    waiting: queue.SimpleQueue[ShardJob] = queue.SimpleQueue()
    for job in sorted(jobs, key=lambda job: job.first - job.stop):  # the long ones first
        waiting.put(job)
    count = max(1, min(workers, len(jobs)))
    clips = sum(job.stop - job.first for job in jobs)
    processes = [_start() for _ in range(count)]
    try:
        with (
            progress.stage("make synthetic clips", clips, "clips") as stage,
            ThreadPoolExecutor(count) as pool,
        ):
            served = [pool.submit(_serve, process, waiting, stage) for process in processes]
            try:
                for result in served:
                    result.result()
            except BaseException:
                _end(processes)  # so that the pool's threads come back
                raise
    finally:
        _end(processes)


def _start() -> subprocess.Popen[str]:
    paths = [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "auricle.synth.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # Ctrl-C is for us; they end when we do
    )


def _serve(
    process: subprocess.Popen[str], waiting: queue.SimpleQueue[ShardJob], stage: Stage
) -> None:
    """Hand jobs to one worker until none is left."""
    assert process.stdin is not None
    assert process.stdout is not None
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise _worker_died(process, job) from None
        for line in process.stdout:
            reply = json.loads(line)
            if "error" in reply:
                raise OutputError(reply["error"])
            stage.advance(reply["clips"])
            if reply["done"]:
                break
        else:
            raise _worker_died(process, job)


def _worker_died(process: subprocess.Popen[str], job: ShardJob) -> OutputError:
    code = process.wait()
    return OutputError(
        f"The process that made {job.path} ended with code {code} (negative: killed by that "
        "signal, 9 often means too little memory). Give the same command again: it goes on with "
        "the missing shards; --workers 1 needs the least memory."
    )


def _end(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                # A job that a dead worker never read is flushed again here.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
