"""What was asked for: every name resolved, every shard opened, before anything starts.

torch is imported once every name has proved good, so that a wrong one is answered at once.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from auricle.catalog.files import open_suite
from auricle.catalog.recipe import Recipe, apply_settings
from auricle.catalog.spec import HeldOut, Side, Suite, Task
from auricle.data.clips import AudioSource, ClipTable
from auricle.data.mixture import Crop, Mixture, MixturePart
from auricle.data.tables import (
    AskedClip,
    check_texts,
    collect_asked_clips,
    hold_out,
    open_tables,
    same_audio,
)
from auricle.encoder.load import parse_encoder
from auricle.encoder.protocol import EncoderSpec
from auricle.errors import DataError, UserError
from auricle.files import data_home
from auricle.metrics.classification import separator_problem
from auricle.metrics.labels import label_problems
from auricle.metrics.result import MetricOptions
from auricle.progress import Progress
from auricle.records.manifest import MixtureTask, TestTask
from auricle.runs.folder import RunFolder

DEFAULT_SEED = 42
_PACKAGES = ("auricle", "torch", "numpy", "transformers", "tokenizers", "soundfile", "soxr")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Everything about a run but the encoder and the suite."""

    out: Path = Path("runs")
    """Folder of all runs."""
    evaluations: tuple[str, ...] = ()
    """Suites or files of further questions."""
    seed: int | None = None
    """Seed of the draws and of the LALM's initial weights; None = the suite file's, or 42."""
    recipe: str | None = None
    """Name of a recipe that replaces the suite's; None = the suite's."""
    settings: tuple[str, ...] = ()
    """Recipe overrides, ``name=value``."""
    precision: str | None = None
    """float32 or bf16; None = what the recipe says."""
    encoder_args: str | None = None
    """The encoder's constructor arguments as a JSON object."""
    encoder_python: str | None = None
    """Interpreter of the encoder's process; None = ours."""
    trust_remote_code: bool = False
    """Whether an ``hf:`` model may run the code that comes with it."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    workers: int | None = None
    """Threads and processes that decode, index and make data; None = all cores."""
    encode_budget_s: float | None = None
    """Padded seconds of audio in one encode batch; None = what suits the device."""
    disk_budget: float | None = None
    """Bytes of features on disk at a time; None = everything."""
    batch_timeout_s: float = 300.0
    """How long the encoder may take for one batch."""
    sentence_model: str | None = None
    """Folder or name of the sentence model of FENSE and DATE; None = the official one."""
    fluency_detector: str | None = None
    """Folder or file of the fluency detector of FENSE and DATE; None = the official one."""
    on_folder: Callable[[RunFolder], object] | None = None
    """Called with the run's folder as soon as it is known."""

    def caption_models(self) -> MetricOptions:
        """Where the models of FENSE and DATE are."""
        return MetricOptions(
            sentence_model=self.sentence_model, fluency_detector=self.fluency_detector
        )


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for: every name is known to exist, every option to have a legal value."""

    suite: Suite
    tasks: tuple[Task, ...]
    ignored: tuple[str, ...]
    """Fields of the suite's file that have no effect here, each with its reason."""
    recipe: Recipe
    base_recipe: Recipe
    """The suite's recipe without the user's settings."""
    encoder: EncoderSpec
    options: RunOptions
    seed: int
    home: Path
    workers: int
    device: str
    encode_budget_s: float
    threads: int
    """Threads of torch, here and in the encoder's process; they decide float rounding."""
    sides: tuple[Side, ...] = ("train", "test")
    """Whose shards are opened."""

    @property
    def total_draws(self) -> int:
        """Draws of the whole training."""
        return self.recipe.train.steps * self.recipe.train.batch_size


