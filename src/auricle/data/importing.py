"""Shards from a folder of audio and a table of labels, with the task file that measures on them.

The audio is copied as it is, never encoded anew. Which clips are for training comes from a column
of the table, or from a hash of the file's name, so that adding clips moves none from one side to
the other.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from auricle.catalog.files import load_suite_file, task_defaults
from auricle.catalog.parse import validate
from auricle.catalog.spec import Task
from auricle.data.decode import AUDIO_SUFFIXES, read_header
from auricle.data.write import Sample, write_shard
from auricle.errors import DataError, OutputError
from auricle.files import make_folder, write_text
from auricle.progress import Progress

_SHOWN = 5
SIDES = ("train", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """What a table's columns mean and what is asked of the clips."""

    name: str
    """Of the task."""
    prompt: str
    metric: str
    label_columns: tuple[str, ...]
    """One: the label or transcript. Several: one reference each, e.g. captions."""
    file_column: str = "file"
    """Path of the audio, relative to the folder."""
    split_column: str | None = "split"
    """Says ``train`` or ``test``; None = ``test_share`` decides."""
    test_share: float = 0.2
    """Share of the clips that are held out where there is no split column."""
    clips_per_shard: int = 500
    separator: str = ";"
    """Between the labels of a clip that has several (mAP)."""


@dataclass(frozen=True, slots=True)
class _Clip:
    line: int
    path: Path
    side: str
    texts: tuple[str, ...]
    row: dict[str, str]


def import_folder(
    audio: Path, table: Path, *, out: Path, plan: ImportPlan, progress: Progress
) -> dict[str, Any]:
    """Write shards and a task file.

    Args:
        audio: Folder of the audio files.
        table: CSV, or TSV by its suffix, with a header line.
        out: New folder for the shards and ``<name>.yaml``.
        plan: What the columns mean.
        progress: Shows the clips as they are written.

    Returns:
        ``task, file, train_clips, test_clips, train_shards, test_shards, num_classes, unlisted``
        (audio files in the folder that the table does not name).

    Raises:
        DataError: The table or audio has mistakes; the first few are listed.
        OutputError: The folder exists and is not empty, or cannot be written.
    """
    if out.exists() and any(out.iterdir()):
        raise OutputError(f"{out} is not empty. Name a new folder with --out.")
    clips = _read_clips(audio, table, plan)
    num_classes = _count_classes(clips, plan)
    task_text = _task_text(plan, clips, num_classes)
    shards: dict[str, list[str]] = {side: [] for side in SIDES}
    with progress.stage("import", len(clips), "clips") as stage:
        for side in SIDES:
            mine = [clip for clip in clips if clip.side == side]
            for start in range(0, len(mine), plan.clips_per_shard):
                chunk = mine[start : start + plan.clips_per_shard]
                name = f"{side}_{len(shards[side]):04d}.tar.gz"
                write_shard(out / name, _samples(chunk, plan))
                shards[side].append(name)
                stage.advance(len(chunk))
    path = make_folder(out) / f"{plan.name}.yaml"
    write_text(path, task_text)
    load_suite_file(path)  # what we wrote must be what we read
    listed = {clip.path.resolve() for clip in clips}
    return {
        "task": plan.name,
        "file": str(path),
        "train_clips": sum(clip.side == "train" for clip in clips),
        "test_clips": sum(clip.side == "test" for clip in clips),
        "train_shards": len(shards["train"]),
        "test_shards": len(shards["test"]),
        "num_classes": num_classes,
        "unlisted": sorted(
            str(p.relative_to(audio))
            for p in audio.rglob("*")
            if p.suffix[1:].lower() in AUDIO_SUFFIXES and p.resolve() not in listed
        ),
    }


