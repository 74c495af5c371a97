"""The manifest: what a run is, written before anything is trained.

``manifest.json`` holds what identifies the run (``identity``: encoder hash, mixture with its data
lock, recipe, seed), what describes it (encoder files and packages, suite, mode, versions), and the
machine that it ran on with what each stage took. Facts about hardware are handed in, so that this
room stays free of torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from auricle.errors import UserError
from auricle.files import write_json
from auricle.runs.folder import RunFolder

SCHEMA_VERSION = 1
READ = ("index", "decoder")
"""Versions of what told the clips' lengths and of what decoded them, in a data lock."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Content of ``manifest.json``."""

    suite: str
    """Name of the suite."""
    mode: str
    """reference, fast or custom."""
    official: bool
    """True only for the official suites and tasks in reference or fast mode."""
    official_tasks: bool
    """Whether the suite is made of official tasks, whose tracks are never averaged together."""
    encoder: dict[str, Any]
    """Name, class, arguments, hash, files, packages, output dimension, properties."""
    mixture: dict[str, Any]
    """Training tasks with shares, prompts, fields and the data lock of their shards."""
    test: dict[str, Any]
    """Test tasks with prompts, fields, metrics and the data lock of their shards."""
    recipe: dict[str, Any]
    """All fields of the recipe."""
    seed: int
    """The run's seed."""
    batches: dict[str, Any]
    """How windows share encode batches: mode, budget, and the parts of those that did not fit."""
    versions: dict[str, str]
    """Versions of auricle, Python and the packages that compute."""
    hardware: dict[str, Any]
    """The machine's processor, memory and device."""
    settings: dict[str, Any]
    """Machine settings: device, workers, threads."""
    trained: dict[str, Any] | None = None
    """Of a further evaluation: ``training`` (reuse or apart) and the run of each task."""

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        value = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **value,
            "stages_s": {},
            "stages_cpu_s": {},
            "notes": [],
            "failures": {},
        }


def start_manifest(folder: RunFolder, manifest: Manifest) -> dict[str, Any]:
    """Write the manifest of a new run, or read that of one that continues.

    A continued run keeps its batch budget and its machine settings: they decide float rounding, and
    a run must end as it began (law 4).

    Raises:
        UserError: The stored manifest is of a later schema.
    """
    if folder.manifest.is_file():
        stored = folder.read_manifest()
        if stored.get("schema_version") != SCHEMA_VERSION:
            raise UserError(
                f"{folder.manifest} has schema version {stored.get('schema_version')}, this "
                f"auricle writes {SCHEMA_VERSION}. Use the version that made the run, or choose "
                "another folder with --out."
            )
        _update_tests(folder, stored, manifest.test)
        return stored
    value = manifest.to_json()
    write_json(folder.manifest, value)
    return value


def _update_tests(folder: RunFolder, stored: dict[str, Any], test: dict[str, Any]) -> None:
    """Take over a changed test side; answers to other questions are removed, then asked anew.

    A run's hash covers its training, so a task's answers are told by its test side (law 5).
    """
    if json.dumps(stored["test"], sort_keys=True) == json.dumps(test, sort_keys=True):
        return
    for name, facts in stored["test"].items():
        if name not in test or asked_side(facts) != asked_side(test[name]):
            folder.predictions(name).unlink(missing_ok=True)
            folder.evidence(name).unlink(missing_ok=True)
            folder.excerpts(name).unlink(missing_ok=True)
            shutil.rmtree(folder.prediction_parts(name), ignore_errors=True)
            stored["failures"].pop(name, None)
    stored["test"] = test
    write_json(folder.manifest, stored)


def asked_side(facts: Mapping[str, Any]) -> list[Any]:
    """What decides a task's answers on its test side: prompt, field and clips, by content.

    How the clips were read is part of it: a run is not continued on other lengths or samples.
    """
    shards = [shard.get("sha256") for shard in facts.get("shards", [])]
    names = ("prompt", "field", "clips_expected", "held_out", *READ)
    return [*(facts.get(name) for name in names), shards]


def record_stage(folder: RunFolder, stage: str, seconds: float, *, cpu_s: float = 0.0) -> None:
    """Add what a stage took; one that was interrupted adds up over its parts.

    Args:
        folder: The run's.
        stage: Its name.
        seconds: Wall time.
        cpu_s: Processor seconds of all processes.
    """
    value = folder.read_manifest()
    for name, more in (("stages_s", seconds), ("stages_cpu_s", cpu_s)):
        stages = value.setdefault(name, {})
        stages[stage] = round(stages.get(stage, 0.0) + more, 3)
    write_json(folder.manifest, value)


def record_note(folder: RunFolder, note: str) -> None:
    """Keep a remark that a reader of the scores must see, e.g. replaced clips."""
    value = folder.read_manifest()
    if note not in value["notes"]:
        value["notes"].append(note)
        write_json(folder.manifest, value)


def record_splits(folder: RunFolder, splits: Mapping[str, Sequence[int]]) -> None:
    """Keep which encode batches did not fit into memory, and how many windows each part has."""
    if not splits:
        return
    value = folder.read_manifest()
    known = value["batches"].setdefault("splits", {})
    if fresh := {batch: list(parts) for batch, parts in splits.items() if batch not in known}:
        known |= fresh
        write_json(folder.manifest, value)


def record_failure(folder: RunFolder, task: str, reason: str) -> None:
    """Keep why a task failed or is incomplete; scores show it as missing with this reason."""
    value = folder.read_manifest()
    value["failures"][task] = reason
    write_json(folder.manifest, value)
