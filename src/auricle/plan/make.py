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
from pathlib import Path
from typing import Any

import torch

from auricle.catalog.recipe import MINI_DECODER
from auricle.data.fetch import missing_bytes
from auricle.encoder.properties import Properties
from auricle.errors import CatalogError
from auricle.features.batches import BatchPlan, batching_mode
from auricle.features.encode import Features
from auricle.features.store import FeatureStore
from auricle.files import read_json, write_json
from auricle.job import Data, Job, RunOptions, open_data, resolve
from auricle.lalm.tokens import Tokens, load_tokenizer, train_tokenizer
from auricle.plan.amounts import count_amounts
from auricle.plan.calibration import Calibration, training_steps
from auricle.plan.memory import Memory
from auricle.plan.sampling import Limit
from auricle.plan.tasks import describe_tasks, is_complete
from auricle.progress import Progress, SilentProgress
from auricle.runs.folder import RunFolder, safe_name
from auricle.stages.encoding import Encoding, plan_batches
from auricle.stages.further import resolve_evaluations
from auricle.stages.opening import look_for_models
from auricle.stages.process import LazyEncoder, find_folder, open_store
from auricle.stages.training import Training

SCHEMA_VERSION = 1
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
) -> dict[str, Any]:
    """Find out what `run` with the same arguments will cost; starts nothing.

    Args:
        encoder: As for `run`.
        suite: As for `run`.
        options: As for `run`.
        progress: Receives what the work says about itself; None = silence.
        calibration_s: Seconds after which no stage measures more than its first few units.

    Returns:
        The plan as JSON; unknown is None.

    Raises:
        UserError: Something that the user can mend; the text says how.
    """
    progress = progress or SilentProgress()
    job = resolve(encoder, suite, options or RunOptions())
    further = [(one, each) for one in resolve_evaluations(job) for each in one.jobs]
    jobs = [job, *(each for _, each in further)]
    look_for_models(jobs)
    plans = [_head(each, describe_tasks(each)) for each in jobs]
    for (one, _), own_plan in zip(further, plans[1:], strict=True):
        own_plan.update(evaluation=one.name, training=one.training)
    plan = plans[0]
    plan["further"] = plans[1:]
    if not all(is_complete(each["tasks"]) for each in plans):
        wanted = [task for each in jobs for task in each.tasks]
        plan["download_bytes"] = missing_bytes(wanted, home=job.home)
        plan["download_from"] = None if plan["download_bytes"] is None else "hub"
        return plan
    opened = [(each, open_data(each, progress)) for each in jobs]
    for (each, data), own_plan in zip(opened, plans, strict=True):
        own_plan["tasks"] = describe_tasks(each, data)
    try:
        _calibrate(opened, plans, Limit(_MOST_UNITS, calibration_s / 3), progress)
    except CatalogError as error:  # the decoder is not here yet
        plan["problem"] = str(error)
    return plan


def _calibrate(
    opened: list[tuple[Job, Data]], plans: list[dict[str, Any]], limit: Limit, progress: Progress
) -> None:
    """Complete the plans of a run, which is the first, and of its further evaluations."""
    job = opened[0][0]
    torch.set_num_threads(job.threads)
    with LazyEncoder(job) as lazy, tempfile.TemporaryDirectory(prefix=".tmp-auricle-plan-") as name:
        progress.message("Calibrating: a few batches, training steps and answers")
        tokens = _tokens(*opened[0], Path(name))
        run = find_folder(*opened[0], lazy)
        known: set[str] = set()
        for (each, data), own_plan in zip(opened, plans, strict=True):
            reused = each.sides == ("test",)
            folder = Path(name) / each.suite.name
            spoken = tokens if reused or each is job else _tokens(each, data, folder)
            found = _measure(each, data, lazy, spoken, folder=folder, known=known, limit=limit)
            own_plan.update(found)
        for (each, data), own_plan in zip(opened, plans, strict=True):
            begun = run if each.sides == ("test",) else find_folder(each, data, lazy)
            write_json(_plan_path(each, begun), own_plan)