@dataclass(frozen=True, slots=True)
class Data:
    """The opened data of a job."""

    tasks: dict[str, Task]
    mixture: Mixture
    tests: dict[str, tuple[ClipTable, list[AskedClip]]]
    texts: list[str]
    source: AudioSource
    held_out: HeldOut | None = None

    def training_lock(self) -> dict[str, MixtureTask]:
        """What the LALM is trained on, by content; part of the run's identity."""
        return {
            part.task.name: MixtureTask(
                share=round(part.share, 12),
                prompt=part.task.prompt,
                **_own_prompt(part.task),
                field=part.task.train_field,
                **self._held_out(),
                **dict(part.table.lock()),
            )
            for part in self.mixture.parts
        }

    def test_lock(self) -> dict[str, TestTask]:
        """What the run is asked, by content, and how the answers are scored."""
        tasks = self.tasks
        return {
            name: TestTask(
                track=tasks[name].track,
                domain=tasks[name].domain,
                skill=tasks[name].skill,
                prompt=tasks[name].prompt,
                **_own_prompt(tasks[name]),
                metric=tasks[name].metric or "",
                num_classes=tasks[name].num_classes,
                separator=tasks[name].separator,
                field=tasks[name].train_field if self.held_out else tasks[name].test_field,
                **self._held_out(),
                clips_expected=len(asked),
                licence=tasks[name].licence,
                redistribute=tasks[name].redistribute,
                attribution=tasks[name].attribution,
                **dict(table.lock()),
            )
            for name, (table, asked) in self.tests.items()
        }

    def _held_out(self) -> dict[str, Any]:
        return {"held_out": self.held_out.model_dump()} if self.held_out else {}


def warn_of_ignored(jobs: Iterable[Job], progress: Progress) -> None:
    """Name the fields of suites' files that have no effect."""
    for reason in [reason for job in jobs for reason in job.ignored]:
        progress.warn(reason)


def _own_prompt(task: Task) -> dict[str, Any]:
    """Where each clip's question is, as far as a manifest has to say it."""
    usual = task.prompt or task.prompt_field == Task.model_fields["prompt_field"].default
    return {} if usual else {"prompt_field": task.prompt_field}


def resolve(encoder: str, suite: str, options: RunOptions) -> Job:
    """Look up every name and value.

    Raises:
        UserError: A name or value is not known; the text offers the nearest.
    """
    chosen = open_suite(suite, recipe=options.recipe)
    recipe = with_settings(chosen.recipe, options)
    if options.workers is not None and options.workers < 0:
        raise UserError(f"--workers is {options.workers}; expected 0 or more.")
    if options.seed is not None and options.seed < 0:
        raise UserError(f"--seed is {options.seed}; expected 0 or more.")
    if not options.batch_timeout_s > 0:
        raise UserError(
            f"--batch-timeout is {options.batch_timeout_s:g}; expected seconds above 0."
        )
    if (options.encode_budget_s or 1.0) <= 0:
        raise UserError(
            f"--encode-budget is {options.encode_budget_s:g}; expected seconds of audio above 0."
        )
    spec = parse_encoder(
        encoder,
        arguments=options.encoder_args,
        python=options.encoder_python,
        trust_remote_code=options.trust_remote_code,
    )
    device = choose_device(options.device)
    import torch

    return Job(
        suite=chosen.suite,
        tasks=chosen.tasks,
        ignored=chosen.ignored,
        recipe=recipe,
        base_recipe=chosen.base,
        encoder=spec,
        options=options,
        seed=first(options.seed, chosen.seed, DEFAULT_SEED),
        home=data_home(),
        workers=first(options.workers, chosen.workers, os.cpu_count() or 1),
        device=device,
        encode_budget_s=options.encode_budget_s or (240.0 if device == "cpu" else 1200.0),
        threads=torch.get_num_threads(),
        sides=("train",) if chosen.suite.held_out else ("train", "test"),
    )


def with_settings(recipe: Recipe, options: RunOptions) -> Recipe:
    """A recipe with what the user overrides."""
    recipe = apply_settings(recipe, options.settings)
    if options.precision is not None:
        recipe = apply_settings(recipe, [f"precision={options.precision}"])
    return recipe


def first(*values: int | None) -> int:
    """The first value that is given."""
    return next(value for value in values if value is not None)


