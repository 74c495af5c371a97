"""A run's manifest, from what was asked for, what was opened and what was measured."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from auricle.catalog.recipe import is_official, mode_of
from auricle.encoder.host import EncoderInfo
from auricle.encoder.properties import Properties
from auricle.features.batches import batching_mode
from auricle.job import Data, Job, hardware, versions
from auricle.records.manifest import (
    SCHEMA_VERSION,
    Batches,
    EncoderFacts,
    Hardware,
    Manifest,
    Settings,
    Trained,
)


def describe_run(
    job: Job,
    data: Data,
    info: EncoderInfo,
    properties: Properties,
    *,
    trained: Trained | None = None,
) -> Manifest:
    """The manifest of a run that starts now.

    Args:
        job: What was asked for.
        data: What was opened for it.
        info: What the started encoder says.
        properties: What was measured of it.
        trained: Of a further evaluation: which LALM answers. It is never an official result.
    """
    mode = mode_of(job.recipe, job.base_recipe) if data.held_out is None else "custom"
    return Manifest(
        schema_version=SCHEMA_VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        suite=job.suite.name,
        mode=mode,
        official=trained is None and is_official(job.suite, mode),
        official_tasks=job.suite.official,
        encoder=EncoderFacts(
            name=job.encoder.name,
            text=job.encoder.text,
            arguments=job.encoder.arguments,
            **asdict(info),
            properties=properties.facts,
        ),
        mixture=data.training_lock(),
        test=data.test_lock(),
        recipe=job.recipe.to_json(),
        seed=job.seed,
        batches=batches_of(job, properties),
        versions=versions(),
        hardware=Hardware(**hardware(job.device)),
        settings=Settings(device=job.device, threads=job.threads, workers=job.workers),
        trained=trained,
        stages_s={},
        stages_cpu_s={},
        notes=[],
        failures={},
    )


def batches_of(job: Job, properties: Properties) -> Batches:
    """How a new job's windows share encode batches (law 1)."""
    mode = batching_mode(
        padding_invariant=properties.padding_invariant, batch_invariant=properties.batch_invariant
    )
    return Batches(mode=mode, budget_s=job.encode_budget_s)