def _measure(
    job: Job,
    data: Data,
    lazy: LazyEncoder,
    tokens: Tokens,
    *,
    folder: Path,
    known: set[str],
    limit: Limit,
) -> dict[str, Any]:
    """Count a job and measure a few units of it.

    Args:
        job: The run, or one of its further evaluations.
        data: Its data.
        lazy: The encoder.
        tokens: The decoder's tokenizer.
        folder: For features that are made.
        known: Batches that will be stored before it begins; its own are added.
        limit: Of each stage.
    """
    batches = BatchPlan(mode=_mode(lazy.properties()), budget_s=job.encode_budget_s)
    plan_batches(job, data, batches)
    kept = open_store(job, lazy)
    features = Features(
        batches,
        FeatureStore(folder, dtype=kept.dtype, dim=kept.dim),
        data.source,
        encoder=lazy.get,
        workers=job.workers,
    )
    calibration = Calibration(job, data, lazy, tokens)
    storage = calibration.storage(lambda batch: kept.has(batch.hash) or batch.hash in known)
    amounts = count_amounts(job, data, batches, storage)
    if job.options.disk_budget is None:
        known.update(batch.hash for batch in amounts.encode)
    return calibration.results(features, amounts, amounts.encode, (limit, limit, limit))


def write_plan(
    job: Job, data: Data, process: LazyEncoder, encoding: Encoding, training: Training
) -> None:
    """Put the plan of a run that begins into its folder, made before or made now."""
    folder = encoding.folder
    if training.trainer.step or take_plan(job, folder, folder):
        return
    tasks = describe_tasks(job, data)
    features = encoding.features
    calibration = Calibration(job, data, process, training.tokens)
    storage = calibration.storage(lambda batch: features.store.has(batch.hash))
    amounts = count_amounts(job, data, features.plan, storage)
    units = (len(amounts.first), job.recipe.train.steps, len(calibration.chunks))
    worth = job.recipe.train.steps >= WORTH_STEPS
    limits = tuple(_share_of(count if worth else 0) for count in units)
    with encoding.clock("plan"):
        plan = _head(job, tasks) | calibration.results(features, amounts, amounts.first, limits)
    write_json(folder.plan, plan)


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


def _head(job: Job, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """What is known without the data."""
    there = job.home if job.home.exists() else Path.home()
    complete = is_complete(tasks)
    return {
        "schema_version": SCHEMA_VERSION,
        "suite": job.suite.name,
        "encoder": job.encoder.text,
        "device": job.device,
        "steps": training_steps(job),
        "draws": training_steps(job) * job.recipe.train.batch_size,
        "tasks": tasks,
        "missing_shards": sum(record["missing"] for record in tasks),
        "download_bytes": 0 if complete else None,
        "download_from": None,
        "shards_bytes": sum(record["bytes"] for record in tasks),
        "free_bytes": shutil.disk_usage(there).free,
        "disk_budget": job.options.disk_budget,
        **dict.fromkeys(_AMOUNTS),
        "memory": Memory(None, None, None).to_json(),
        "stages_s": dict.fromkeys(_STAGES),
        "stages_cpu_s": dict.fromkeys(_STAGES),
        "answer_at_most_s": None,
        "answer_at_most_cpu_s": None,
        "calibration": None,
        "problem": None,
    }


_STAGES = ("fetch", "encode", "train", "answer")
_AMOUNTS = (
    *("train_windows", "test_windows", "spans"),
    *("encode_hours", "stored_hours", "features_bytes", "checkpoints_bytes"),
)


def _mode(properties: Properties) -> str:
    return batching_mode(
        padding_invariant=properties.padding_invariant, batch_invariant=properties.batch_invariant
    )


def _tokens(job: Job, data: Data, folder: Path) -> Tokens:
    if job.recipe.decoder != MINI_DECODER:
        return load_tokenizer(job.recipe.decoder)
    assert job.recipe.decoder_config is not None
    size = job.recipe.decoder_config.vocab_size
    return train_tokenizer(data.texts, vocab_size=size, folder=folder / "tokenizer")


def _plan_path(job: Job, folder: RunFolder) -> Path:
    """Where a plan lies until its run begins; another device is another plan."""
    return job.home / "plans" / f"{safe_name(job.suite.name)}-{folder.path.name}-{job.device}.json"


def _share_of(count: int) -> Limit:
    return Limit(min(_MOST_UNITS, count // _SHARE), CALIBRATION_S / 3)
