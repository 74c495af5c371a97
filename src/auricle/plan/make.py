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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from auricle.data.fetch import missing_bytes
from auricle.errors import CatalogError
from auricle.features.batches import BatchPlan
from auricle.features.encode import Features
from auricle.features.store import FeatureStore
from auricle.files import read_json, scratch_folder, write_json
from auricle.job import Data, Job, RunOptions, open_data, resolve, warn_of_ignored
from auricle.lalm.tokens import Tokens
from auricle.plan.amounts import DryStore
from auricle.plan.calibration import Calibration
from auricle.plan.memory import estimate_memory
from auricle.plan.sampling import Limit
from auricle.plan.speed import first_look, training_steps
from auricle.plan.stand_in import (
    absent,
    can_stand_in,
    open_with_stand_ins,
    wide_tokens,
    with_stand_in_decoder,
)
from auricle.plan.tasks import audio_at_least_s, describe_tasks, is_complete
from auricle.progress import Progress, SilentProgress, duration_text
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
_LOOK_S = 120.0
"""Seconds of audio in a call of the first look on a GPU."""
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
    try:
        _work_out(jobs, plans, Limit(_MOST_UNITS, calibration_s / 3), progress)
    except KeyboardInterrupt:
        plans[0] = plans[0].with_fields(interrupted=True)
    return plans[0].with_fields(further=plans[1:])


def _work_out(jobs: Sequence[Job], plans: list[Plan], limit: Limit, progress: Progress) -> None:
    """Complete the plans of a run and of its further evaluations, as far as can be."""
    lacks = [not is_complete(plan.tasks) for plan in plans]
    if any(lacks):
        plans[0] = plans[0].with_fields(**_download(jobs, plans))
        if not all(can_stand_in(job, plan.tasks) for job, plan in zip(jobs, plans, strict=True)):
            return
    job = jobs[0]
    torch.set_num_threads(job.threads)
    with scratch_folder("auricle-plan-") as scratch:
        # A machine that has no data home yet gets none for its encoder's log.
        lent = job if job.home.exists() else replace(job, home=scratch)
        with LazyEncoder(lent) as lazy:
            plans[0] = _with_first_look(job, plans[0], lazy, progress)
            opened = []
            for place, each in enumerate(jobs):
                if lacks[place]:
                    opened.append((each, open_with_stand_ins(each, plans[place].tasks, progress)))
                else:
                    opened.append((each, open_data(each, progress)))
                    sides = describe_tasks(*opened[-1])
                    plans[place] = plans[place].with_fields(tasks=sides)
            try:
                _calibrate(opened, plans, lazy, scratch, limit, progress)
            except CatalogError as error:  # the decoder is not here yet, and not the official one
                plans[0] = plans[0].with_fields(problem=str(error))


def _with_first_look(job: Job, plan: Plan, lazy: LazyEncoder, progress: Progress) -> Plan:
    """The plan with what encoding takes at least, which is known in seconds."""
    audio_s = audio_at_least_s(job, plan.tasks)
    if not audio_s or any(open_store(job, lazy).folder.glob("*/*.bin")):
        return plan  # what earlier runs have encoded is not encoded again
    lengths = [each.hours * 3600 / each.clips for each in plan.tasks if each.hours and each.clips]
    crop_s = job.recipe.crop.length_s
    lazy.properties()  # the encoder has warmed up
    looked_at = [min(s, crop_s) for s in (min(lengths), median(lengths), max(lengths))]
    batch_s = 0.0 if job.device == "cpu" else min(job.encode_budget_s, _LOOK_S)
    rate = first_look(lazy.get(), looked_at, batch_s=batch_s)
    progress.message(
        f"At least {duration_text(rate * audio_s)} to encode {audio_s / 3600:,.1f} h of audio; "
        "training and answers come on top. Ctrl-C ends the plan with what is known by then."
    )
    return plan.with_fields(at_least_s={"encode": round(rate * audio_s, 3)})


def _download(jobs: Sequence[Job], plans: Sequence[Plan]) -> dict[str, Any]:
    """What is to be downloaded, as the hub says, or else the catalog."""
    tasks = [task for each in jobs for task in each.tasks]
    size = missing_bytes(tasks, home=jobs[0].home)
    if size is not None:
        return {"download_bytes": size, "download_from": "hub"}
    sizes: dict[tuple[str, str], float] = {}
    for job, plan in zip(jobs, plans, strict=True):
        named = {task.name: task for task in job.tasks}
        for one in absent(plan.tasks):
            if named[one.task].synthetic is not None:
                continue  # it is made here
            whole = named[one.task].size_of(one.side)
            if whole is None:
                return {}
            there = one.present / one.shards if one.shards else 0.0
            sizes[one.task, one.side] = whole.bytes * (1 - there)
    return {"download_bytes": round(sum(sizes.values())), "download_from": "catalog"}


