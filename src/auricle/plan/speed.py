"""How fast this machine is at each stage: real batches, steps and questions, a few of each.

Training is measured on features of noise in the shapes that the encoder's would have, with a LALM
that is thrown away; answers on the same LALM, which has learnt nothing. Nothing of it is kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from auricle.data.clips import Window
from auricle.encoder.host import EncoderProcess
from auricle.features.batches import Batch
from auricle.features.encode import Features
from auricle.job import Data, Job
from auricle.lalm.batch import BatchSource
from auricle.lalm.decode import Generator
from auricle.lalm.generic import GenericDecoder
from auricle.lalm.gradients import gradients_of
from auricle.lalm.greedy import Settings
from auricle.lalm.model import LALM
from auricle.lalm.optimiser import Optimiser
from auricle.lalm.tokens import Tokens
from auricle.plan.amounts import some_steps
from auricle.plan.questions import Asked, steps_of, weight_of
from auricle.plan.sampling import Cost, Limit, cost_of_one
from auricle.progress import SilentProgress

_NOBODY = -1  # a token that no decoder says, so that no answer ends early
_STEPS_OF_AN_ANSWER = 6
_STEPS_ON_A_GPU = 30  # they take so little there that the first token's time would hide them
_POSITIONS_AT_ONCE = 8_000  # of a chunk, on a CPU: the rest costs the same again


@dataclass(frozen=True, slots=True)
class Measured:
    """What a stage is expected to cost; None where nothing of it was measured."""

    total: Cost | None
    units: int
    """How many units of it were measured."""
    of: int
    """How many there are."""
    at_most: Cost | None = None
    """What it can cost if all answers are as long as they may be."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """What features look like, known without having them."""

    frame_rate_hz: float
    dim: int
    dtype: torch.dtype

    def frames(self, duration_s: float) -> int:
        """Frames of a window."""
        return max(1, round(duration_s * self.frame_rate_hz))


class Watch:
    """Adds up what blocks of work take, the encoder's process included."""

    def __init__(self, process: EncoderProcess | None = None) -> None:
        self._process = process
        self.cost = Cost()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count a block."""
        cpu_s, wall_s = self._cpu_s(), time.monotonic()
        yield
        self.cost += Cost(self._cpu_s() - cpu_s, time.monotonic() - wall_s)

    def _cpu_s(self) -> float:
        return (self._process.cpu_s() if self._process else 0.0) + time.process_time()


def measure_encoding(
    features: Features,
    process: EncoderProcess,
    *,
    candidates: Sequence[Batch],
    total: Sequence[Batch],
    limit: Limit,
) -> tuple[Measured, float]:
    """Encode a few batches, decoding and storing included.

    Args:
        features: Encodes and stores them.
        process: The encoder.
        candidates: Batches that may be encoded now.
        total: All that will be.
        limit: How many.

    Returns:
        The cost, and the padded seconds of the largest batch that was measured.
    """
    largest_s = 0.0
    if not total:
        return Measured(Cost(), 0, 0), largest_s

    def one(place: int) -> Cost:
        nonlocal largest_s
        largest_s = max(largest_s, padded_s(candidates[place]))
        watch = Watch(process)
        with watch.running():
            features.ensure([candidates[place]], name="calibrate", progress=SilentProgress())
        return watch.cost

    mean, units = cost_of_one([padded_s(batch) for batch in candidates], one, limit)
    whole = None if mean is None else _all_cores(mean * sum(map(padded_s, total)))
    return Measured(whole, units, len(total)), largest_s


def padded_s(batch: Batch) -> float:
    """Seconds of audio that the encoder is given for a batch, padding included."""
    return len(batch.windows) * max(window.duration_s for window in batch.windows)


@dataclass(slots=True)
class _Memory:
    used_bytes: int = 0


@contextmanager
def _saved_memory() -> Iterator[_Memory]:
    """What a step keeps for its gradients."""
    memory, seen = _Memory(), set[int]()

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            memory.used_bytes += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield memory


@contextmanager
def _device_memory(device: torch.device) -> Iterator[_Memory]:
    """What a captured step takes of a GPU: its own memory, and as much for a warm-up's.

    Measured where it is captured; where it is only replayed, nothing rises.
    """
    memory, before = _Memory(), torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    yield memory
    memory.used_bytes = 2 * (torch.cuda.max_memory_allocated(device) - before)


class Bench:
    """A LALM to measure on."""

    def __init__(self, job: Job, data: Data, lalm: LALM, tokens: Tokens, shapes: Shapes) -> None:
        self.job, self.lalm, self.tokens, self.shapes = job, lalm, tokens, shapes
        self._noise = torch.randn(
            shapes.frames(_longest_s(job, data)), shapes.dim, dtype=torch.float32
        ).to(shapes.dtype)
        self._source = BatchSource(
            draws=data.mixture.draws, read=self._read, tokens=tokens, recipe=job.recipe
        )
        self._gradients = gradients_of(lalm)
        self.saved_per_position = 0.0
        self.longest_step = 0

    def _read(self, window: Window) -> Tensor:
        return self._noise[: self.shapes.frames(window.duration_s)]

    def positions(self, duration_s: float) -> int:
        """Positions of the decoder that a window takes."""
        return -(-self.shapes.frames(duration_s) // self.job.recipe.features.concat)

    def measure_training(self, limit: Limit) -> Measured:
        """Take a few training steps, each with the batch that it will have."""
        recipe = self.job.recipe
        steps, preparing = some_steps(self.job), Watch()
        with preparing.running():  # labels read, tokens made: a block's share of it to each step
            sizes = [self._step_size(step) for step in steps]
        optimiser = Optimiser(self.lalm.pieces(), train=recipe.train)

        def one(place: int) -> Cost:
            self._source.examples(steps[place])
            if self._on_gpu:
                self._step(steps[place], optimiser)  # captures its shape, as a run does once
            watch = Watch()
            with watch.running():
                self._step(steps[place], optimiser)
            return watch.cost

        if limit.units and steps:
            one(len(steps) // 2)  # the first step also sets things up
        mean, units = cost_of_one(sizes, one, limit)
        self._gradients.release()
        if mean is None:
            return Measured(None, 0, recipe.train.steps)
        share = recipe.train.steps / len(steps)
        total = (mean * sum(sizes) + preparing.cost) * share
        return Measured(_all_cores(total), units, recipe.train.steps)

    def _step_size(self, step: int) -> int:
        """Positions and labels of a step: what its cost nearly follows."""
        examples = self._source.examples(step)
        tokens = sum(len(e.prompt) + 2 * len(e.target) for e in examples)
        size = tokens + sum(self.positions(e.duration_s) for e in examples)
        self.longest_step = max(self.longest_step, size)
        return size

    def _step(self, step: int, optimiser: Optimiser) -> None:
        batch = self._source.batch(step)
        with _device_memory(self.lalm.device) if self._on_gpu else _saved_memory() as memory:
            loss = self._gradients(batch, step)
        optimiser.step(step)
        float(loss)  # a GPU is waited for
        used = memory.used_bytes / len(batch.positions)
        self.saved_per_position = max(self.saved_per_position, used)

    @property
    def _on_gpu(self) -> bool:
        return self.lalm.device.type == "cuda"

    def measure_answering(self, chunks: Sequence[Asked], limit: Limit) -> Measured:
        """Answer some of a few chunks' questions, for a few tokens."""
        if not chunks:
            return Measured(Cost(), 0, 0)
        decoder = self.lalm.decoder
        engine = decoder if isinstance(decoder, GenericDecoder) else Generator(decoder)
        most = [replace(chunk, lengths=(self._longest,) * len(chunk.lengths)) for chunk in chunks]
        at_most: dict[int, Cost] = {}

        def one(place: int) -> Cost:
            speed = self._speed(chunks[place], engine)
            at_most[place] = speed.cost(most[place])
            return speed.cost(chunks[place])

        sizes = [weight_of(chunk) for chunk in chunks]
        if limit.units:
            self._speed(chunks[-1], engine)  # the first one also sets things up
        mean, units = cost_of_one(sizes, one, limit)
        if mean is None:
            return Measured(None, 0, len(chunks))
        measured = sum(weight_of(most[place]) for place in at_most)
        share = sum(map(weight_of, most)) / measured
        bound = sum(at_most.values(), Cost()) * share
        return Measured(_all_cores(mean * sum(sizes)), units, len(chunks), _all_cores(bound))

    @property
    def _longest(self) -> int:
        return self.job.recipe.answer.max_new_tokens

    @torch.inference_mode()
    def _speed(self, chunk: Asked, engine: Generator | GenericDecoder) -> _Speed:
        """Time the prefill of a chunk, and its further tokens for many and for few rows."""
        rows = len(chunk.lengths)
        if self.lalm.device.type == "cpu":
            rows = max(1, min(rows, _POSITIONS_AT_ONCE * rows // chunk.positions))
        few = max(1, rows // 4)
        if self._on_gpu:  # captures the steps, as a run does once
            for count in (rows, few):
                self._time(chunk, count, engine)
        prefill, many_s = self._time(chunk, rows, engine)
        few_s = self._time(chunk, few, engine)[1] if few < rows else many_s
        return _Speed(prefill * (len(chunk.lengths) / rows), (few, few_s), (rows, many_s))

    def _time(
        self, chunk: Asked, rows: int, engine: Generator | GenericDecoder
    ) -> tuple[Cost, Cost]:
        """Cost of the first token of some rows, spread over the chunk, and of a further one."""
        places = [number * len(chunk.lengths) // rows for number in range(rows)]
        costs = []
        more = _STEPS_ON_A_GPU if self._on_gpu else _STEPS_OF_AN_ANSWER
        more = max(1, min(more, self._longest - 1))
        for count in (1, 1 + more):
            settings = Settings(_NOBODY, count, self.job.recipe.answer.repetition_penalty)
            watch = Watch()
            with watch.running():
                audio = [
                    self.lalm.positions(self._noise[: self.shapes.frames(chunk.durations_s[p])])
                    for p in places
                ]
                prompts = [self.tokens.encode(chunk.prompts[p]) for p in places]
                engine.generate(audio, prompts, settings)
            costs.append(watch.cost)
        first, both = costs
        return first, Cost(
            max(0.0, both.cpu_s - first.cpu_s) / more, max(0.0, both.wall_s - first.wall_s) / more
        )


@dataclass(frozen=True, slots=True)
class _Speed:
    """What a chunk's prefill costs, and a further token for few and for many rows."""

    prefill: Cost
    few: tuple[int, Cost]
    many: tuple[int, Cost]

    def cost(self, chunk: Asked) -> Cost:
        """What answers of these lengths cost."""
        return sum((self._step(rows) for rows in steps_of(chunk)), self.prefill)

    def _step(self, rows: int) -> Cost:
        (few, low), (many, high) = self.few, self.many
        if many == few:
            return high
        share = (rows - few) / (many - few)
        cpu_s = low.cpu_s + share * (high.cpu_s - low.cpu_s)
        wall_s = low.wall_s + share * (high.wall_s - low.wall_s)
        return Cost(max(0.0, cpu_s), max(0.0, wall_s))


def _longest_s(job: Job, data: Data) -> float:
    tests = [
        table.window(a.clip).duration_s
        for table, asked in data.tests.values()
        for a in asked
        if table.readable(a.clip)
    ]
    return max([job.recipe.crop.length_s, *tests])


def _all_cores(cost: Cost) -> Cost:
    """A cost whose wall time is no less than all cores need for its processor time."""
    return Cost(cost.cpu_s, max(cost.wall_s, cost.cpu_s / (os.cpu_count() or 1)))