def _read_clips(audio: Path, table: Path, plan: ImportPlan) -> list[_Clip]:
    rows = _read_rows(table, plan)
    clips: list[_Clip] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for line, row in rows:
        try:
            clip = _clip(line, row, audio, plan)
        except DataError as error:
            problems.append(f"line {line}: {error}")
            continue
        name = row[plan.file_column]
        if name in seen:
            problems.append(f"line {line}: {name} was named in line {seen[name]} already")
        seen[name] = line
        clips.append(clip)
    if problems:
        more = len(problems) - _SHOWN
        raise DataError(
            f"{table}: "
            + "; ".join(problems[:_SHOWN])
            + (f"; and {more} problems more" if more > 0 else "")
            + ". Correct the table or the folder; nothing was written."
        )
    for side in SIDES:
        if not any(clip.side == side for clip in clips):
            raise DataError(
                f"{table} leaves no clip for {side}. Give both sides clips: a column "
                f"'{plan.split_column or 'split'}' with train and test, or another --test-share."
            )
    return clips


def _read_rows(table: Path, plan: ImportPlan) -> list[tuple[int, dict[str, str]]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"{table} cannot be read: {reason}. Give a CSV table.") from error
    delimiter = "\t" if table.suffix.lower() == ".tsv" else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    needed = [plan.file_column, *plan.label_columns]
    needed += [plan.split_column] if plan.split_column else []
    try:
        header = list(reader.fieldnames or [])
        missing = [name for name in needed if name not in header]
        if missing:
            raise DataError(
                f"{table} has the columns {', '.join(header) or 'none'}; expected also "
                f"{', '.join(missing)}. Name the columns with --file-column, --label and "
                "--split-column, or give --test-share instead of a split."
            )
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DataError(f"{table}, line {reader.line_num}: {error}. Correct the table.") from error
    ragged = [line for line, row in rows if None in row or None in row.values()]
    if ragged:
        raise DataError(
            f"{table}, line {ragged[0]}: expected {len(header)} columns as in the header. Put "
            "texts that hold the separator in quotes."
        )
    return rows


def _clip(line: int, row: dict[str, str], audio: Path, plan: ImportPlan) -> _Clip:
    name = row[plan.file_column]
    path = audio / name
    if not name or not path.resolve().is_relative_to(audio.resolve()):
        raise DataError(f"'{name}' is no file below {audio}")
    if not path.is_file():
        raise DataError(f"{name} is not there")
    suffix = path.suffix[1:].lower()
    if suffix not in AUDIO_SUFFIXES:
        raise DataError(f"{name} is no audio; expected {', '.join(sorted(AUDIO_SUFFIXES))}")
    header = read_header(path.read_bytes(), suffix)
    if header.num_samples <= 0:
        raise DataError(f"{name} holds no samples")
    texts = tuple(row[column].strip() for column in plan.label_columns)
    texts = tuple(text for text in texts if text)
    if not texts:
        raise DataError(f"{name} has an empty label")
    return _Clip(line, path, _side(row, plan), texts, row)


def _side(row: dict[str, str], plan: ImportPlan) -> str:
    if plan.split_column is not None:
        side = row[plan.split_column].strip().lower()
        if side not in SIDES:
            raise DataError(f"'{plan.split_column}' is '{side}', expected train or test")
        return side
    digest = hashlib.blake2b(row[plan.file_column].encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest, "big") < plan.test_share * 2**64 else "train"


def _count_classes(clips: Sequence[_Clip], plan: ImportPlan) -> int | None:
    metric = plan.metric.lower()
    if metric == "accuracy":
        return len({text for clip in clips for text in clip.texts})
    if metric == "map":
        parts = [
            part for clip in clips for text in clip.texts for part in text.split(plan.separator)
        ]
        return len({part.strip() for part in parts if part.strip()})
    return None


def _samples(clips: Sequence[_Clip], plan: ImportPlan) -> Iterator[Sample]:
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


def _task_text(plan: ImportPlan, clips: Sequence[_Clip], num_classes: int | None) -> str:
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
    validate(Task, facts, f"task {plan.name}")
    head = (
        f"# Made by 'auricle data import'. Run it: auricle run ENCODER --suite {plan.name}.yaml\n"
    )
    return head + yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)


def _pattern(side: str, clips: Sequence[_Clip], plan: ImportPlan) -> str:
    count = -(-sum(clip.side == side for clip in clips) // plan.clips_per_shard)
    inside = "0000" if count == 1 else f"{{0000..{count - 1:04d}}}"
    return f"{side}_{inside}.tar.gz"