def _calibrate(
    opened: Sequence[tuple[Job, Data]],
    plans: list[Plan],
    lazy: LazyEncoder,
    scratch: Path,
    limit: Limit,
    progress: Progress,
) -> None:
    """Complete the plan of a run, which is the first, and those of its further evaluations.

    Raises:
        CatalogError: The decoder is not on this machine.
        KeyboardInterrupt: The user ended it; the plans hold what is known.
    """
    job = opened[0][0]
    progress.message("Calibrating: a few batches, training steps and answers")
    first = _open_tokens(*opened[0], scratch / "tokenizer")
    there = DryStore(open_store(job, lazy))
    for place, (each, data) in enumerate(opened):
        own = RunFolder(scratch / each.suite.name)
        if _reuses(each):
            near, tokens = replace(each, recipe=first[0].recipe), first[1]
        else:
            near, tokens = _open_tokens(each, data, own.tokenizer)
        walk = _walk(near, data, lazy, own.path)
        calibration = Calibration(walk, lazy, tokens, there=there, folder=own)
        batches, limits = calibration.amounts.encode, (limit,) * 3
        measured = calibration.measure(walk.features, batches, limits, progress=progress)
        known, least = measured["stages_s"]["encode"], plans[place].at_least_s.get("encode")
        if known is not None and least is not None:  # the catalog's hours need not be the data's
            measured["at_least_s"] = {"encode": min(known, least)}
        plans[place] = plans[place].with_fields(**measured)
        if calibration.interrupted:
            raise KeyboardInterrupt
    if all(is_complete(plan.tasks) for plan in plans):
        run = find_folder(*opened[0], lazy)
        whole = [plans[0].with_fields(further=plans[1:]), *plans[1:]]
        for (each, data), plan in zip(opened, whole, strict=True):
            plan.write(_plan_path(each, run if _reuses(each) else find_folder(each, data, lazy)))


def _open_tokens(job: Job, data: Data, made: Path) -> tuple[Job, Tokens]:
    """The decoder's tokenizer, and the job with a decoder that can be built on this machine."""
    try:
        return job, open_tokens(job, data, made)
    except CatalogError:
        other = with_stand_in_decoder(job)
        if other is None:
            raise
        return other, wide_tokens(other, open_tokens(other, data, made))


def _walk(job: Job, data: Data, lazy: LazyEncoder, folder: Path) -> Walk:
    """The walk of a job whose features would lie in a folder."""
    store, batches = open_store(job, lazy), batches_of(job, lazy.properties())
    features = Features(
        BatchPlan(
            mode=batches.mode, budget_s=batches.budget_s, resampler=job.recipe.audio.resampler
        ),
        FeatureStore(folder, dtype=store.dtype, dim=store.dim),
        data.source,
        encoder=lazy.get,
        workers=job.workers,
    )
    walk = Walk(job, data, features, bytes_per_s=stored_bytes_per_s(store, lazy))
    walk.plan_batches()
    return walk


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
        measured = calibration.measure(encoding.features, first, limits, progress=SilentProgress())
    if calibration.interrupted:
        raise KeyboardInterrupt
    plan.with_fields(**measured).write(folder.plan)


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
        on_gpu=job.options.device != "cpu",
        steps=training_steps(job),
        draws=training_steps(job) * job.recipe.train.batch_size,
        tasks=tasks,
        missing_shards=sum(record.missing for record in tasks),
        download_bytes=0 if is_complete(tasks) else None,
        shards_bytes=sum(record.bytes for record in tasks),
        free_bytes=shutil.disk_usage(there).free,
        disk_budget=job.options.disk_budget,
        memory=estimate_memory(None, (), None, device=job.device),
    )


def _reuses(job: Job) -> bool:
    """Whether the run's own LALM answers."""
    return job.sides == ("test",)


def _plan_path(job: Job, folder: RunFolder) -> Path:
    """Where a plan lies until its run begins; another device is another plan."""
    return job.home / "plans" / f"{safe_name(job.suite.name)}-{folder.path.name}-{job.device}.json"


def _share_of(count: int) -> Limit:
    return Limit(min(_MOST_UNITS, count // _SHARE), CALIBRATION_S / 3)
