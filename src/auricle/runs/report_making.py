"""How a run was made, as rows of a table: encoder, recipe, data, machine, planned and actual time.

Everything comes from the manifest and ``plan.json``; what they do not say has no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auricle.progress import bytes_text
from auricle.records.manifest import (
    Batches,
    DataLock,
    EncoderFacts,
    Manifest,
    MixtureTask,
    TestTask,
)
from auricle.runs.report_facts import RunFacts, file_names, number, without_folders

_SHOWN_FILES = 30
_SHOWN_PACKAGES = 200
_STAGES = ("make", "fetch", "encode", "train", "answer", "score")


@dataclass(frozen=True, slots=True)
class Facts:
    """A titled list of names and values."""

    title: str
    rows: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class StageTime:
    """What a stage was planned to take and took."""

    name: str
    planned_s: float | None
    actual_s: float | None


@dataclass(frozen=True, slots=True)
class DataRow:
    """One task's data, from the data lock."""

    task: str
    share: float | None
    train_clips: int | None
    test_clips: int | None
    source: str
    """Repository at commit."""
    digest: str
    """First digits of the test shards' hashes."""


def making_facts(run: RunFacts) -> list[Facts]:
    """Encoder, recipe, machine and versions."""
    manifest = run.manifest
    found = [
        Facts("Encoder", list(_encoder_rows(manifest.encoder, manifest.batches))),
        Facts("Recipe", list(_recipe_rows(manifest))),
        Facts("Machine", list(_machine_rows(manifest))),
        Facts("Versions", list(manifest.versions.items())),
    ]
    return [facts for facts in found if facts.rows]


def _encoder_rows(encoder: EncoderFacts, batches: Batches) -> Iterator[tuple[str, str]]:
    yield "given as", _given(encoder.text or encoder.name)
    if encoder.class_name:
        yield "class", encoder.class_name
    if encoder.arguments:
        given = ", ".join(f"{k}={v}" for k, v in encoder.arguments.items())
        yield "arguments", without_folders(given)
    if encoder.num_parameters is not None:
        yield "parameters", f"{encoder.num_parameters:,}, as its process says"
    rate = encoder.properties.frame_rate_hz
    if encoder.output_dim is not None:
        frames = "" if rate is None else f", {rate:.4g} frames a second"
        yield "features", f"{encoder.output_dim} numbers a frame{frames}, {encoder.dtype or ''}"
    for note in encoder.notes or []:
        yield "note", without_folders(note)
    words = {True: "yes", False: "no", None: "not measured"}
    for name, value in encoder.properties.to_json().items():
        if name in ("padding_invariant", "batch_invariant"):
            yield name.replace("_", " "), words[bool(value) if value is not None else None]
    if batches.mode:
        splits = f", splits {len(batches.splits)}" if batches.splits else ""
        yield "encode batches", f"mode {batches.mode}, budget {batches.budget_s}{splits}"
    if encoder.content_hash:
        yield "content hash", encoder.content_hash
    files = file_names(encoder.files or {})
    for name, digest in list(files.items())[:_SHOWN_FILES]:
        yield "file", f"{name} · {str(digest)[:12]}"
    if len(files) > _SHOWN_FILES:
        yield "files", f"and {len(files) - _SHOWN_FILES} more in manifest.json"
    packages = encoder.packages or {}
    for name, version in list(packages.items())[:_SHOWN_PACKAGES]:
        yield "package", f"{name} {version}"
    if len(packages) > _SHOWN_PACKAGES:
        yield "packages", f"and {len(packages) - _SHOWN_PACKAGES} more in manifest.json"


def _given(text: str) -> str:
    """ENCODER as it was typed, a path by its last part: the rest may name its owner."""
    return text if text.startswith("hf:") else text.rstrip("/\\").replace("\\", "/").split("/")[-1]


def _recipe_rows(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "mode", manifest.standing_mode
    yield "official", "yes" if manifest.is_official else "no"
    yield "recipe", manifest.recipe_label
    yield "seed", str(manifest.seed)
    yield from flat(manifest.recipe)


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values by dotted name, as ``--set`` takes them."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "none" if inner is None else str(inner)


def _machine_rows(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for name, value in [
        *manifest.hardware.to_json().items(),
        *manifest.settings.to_json().items(),
    ]:
        if name.endswith("_bytes") and (size := number(value)) is not None:
            yield name.removesuffix("_bytes").replace("_", " "), bytes_text(size)
        else:
            yield name.replace("_", " "), str(value)


def stage_times(run: RunFacts) -> list[StageTime]:
    """Planned and actual wall time per stage, in the order of the work, with the sum."""
    actual = _seconds(run.manifest.stages_s)
    planned = _seconds(run.plan.get("stages_s"))
    if not any(planned.values()):  # too short a run for a calibration
        planned = {}
    names = [*(n for n in _STAGES if n in actual or n in planned)]
    names += [n for n in [*actual, *planned] if n not in names]
    rows = [StageTime(n, planned.get(n), actual.get(n)) for n in dict.fromkeys(names)]
    if len(rows) > 1:
        total = sum(planned.values()) if planned else None
        rows.append(StageTime("all", total, sum(actual.values())))
    return rows


def _seconds(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    return {str(k): s for k, raw in value.items() if (s := number(raw)) is not None}


def data_rows(run: RunFacts) -> list[DataRow]:
    """What every task was trained and tested on."""
    mixture, tests = run.manifest.mixture, run.manifest.test
    return [
        _data_row(name, mixture.get(name), tests.get(name))
        for name in dict.fromkeys([*mixture, *tests])
    ]


def _data_row(name: str, train: MixtureTask | None, test: TestTask | None) -> DataRow:
    one: DataLock = test or train or DataLock()
    commit, source = one.commit or "", one.repository or "local"
    shards = test.shards if test else []
    return DataRow(
        task=name,
        share=number(train.share) if train else None,
        train_clips=train.clips if train else None,
        test_clips=test.clips_expected if test else None,
        source=f"{source} @ {commit[:12]}" if commit else source,
        digest=" ".join(shard.sha256[:8] for shard in shards[:4])
        + (" …" if len(shards) > 4 else ""),
    )