def choose_device(wish: str) -> str:
    """The torch device for a wish; ``auto`` = a GPU where there is one.

    Raises:
        UserError: There is no such device.
    """
    import torch

    if wish == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wish)
    except RuntimeError as error:
        raise UserError(f"--device is '{wish}'; expected auto, cpu, cuda or cuda:1.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device is '{wish}', but torch sees {torch.cuda.device_count()} GPUs here. "
            "Use --device cpu, or install a torch build with CUDA."
        )
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device is '{wish}'; auricle runs on cpu and cuda.")
    return wish


def open_data(job: Job, progress: Progress) -> Data:
    """Open all shards of a job, index them and read every label.

    Raises:
        DataError: Something is missing, damaged or lacks a field; problems are listed together.
    """
    opened: dict[str, dict[str, ClipTable]] = {"train": {}, "test": {}}
    problems: list[str] = []
    for side in job.sides:
        tasks = [task for task in job.tasks if task.expanded_shards(side)]
        try:
            opened[side] = open_tables(
                tasks, side, home=job.home, workers=job.workers, progress=progress
            )
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    return join_data(job, opened, progress)


def join_data(job: Job, opened: Mapping[str, Mapping[str, ClipTable]], progress: Progress) -> Data:
    """What a job trains on and asks, from its opened tables; every label is read.

    Args:
        job: What was asked for.
        opened: Its tables by side and task.
        progress: Is told of labels that look wrong.

    Raises:
        DataError: Something lacks a field; problems are listed together.
    """
    problems: list[str] = []
    parts, tests = [], {}
    texts: list[str] = []
    held_out = job.suite.held_out
    for task in job.tasks:
        if task.metric == "mAP" and (wrong := separator_problem(task.separator)):
            problems.append(f"Task {task.name}: {wrong}. Correct its separator.")
        before = len(texts)
        try:
            if train := opened["train"].get(task.name):
                if held_out is not None:
                    out = hold_out(task, train, share=held_out.share, most=held_out.most)
                    asked = train.select(out)
                    tests[task.name] = (asked, collect_asked_clips(task, asked, "train"))
                    train = train.select(sorted({*range(len(train))} - {*out}))
                texts += check_texts(task, train, "train")
                parts.append(MixturePart(task, train, job.suite.shares[task.name]))
            if test := opened["test"].get(task.name):
                tests[task.name] = (test, collect_asked_clips(task, test))
            for remark in _remarks(task, texts[before:], train, tests.get(task.name)):
                progress.warn(f"{task.name}: {remark}")
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    if not parts and "train" in job.sides:
        raise DataError(
            f"No task of suite {job.suite.name} has train shards, so there is nothing to train on. "
            "Give it tasks with train_shards, or evaluate a finished run."
        )
    crop = Crop(job.recipe.crop.length_s, job.recipe.crop.grid_s)
    return Data(
        tasks={task.name: task for task in job.tasks},
        mixture=Mixture(parts, crop=crop, seed=job.seed),
        tests=tests,
        texts=texts,
        source=AudioSource(
            [*opened["train"].values(), *opened["test"].values()],
            resampler=job.recipe.audio.resampler,
        ),
        held_out=held_out,
    )


def _remarks(
    task: Task,
    trained: Sequence[str],
    train: ClipTable | None,
    test: tuple[ClipTable, Sequence[AskedClip]] | None,
) -> list[str]:
    """What is to be known of a task's labels and clips before anything is trained on them.

    Args:
        task: The task.
        trained: Its training texts.
        train: Its training clips.
        test: Its test clips.
    """
    table, asked = test or (None, [])
    sides = {"train": trained, "test": [text for clip in asked for text in clip.references]}
    about_labels = label_problems(
        sides, task.metric or "", separator=task.separator, num_classes=task.num_classes
    )
    return [*about_labels, *same_audio(train, table)]


def versions() -> dict[str, str]:
    """Versions of everything that computes."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        found[name] = metadata.version(name)
    return found


def hardware(device: str) -> dict[str, Any]:
    """The machine that a run ran on."""
    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if device != "cpu":
        import torch

        properties = torch.cuda.get_device_properties(device)
        facts["gpu"] = properties.name
        facts["gpu_memory_bytes"] = properties.total_memory
    return facts


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
