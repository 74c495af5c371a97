"""A calibration: what a few measured units of each stage say about all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from auricle.features.batches import Batch
from auricle.features.encode import Features
from auricle.job import Data, Job
from auricle.lalm.model import LALM, build_lalm
from auricle.lalm.pieces import parameters_of
from auricle.lalm.tokens import Tokens
from auricle.lalm.train import checkpoints_bytes
from auricle.plan.amounts import Amounts, Storage
from auricle.plan.memory import encoder_bytes, estimate_memory
from auricle.plan.questions import list_questions
from auricle.plan.sampling import Cost, Limit
from auricle.plan.speed import Bench, Measured, Shapes, measure_encoding
from auricle.stages.memory import memory_of
from auricle.stages.process import LazyEncoder, open_store, stored_bytes_per_s

_GPU_BUDGET_S = 1200.0
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Calibration:
    """Measures a few units of each stage and says what all of them will cost."""

    def __init__(
        self,
        job: Job,
        data: Data,
        process: LazyEncoder,
        tokens: Tokens,
    ) -> None:
        self.job, self.data = job, data
        self._process, self._tokens = process.get(), tokens
        store, rate_hz = open_store(job, process), process.properties().frame_rate_hz
        self._shapes = Shapes(rate_hz, store.dim, _DTYPES[store.dtype])
        self._bytes_per_s = stored_bytes_per_s(store, process)
        rate_hz /= job.recipe.features.concat
        self.chunks = list_questions(job, data, tokens, rate_hz=rate_hz)

    def storage(self, has: Callable[[Batch], bool]) -> Storage:
        """What is known of features on disk."""
        return Storage(self._bytes_per_s, has)

    def results(
        self,
        features: Features,
        amounts: Amounts,
        candidates: Sequence[Batch],
        limits: Sequence[Limit],
    ) -> dict[str, Any]:
        """The part of a plan that needs the data.

        Args:
            features: Encodes batches.
            amounts: Everything that will be done.
            candidates: Batches that may be encoded now.
            limits: Of encoding, training and answering.
        """
        started = time.monotonic()
        encode, largest_s = measure_encoding(
            features,
            self._process,
            candidates=candidates,
            total=amounts.encode,
            limit=limits[0],
        )
        usage = encoder_bytes(self._process, largest_s, budget_s=_GPU_BUDGET_S)
        bench = self._bench() if limits[1].units or limits[2].units else None
        steps = training_steps(self.job)
        train, answer = Measured(None, 0, steps), Measured(None, 0, len(self.chunks))
        if bench is not None:
            with memory_of(self.job.device, doing="measuring a few training steps and answers"):
                train = bench.measure_training(limits[1]) if steps else train
                answer = bench.measure_answering(self.chunks, limits[2])
        memory = estimate_memory(bench, self.chunks, usage)
        stages = {"encode": encode, "train": train, "answer": answer}
        return {
            **_counted(amounts),
            "checkpoints_bytes": None if bench is None else _checkpoints_bytes(bench.lalm, steps),
            "memory": memory.to_json(),
            "stages_s": {k: _wall_s(m.total) for k, m in stages.items()},
            "stages_cpu_s": {k: _cpu_s(m.total) for k, m in stages.items()},
            "answer_at_most_s": _wall_s(answer.at_most),
            "answer_at_most_cpu_s": _cpu_s(answer.at_most),
            "calibration": {
                "seconds": round(time.monotonic() - started, 3),
                "measured": {k: [m.units, m.of] for k, m in stages.items()},
            },
        }

    def _bench(self) -> Bench:
        job = self.job
        lalm = build_lalm(
            job.recipe,
            tokens=self._tokens,
            feature_dim=self._shapes.dim,
            seed=job.seed,
            device=job.device,
        )
        return Bench(job, self.data, lalm, self._tokens, self._shapes)


def training_steps(job: Job) -> int:
    """Training steps: none of an evaluation that the run answers itself."""
    return job.recipe.train.steps if "train" in job.sides else 0


def _checkpoints_bytes(lalm: LALM, steps: int) -> int:
    numbers = sum(piece.numel() for piece in parameters_of(lalm.pieces()))
    return checkpoints_bytes(numbers, steps=steps) if steps else 0


def _counted(amounts: Amounts) -> dict[str, Any]:
    return {
        "train_windows": amounts.train_windows,
        "test_windows": amounts.test_windows,
        "spans": amounts.spans,
        "encode_hours": sum(batch.duration_s for batch in amounts.encode) / 3600,
        "stored_hours": amounts.stored_s / 3600,
        "features_bytes": round(amounts.features_bytes),
    }


def _wall_s(cost: Cost | None) -> float | None:
    return None if cost is None else round(cost.wall_s, 3)


def _cpu_s(cost: Cost | None) -> float | None:
    return None if cost is None else round(cost.cpu_s, 3)
