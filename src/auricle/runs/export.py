"""What of a run may be handed on, as a run folder of its own.

Left out are checkpoints, logs, the author's folders, and, of tasks whose data may not be handed on
(`redistribute: no`), audio, references and whatever quotes them. The page is written from what is
left, so it can show nothing else. For a double-blind review the encoder's name, class, files,
packages and arguments are left out too.

    manifest.json  scores.json  scores/  predictions/  excerpts/  report.html  further/  credits.txt
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from auricle.errors import OutputError
from auricle.files import (
    building_folder,
    read_json,
    scratch_folder,
    write_failure,
    write_json,
    write_text,
)
from auricle.records.manifest import DataLock, EncoderFacts, Manifest
from auricle.runs.folder import FurtherFolder, RunFolder
from auricle.runs.predictions import read_predictions, write_predictions
from auricle.runs.report import write_report
from auricle.runs.report_facts import file_names, plain_id, without_folders
from auricle.runs.rescore import score_run

CREDITS = "credits.txt"
_Lock = TypeVar("_Lock", bound=DataLock)
_ANONYMOUS = "encoder"
_KEPT_IN_REVIEW = ("output_dim", "dtype", "num_parameters", "properties")
_QUOTING = ("answer", "note", "outside_examples")
"""Fields of scores that may quote a reference."""


def export_run(folder: RunFolder, out: Path, *, review: bool = False) -> RunFolder:
    """Write what of a run may be handed on.

    Args:
        folder: The run; it is scored first if it never was.
        out: A new folder.
        review: Whether nobody may tell whose run it is.

    Raises:
        ScoringError: A file of the run cannot be read.
        OutputError: The folder is there already, or cannot be written.
    """
    out = out.absolute()
    if out.exists():
        raise OutputError(f"{out} exists; an export gets a new folder. Name another with --out.")
    try:
        with building_folder(out) as fresh:
            _write(folder, RunFolder(fresh / out.name), review)
            (fresh / out.name).rename(out)
    except OSError as error:
        raise write_failure(out, error) from error
    return RunFolder(out)


def page_to_share(folder: RunFolder) -> bytes:
    """The report of a run as it may be handed on."""
    with scratch_folder("auricle-page-") as scratch:
        whole = folder.run if isinstance(folder, FurtherFolder) else folder
        copy = RunFolder(scratch / whole.path.name)
        _write(whole, copy, review=False)
        if isinstance(folder, FurtherFolder):
            return copy.further(folder.path.name).report.read_bytes()
        return copy.report.read_bytes()


def _write(folder: RunFolder, copy: RunFolder, review: bool) -> None:
    credits: list[str] = []
    for each in folder.all_further():
        credits += _write_one(each, copy.further(each.path.name), review)
    credits = list(dict.fromkeys([*_write_one(folder, copy, review), *credits]))
    if credits:
        write_text(copy.path / CREDITS, "Audio and references:\n" + "\n".join(credits) + "\n")


def _write_one(folder: RunFolder, copy: RunFolder, review: bool) -> list[str]:
    """Write a run or a further evaluation of it; returns whom to name for what is handed on."""
    manifest, scores = folder.read_manifest(), folder.read_scores() or score_run(folder)
    names = _names(manifest, folder) if review else ()
    write_json(copy.manifest, _manifest(manifest, names, review))
    allowed = {
        name: facts.redistribute in ("yes", "attribution") for name, facts in manifest.test.items()
    }
    tasks = {
        name: entry if allowed.get(name) else _without_quotes(entry)
        for name, entry in ((name, task.to_json()) for name, task in scores.tasks.items())
    }
    write_json(copy.scores, _plain({**scores.to_json(), "tasks": tasks}, names))
    for name, free in allowed.items():
        if folder.predictions(name).is_file():
            answers = [
                replace(p, id=plain_id(p.id), references=p.references if free else ())
                for p in read_predictions(folder.predictions(name))
            ]
            write_predictions(copy.predictions(name), answers)
        if free and folder.excerpts(name).is_file():
            kept = read_json(folder.excerpts(name))
            clips = {plain_id(clip): one for clip, one in kept["clips"].items()}
            write_json(copy.excerpts(name), {**kept, "clips": clips})
        if free and folder.evidence(name).is_file():
            write_json(copy.evidence(name), read_json(folder.evidence(name)))
    for source, target in ((folder.losses, copy.losses), (folder.floor, copy.floor)):
        if source.is_file():
            shutil.copyfile(source, target)
    write_report(copy, audio=lambda task, clip: None)
    return [
        f"{name}: {facts.attribution}"
        for name, facts in manifest.test.items()
        if allowed[name] and facts.attribution
    ]


def _manifest(manifest: Manifest, names: tuple[str, ...], review: bool) -> dict[str, Any]:
    encoder = manifest.encoder
    if review:
        stored = encoder.to_json()
        kept = {key: stored[key] for key in _KEPT_IN_REVIEW if key in stored}
        kept |= {"name": _ANONYMOUS, "text": _ANONYMOUS}
        encoder = EncoderFacts.from_json(kept, "the encoder")
    else:
        encoder = encoder.with_fields(files=file_names(encoder.files or {}))
    value = manifest.with_fields(
        encoder=encoder,
        mixture={name: _plain_shards(facts) for name, facts in manifest.mixture.items()},
        test={name: _plain_shards(facts) for name, facts in manifest.test.items()},
    )
    found: dict[str, Any] = _plain(value.to_json(), names)
    return found


def _plain_shards(facts: _Lock) -> _Lock:
    names = [plain_id(shard.name, parts=1) for shard in facts.shards]
    named = zip(facts.shards, names, strict=True)
    return facts.with_fields(shards=[shard.with_fields(name=name) for shard, name in named])


def _without_quotes(value: Any) -> Any:
    """Scores without the texts that may be references, or name their classes."""
    if isinstance(value, Mapping):
        kept = {k: v for k, v in value.items() if k not in _QUOTING}
        if isinstance(kept.get("detail"), Mapping):
            numbers = {k: v for k, v in kept["detail"].items() if not isinstance(v, Mapping | list)}
            kept["detail"] = numbers
        return {k: _without_quotes(v) for k, v in kept.items()}
    return value


def _names(manifest: Manifest, folder: RunFolder) -> tuple[str, ...]:
    """Texts by which a reader could tell whose run it is."""
    encoder = manifest.encoder
    run = folder.run if isinstance(folder, FurtherFolder) else folder
    files = [Path(name).name for name in encoder.files or {}]
    words = [encoder.name, encoder.text, encoder.class_name]
    words += [run.path.name, run.path.name.rpartition("-")[0], *files]
    words += [encoder.content_hash]
    return tuple(sorted({str(word) for word in words if word}, key=len, reverse=True))


def _plain(value: Any, names: tuple[str, ...]) -> Any:
    """A JSON value whose texts name no folder and none of some names; keys stay."""
    if isinstance(value, Mapping):
        return {key: _plain(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, names) for one in value]
    if not isinstance(value, str):
        return value
    text = without_folders(value)
    if names:
        hidden = "|".join(map(re.escape, names))
        text = re.sub(rf"(?<![\w-])(?:{hidden})(?![\w-])", _ANONYMOUS, text)
    return text
