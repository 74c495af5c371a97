"""Shards from a folder of audio and a table of labels, with the task file that measures on them.

The audio is copied as it is, never encoded anew. Until everything is written the new folder holds a
marker, the hash of the table, the audio and the plan: the same command continues by it (law 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from auricle.catalog.files import suite_of_data, task_defaults
from auricle.data.containers import Flaw
from auricle.data.decode import AUDIO_SUFFIXES
from auricle.data.import_table import SIDES, ImportClip, ImportPlan, read_clips
from auricle.data.places import shown
from auricle.data.tables import FLAWS, SILENCED
from auricle.data.write import Sample, write_shard
from auricle.errors import DataError, OutputError
from auricle.files import (
    TEMPORARY_PREFIX,
    clean_temporary,
    folder_lock,
    sha256_json,
    write_failure,
    write_text,
)
from auricle.metrics.labels import has_classes, label_problems, labels_of
from auricle.progress import Progress

_MARKER = ".unfinished-import"
_LOCK = ".lock"


def import_folder(
    audio: Path, table: Path, *, out: Path, plan: ImportPlan, progress: Progress
) -> dict[str, Any]:
    """Write shards and a task file, or go on where a killed call stopped.

    Args:
        audio: Folder of the audio files.
        table: CSV, or TSV by its suffix, with a header line.
        out: New folder for the shards and ``<name>.yaml``.
        plan: What the columns mean.
        progress: Shows the clips as they are written.

    Returns:
        ``task, file, train_clips, test_clips, train_shards, test_shards, num_classes, split``
        (the column that decided; None = a hash of the file's name did), ``shorter``, ``longer``
        and ``silenced`` (files that hold less or more than their headers say, or of which the
        protocol leaves no sound) and ``unlisted`` (audio files in the folder that the table does
        not name).

    Raises:
        DataError: The plan, the table or the audio has mistakes; they are listed together.
        CatalogError: The task would not be valid.
        OutputError: The folder exists and is not empty, or cannot be written.
    """
    _check_out(out)
    clips, split, remark = read_clips(audio, table, plan)
    num_classes = _count_classes(clips, plan)
    facts = _facts(plan, clips, num_classes)
    path = out / f"{plan.name}.yaml"
    suite_of_data(facts, path)  # what we write must be what we read
    content = [[clip.line, clip.digest, clip.side, clip.texts, clip.row] for clip in clips]
    shards = _write(clips, plan, out, sha256_json([facts, plan.clips_per_shard, content]), progress)
    write_text(
        path,
        f"# Made by 'auricle data import'. Run it: auricle run ENCODER --suite {plan.name}.yaml\n"
        + yaml.safe_dump(facts, sort_keys=False, allow_unicode=True),
    )
    for name in (_MARKER, _LOCK):
        (out / name).unlink(missing_ok=True)
    if remark:
        progress.warn(f"{plan.name}: {remark}.")
    for problem in [*_label_problems(clips, plan), *_same_audio(clips, plan)]:
        progress.warn(f"{plan.name}: {problem}")
    for remark, files in _remarks(clips, plan).items():
        progress.warn(f"{plan.name}: {len(files)} clips {remark} ({shown(files)}).")
    listed = {clip.path.resolve() for clip in clips}
    return {
        "task": plan.name,
        "file": str(path),
        "train_clips": sum(clip.side == "train" for clip in clips),
        "test_clips": sum(clip.side == "test" for clip in clips),
        "train_shards": shards["train"],
        "test_shards": shards["test"],
        "num_classes": num_classes,
        "split": split,
        "shorter": [c.row[plan.file_column] for c in clips if c.flaw == Flaw.SHORTER],
        "longer": [c.row[plan.file_column] for c in clips if c.flaw == Flaw.LONGER],
        "silenced": [c.row[plan.file_column] for c in clips if c.silenced],
        "unlisted": sorted(
            str(p.relative_to(audio))
            for p in audio.rglob("*")
            if p.suffix[1:].lower() in AUDIO_SUFFIXES and p.resolve() not in listed
        ),
    }


def _label_problems(clips: Sequence[ImportClip], plan: ImportPlan) -> list[str]:
    texts = {side: [t for c in clips if c.side == side for t in c.texts] for side in SIDES}
    return label_problems(texts, plan.metric, separator=plan.separator, num_classes=None)


def _same_audio(clips: Sequence[ImportClip], plan: ImportPlan) -> list[str]:
    """What is to be said of recordings that stand there more than once."""
    of_digest: dict[str, list[ImportClip]] = {}
    for clip in clips:
        of_digest.setdefault(clip.digest, []).append(clip)
    same = [group for group in of_digest.values() if len(group) > 1]
    both = [group for group in same if len({clip.side for clip in group}) > 1]
    other = [g for g in same if len({clip.texts for clip in g}) > 1 and g not in both]
    said = []
    for groups, what in (
        (both, "stand on both sides, so that the test side is not unheard"),
        (other, "stand there twice with different labels"),
    ):
        if groups:
            files = ["=".join(clip.row[plan.file_column] for clip in group) for group in groups]
            said.append(f"{len(groups)} recordings that are the same {what} ({shown(files)}).")
    return said


def _remarks(clips: Sequence[ImportClip], plan: ImportPlan) -> dict[str, list[str]]:
    """Files that are heard otherwise than one may think, by what is to be said of them."""
    remarks: dict[str, list[str]] = {}
    for clip in clips:
        said = FLAWS.get(clip.flaw) or (SILENCED if clip.silenced else None)
        if said is not None:
            remarks.setdefault(said, []).append(clip.row[plan.file_column])
    return remarks


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; expected a new folder. Name another with --out.")
    try:
        here = {path.name for path in out.iterdir()} if out.exists() else set()
    except OSError as error:
        raise write_failure(out, error) from error
    unmarked = {n for n in here if n != _LOCK and not n.startswith(TEMPORARY_PREFIX)}
    if unmarked and _MARKER not in here:
        raise OutputError(f"{out} is not empty. Name a new folder with --out.")


def _write(
    clips: Sequence[ImportClip], plan: ImportPlan, out: Path, key: str, progress: Progress
) -> dict[str, int]:
    """Write the shards that are not there yet; how many each side has."""
    counts = dict.fromkeys(SIDES, 0)
    with (
        folder_lock(out, what="an import"),
        progress.stage("import", len(clips), "clips") as stage,
    ):
        clean_temporary(out)
        marker = out / _MARKER
        if marker.exists() and marker.read_text(encoding="utf-8") != key:
            raise OutputError(
                f"{out} holds an unfinished import of another table, audio or options. Delete it, "
                "or name a new folder with --out."
            )
        write_text(marker, key)
        for side in SIDES:
            mine = [clip for clip in clips if clip.side == side]
            for start in range(0, len(mine), plan.clips_per_shard):
                chunk = mine[start : start + plan.clips_per_shard]
                shard = out / f"{side}_{counts[side]:04d}.tar.gz"
                if not shard.exists():
                    write_shard(shard, _samples(chunk, plan))
                counts[side] += 1
                stage.advance(len(chunk))
    return counts


def _count_classes(clips: Sequence[ImportClip], plan: ImportPlan) -> int | None:
    if not has_classes(plan.metric):
        return None
    texts = {text for clip in clips for text in clip.texts}
    classes = set().union(*(labels_of(text, plan.metric, plan.separator) for text in texts))
    if len(classes) < 2:
        raise DataError(
            f"Every clip has the label '{min(classes, default='')}'; {plan.metric} needs at least "
            "two classes. Name the column of the label with --label."
        )
    return len(classes)


def _samples(clips: Sequence[ImportClip], plan: ImportPlan) -> Iterator[Sample]:
    for clip in clips:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(clip.row[plan.file_column]).stem)
        label: str | list[str] = clip.texts[0] if len(plan.label_columns) == 1 else [*clip.texts]
        yield Sample(
            key=f"{clip.line:06d}_{stem[:80]}",
            suffix=clip.path.suffix[1:].lower(),
            audio=clip.path.read_bytes(),
            fields={**clip.row, _label_field(plan): label},
        )


def _label_field(plan: ImportPlan) -> str:
    return plan.label_columns[0] if len(plan.label_columns) == 1 else "captions"


def _facts(
    plan: ImportPlan, clips: Sequence[ImportClip], num_classes: int | None
) -> dict[str, Any]:
    """The task's file."""
    facts: dict[str, Any] = {
        "name": plan.name,
        **task_defaults({"metric": plan.metric}),
        "prompt": plan.prompt,
        "metric": plan.metric,
        "train_field": _label_field(plan),
        "test_field": _label_field(plan),
        "train_shards": [_pattern("train", clips, plan)],
        "test_shards": [_pattern("test", clips, plan)],
        "test_clips": sum(clip.side == "test" for clip in clips),
    }
    if num_classes is not None:
        facts["num_classes"] = num_classes
    if plan.separator != ";":
        facts["separator"] = plan.separator
    return facts


def _pattern(side: str, clips: Sequence[ImportClip], plan: ImportPlan) -> str:
    count = -(-sum(clip.side == side for clip in clips) // plan.clips_per_shard)
    inside = "0000" if count == 1 else f"{{0000..{count - 1:04d}}}"
    return f"{side}_{inside}.tar.gz"
