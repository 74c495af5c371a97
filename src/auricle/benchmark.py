"""`run`: the whole job, from an encoder to its scores, in one readable function.

Everything that can be refused is refused before anything is trained. Each stage continues where an
earlier process stopped: its unit of commit (an encode batch, a checkpoint, a chunk of test clips)
is fixed by the plan, never by when a process died (law 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from auricle.data.fetch import fetch
from auricle.data.recall import LockedAudio
from auricle.data.tables import listen
from auricle.files import folder_lock
from auricle.job import Data, Job, RunOptions, open_data, resolve, warn_of_ignored
from auricle.plan.make import take_plan, write_plan
from auricle.progress import Progress, SilentProgress
from auricle.records.scores import Scores
from auricle.runs.folder import FurtherFolder, RunFolder
from auricle.runs.report import write_report
from auricle.runs.report_floor import find_floor
from auricle.runs.rescore import score_run
from auricle.stages.answering import Answering
from auricle.stages.encoding import start_encoding
from auricle.stages.further import answer_further, gather_apart, resolve_evaluations
from auricle.stages.opening import note_long_clips, open_run
from auricle.stages.process import LazyEncoder, find_folder
from auricle.stages.training import Training
from auricle.synth.make import make_shards


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run lies and what it scored."""

    folder: RunFolder
    scores: dict[str, Any]
    further: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Scores of the further evaluations that the folder holds, by suite."""


def run(
    encoder: str,
    suite: str = "smoke",
    *,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Measure an encoder on a suite; continues an interrupted run of the same kind.

    Args:
        encoder: ``file.py``, ``file.py:Class``, ``package.module:Class`` or a built-in name.
        suite: Name of a suite or task.
        options: Everything else.
        progress: Receives what the work says about itself; None = silence.

    Raises:
        UserError: Something that the user can mend; the text says how.
    """
    progress = progress or SilentProgress()
    job = resolve(encoder, suite, options or RunOptions())
    evaluations = resolve_evaluations(job)
    jobs = [job, *(each for one in evaluations for each in one.jobs)]
    _bring_data(jobs, progress)
    torch.set_num_threads(job.threads)
    with LazyEncoder(job) as process:
        opened = open_run(jobs, process, progress)
        reused = [(each, data) for each, data in opened if each.sides == ("test",)]
        folder = _measure(job, opened[0][1], process, progress, further=reused)
        for one in evaluations:
            if one.training == "apart":
                own = [(each, data) for each, data in opened if each in one.jobs]
                apart = [_measure(each, data, process, progress) for each, data in own]
                _finish(job, gather_apart(folder, one.name, apart))
    stored = {each.path.name: each.read_scores() for each in folder.all_further()}
    further = {name: scores.to_json() for name, scores in stored.items() if scores is not None}
    if further:
        _report(job, folder)  # once more, with what was asked further
    return RunResult(folder, Scores.read(folder.scores).to_json(), further)


def check_data(
    suite: str, *, options: RunOptions | None = None, progress: Progress | None = None
) -> dict[str, tuple[int, int]]:
    """Bring and open all data that a run needs, and read every label, without an encoder.

    Args:
        suite: Name of a suite or task, or a file.
        options: Of the run; its further evaluations are opened too.
        progress: Receives what the work says about itself; None = silence.

    Returns:
        Clips to train on and clips that are asked, by task.

    Raises:
        UserError: Whatever would stop a run before its encoder is started.
    """
    progress = progress or SilentProgress()
    job = resolve("noise", suite, options or RunOptions())
    jobs = [job, *(each for one in resolve_evaluations(job) for each in one.jobs)]
    _bring_data(jobs, progress)
    found: dict[str, tuple[int, int]] = {}
    for data in (open_data(each, progress) for each in jobs):
        trained = {part.task.name: len(part.table) for part in data.mixture.parts}
        for name in data.tasks:
            found[name] = (
                trained.get(name, 0),
                len(data.tests[name][1]) if name in data.tests else 0,
            )
        _listen(data, jobs[0].workers, progress)
    return found


def _listen(data: Data, workers: int, progress: Progress) -> None:
    """Decode every clip of the user's own tasks; official ones are too many, and known."""
    sides = [(part.task, part.table, "train") for part in data.mixture.parts]
    sides += [(data.tasks[name], table, "test") for name, (table, _) in data.tests.items()]
    own = [one for one in sides if one[0].repository is None and one[0].synthetic is None]
    if not own:
        return
    with progress.stage("listen", sum(len(table) for _, table, _ in own), "clips") as stage:
        for task, table, side in own:
            for text in listen(task.name, table, side, workers=workers, stage=stage):
                progress.warn(text)


def _bring_data(jobs: Sequence[Job], progress: Progress) -> None:
    """Make and fetch the shards that are not there yet."""
    warn_of_ignored(jobs, progress)
    tasks = [task for each in jobs for task in each.tasks]
    make_shards(tasks, home=jobs[0].home, workers=max(1, jobs[0].workers), progress=progress)
    fetch(tasks, home=jobs[0].home, progress=progress)


def _measure(
    job: Job,
    data: Data,
    process: LazyEncoder,
    progress: Progress,
    *,
    further: Sequence[tuple[Job, Data]] = (),
) -> RunFolder:
    """Train one LALM, have it answer its suite and further ones, and score the answers."""
    folder = find_folder(job, data, process)
    if job.options.on_folder is not None:
        job.options.on_folder(folder)
    with folder_lock(folder.path, what="this run"):
        encoding = start_encoding(job, data, folder, process, progress)
        training = Training(data, encoding)
        write_plan(job, data, process, encoding, training)
        note_long_clips(data, training, process)
        for span in training.spans():
            training.encode(span)
            training.train(span)
        answerer = training.answerer()
        answering = Answering(encoding, answerer)
        for name in data.tests:
            answering.answer(name)
        with encoding.clock("score"):
            score_run(folder, models=job.options.caption_models())
        with encoding.clock("report"):
            _report(job, folder)
        for each, asked_data in further:
            answered = answer_further(each, asked_data, encoding, answerer, process)
            take_plan(each, folder, answered)
            _finish(each, answered)
    return folder


def _finish(job: Job, folder: FurtherFolder) -> None:
    """Score and report a further evaluation."""
    score_run(folder, models=job.options.caption_models())
    _report(job, folder)


def _report(job: Job, folder: RunFolder) -> None:
    audio = LockedAudio(folder.read_manifest().test, home=job.home)
    write_report(folder, audio=audio, floor=find_floor(folder))
