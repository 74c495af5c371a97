"""A table of labels beside a folder of audio: what its columns mean, and every mistake in it.

Which clips are for training comes from a column of the table, or from a hash of the file's name, so
that adding clips moves none from one side to the other.
"""

from __future__ import annotations

import difflib
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from auricle.data.containers import Flaw
from auricle.data.decode import AUDIO_SUFFIXES, hear
from auricle.delimited import read_delimited
from auricle.errors import DataError
from auricle.metrics.classification import separator_problem

SIDES = ("train", "test")
_SPLIT = "split"
_SHOWN = 50
_HEARD = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """What a table's columns mean and what is asked of the clips."""

    name: str
    """Of the task."""
    prompt: str
    """The question; "" = each clip's own, in the column ``prompt``."""
    metric: str
    label_columns: tuple[str, ...]
    """One: the label or transcript. Several: one reference each, e.g. captions."""
    file_column: str = "file"
    """Path of the audio, relative to the folder."""
    split_column: str | None = None
    """Says ``train`` or ``test``; None = the column ``split`` if there is one."""
    test_share: float = 0.2
    """Share of the clips that are held out where there is no split column."""
    clips_per_shard: int = 500
    separator: str = ";"
    """Between the labels of a clip that has several (mAP)."""


@dataclass(frozen=True, slots=True)
class ImportClip:
    """One line of the table."""

    line: int
    path: Path
    digest: str
    """Of the audio's bytes."""
    side: str
    texts: tuple[str, ...]
    row: dict[str, str]
    flaw: Flaw = Flaw.NONE
    """How its audio differs from what its header says."""
    silenced: bool = False
    """Whether the protocol leaves no sound of it."""


class ImportTable(NamedTuple):
    """What a table lists."""

    clips: tuple[ImportClip, ...]
    """In the table's order."""
    split: str | None
    """The column that decided their sides; None = the hash of each file's name did."""
    remark: str
    """What is to be said of rows that are left out; empty where there are none."""


def read_clips(audio: Path, table: Path, plan: ImportPlan) -> ImportTable:
    """Read a table and look at each of its recordings.

    Args:
        audio: Folder of the audio files.
        table: CSV, or TSV by its suffix, with a header line.
        plan: What the columns mean.

    Raises:
        DataError: The plan, the table or the audio has mistakes; they are listed together.
    """
    _check_plan(plan)
    if not audio.is_dir():
        raise DataError(f"There is no folder {audio}. Give the audio's folder, then the table.")
    found = read_delimited(table, fault=DataError)
    header = found.header
    split = _split_column(table, header, plan)
    _check_header(table, header, plan, split)
    clips: list[ImportClip] = []
    problems: list[str] = []
    seen: dict[Path, int] = {}
    for _, line, cells in found.rows:
        try:
            if len(cells) != len(header):
                raise DataError(
                    f"expected {len(header)} columns as in the header; put texts that hold the "
                    "separator in quotes"
                )
            row = dict(zip(header, cells, strict=True))
            clip = _clip(line, row, audio, plan, split)
        except DataError as error:
            problems.append(f"line {line}: {error}")
            continue
        first = seen.setdefault(clip.path.resolve(), line)
        if first != line:
            name = row[plan.file_column]
            problems.append(f"line {line}: {name} was named in line {first} already")
        clips.append(clip)
    if problems:
        more = len(problems) - _SHOWN
        raise DataError(
            "\n".join(
                [
                    f"{table} has mistakes; correct the table or the folder, nothing was written:",
                    *problems[:_SHOWN],
                    *([f"and {more} more"] if more > 0 else []),
                ]
            )
        )
    for side in SIDES:
        if not any(clip.side == side for clip in clips):
            raise DataError(
                f"{table} leaves no clip for {side}. Give both sides clips: a column "
                f"'{split or _SPLIT}' with train and test, or another --test-share."
            )
    return ImportTable(tuple(clips), split, found.remark)


