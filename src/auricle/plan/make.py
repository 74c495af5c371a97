"""What a run will cost, before it starts: counts from the data, seconds from a short calibration.

`auricle plan` writes nothing but the plan itself, below ``plans/`` in the data home: features that
it makes lie in a temporary folder, and its LALM is thrown away. A run that was planned takes that
plan into its folder as ``plan.json``; one that was not measures a fiftieth of itself at most, with
batches that it needs next, and a short one (fewer than `WORTH_STEPS` steps) only counts.

The plan's JSON holds what `Plan` says; ``null`` is unknown.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from auricle.catalog.recipe import MINI_DECODER
from auricle.encoder.host import EncoderProcess
from auricle.encoder.properties import Properties
from auricle.features.batches import Batch, BatchPlan, batching_mode
from auricle.features.encode import Features
from auricle.features.store import STORED, FeatureStore
from auricle.files import read_json, write_json
from auricle.job import Data, Job, RunOptions, open_data, resolve
from auricle.lalm.model import build_lalm
from auricle.lalm.tokens import Tokens, load_tokenizer, train_tokenizer
from auricle.plan.amounts import Amounts, Storage, count_amounts
from auricle.plan.memory import Memory, encoder_bytes, estimate_memory
from auricle.plan.questions import list_questions
from auricle.plan.sampling import Cost, Limit
from auricle.plan.speed import Bench, Measured, Shapes, measure_encoding
from auricle.plan.tasks import describe_tasks, is_complete
from auricle.progress import Progress, SilentProgress
from auricle.runs.folder import RunFolder, safe_name
from auricle.stages.encoding import Encoding, plan_batches
from auricle.stages.process import LazyEncoder, find_folder
from auricle.stages.training import Training

SCHEMA_VERSION = 1
WORTH_STEPS = 500
CALIBRATION_S = 60.0
_GPU_BUDGET_S = 1200.0
_MOST_UNITS = 12
_SHARE = 50
"""A run measures at most one in so many of its own units."""
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


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
    tasks = describe_tasks(job)
    plan = _head(job, tasks)
    if not is_complete(tasks):
        return plan
    data = open_data(job, progress)
    plan["tasks"] = describe_tasks(job, data)
    torch.set_num_threads(job.threads)
    with LazyEncoder(job) as lazy, tempfile.TemporaryDirectory(prefix=".tmp-auricle-plan-") as name:
        folder = Path(name)
        process, properties = lazy.get(), lazy.properties()
        batches = BatchPlan(mode=_mode(properties), budget_s=job.encode_budget_s)
        plan_batches(job, data, batches)
        features = Features(
            batches,
            FeatureStore(folder, dtype=_stored_dtype(job, process), dim=process.info.output_dim),
            data.source,
            encoder=lazy.get,
            workers=job.workers,
        )
        kept = FeatureStore(
            job.home / "features" / process.info.content_hash,
            dtype=features.store.dtype,
            dim=features.store.dim,
        )
        each = Limit(_MOST_UNITS, calibration_s / 3)
        tokens = _tokens(job, data, folder)
        calibration = _Calibration(job, data, process, properties, tokens)
        amounts = count_amounts(job, data, batches, calibration.storage(kept))
        progress.message("Calibrating: a few batches, training steps and answers")
        plan |= calibration.results(features, amounts, amounts.encode, (each, each, each))
        write_json(_plan_path(job, find_folder(job, data, lazy)), plan)
    return plan


def write_plan(
    job: Job, data: Data, process: LazyEncoder, encoding: Encoding, training: Training
) -> None:
    """Put the plan of a run that begins into its folder, made before or made now."""
    folder = encoding.folder
    if folder.plan.exists() or training.trainer.step:
        return
    made = _plan_path(job, folder)
    if made.is_file():
        write_json(folder.plan, read_json(made))
        return
    tasks = describe_tasks(job, data)
    features, running = encoding.features, process.get()
    calibration = _Calibration(job, data, running, process.properties(), training.tokens)
    amounts = count_amounts(job, data, features.plan, calibration.storage(features.store))
    units = (len(amounts.first), job.recipe.train.steps, len(calibration.chunks))
    worth = job.recipe.train.steps >= WORTH_STEPS
    limits = tuple(_share_of(count if worth else 0) for count in units)
    with encoding.clock("plan"):
        plan = _head(job, tasks) | calibration.results(features, amounts, amounts.first, limits)
    write_json(folder.plan, plan)


class _Calibration:
    """Measures a few units of each stage and says what all of them will cost."""

    def __init__(
        self,
        job: Job,
        data: Data,
        process: EncoderProcess,
        properties: Properties,
        tokens: Tokens,
    ) -> None:
        self.job, self.data = job, data
        self._process, self._tokens = process, tokens
        dtype = _stored_dtype(job, process)
        self._shapes = Shapes(properties.frame_rate_hz, process.info.output_dim, _DTYPES[dtype])
        self._bytes_per_s = (
            properties.frame_rate_hz * process.info.output_dim * STORED[dtype].itemsize
        )
        rate_hz = properties.frame_rate_hz / job.recipe.features.concat
        self.chunks = list_questions(job, data, tokens, rate_hz=rate_hz)

    def storage(self, store: FeatureStore) -> Storage:
        """What is known of features on disk."""
        return Storage(self._bytes_per_s, lambda batch: store.has(batch.hash))

    def results(
        self,
        features: Features,
        amounts: Amounts,
        candidates: Sequence[Batch],
        limits: Sequence[Limit],
    ) -> dict[str, Any]:
        """The part of a plan that needs the data.

        Args:
            features: Encodes batches.
            amounts: Everything that will be done.
            candidates: Batches that may be encoded now.
            limits: Of encoding, training and answering.
        """
        started = time.monotonic()
        encode, largest_s = measure_encoding(
            features,
            self._process,
            candidates=candidates,
            total=amounts.encode,
            limit=limits[0],
        )
        usage = encoder_bytes(self._process, largest_s, budget_s=_GPU_BUDGET_S)
        bench = self._bench() if limits[1].units or limits[2].units else None
        steps = self.job.recipe.train.steps
        train, answer = Measured(None, 0, steps), Measured(None, 0, len(self.chunks))
        if bench is not None:
            train = bench.measure_training(limits[1])
            answer = bench.measure_answering(self.chunks, limits[2])
        memory = estimate_memory(bench, self.chunks, usage)
        stages = {"encode": encode, "train": train, "answer": answer}
        return {
            **_counted(amounts),
            "memory": memory.to_json(),
            "stages_s": {k: _wall_s(m.total) for k, m in stages.items()},
            "stages_cpu_s": {k: _cpu_s(m.total) for k, m in stages.items()},
            "answer_at_most_s": _wall_s(answer.at_most),
            "answer_at_most_cpu_s": _cpu_s(answer.at_most),
            "calibration": {
                "seconds": round(time.monotonic() - started, 3),
                "measured": {k: [m.units, m.of] for k, m in stages.items()},
            },
        }

    def _bench(self) -> Bench:
        job = self.job
        lalm = build_lalm(
            job.recipe,
            tokens=self._tokens,
            feature_dim=self._shapes.dim,
            seed=job.seed,
            device=job.device,
        )
        return Bench(job, self.data, lalm, self._tokens, self._shapes)


def _head(job: Job, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """What is known without the data."""
    there = job.home if job.home.exists() else Path.home()
    complete = is_complete(tasks)
    return {
        "schema_version": SCHEMA_VERSION,
        "suite": job.suite.name,
        "encoder": job.encoder.text,
        "device": job.device,
        "steps": job.recipe.train.steps,
        "draws": job.total_draws,
        "tasks": tasks,
        "missing_shards": sum(record["missing"] for record in tasks),
        "download_bytes": 0 if complete else None,
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
    }


_STAGES = ("fetch", "encode", "train", "answer")
_AMOUNTS = (
    *("train_windows", "test_windows", "spans"),
    *("encode_hours", "stored_hours", "features_bytes"),
)


def _counted(amounts: Amounts) -> dict[str, Any]:
    return {
        "train_windows": amounts.train_windows,
        "test_windows": amounts.test_windows,
        "spans": amounts.spans,
        "encode_hours": sum(batch.duration_s for batch in amounts.encode) / 3600,
        "stored_hours": amounts.stored_s / 3600,
        "features_bytes": round(amounts.features_bytes),
    }


def _mode(properties: Properties) -> str:
    return batching_mode(
        padding_invariant=properties.padding_invariant, batch_invariant=properties.batch_invariant
    )


def _stored_dtype(job: Job, process: EncoderProcess) -> str:
    return job.recipe.features.dtype or process.info.dtype


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


def _wall_s(cost: Cost | None) -> float | None:
    return None if cost is None else round(cost.wall_s, 3)


def _cpu_s(cost: Cost | None) -> float | None:
    return None if cost is None else round(cost.cpu_s, 3)
