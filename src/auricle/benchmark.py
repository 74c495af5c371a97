"""`run`: the whole job, from an encoder to its scores, in one readable function.

Everything that can be refused is refused before anything is trained. Each stage continues where an
earlier process stopped: its unit of commit (an encode batch, a checkpoint, a chunk of test clips)
is fixed by the plan, never by when a process died (law 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from auricle.data.fetch import fetch
from auricle.data.recall import LockedAudio
from auricle.files import folder_lock
from auricle.plan import RunOptions, open_data, resolve
from auricle.progress import Progress, SilentProgress
from auricle.runs.folder import RunFolder
from auricle.runs.report import write_report
from auricle.runs.report_floor import find_floor
from auricle.runs.rescore import score_run
from auricle.stages.answering import Answering
from auricle.stages.encoding import start_encoding
from auricle.stages.process import LazyEncoder, find_folder
from auricle.stages.training import Training
from auricle.synth.make import make_shards


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run lies and what it scored."""

    folder: RunFolder
    scores: dict[str, Any]


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
    for reason in job.ignored:
        progress.warn(reason)
    make_shards(job.tasks, home=job.home, workers=max(1, job.workers), progress=progress)
    fetch(job.tasks, home=job.home, progress=progress)
    data = open_data(job, progress)
    torch.set_num_threads(job.threads)
    with LazyEncoder(job) as process:
        folder = find_folder(job, data, process)
        if job.options.on_folder is not None:
            job.options.on_folder(folder)
        with folder_lock(folder.path, what="this run"):
            encoding = start_encoding(job, data, folder, process, progress)
            training = Training(data, encoding)
            for span in training.spans():
                training.encode(span)
                training.train(span)
            answering = Answering(encoding, training.answerer())
            for name, (table, asked) in data.tests.items():
                answering.answer(name, table, asked)
            with encoding.clock("score"):
                scores = score_run(folder, models=job.options.caption_models())
            with encoding.clock("report"):
                audio = LockedAudio(data.test_lock(), home=job.home)
                write_report(folder, audio=audio, floor=find_floor(folder))
    return RunResult(folder, scores)