def _check_plan(plan: ImportPlan) -> None:
    if not 0 < plan.test_share < 1:
        raise DataError(
            f"The test share is {plan.test_share:g}; expected a number between 0 and 1, e.g. 0.2. "
            "Correct --test-share."
        )
    if not plan.separator:
        raise DataError("The separator is empty; expected e.g. ';'. Correct --separator.")
    if plan.metric.lower() == "map" and (problem := separator_problem(plan.separator)):
        raise DataError(f"{problem[0].upper()}{problem[1:]}. Correct --separator.")


def _split_column(table: Path, header: Sequence[str], plan: ImportPlan) -> str | None:
    if plan.split_column is not None or _SPLIT in header:
        return plan.split_column or _SPLIT
    taken = {plan.file_column, *plan.label_columns}
    plain = {name.strip().lower(): name for name in header if name not in taken}
    near = difflib.get_close_matches(_SPLIT, plain, n=1, cutoff=0.8)
    if near:
        seen = plain[near[0]]
        raise DataError(
            f"{table} has a column '{seen}', which may mean '{_SPLIT}'. If it says train or test, "
            f"give --split-column '{seen}'; otherwise rename it."
        )
    return None


def _check_header(table: Path, header: list[str], plan: ImportPlan, split: str | None) -> None:
    needed = [plan.file_column, *plan.label_columns, *([split] if split else [])]
    needed += [] if plan.prompt else ["prompt"]
    missing = [name for name in dict.fromkeys(needed) if name not in header]
    if missing:
        empty = " An empty --prompt takes each clip's own from its column 'prompt'."
        raise DataError(
            f"{table} has the columns {', '.join(header) or 'none'}; expected also "
            f"{', '.join(missing)}. Name the columns with --file-column, --label and "
            "--split-column, or leave --split-column out and give --test-share."
            + (empty if "prompt" in missing else "")
        )
    twice = sorted({name for name in header if name in needed and header.count(name) > 1})
    if twice:
        raise DataError(
            f"{table} has several columns named {', '.join(twice)}. Rename all but one."
        )


def _clip(
    line: int, row: dict[str, str], audio: Path, plan: ImportPlan, split: str | None
) -> ImportClip:
    name = row[plan.file_column]
    path = audio / name
    if not name or "\0" in name or not path.resolve().is_relative_to(audio.resolve()):
        raise DataError(f"{name!r} is no file below {audio}")
    suffix = path.suffix[1:].lower()
    try:
        path = _found(path)
        if not path.is_file():
            raise DataError(f"{name} is not there")
        if suffix not in AUDIO_SUFFIXES:
            raise DataError(f"{name} is no audio; expected {', '.join(sorted(AUDIO_SUFFIXES))}")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror})") from error
    try:
        heard = hear(data, suffix, count=_HEARD)  # the whole clip is decoded, whatever the window
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    texts = tuple(row[column].strip() for column in plan.label_columns)
    texts = tuple(text for text in texts if text)
    if not texts:
        raise DataError(f"{name} has an empty label")
    if not plan.prompt and not row["prompt"]:
        raise DataError(f"{name} has an empty prompt")
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    side = _side(row, plan, split)
    return ImportClip(line, path, digest, side, texts, row, heard.flaw, heard.silenced)


def _found(path: Path) -> Path:
    """The file of a name, also where the folder has it in another Unicode form (NFC, NFD)."""
    if path.is_file() or not path.parent.is_dir():
        return path
    wanted = unicodedata.normalize("NFC", path.name)
    alike = [p for p in path.parent.iterdir() if unicodedata.normalize("NFC", p.name) == wanted]
    return alike[0] if len(alike) == 1 else path


def _side(row: dict[str, str], plan: ImportPlan, split: str | None) -> str:
    if split is not None:
        side = row[split].strip().lower()
        if side not in SIDES:
            raise DataError(f"'{split}' is '{side}', expected train or test")
        return side
    digest = hashlib.blake2b(row[plan.file_column].encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest, "big") < plan.test_share * 2**64 else "train"
