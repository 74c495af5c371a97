"""The opening check: everything that a run needs is tried before anything is trained.

All problems are raised together. What has a manifest already was checked when it began, so a run
that continues is not checked again.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from auricle.catalog.recipe import Recipe
from auricle.data.clips import ClipTable, Window
from auricle.errors import DataError, EncoderError, OutputError, UserError
from auricle.files import TEMPORARY_PREFIX, make_folder, write_failure
from auricle.job import Data, Job, open_data
from auricle.lalm.model import require_decoder
from auricle.lalm.train import checkpoints_bytes
from auricle.metrics.caption_models import load_caption_models, require_given_models
from auricle.progress import Progress, bytes_text
from auricle.runs.folder import RunFolder
from auricle.runs.manifest import record_note
from auricle.stages.process import (
    LazyEncoder,
    find_folder,
    open_store,
    stored_bytes_per_s,
)
from auricle.stages.training import Training

_SAMPLED = 4
"""Clips of a task's side that are decoded."""
_CAPTION_METRICS = ("FENSE", "DATE")


class _Side(NamedTuple):
    """The clips of one side of a task."""

    name: str
    table: ClipTable
    data: Data
    longest_s: float
    """Where a training clip is cropped."""


def open_run(
    jobs: Sequence[Job], process: LazyEncoder, progress: Progress
) -> list[tuple[Job, Data]]:
    """Open the data of a run and of what it is asked further, and try everything that they need.

    Args:
        jobs: The run's job, then those of its further evaluations.
        process: The encoder.
        progress: Is told of single clips that cannot be decoded.

    Raises:
        UserError: Something is missing or does not work; all problems are in one text.
    """
    problems: list[UserError] = []
    opened: list[tuple[Job, Data]] = []
    for job in jobs:
        _keep(problems, lambda job=job: opened.append((job, open_data(job, progress))))  # type: ignore[misc]
    _keep(problems, process.properties)
    works = not problems
    dim = process.get().info.output_dim if works else 1
    fresh = _fresh(opened, process) if works else opened
    sides = list(_sides(fresh))
    for side in sides:
        _keep(problems, lambda side=side: _decode_some(side, progress))  # type: ignore[misc]
    if works and fresh:
        for longest in (False, True):
            _keep(problems, lambda last=longest: _encode_extreme(sides, process, last=last))  # type: ignore[misc]
    numbers = _count_trained(fresh, problems, feature_dim=dim)
    if works and fresh:
        _keep(problems, lambda: _require_disk(fresh, process, numbers))
    metrics = {data.tasks[name].metric for _, data in fresh for name in data.tests}
    if metrics & {*_CAPTION_METRICS}:
        _keep(problems, lambda: load_caption_models(jobs[0].options.caption_models()))
    if len(problems) > 1:
        lines = [
            str(p) + (f"\n{p.quoted}" if isinstance(p, EncoderError) else "") for p in problems
        ]
        kinds = (type(problems[0]), EncoderError, UserError)
        kind = next(kind for kind in kinds if all(isinstance(p, kind) for p in problems))
        raise kind("\n".join(line.rstrip() for line in lines))
    if problems:
        raise problems[0]
    return opened


def _keep(problems: list[UserError], check: Callable[[], object]) -> None:
    try:
        check()
    except UserError as error:
        problems.append(error)


def _fresh(opened: Sequence[tuple[Job, Data]], process: LazyEncoder) -> list[tuple[Job, Data]]:
    """Whatever has not begun yet, or is asked other clips than when it began."""
    run = find_folder(*opened[0], process)
    found = []
    for job, data in opened:
        apart = "train" in job.sides
        folder: RunFolder = (
            find_folder(job, data, process) if apart else run.further(job.suite.name)
        )
        stored = folder.read_manifest().test if folder.manifest.is_file() else None
        asked = data.test_lock()
        if stored is None or {n: f.asked for n, f in stored.items()} != {
            n: f.asked for n, f in asked.items()
        }:
            found.append((job, data))
    return found


def _sides(opened: Sequence[tuple[Job, Data]]) -> Iterator[_Side]:
    for job, data in opened:
        for part in data.mixture.parts:
            yield _Side(f"{part.task.name}, train", part.table, data, job.recipe.crop.length_s)
        for name, (table, _) in data.tests.items():
            yield _Side(f"{name}, test", table, data, math.inf)


