"""`run`: the whole job, from an encoder to its scores, in one readable function.

Everything that can be refused is refused before anything is trained. Each stage continues where an
earlier process stopped: its unit of commit (an encode batch, a checkpoint, a chunk of test clips)
is fixed by the plan, never by when a process died (law 4).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from auricle.catalog.recipe import BLOCK, MINI_DECODER, is_official, mode_of
from auricle.data.clips import Window
from auricle.data.fetch import fetch
from auricle.data.recall import LockedAudio
from auricle.data.tables import AskedClip
from auricle.encoder.host import EncoderInfo, EncoderProcess
from auricle.encoder.properties import Properties, measure_properties
from auricle.features.batches import Batch, BatchPlan, batching_mode
from auricle.features.encode import Features
from auricle.features.probes import check_probes
from auricle.features.spans import Span, cut_spans
from auricle.features.store import STORED, FeatureStore
from auricle.files import folder_lock
from auricle.lalm.answer import Answerer, Question
from auricle.lalm.model import build_lalm
from auricle.lalm.tokens import load_tokenizer, train_tokenizer
from auricle.lalm.train import Trainer
from auricle.metrics.result import MetricOptions
from auricle.plan import Data, Job, RunOptions, hardware, open_data, resolve, versions
from auricle.progress import Progress, SilentProgress
from auricle.runs.folder import RunFolder, run_hash
from auricle.runs.manifest import (
    Manifest,
    record_failure,
    record_note,
    record_stage,
    start_manifest,
)
from auricle.runs.predictions import Prediction, finished_chunks, join_chunks, write_chunk
from auricle.runs.report import write_report
from auricle.runs.report_floor import find_floor
from auricle.runs.rescore import score_run
from auricle.synth.make import make_shards

CHUNK = 64
"""Test clips that are answered together; part of what makes a prediction, so never a setting."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run lies and what it scored."""

    folder: RunFolder
    scores: dict[str, Any]


