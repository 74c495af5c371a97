"""A run's manifest, from what was asked for, what was opened and what was measured."""

from __future__ import annotations

from dataclasses import asdict

from auricle.catalog.recipe import is_official, mode_of
from auricle.encoder.host import EncoderInfo
from auricle.encoder.properties import Properties
from auricle.features.batches import batching_mode
from auricle.job import Data, Job, hardware, versions
from auricle.runs.manifest import Manifest


def describe_run(job: Job, data: Data, info: EncoderInfo, properties: Properties) -> Manifest:
    """The manifest of a run that starts now."""
    mode = mode_of(job.recipe, job.base_recipe) if data.held_out is None else "custom"
    return Manifest(
        suite=job.suite.name,
        mode=mode,
        official=is_official(job.suite, mode),
        official_tasks=job.suite.official,
        encoder={
            "name": job.encoder.name,
            "text": job.encoder.text,
            "arguments": job.encoder.arguments,
            **asdict(info),
            "properties": properties.to_json(),
        },
        mixture=data.training_lock(),
        test=data.test_lock(),
        recipe=job.recipe.model_dump(mode="json"),
        seed=job.seed,
        batches={
            "mode": batching_mode(
                padding_invariant=properties.padding_invariant,
                batch_invariant=properties.batch_invariant,
            ),
            "budget_s": job.encode_budget_s,
        },
        versions=versions(),
        hardware=hardware(job.device),
        settings={"device": job.device, "threads": job.threads, "workers": job.workers},
    )
