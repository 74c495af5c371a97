"""The manifest of a run as it goes on: written before anything is trained, kept up to date.

What stands in it is told by `auricle.records.manifest`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

from auricle.errors import UserError
from auricle.records.manifest import Manifest, TestTask
from auricle.runs.folder import RunFolder


def start_manifest(folder: RunFolder, manifest: Manifest) -> Manifest:
    """Write the manifest of a new run, or read that of one that continues.

    A continued run keeps its batch budget and its machine settings: they decide float rounding, and
    a run must end as it began (law 4).

    Raises:
        UserError: The stored manifest is of a later schema.
    """
    if folder.manifest.is_file():
        return _with_tests(folder, folder.read_manifest(), manifest.test)
    manifest.write(folder.manifest)
    return manifest


def begun_otherwise(folder: RunFolder, manifest: Manifest) -> RunFolder | None:
    """The run that this one would continue, had it not been begun on clips read otherwise.

    Args:
        folder: Of a run that has no manifest yet.
        manifest: What will stand there.

    Returns:
        A run beside it of one encoder, mixture, recipe and seed, whose clips were indexed or
        decoded by another version, or whose recipe is of another; None where there is none.
    """
    for path in sorted(folder.path.parent.glob("*/manifest.json")):
        other = RunFolder(path.parent)
        try:
            stored = other.read_manifest()
        except UserError:
            continue
        same = _without_versions(stored) == _without_versions(manifest)
        if same and _versions(stored) != _versions(manifest):
            return other
    return None


def _versions(manifest: Manifest) -> tuple[object, ...]:
    read = {(task.index, task.decoder) for task in manifest.mixture.values()}
    return read, manifest.recipe_label


def _without_versions(manifest: Manifest) -> str:
    mixture = {
        name: task.with_fields(index=None, decoder=None) for name, task in manifest.mixture.items()
    }
    recipe = {k: v for k, v in manifest.recipe.items() if k not in ("version", "audio")}
    return manifest.with_fields(mixture=mixture, recipe=recipe).identity


def _with_tests(folder: RunFolder, stored: Manifest, test: Mapping[str, TestTask]) -> Manifest:
    """Take over a changed test side; answers to other questions are removed, then asked again.

    A run's hash covers its training, so a task's answers are told by its test side (law 5).
    """
    if stored.test == test:
        return stored
    failures = dict(stored.failures)
    for name, facts in stored.test.items():
        if name not in test or facts.asked != test[name].asked:
            folder.predictions(name).unlink(missing_ok=True)
            folder.evidence(name).unlink(missing_ok=True)
            folder.excerpts(name).unlink(missing_ok=True)
            shutil.rmtree(folder.prediction_parts(name), ignore_errors=True)
            failures.pop(name, None)
    changed = stored.with_fields(test=dict(test), failures=failures)
    changed.write(folder.manifest)
    return changed


def record_stage(folder: RunFolder, stage: str, seconds: float, *, cpu_s: float = 0.0) -> None:
    """Add what a stage took: wall time, and processor seconds of all processes."""
    folder.read_manifest().with_stage(stage, seconds, cpu_s=cpu_s).write(folder.manifest)


def record_note(folder: RunFolder, note: str) -> None:
    """Keep a remark that a reader of the scores must see, e.g. replaced clips."""
    manifest = folder.read_manifest()
    if note not in manifest.notes:
        manifest.with_fields(notes=[*manifest.notes, note]).write(folder.manifest)


def record_splits(folder: RunFolder, splits: Mapping[str, Sequence[int]]) -> None:
    """Keep which encode batches did not fit into memory, and how many windows each part has."""
    if not splits:
        return
    manifest = folder.read_manifest()
    if any(batch not in manifest.batches.splits for batch in splits):
        manifest.with_splits(splits).write(folder.manifest)


def record_failure(folder: RunFolder, task: str, reason: str) -> None:
    """Keep why a task failed or is incomplete; scores show it as missing with this reason."""
    manifest = folder.read_manifest()
    failures = {**manifest.failures, task: reason}
    manifest.with_fields(failures=failures).write(folder.manifest)