def _decode_some(side: _Side, progress: Progress) -> None:
    count = len(side.table)
    clips = sorted({j * (count - 1) // (_SAMPLED - 1) for j in range(_SAMPLED)}) if count else []
    bad: dict[str, str] = {}
    for clip in clips:
        try:
            if not side.table.readable(clip):
                raise DataError("its header cannot be read")
            side.data.source.samples(side.table.window(clip))
        except DataError as error:
            bad[side.table.clip_id(clip)] = str(error)
    if not bad:
        return
    first = next(iter(bad))
    text = f"{len(bad)} of {len(clips)} clips that were tried cannot be decoded ({first}: "
    text += f"{bad[first].rstrip('.')})"
    if len(bad) == len(clips):
        raise DataError(
            f"{side.name}: {text}. Install what decodes them, or bring the shards anew."
        )
    progress.warn(f"{side.name}: {text}.")


def _encode_extreme(sides: Sequence[_Side], process: LazyEncoder, *, last: bool) -> None:
    """Pass the shortest or the longest window of all through the encoder."""
    found: list[tuple[float, Data, Window]] = []
    for side in sides:
        lengths = side.table.durations_s()
        if np.isnan(lengths).all():
            continue
        clip = int(np.nanargmax(lengths) if last else np.nanargmin(lengths))
        window = side.table.window(clip)
        most = side.longest_s * window.sample_rate
        if window.count > most:
            window = side.table.window(clip, count=round(most))
        found.append((window.duration_s, side.data, window))
    for _, data, window in sorted(found, key=lambda one: one[0], reverse=last):
        try:
            samples = data.source.samples(window)
        except DataError:
            continue  # counted and shown when its task is encoded
        try:
            process.get().encode([samples], labels=[str(window)])
        except EncoderError:
            process.stop()  # an encoder that broke a rule has no second word: start it anew
            raise
        return


def _count_trained(
    opened: Sequence[tuple[Job, Data]], problems: list[UserError], *, feature_dim: int
) -> dict[Recipe, int]:
    """Build each LALM that will be trained once; how many numbers train, by `_shape`."""
    numbers: dict[Recipe, int] = {}
    for shape in dict.fromkeys(_shape(job) for job, _ in opened if "train" in job.sides):
        numbers[shape] = 0

        def build(shape: Recipe = shape) -> None:
            numbers[shape] = require_decoder(shape, feature_dim=feature_dim)

        _keep(problems, build)
    return numbers


def _shape(job: Job) -> Recipe:
    """A recipe that is equal where equal LALMs are trained, for however many steps."""
    train = job.recipe.train.model_copy(update={"steps": 1})
    return job.recipe.model_copy(update={"train": train})


def look_for_models(jobs: Sequence[Job]) -> None:
    """Refuse caption models that are asked for by their place and are not there.

    Raises:
        ScoringError: See `require_given_models`.
    """
    if {task.metric for job in jobs for task in job.tasks} & {*_CAPTION_METRICS}:
        require_given_models(jobs[0].options.caption_models())


def _require_disk(
    opened: Sequence[tuple[Job, Data]], process: LazyEncoder, numbers: Mapping[Recipe, int]
) -> None:
    """Refuse a run whose features and checkpoints, as far as can be foreseen, have no room."""
    job = opened[0][0]
    store = open_store(job, process)
    rate = stored_bytes_per_s(store, process)
    features = max(0.0, sum(_audio_s(*each) for each in opened) * rate - store.size())
    features = min(features, job.options.disk_budget or math.inf)
    checkpoints = sum(_checkpoints_bytes(*each, process, numbers) for each in opened)
    home, runs = make_folder(job.home), job.options.out.absolute()
    there = next(path for path in (runs, *runs.parents) if path.exists())
    needed: dict[Path, float] = {home: features, there: checkpoints}
    if home.stat().st_dev == there.stat().st_dev:
        needed = {home: features + checkpoints}
    free = {path: shutil.disk_usage(path).free for path in needed}
    if short := [path for path in needed if needed[path] > free[path]]:
        _require_writable(there, runs)
        seen = " and ".join(f"{bytes_text(free[path])} are free at {path}" for path in short)
        raise OutputError(
            f"The features take about {bytes_text(features)} below {home} and the checkpoints "
            f"{bytes_text(checkpoints)} below {runs}, but {seen}. Free some space, give a "
            "--disk-budget for the features, to work in spans, or choose another disk with "
            "AURICLE_HOME or --out."
        )


def _require_writable(there: Path, runs: Path) -> None:
    """A place that cannot be written, such as /proc, is no full disk."""
    try:
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=there):
            pass
    except OSError as error:
        raise write_failure(runs, error) from error


def _checkpoints_bytes(
    job: Job, data: Data, process: LazyEncoder, numbers: Mapping[Recipe, int]
) -> float:
    """What a run's checkpoints will take beyond those that are there."""
    if "train" not in job.sides:
        return 0.0
    there = find_folder(job, data, process).checkpoints.glob("*.safetensors")
    whole = checkpoints_bytes(numbers[_shape(job)], steps=job.recipe.train.steps)
    return max(0.0, whole - sum(path.stat().st_size for path in there))


def _audio_s(job: Job, data: Data) -> float:
    """Seconds of audio that are encoded: every window of the mixture, or one for each draw."""
    total = sum(float(np.nansum(table.durations_s())) for table, _ in data.tests.values())
    windows = data.mixture.count_windows() if data.mixture.parts else 0
    if windows:
        lengths = [
            np.minimum(part.table.durations_s(), job.recipe.crop.length_s)
            for part in data.mixture.parts
        ]
        mean = float(np.nanmean(np.concatenate(lengths)))
        total += min(windows, job.total_draws) * mean
    return total


def note_long_clips(data: Data, training: Training, process: LazyEncoder) -> None:
    """Warn of test clips that take more positions than the decoder was made for, and keep it."""
    encoding, lalm = training.encoding, training.trainer.lalm
    answer = encoding.job.recipe.answer.max_new_tokens
    rate = process.properties().frame_rate_hz / lalm.concat
    for name, (table, asked) in data.tests.items():
        lengths = table.durations_s()
        positions = {
            a.id: math.ceil(lengths[a.clip] * rate) + len(training.tokens.encode(a.prompt)) + answer
            for a in asked
            if table.readable(a.clip)
        }
        long = [clip for clip, count in positions.items() if count > lalm.max_positions]
        if long:
            longest = max(long, key=positions.__getitem__)
            note = (
                f"{name}: {len(long)} of {len(asked)} test clips take more positions, prompt and "
                f"answer included, than the decoder was made for ({lalm.max_positions:,}); the "
                f"longest is {longest} with about {positions[longest]:,}. They are answered whole."
            )
            encoding.progress.warn(note)
            record_note(encoding.folder, note)
