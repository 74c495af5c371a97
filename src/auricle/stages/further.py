"""Further evaluations: other questions for a trained LALM, or for one that is trained apart.

A suite says how: ``training: reuse``, or one run per task, which is also what a suite whose tasks
have train shards gets when it says nothing. Either way the answers come to lie in the run's folder,
in ``further/<suite>/``, and are scored from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from auricle.catalog.files import LoadedSuite, open_suite
from auricle.catalog.load import base_recipe
from auricle.catalog.spec import Suite, Task
from auricle.errors import UserError
from auricle.files import atomic_writer
from auricle.job import Data, Job, with_settings
from auricle.lalm.answer import Answerer
from auricle.records.manifest import Manifest, Trained
from auricle.runs.folder import FurtherFolder, RunFolder
from auricle.runs.manifest import start_manifest
from auricle.stages.answering import Answering
from auricle.stages.encoding import Encoding
from auricle.stages.manifest import describe_run
from auricle.stages.process import LazyEncoder

STEPS_APART = 10_000
"""Of a run on one hidden task, unless its file says otherwise."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A further suite of a run."""

    name: str
    training: Literal["reuse", "apart"]
    jobs: tuple[Job, ...]
    """One without training where the LALM is reused; else one per task."""


def resolve_evaluations(job: Job) -> list[Evaluation]:
    """Look up what ``--eval`` names.

    Raises:
        UserError: A suite is named twice, cannot be asked, or its tasks lack shards.
    """
    found: list[Evaluation] = []
    by = {job.suite.name: "--suite"}
    for name in job.options.evaluations:
        loaded = open_suite(name, recipe=job.options.recipe)
        if loaded.suite.name in by:
            raise UserError(
                f"--eval {name}: the suite '{loaded.suite.name}' is measured already, by "
                f"{by[loaded.suite.name]}. Leave one out, or give the suite another 'name' in its "
                "file."
            )
        by[loaded.suite.name] = f"--eval {name}"
        found.append(_resolve(job, loaded, name))
    return found


def _resolve(job: Job, loaded: LoadedSuite, given: str) -> Evaluation:
    suite, tasks = loaded.suite, loaded.tasks
    if suite.held_out is not None:
        raise UserError(
            f"--eval {given}: the suite holds training clips out, which a run of its own must "
            "train without. Give it to --suite."
        )
    silent = [task.name for task in tasks if not task.test_shards]
    if silent:
        raise UserError(
            f"--eval {given}: there is nothing to ask in {', '.join(silent)}. Give each task "
            "test_shards and a metric."
        )
    untrained = [task.name for task in tasks if not task.train_shards]
    training = suite.training or ("reuse" if len(untrained) == len(tasks) else "apart")
    if training == "apart" and untrained:
        raise UserError(
            f"--eval {given}: its tasks are trained apart, but {', '.join(untrained)} have no "
            "train_shards. Give them some, or write 'training: reuse'."
        )
    if training == "apart":
        apart = tuple(_apart(job, loaded, task) for task in tasks)
        return Evaluation(suite.name, "apart", apart)
    asked = replace(
        job,
        suite=suite,
        tasks=tuple(task.only("test") for task in tasks),
        ignored=loaded.ignored,
        sides=("test",),
    )
    return Evaluation(suite.name, "reuse", (asked,))


def _apart(job: Job, loaded: LoadedSuite, task: Task) -> Job:
    suite = Suite(
        name=task.name,
        description=f"The task {task.name} of {loaded.suite.name}, trained apart",
        recipe=loaded.suite.recipe,
        steps=task.steps or loaded.suite.steps or STEPS_APART,
        tasks={task.name: 1.0},
    )
    base = base_recipe(suite)
    return replace(
        job,
        suite=suite,
        tasks=(task,),
        ignored=(),
        recipe=with_settings(base_recipe(suite, job.options.recipe), job.options),
        base_recipe=base,
        options=replace(job.options, evaluations=(), on_folder=None),
        sides=("train", "test"),
    )


def answer_further(
    job: Job, data: Data, run: Encoding, answerer: Answerer, process: LazyEncoder
) -> FurtherFolder:
    """Answer a further suite with a run's LALM.

    Args:
        job: Of the evaluation.
        data: Its test clips.
        run: The encoding of the run, whose features are no longer needed.
        answerer: The run's LALM.
        process: The encoder.
    """
    folder = run.folder.further(job.suite.name)
    tasks = {name: _name_of(run.folder) for name in data.tests}
    trained = Trained(training="reuse", runs=tasks)
    info, properties = process.get().info, process.properties()
    start_manifest(folder, describe_run(job, data, info, properties, trained=trained))
    if job.options.disk_budget is not None:
        run.features.keep_only([])
    batches = run.folder.read_manifest().batches
    encoding = Encoding(job, data, folder, process, run.progress, batches=batches)
    encoding.begin()
    answering = Answering(encoding, answerer)
    for name in data.tests:
        answering.answer(name)
    return folder


def gather_apart(run: RunFolder, suite: str, apart: Sequence[RunFolder]) -> FurtherFolder:
    """Bring the answers of runs that were trained apart together in a run's folder."""
    folder = run.further(suite)
    about: Manifest | None = None
    runs: dict[str, str] = {}
    for one in apart:
        manifest = one.read_manifest()
        for task in manifest.test:
            for source, target in (
                (one.predictions(task), folder.predictions(task)),
                (one.evidence(task), folder.evidence(task)),
            ):
                if source.is_file():
                    with source.open("rb") as stream, atomic_writer(target) as copy:
                        shutil.copyfileobj(stream, copy)
                else:
                    target.unlink(missing_ok=True)
            runs[task] = _name_of(one)
        about = _joined(about, manifest) if about else manifest
    assert about is not None, "a suite has a task"
    trained = Trained(training="apart", runs=runs)
    about.with_fields(suite=suite, official=False, trained=trained).write(folder.manifest)
    return folder


def _joined(one: Manifest, other: Manifest) -> Manifest:
    return one.with_times_of(other).with_fields(
        mixture=one.mixture | other.mixture,
        test=one.test | other.test,
        failures=one.failures | other.failures,
        mode=one.mode if one.mode == other.mode else "custom",
        notes=[*one.notes, *other.notes],
    )


def _name_of(folder: RunFolder) -> str:
    """Where a run lies below the folder of all runs."""
    return f"{folder.path.parent.name}/{folder.path.name}"