def run(
    encoder: str,
    suite: str = "smoke",
    *,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Measure an encoder on a suite; continues an interrupted run of the same kind.

    Args:
        encoder: ``file.py``, ``file.py:Class``, ``package.module:Class`` or a built-in name.
        suite: Name of a suite or task.
        options: Everything else.
        progress: Receives what the work says about itself; None = silence.

    Raises:
        UserError: Something that the user can mend; the text says how.
    """
    progress = progress or SilentProgress()
    job = resolve(encoder, suite, options or RunOptions())
    for reason in job.ignored:
        progress.warn(reason)
    make_shards(job.tasks, home=job.home, workers=max(1, job.workers), progress=progress)
    fetch(job.tasks, home=job.home, progress=progress)
    data = open_data(job, progress)
    torch.set_num_threads(job.threads)
    with LazyEncoder(job) as process:
        folder = find_folder(job, data, process)
        if job.options.on_folder is not None:
            job.options.on_folder(folder)
        with folder_lock(folder.path, what="this run"):
            work = _Work(job, data, folder, process, progress)
            trainer = work.trainer()
            for span in work.training_spans(trainer.step):
                work.encode_training(span)
                work.train(trainer, span)
            answerer = work.answerer(trainer)
            for name in data.tests:
                work.answer(name, answerer)
            with work.clock("score"):
                scores = score_run(folder, models=work.caption_models())
            with work.clock("report"):
                audio = LockedAudio(data.test_lock(), home=job.home)
                write_report(folder, audio=audio, floor=find_floor(folder))
    return RunResult(folder, scores)


class LazyEncoder:
    """The encoder's process, started when it is needed and stopped when it is not."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._process: EncoderProcess | None = None

    def __enter__(self) -> LazyEncoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def get(self) -> EncoderProcess:
        """The running process.

        Raises:
            EncoderError: It cannot be started.
        """
        if self._process is None:
            process = EncoderProcess(
                self._job.encoder,
                device=self._job.device,
                threads=self._job.threads,
                log_path=self._job.home / "logs" / f"{self._job.encoder.name}.log",
                batch_timeout_s=self._job.options.batch_timeout_s,
            )
            process.start()
            self._process = process
        return self._process

    def stop(self) -> None:
        """End the process, e.g. to leave the device to the LALM."""
        if self._process is not None:
            self._process.close()
            self._process = None


def find_folder(job: Job, data: Data, process: LazyEncoder) -> RunFolder:
    """The folder of the run that this job is, whether it exists or not."""
    identity = run_hash(
        encoder=process.get().info.content_hash,
        mixture=data.training_content(),
        recipe=job.recipe.model_dump(mode="json"),
        seed=job.seed,
    )
    return RunFolder.of(
        job.options.out, suite=job.suite.name, encoder=job.encoder.name, identity=identity
    )


class _Work:
    """The stages of one run."""

    def __init__(
        self, job: Job, data: Data, folder: RunFolder, process: LazyEncoder, progress: Progress
    ) -> None:
        self.job, self.data, self.folder = job, data, folder
        self._process, self._progress = process, progress
        info = process.get().info
        store_folder = job.home / "features" / info.content_hash
        properties = measure_properties(process.get())
        check_probes(store_folder, properties.probes, encoder=job.encoder.text)
        manifest = self._manifest(info, properties)
        batches = start_manifest(folder, manifest)["batches"]
        self.features = Features(
            BatchPlan(mode=batches["mode"], budget_s=batches["budget_s"]),
            FeatureStore(
                store_folder, dtype=job.recipe.features.dtype or info.dtype, dim=info.output_dim
            ),
            data.source,
            encoder=process.get,
            workers=job.workers,
        )
        itemsize = STORED[self.features.store.dtype].itemsize
        self._bytes_per_s: float = properties.frame_rate_hz * info.output_dim * itemsize
        self._plan_batches()

    def _manifest(self, info: EncoderInfo, properties: Properties) -> Manifest:
        job, data = self.job, self.data
        mode = mode_of(job.recipe, job.base_recipe)
        return Manifest(
            suite=job.suite.name,
            mode=mode,
            official=is_official(job.suite, mode),
            official_tasks=job.suite.official,
            encoder={
                "name": job.encoder.name,
                "text": job.encoder.text,
                "arguments": job.encoder.arguments,
                **asdict(info),
                "properties": properties.to_json(),
            },
            mixture=data.training_lock(),
            test=data.test_lock(),
            recipe=job.recipe.model_dump(mode="json"),
            seed=job.seed,
            batches={
                "mode": batching_mode(
                    padding_invariant=properties.padding_invariant,
                    batch_invariant=properties.batch_invariant,
                ),
                "budget_s": job.encode_budget_s,
            },
            versions=versions(),
            hardware=hardware(job.device),
            settings={"device": job.device, "threads": job.threads, "workers": job.workers},
        )

    def _plan_batches(self) -> None:
        """Fix which windows are encoded together, for the whole run (law 1).

        Where every window of the mixture will be drawn about once or more, all of them are planned,
        so that the features do not depend on the seed and another seed finds them stored.
        """
        mixture, plan = self.data.mixture, self.features.plan
        if mixture.count_windows() <= self.job.total_draws:
            for part in mixture.parts:
                plan.add(mixture.all_windows(part))
        else:
            plan.add(mixture.windows(0, self.job.total_draws))
        for table, asked in self.data.tests.values():
            plan.add(table.window(a.clip) for a in asked if table.readable(a.clip))

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Add the wall time of a block to the manifest's stage, also when it is interrupted."""
        started = time.monotonic()
        try:
            yield
        finally:
            if self.folder.manifest.exists():
                record_stage(self.folder, stage, time.monotonic() - started)

    def training_spans(self, step: int) -> Iterator[Span]:
        """The blocks of draws that are encoded and trained on together, from a step on.

        Clips that turn out to be undecodable are replaced inside `encode`; what replaces them is
        small and does not move the spans.
        """
        total, mixture = self.job.total_draws, self.data.mixture
        first = step * self.job.recipe.train.batch_size // BLOCK
        units = (
            list(mixture.windows(block * BLOCK, min((block + 1) * BLOCK, total)))
            for block in range(first, -(-total // BLOCK))
        )
        for span in self._cut(units):
            yield Span(first + span.first, first + span.stop, span.batches)

    def _cut(self, units: Iterable[Iterable[Window]]) -> Iterator[Span]:
        return cut_spans(
            units, self.features.plan, cost=self._bytes_of, budget=self.job.options.disk_budget
        )

    def _bytes_of(self, batch: Batch) -> float:
        return batch.duration_s * self._bytes_per_s

    def encode(self, span: Span, *, name: str) -> set[Window]:
        """Encode what a span needs and drop what it does not, if there is a disk budget.

        Returns:
            The windows whose audio cannot be decoded.
        """
        with self.clock("encode"):
            if self.job.options.disk_budget is not None:
                self.features.keep_only(span.batches)
            return self.features.ensure(span.batches, name=name, progress=self._progress)

    def encode_training(self, span: Span) -> None:
        """Encode a span of draws; replace the clips that cannot be decoded."""
        mixture, plan = self.data.mixture, self.features.plan
        first, stop = span.first * BLOCK, min(span.stop * BLOCK, self.job.total_draws)
        bad = self.encode(span, name="encode training clips")
        while mixture.mark_undecodable(bad):
            windows = list(mixture.windows(first, stop))
            plan.add(windows)  # only windows that replace damaged ones are new here
            with self.clock("encode"):
                bad = self.features.ensure(
                    plan.of(windows), name="encode replacements", progress=self._progress
                )
        for name, count in mixture.unreadable_clips().items():
            self._tell(
                f"{name}: {count} training clips cannot be decoded; each is replaced by the next "
                "decodable one of its task."
            )

    def trainer(self) -> Trainer:
        """The LALM and its training state, continued where a checkpoint lies."""
        job, folder = self.job, self.folder
        made = folder.tokenizer if job.recipe.decoder == MINI_DECODER else None
        if made is not None and not made.exists():
            assert job.recipe.decoder_config is not None
            train_tokenizer(
                self.data.texts, vocab_size=job.recipe.decoder_config.vocab_size, folder=made
            )
        self._tokens = load_tokenizer(made or job.recipe.decoder)
        lalm = build_lalm(
            job.recipe,
            tokens=self._tokens,
            feature_dim=self.features.store.dim,
            seed=job.seed,
            device=job.device,
        )
        trainer = Trainer(
            lalm,
            draws=self.data.mixture.draws,
            read=self.features.read,
            tokens=self._tokens,
            recipe=job.recipe,
            seed=job.seed,
            folder=folder,
        )
        trainer.resume()
        return trainer

    def train(self, trainer: Trainer, span: Span) -> None:
        """Train on a span of blocks."""
        total = self.job.recipe.train.steps
        stop = min(span.stop * BLOCK // self.job.recipe.train.batch_size, total)
        if trainer.step >= stop:
            return
        with (
            self.clock("train"),
            self._progress.stage("train", total, "steps", done=trainer.step) as stage,
        ):
            trainer.run_until(stop, stage=stage)

    def answerer(self, trainer: Trainer) -> Answerer:
        """The trained LALM, ready to answer."""
        return Answerer(trainer.lalm, self._tokens, recipe=self.job.recipe)

    def answer(self, name: str, answerer: Answerer) -> None:
        """Answer a task's test clips; what cannot be decoded is counted and shown."""
        if self.folder.predictions(name).exists():
            return
        table, asked = self.data.tests[name]
        windows = {a.id: table.window(a.clip) for a in asked if table.readable(a.clip)}
        ordered = sorted(
            (a for a in asked if a.id in windows), key=lambda a: (-windows[a.id].duration_s, a.id)
        )
        chunks = [ordered[j : j + CHUNK] for j in range(0, len(ordered), CHUNK)]
        done = finished_chunks(self.folder, name)
        bad: set[Window] = set()
        with self._progress.stage(f"answer {name}", len(chunks), "chunks", done=len(done)) as stage:
            for span in self._cut([[windows[a.id] for a in chunk] for chunk in chunks]):
                bad |= self.encode(span, name=f"encode {name}")
                for number in range(span.first, span.stop):
                    if number not in done:
                        kept = [a for a in chunks[number] if windows[a.id] not in bad]
                        self._answer_chunk(name, number, kept, windows, answerer)
                        stage.advance()
        answered = [a.id for a in ordered if windows[a.id] not in bad]
        lost = sorted({a.id for a in asked} - set(answered))
        if lost:
            shown = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
            reason = f"{len(lost)} of {len(asked)} test clips cannot be decoded ({shown})"
            record_failure(self.folder, name, f"incomplete: {reason}")
            self._progress.warn(f"{name}: {reason}; the task counts as missing.")
        join_chunks(self.folder, name, order=[a.id for a in asked if a.id not in lost])

    def caption_models(self) -> MetricOptions:
        """Where the models of FENSE and DATE are."""
        options = self.job.options
        return MetricOptions(
            sentence_model=options.sentence_model, fluency_detector=options.fluency_detector
        )

    def _answer_chunk(
        self,
        name: str,
        number: int,
        chunk: Sequence[AskedClip],
        windows: dict[str, Window],
        answerer: Answerer,
    ) -> None:
        if not chunk:
            write_chunk(self.folder, name, number, [])
            return
        questions = [Question(self.features.read(windows[a.id]), a.prompt) for a in chunk]
        with self.clock("answer"):
            texts = answerer.answer(questions)
        predictions = [
            Prediction(a.id, a.references, text, round(windows[a.id].duration_s, 6))
            for a, text in zip(chunk, texts, strict=True)
        ]
        write_chunk(self.folder, name, number, predictions)

    def _tell(self, note: str) -> None:
        self._progress.warn(note)
        record_note(self.folder, note)
