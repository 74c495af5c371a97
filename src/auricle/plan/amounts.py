"""What a run consists of, counted from its opened data: no encoder pass, no training step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from auricle.catalog.recipe import BLOCK
from auricle.data.clips import ClipTable, Window
from auricle.data.mixture import Mixture
from auricle.features.batches import Batch, BatchPlan
from auricle.features.spans import Span, cut_spans
from auricle.job import Data, Job
from auricle.stages.answering import answer_order

_BLOCKS_LOOKED_AT = 40


@dataclass(frozen=True, slots=True)
class Storage:
    """What is known of features on disk."""

    bytes_per_s: float
    """Per second of audio, an estimate from the measured frame rate."""
    has: Callable[[Batch], bool]
    """Whether a batch is stored by an earlier run."""

    def bytes_of(self, batch: Batch) -> float:
        """What a batch takes on disk."""
        return batch.duration_s * self.bytes_per_s


@dataclass(frozen=True, slots=True)
class Amounts:
    """What is encoded, and what lies on disk."""

    train_windows: int
    """Distinct windows of all draws."""
    test_windows: int
    spans: int
    """Spans of the training."""
    encode: tuple[Batch, ...]
    """Every batch that is encoded; one that is dropped in between and needed again, again."""
    first: tuple[Batch, ...]
    """Those of the first span of the training."""
    stored_s: float
    """Seconds of audio whose features are there already."""
    features_bytes: float
    """Most bytes of features at a time."""


def count_amounts(job: Job, data: Data, plan: BatchPlan, storage: Storage) -> Amounts:
    """Go through the spans of a run as the run will.

    Args:
        job: What was asked for.
        data: Its data.
        plan: All its batches, planned.
        storage: What features take, and which are there.

    Raises:
        OutputError: The disk budget is too small for one block of work.
    """
    seen: set[Window] = set()

    def cut(units: Iterable[Iterable[Window]]) -> Iterator[Span]:
        budget = job.options.disk_budget
        return cut_spans(units, plan, cost=storage.bytes_of, budget=budget)

    units = training_units(job, data.mixture) if data.mixture.parts else ()
    training = list(cut(_counted(units, seen)))
    spans, test_windows = list(training), 0
    for table, asked in data.tests.values():
        windows, chunks = answer_order(table, asked)
        test_windows += len(set(windows.values()))
        spans += cut([[windows[a.id] for a in chunk] for chunk in chunks])
    work = encoded_batches(spans, storage, keeps=job.options.disk_budget is None)
    begin = {batch.hash for span in training[:1] for batch in span.batches}
    return Amounts(
        train_windows=len(seen),
        test_windows=test_windows,
        spans=len(training),
        encode=tuple(work.encode),
        first=tuple(batch for batch in work.encode[: len(begin)] if batch.hash in begin),
        stored_s=work.stored_s,
        features_bytes=work.most_bytes,
    )


@dataclass(slots=True)
class Encoded:
    """Which batches are encoded, span after span; see `Amounts`."""

    encode: list[Batch] = field(default_factory=list)
    stored_s: float = 0.0
    most_bytes: float = 0.0


def encoded_batches(spans: Iterable[Span], storage: Storage, *, keeps: bool) -> Encoded:
    """Go through spans as the encode stage will.

    Args:
        spans: In the order of the work.
        storage: What is there at the start.
        keeps: False under a disk budget: each span drops what it does not need itself.
    """
    found = Encoded()
    there: set[str] = set()
    size = 0.0
    for number, span in enumerate(spans):
        fresh = [batch for batch in span.batches if batch.hash not in there]
        for batch in fresh:
            # The first span of a budget drops what an earlier run left and it does not need.
            if (keeps or number == 0) and storage.has(batch):
                found.stored_s += batch.duration_s
            else:
                found.encode.append(batch)
        here = {batch.hash for batch in span.batches}
        size = sum(map(storage.bytes_of, fresh if keeps else span.batches)) + size * keeps
        there = there | here if keeps else here
        found.most_bytes = max(found.most_bytes, size)
    return found


def training_units(job: Job, mixture: Mixture) -> Iterator[list[Window]]:
    """The windows of each block of draws."""
    for start in range(0, job.total_draws, BLOCK):
        yield list(mixture.windows(start, min(start + BLOCK, job.total_draws)))


def some_steps(job: Job) -> list[int]:
    """Training steps whose lengths stand for all: whole blocks, evenly spread."""
    size = job.recipe.train.batch_size
    blocks = -(-job.total_draws // BLOCK)
    count = min(blocks, _BLOCKS_LOOKED_AT)
    chosen = sorted({int((number + 0.5) * blocks / count) for number in range(count)})
    a_block = BLOCK // size
    steps = [block * a_block + place for block in chosen for place in range(a_block)]
    return [step for step in steps if step < job.recipe.train.steps]


def hours_of(table: ClipTable, clips: Iterable[int]) -> float:
    """Hours of audio of the readable ones of these clips."""
    return sum(table.window(clip).duration_s for clip in clips if table.readable(clip)) / 3600


def _counted(units: Iterable[list[Window]], seen: set[Window]) -> Iterator[list[Window]]:
    for unit in units:
        seen.update(unit)
        yield unit
