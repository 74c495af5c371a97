"""The walk of a run over its windows: in which batches, spans, blocks and chunks they come.

`run` goes it and works; `auricle plan` goes the same one and adds up what the work will take.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auricle.catalog.recipe import BLOCK
from auricle.data.clips import Window
from auricle.data.tables import AskedClip, asked_windows
from auricle.features.batches import Batch
from auricle.features.encode import Features
from auricle.features.spans import Span, cut_spans
from auricle.job import Data, Job

CHUNK = 64
"""Test clips that are answered together; part of what makes a prediction, so never a setting."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The readable test clips of a task."""

    windows: dict[str, Window]
    """By id."""
    chunks: list[list[AskedClip]]
    """Longest clips first."""


class Walk:
    """The way through the work of one job; what is encoded lies in the features' store."""

    def __init__(self, job: Job, data: Data, features: Features, *, bytes_per_s: float) -> None:
        """Prepare.

        Args:
            job: What was asked for.
            data: Its data.
            features: Its batches and where they are stored.
            bytes_per_s: What the features of a second of audio take on disk, about.
        """
        self.job, self.data, self.features = job, data, features
        self.bytes_per_s = bytes_per_s

    def plan_batches(self) -> None:
        """Fix which windows are encoded together, for the whole job (law 1).

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
            plan.add(asked_windows(table, asked))

    def blocks(self, first: int) -> Iterator[list[Window]]:
        """The windows of each block of draws from block ``first`` on."""
        if self.data.mixture.parts:
            for block in range(first, -(-self.job.total_draws // BLOCK)):
                yield list(self.data.mixture.windows(*self.draws_of(block, block + 1)))

    def draws_of(self, first: int, stop: int) -> tuple[int, int]:
        """The draws of the blocks ``first`` to ``stop - 1``, as a range."""
        return first * BLOCK, min(stop * BLOCK, self.job.total_draws)

    def training(self, steps_done: int = 0) -> Iterator[Span]:
        """The blocks of draws that are encoded and trained on together.

        Clips that turn out to be undecodable are replaced in between; what replaces them is small
        and does not move the spans.
        """
        first = steps_done * self.job.recipe.train.batch_size // BLOCK
        for span in self._cut(self.blocks(first)):
            yield Span(first + span.first, first + span.stop, span.batches)

    def questions(self, name: str) -> Questions:
        """What a task is asked.

        Clips of one length are in content's order, as they are encoded, so a chunk needs few
        batches and says nothing of the table that the clips came from.
        """
        table, asked = self.data.tests[name]
        windows = {a.id: table.window(a.clip) for a in asked if table.readable(a.clip)}
        ordered = sorted(
            (a for a in asked if a.id in windows), key=lambda a: windows[a.id].length_order
        )
        chunks = [ordered[j : j + CHUNK] for j in range(0, len(ordered), CHUNK)]
        return Questions(windows, chunks)

    def answering(self, questions: Questions) -> Iterator[Span]:
        """The chunks of questions that are encoded and answered together."""
        windows = questions.windows
        return self._cut([windows[a.id] for a in chunk] for chunk in questions.chunks)

    def enter(self, span: Span) -> list[Batch]:
        """Drop what a span does not need, if there is a disk budget; returns what it lacks."""
        if self.job.options.disk_budget is not None:
            self.features.keep_only(span.batches)
        return self.features.missing(span.batches)

    def bytes_of(self, batch: Batch) -> float:
        """What a batch takes on disk, about."""
        return batch.duration_s * self.bytes_per_s

    def _cut(self, units: Iterable[Iterable[Window]]) -> Iterator[Span]:
        budget = self.job.options.disk_budget
        return cut_spans(units, self.features.plan, cost=self.bytes_of, budget=budget)
