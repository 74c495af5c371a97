"""What a run will cost, before it starts: counts from the data, seconds from a short calibration.

`auricle plan` writes nothing but the plan itself, below ``plans/`` in the data home: features that
it makes lie in a temporary folder, and its LALM is thrown away. A run that was planned takes that
plan into its folder as ``plan.json``; one that was not measures a fiftieth of itself at most, with
batches that it needs next, and a short one (fewer than `WORTH_STEPS` steps) only counts.

The plan's JSON is described in docs/run-folder.md; ``null`` is unknown. Each further evaluation
(`--eval`) has a plan of its own in ``further``, and the folder that it comes to lie in takes it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from auricle.data.fetch import missing_bytes
from auricle.errors import CatalogError
from auricle.features.batches import BatchPlan
from auricle.features.encode import Features
from auricle.features.store import FeatureStore
from auricle.files import read_json, write_json
from auricle.job import Data, Job, RunOptions, open_data, resolve, warn_of_ignored
from auricle.plan.amounts import DryStore
from auricle.plan.calibration import Calibration
from auricle.plan.memory import estimate_memory
from auricle.plan.sampling import Limit
from auricle.plan.speed import training_steps
from auricle.plan.tasks import describe_tasks, is_complete
from auricle.progress import Progress, SilentProgress
from auricle.records.plan import SCHEMA_VERSION, Plan, PlannedSide
from auricle.runs.folder import RunFolder, safe_name
from auricle.stages.encoding import Encoding
from auricle.stages.further import resolve_evaluations
from auricle.stages.manifest import batches_of
from auricle.stages.opening import look_for_models
from auricle.stages.process import LazyEncoder, find_folder, open_store, stored_bytes_per_s
from auricle.stages.training import Training, open_tokens
from auricle.stages.walk import Walk

WORTH_STEPS = 500
CALIBRATION_S = 60.0
_MOST_UNITS = 12
_SHARE = 50
"""A run measures at most one in so many of its own units."""


def make_plan(
    encoder: str,
    suite: str,
    *,
    options: RunOptions | None = None,
    progress: Progress | None = None,
    calibration_s: float = CALIBRATION_S,
) -> Plan:
    """Find out what `run` with the same arguments will cost; starts nothing.

    Args:
        encoder: As for `run`.
        suite: As for `run`.
        options: As for `run`.
        progress: Receives what the work says about itself; None = silence.
        calibration_s: Seconds after which no stage measures more than its first few units.

    Raises:
        UserError: Something that the user can mend; the text says how.
    """
    progress = progress or SilentProgress()
    job = resolve(encoder, suite, options or RunOptions())
    further = [(one, each) for one in resolve_evaluations(job) for each in one.jobs]
    jobs = [job, *(each for _, each in further)]
    warn_of_ignored(jobs, progress)
    look_for_models(jobs)
    plans = [_begun(each, describe_tasks(each)) for each in jobs]
    for place, (one, _) in enumerate(further, start=1):
        plans[place] = plans[place].with_fields(evaluation=one.name, training=one.training)
    if not all(is_complete(each.tasks) for each in plans):
        size = missing_bytes([task for each in jobs for task in each.tasks], home=job.home)
        source = None if size is None else "hub"
        plans[0] = plans[0].with_fields(download_bytes=size, download_from=source)
        return plans[0].with_fields(further=plans[1:])
    opened = [(each, open_data(each, progress)) for each in jobs]
    plans = [
        plan.with_fields(tasks=describe_tasks(*each))
        for plan, each in zip(plans, opened, strict=True)
    ]
    try:
        return _calibrate(opened, plans, Limit(_MOST_UNITS, calibration_s / 3), progress)
    except CatalogError as error:  # the decoder is not here yet
        return plans[0].with_fields(problem=str(error), further=plans[1:])


def _calibrate(
    opened: Sequence[tuple[Job, Data]], plans: Sequence[Plan], limit: Limit, progress: Progress
) -> Plan:
    """Complete the plan of a run, which is the first, and those of its further evaluations."""
    job = opened[0][0]
    torch.set_num_threads(job.threads)
    with LazyEncoder(job) as lazy, tempfile.TemporaryDirectory(prefix=".tmp-auricle-plan-") as name:
        progress.message("Calibrating: a few batches, training steps and answers")
        tokens = open_tokens(*opened[0], Path(name) / "tokenizer")
        run = find_folder(*opened[0], lazy)
        store = open_store(job, lazy)
        there, found = DryStore(store), []
        for (each, data), plan in zip(opened, plans, strict=True):
            own = RunFolder(Path(name) / each.suite.name)
            spoken = tokens if _reuses(each) else open_tokens(each, data, own.tokenizer)
            batches = batches_of(each, lazy.properties())
            features = Features(
                BatchPlan(
                    mode=batches.mode,
                    budget_s=batches.budget_s,
                    resampler=each.recipe.audio.resampler,
                ),
                FeatureStore(own.path, dtype=store.dtype, dim=store.dim),
                data.source,
                encoder=lazy.get,
                workers=each.workers,
            )
            walk = Walk(each, data, features, bytes_per_s=stored_bytes_per_s(store, lazy))
            walk.plan_batches()
            calibration = Calibration(walk, lazy, spoken, there=there, folder=own)
            measured = calibration.measure(features, calibration.amounts.encode, (limit,) * 3)
            found.append(plan.with_fields(**measured))
        found[0] = found[0].with_fields(further=found[1:])
        for (each, data), plan in zip(opened, found, strict=True):
            begun = run if _reuses(each) else find_folder(each, data, lazy)
            plan.write(_plan_path(each, begun))
    return found[0]


def write_plan(
    job: Job, data: Data, process: LazyEncoder, encoding: Encoding, training: Training
) -> None:
    """Put the plan of a run that begins into its folder, made before or made now."""
    folder = encoding.folder
    if training.trainer.step or take_plan(job, folder, folder):
        return
    plan = _begun(job, describe_tasks(job, data))
    with encoding.clock("plan"):
        there = DryStore(encoding.features.store)
        calibration = Calibration(
            encoding.walk, process, training.tokens, there=there, folder=folder
        )
        amounts, worth = calibration.amounts, job.recipe.train.steps >= WORTH_STEPS
        first = amounts.encode[: amounts.first]
        units = (len(first), job.recipe.train.steps, len(calibration.chunks))
        limits = [_share_of(count if worth else 0) for count in units]
        plan = plan.with_fields(**calibration.measure(encoding.features, first, limits))
    plan.write(folder.plan)


def take_plan(job: Job, run: RunFolder, folder: RunFolder) -> bool:
    """Put what `auricle plan` said of a job into its folder; whether a plan lies there.

    Args:
        job: A run, or a further evaluation of it that it answers itself.
        run: The run.
        folder: The job's own folder.
    """
    made = _plan_path(job, run)
    if made.is_file() and not folder.plan.exists():
        write_json(folder.plan, read_json(made))
    return folder.plan.exists()


def _begun(job: Job, tasks: list[PlannedSide]) -> Plan:
    """What is known without the data."""
    there = job.home if job.home.exists() else Path.home()
    return Plan(
        schema_version=SCHEMA_VERSION,
        suite=job.suite.name,
        encoder=job.encoder.text,
        device=job.device,
        recipe=job.recipe.label,
        resampler=job.recipe.audio.resampler,
        steps=training_steps(job),
        draws=training_steps(job) * job.recipe.train.batch_size,
        tasks=tasks,
        missing_shards=sum(record.missing for record in tasks),
        download_bytes=0 if is_complete(tasks) else None,
        shards_bytes=sum(record.bytes for record in tasks),
        free_bytes=shutil.disk_usage(there).free,
        disk_budget=job.options.disk_budget,
        memory=estimate_memory(None, (), None),
    )


def _reuses(job: Job) -> bool:
    """Whether the run's own LALM answers."""
    return job.sides == ("test",)


def _plan_path(job: Job, folder: RunFolder) -> Path:
    """Where a plan lies until its run begins; another device is another plan."""
    return job.home / "plans" / f"{safe_name(job.suite.name)}-{folder.path.name}-{job.device}.json"


def _share_of(count: int) -> Limit:
    return Limit(min(_MOST_UNITS, count // _SHARE), CALIBRATION_S / 3)
