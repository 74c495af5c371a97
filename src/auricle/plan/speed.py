"""How fast this machine is at each stage: the run's own encoding, steps and answers, a few of each.

Steps and answers are measured on features of noise in the shapes that the encoder's would have,
with a LALM that has learnt nothing and is thrown away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from auricle.catalog.recipe import BLOCK
from auricle.data.clips import Window
from auricle.encoder.contract import SAMPLE_RATE
from auricle.encoder.host import EncoderProcess
from auricle.features.batches import Batch
from auricle.features.encode import Features
from auricle.job import Data, Job
from auricle.lalm.answer import Answerer, Question
from auricle.lalm.tokens import Tokens
from auricle.plan.questions import Asked, steps_of, weight_of
from auricle.plan.sampling import Cost, Limit, Sampled
from auricle.progress import SilentProgress
from auricle.runs.folder import RunFolder
from auricle.stages.memory import memory_of
from auricle.stages.training import new_trainer
from auricle.stages.walk import Walk

_STEPS_OF_AN_ANSWER = 6
_STEPS_ON_A_GPU = 30  # they take so little there that the first token's time would hide them
_POSITIONS_AT_ONCE = 4_000  # of a chunk, on a CPU: the rest costs the same again
_BLOCKS_LOOKED_AT = 40
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(slots=True)
class Stage:
    """A stage: how some of its units are measured, and what all of them amount to."""

    of: int
    """How many units there are."""
    sampled: Sampled
    whole: float | None = None
    """Size of all units together; None = it cannot be measured."""
    fixed: Cost = field(default_factory=Cost)
    """What it takes beside its units."""

    @classmethod
    def unknown(cls, of: int) -> Stage:
        """One of which nothing is measured."""
        return cls(of, Sampled((), lambda _: Cost(), Limit(0, 0.0)))

    @property
    def units(self) -> int:
        """How many were measured."""
        return len(self.sampled.seen)

    @property
    def total(self) -> Cost | None:
        """What it is expected to take; None where nothing of it was measured."""
        if self.whole == 0:
            return Cost()
        one = self.sampled.of_one
        if one is None or self.whole is None:
            return None
        return _all_cores(one * self.whole + self.fixed)


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


class EncodingSpeed:
    """Encodes a few batches, decoding and storing included."""

    def __init__(
        self, features: Features, process: EncoderProcess, candidates: Sequence[Batch]
    ) -> None:
        """Prepare.

        Args:
            features: Encodes and stores them.
            process: The encoder.
            candidates: Batches that may be encoded now.
        """
        self._features, self._process, self._candidates = features, process, candidates
        self.largest_s = 0.0
        """Padded seconds of the largest batch that was measured."""

    def stage(self, total: Sequence[Batch], limit: Limit) -> Stage:
        """The stage, of which these are all batches."""
        sampled = Sampled([*map(padded_s, self._candidates)], self._measure, limit)
        return Stage(len(total), sampled, sum(map(padded_s, total)))

    def _measure(self, place: int) -> Cost:
        batch = self._candidates[place]
        self.largest_s = max(self.largest_s, padded_s(batch))
        watch = Watch(self._process)
        with watch.running():
            self._features.ensure([batch], name="calibrate", progress=SilentProgress())
        return watch.cost


def first_look(
    process: EncoderProcess, lengths_s: Sequence[float], *, batch_s: float = 0.0
) -> float:
    """Wall seconds that a second of audio takes at least: a call with noise of each length.

    A call's own share is left out, since windows that go through together have it once.

    Args:
        process: The encoder, warm.
        lengths_s: Of windows.
        batch_s: Seconds of audio in a call, where windows that go through together take less.
    """
    half = max(lengths_s) / 2
    taken: dict[float, float] = {}
    wanted = [*lengths_s, half] if half >= 1 else lengths_s  # none that no encoder is tried on
    for length_s in sorted({round(s, 1) or 0.1 for s in wanted}):
        noise = 0.05 * np.random.default_rng(0).standard_normal(round(length_s * SAMPLE_RATE))
        count = max(1, int(batch_s / length_s))
        started = time.monotonic()
        process.encode(
            [noise.astype(np.float32)] * count, labels=[f"{length_s:g} s of noise"] * count
        )
        taken[length_s * count] = time.monotonic() - started
    short, long = min(taken), max(taken)
    slope = (taken[long] - taken[short]) / (long - short) if long > short else 0.0
    rates = [seconds / audio_s for audio_s, seconds in taken.items()]
    return min([*rates, slope] if slope > 0 and not batch_s else rates)


def padded_s(batch: Batch) -> float:
    """Seconds of audio that the encoder is given for a batch, padding included."""
    return len(batch.windows) * max(window.duration_s for window in batch.windows)


class Bench:
    """A LALM to measure on."""

    def __init__(
        self, walk: Walk, tokens: Tokens, *, frame_rate_hz: float, folder: RunFolder
    ) -> None:
        """Build it.

        Args:
            walk: Of the job.
            tokens: The decoder's tokenizer.
            frame_rate_hz: Of the encoder.
            folder: Nothing is written to it.
        """
        job, data, store = walk.job, walk.data, walk.features.store
        self.job, self._rate_hz = job, frame_rate_hz
        noise = torch.randn(self._frames(_longest_s(job, data)), store.dim)
        self._noise = noise.to(_DTYPES[store.dtype])
        self.trainer = new_trainer(
            job, data, tokens, feature_dim=store.dim, read=self._read, folder=folder
        )
        self.lalm = self.trainer.lalm
        self._tokens = tokens
        self._answerer: Answerer | None = None
        self._most: Sequence[Asked] = ()
        self._at_most: dict[int, Cost] = {}
        self.saved_per_position = 0.0
        self.longest_step = 0

    def _frames(self, duration_s: float) -> int:
        return max(1, round(duration_s * self._rate_hz))

    def _read(self, window: Window) -> Tensor:
        return self._noise[: self._frames(window.duration_s)]

    def positions(self, duration_s: float) -> int:
        """Positions of the decoder that a window takes."""
        return -(-self._frames(duration_s) // self.job.recipe.features.concat)

    @property
    def _on_gpu(self) -> bool:
        return self.lalm.device.type == "cuda"

    def training(self, limit: Limit) -> Stage:
        """Training steps, each with the batch that it will have."""
        train = self.job.recipe.train
        steps, preparing = some_steps(self.job), Watch()
        with preparing.running():  # labels read, tokens made: a block's share of it to each step
            sizes = [self._sizes(step)[0] for step in steps]
        self.longest_step = max(sizes)
        share = train.steps / len(steps)
        sampled = Sampled(sizes, lambda place: self._step(steps[place]), limit)
        return Stage(train.steps, sampled, sum(sizes) * share, preparing.cost * share)

    def _sizes(self, step: int) -> tuple[int, int]:
        """Positions and labels of a step, which its cost nearly follows; its positions alone."""
        examples = self.trainer.source.examples(step)
        positions = sum(len(e.prompt) + len(e.target) - 1 for e in examples)
        positions += sum(self.positions(e.duration_s) for e in examples)
        return positions + sum(len(e.target) + 1 for e in examples), positions

    def _step(self, step: int) -> Cost:
        positions = self._sizes(step)[1]
        if not self.saved_per_position or self._on_gpu:
            self._try(step, positions)  # sets things up, or captures its shape, as a run does once
        watch = Watch()
        with watch.running():
            self._try(step, positions)
        return watch.cost

    def _try(self, step: int, positions: int) -> None:
        with (
            memory_of(self.job.device, doing="measuring a few training steps"),
            _device_memory(self.lalm.device) if self._on_gpu else _saved_memory() as memory,
        ):
            self.trainer.try_step(step)
        self.saved_per_position = max(self.saved_per_position, memory.used_bytes / positions)

    def answering(self, chunks: Sequence[Asked], limit: Limit) -> Stage:
        """Chunks of questions: some questions of each, answered for a few tokens."""
        longest = self.job.recipe.answer.max_new_tokens
        self._most = [replace(one, lengths=(longest,) * len(one.lengths)) for one in chunks]

        def measure(place: int) -> Cost:
            with memory_of(self.job.device, doing="measuring a few answers"):
                if self._answerer is None:
                    self._answerer = Answerer(self.lalm, self._tokens, recipe=self.job.recipe)
                    self._time(chunks[-1], 1)  # the first one also sets things up
                speed = self._speed(chunks[place])
            self._at_most[place] = speed.cost(self._most[place])
            return speed.cost(chunks[place])

        sizes = [*map(weight_of, chunks)]
        return Stage(len(chunks), Sampled(sizes, measure, limit), sum(sizes))

    @property
    def at_most(self) -> Cost | None:
        """What all answers cost if each is as long as it may be; None where none was measured."""
        if not self._at_most:
            return None
        sizes = [*map(weight_of, self._most)]
        share = sum(sizes) / sum(sizes[place] for place in self._at_most)
        return _all_cores(sum(self._at_most.values(), Cost()) * share)

    def _speed(self, chunk: Asked) -> _Speed:
        """Time the prefill of a chunk, and its further tokens for many and for few rows."""
        rows = len(chunk.lengths)
        if not self._on_gpu:
            rows = max(1, min(rows, _POSITIONS_AT_ONCE * rows // chunk.positions))
        few = max(1, rows // 4)
        if self._on_gpu:  # captures the steps, as a run does once
            for count in (rows, few):
                self._time(chunk, count)
        prefill, many_s = self._time(chunk, rows)
        few_s = self._time(chunk, few)[1] if few < rows else many_s
        return _Speed(prefill * (len(chunk.lengths) / rows), (few, few_s), (rows, many_s))

    def _time(self, chunk: Asked, rows: int) -> tuple[Cost, Cost]:
        """Cost of the first token of some rows, spread over the chunk, and of a further one."""
        assert self._answerer is not None
        places = [number * len(chunk.lengths) // rows for number in range(rows)]
        questions = [
            Question(self._noise[: self._frames(chunk.durations_s[p])], chunk.prompts[p])
            for p in places
        ]
        costs = []
        more = _STEPS_ON_A_GPU if self._on_gpu else _STEPS_OF_AN_ANSWER
        more = max(1, min(more, self.job.recipe.answer.max_new_tokens - 1))
        for count in (1, 1 + more):
            watch = Watch()
            with watch.running():
                self._answerer.answer(questions, exactly=count)
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


def training_steps(job: Job) -> int:
    """Training steps: none of an evaluation that the run answers itself."""
    return job.recipe.train.steps if "train" in job.sides else 0


def some_steps(job: Job) -> list[int]:
    """Training steps whose lengths stand for all: whole blocks, evenly spread."""
    blocks = -(-job.total_draws // BLOCK)
    count = min(blocks, _BLOCKS_LOOKED_AT)
    chosen = sorted({int((number + 0.5) * blocks / count) for number in range(count)})
    a_block = BLOCK // job.recipe.train.batch_size
    steps = [block * a_block + place for block in chosen for place in range(a_block)]
    return [step for step in steps if step < job.recipe.train.steps]


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
