"""A calibration: what a run consists of, and what a few measured units say about all of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from auricle.features.batches import Batch
from auricle.features.encode import Features
from auricle.lalm.pieces import parameters_of
from auricle.lalm.tokens import Tokens
from auricle.lalm.train import checkpoints_bytes
from auricle.plan.amounts import DryStore, DryWalk
from auricle.plan.memory import encoder_bytes, estimate_memory
from auricle.plan.questions import list_questions
from auricle.plan.sampling import Cost, Limit
from auricle.plan.speed import Bench, EncodingSpeed, Stage, training_steps
from auricle.progress import Progress, duration_text
from auricle.records.plan import Calibrated
from auricle.runs.folder import RunFolder
from auricle.stages.process import LazyEncoder
from auricle.stages.walk import Walk

_GPU_BUDGET_S = 1200.0


class Calibration:
    """Goes a job's walk dry, measures a few units of each stage and says what it all will cost."""

    def __init__(
        self,
        walk: Walk,
        process: LazyEncoder,
        tokens: Tokens,
        *,
        there: DryStore,
        folder: RunFolder,
    ) -> None:
        """Count everything; nothing is measured yet.

        Args:
            walk: As the work will go it, its batches planned.
            process: The encoder.
            tokens: The decoder's tokenizer.
            there: What is stored when the work begins; what it leaves there is added.
            folder: The training's, to which nothing is written.

        Raises:
            OutputError: The disk budget is too small for one block of work.
        """
        self._walk, self._process, self._tokens, self._folder = walk, process, tokens, folder
        self.interrupted = False
        """Whether the user stopped the measuring; what it found by then counts."""
        self._rate_hz = process.properties().frame_rate_hz
        self.amounts = DryWalk(walk, there).go()
        questions, recipe = self.amounts.questions, walk.job.recipe
        self.chunks = list_questions(questions, tokens, recipe=recipe, rate_hz=self._rate_hz)

    def measure(
        self,
        features: Features,
        candidates: Sequence[Batch],
        limits: Sequence[Limit],
        *,
        progress: Progress,
    ) -> dict[str, Any]:
        """The part of a plan that needs the data.

        Args:
            features: Encodes batches.
            candidates: Batches that may be encoded now.
            limits: Of encoding, training and answering.
            progress: Is told what is known so far.
        """
        started = time.monotonic()
        job = self._walk.job
        encoding = EncodingSpeed(features, self._process.get(), candidates)
        stages = {"encode": encoding.stage(self.amounts.encode, limits[0])}
        bench, steps = None, training_steps(job)
        stages["train"], stages["answer"] = Stage.unknown(steps), Stage.unknown(len(self.chunks))
        try:
            if limits[1].units or limits[2].units:
                bench = self._bench()
                if steps:
                    stages["train"] = bench.training(limits[1])
                stages["answer"] = bench.answering(self.chunks, limits[2])
            _go_round(stages, progress)
        except KeyboardInterrupt:
            self.interrupted = True
        budget_s = job.encode_budget_s if job.options.device == "cpu" else _GPU_BUDGET_S
        usage = encoder_bytes(self._process.get(), encoding.largest_s, budget_s=budget_s)
        at_most = None if bench is None else bench.at_most
        return {
            **self._counted(),
            "checkpoints_bytes": None if bench is None else _checkpoints_bytes(bench, steps),
            "memory": estimate_memory(bench, self.chunks, usage, device=job.device),
            "stages_s": {"fetch": None} | {k: _wall_s(one.total) for k, one in stages.items()},
            "stages_cpu_s": {"fetch": None} | {k: _cpu_s(one.total) for k, one in stages.items()},
            "answer_at_most_s": _wall_s(at_most),
            "answer_at_most_cpu_s": _cpu_s(at_most),
            "calibration": Calibrated(
                seconds=round(time.monotonic() - started, 3),
                measured={name: [one.units, one.of] for name, one in stages.items()},
            ),
        }

    def _bench(self) -> Bench:
        walk = self._walk
        return Bench(walk, self._tokens, frame_rate_hz=self._rate_hz, folder=self._folder)

    def _counted(self) -> dict[str, Any]:
        amounts = self.amounts
        return {
            "train_windows": len(amounts.drawn),
            "test_windows": amounts.test_windows,
            "spans": amounts.spans,
            "encode_hours": sum(batch.duration_s for batch in amounts.encode) / 3600,
            "stored_hours": amounts.stored_s / 3600,
            "features_bytes": round(amounts.features_bytes),
        }


def _go_round(stages: Mapping[str, Stage], progress: Progress) -> None:
    """Measure a unit of each stage in turn, so that what is known of all of them grows together."""
    units = sum(stage.sampled.most for stage in stages.values())
    with progress.stage("calibrate", units, "units") as shown:
        while waiting := [stage for stage in stages.values() if not stage.sampled.ended]:
            for stage in waiting:
                stage.sampled.more()
                shown.advance()
                known = {name: one.total for name, one in stages.items()}
                shown.note(
                    ", ".join(f"{n} {duration_text(t.wall_s)}" for n, t in known.items() if t)
                )


def _checkpoints_bytes(bench: Bench, steps: int) -> int:
    numbers = sum(piece.numel() for piece in parameters_of(bench.lalm.pieces()))
    return checkpoints_bytes(numbers, steps=steps) if steps else 0


def _wall_s(cost: Cost | None) -> float | None:
    return None if cost is None else round(cost.wall_s, 3)


def _cpu_s(cost: Cost | None) -> float | None:
    return None if cost is None else round(cost.cpu_s, 3)
