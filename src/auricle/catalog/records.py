"""Tasks and suites as plain records, the JSON of ``auricle tasks`` and ``auricle suites``.

Fields may be added, never renamed.
"""

from __future__ import annotations

from typing import Any

from auricle.catalog.load import base_recipe
from auricle.catalog.spec import Suite, Task


def task_record(task: Task) -> dict[str, Any]:
    """A task with its shards expanded."""
    return {
        "name": task.name,
        "track": task.track,
        "domain": task.domain,
        "skill": task.skill,
        "prompt": task.prompt,
        "prompt_field": None if task.prompt else task.prompt_field,
        "metric": task.metric,
        "num_classes": task.num_classes,
        "separator": task.separator,
        "repository": task.repository,
        "revision": task.revision,
        "train_shards": list(task.expanded_train_shards),
        "test_shards": list(task.expanded_test_shards),
        "train_field": task.train_field,
        "test_field": task.test_field,
        "test_clips": task.test_clips,
        "size": {side: size.model_dump() for side, size in task.size.items()},
        "steps": task.steps,
        "licence": task.licence,
        "homepage": task.homepage,
        "redistribute": task.redistribute,
        "attribution": task.attribution,
        "redistribute_source": task.redistribute_source,
        "synthetic": task.synthetic is not None,
    }


def suite_record(suite: Suite) -> dict[str, Any]:
    """A suite with its shares and the two numbers that say how much is drawn."""
    train = base_recipe(suite).train
    return {
        "name": suite.name,
        "tasks": suite.shares,
        "steps": train.steps,
        "batch_size": train.batch_size,
        "description": suite.description,
        "recipe": suite.recipe,
        "official": suite.official,
        "held_out": suite.held_out.model_dump() if suite.held_out else None,
    }
