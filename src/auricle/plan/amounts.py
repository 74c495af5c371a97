"""What a run consists of, counted on its own walk: no encoder pass, no training step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from auricle.data.clips import Window
from auricle.features.batches import Batch
from auricle.features.spans import Span
from auricle.features.store import FeatureStore
from auricle.stages.walk import Questions, Walk


class DryStore(FeatureStore):
    """A store as the work will find it: nothing is written, and nothing removed."""

    def __init__(self, store: FeatureStore) -> None:
        super().__init__(store.folder.parent, dtype=store.dtype, dim=store.dim)
        self._store = store
        self._changed: dict[str, bool] = {}

    def has(self, batch: str) -> bool:
        """Whether the batch will be there."""
        return self._changed[batch] if batch in self._changed else self._store.has(batch)

    def add(self, batch: str) -> None:
        """The batch will have been encoded."""
        self._changed[batch] = True

    def drop(self, batch: str) -> int:
        """The batch will have been removed."""
        self._changed[batch] = False
        return 0


@dataclass(slots=True)
class Amounts:
    """What is encoded, and what lies on disk."""

    drawn: set[Window] = field(default_factory=set)
    """Distinct windows of all draws."""
    test_windows: int = 0
    spans: int = 0
    """Spans of the training."""
    encode: list[Batch] = field(default_factory=list)
    """Every batch that is encoded; one that is dropped in between and needed again, again."""
    first: int = 0
    """How many of them the first span of the training needs."""
    stored_s: float = 0.0
    """Seconds of audio whose features are there already."""
    features_bytes: float = 0.0
    """Most bytes of features at a time."""
    questions: list[Questions] = field(default_factory=list)


class DryWalk(Walk):
    """A walk that encodes nothing and counts instead."""

    def __init__(self, walk: Walk, store: DryStore) -> None:
        """Prepare.

        Args:
            walk: As the work will go it, its batches planned.
            store: What is there when the work begins; what it will leave there is added.
        """
        features = walk.features.in_store(store)
        super().__init__(walk.job, walk.data, features, bytes_per_s=walk.bytes_per_s)
        self.amounts = Amounts()
        self._store = store
        self._there: dict[str, float] = {}

    def go(self) -> Amounts:
        """Count everything.

        Raises:
            OutputError: The disk budget is too small for one block of work.
        """
        for span in self.training():
            self._encode(span)
            self.amounts.spans += 1
            self.amounts.first = self.amounts.first or len(self.amounts.encode)
        for name in self.data.tests:
            questions = self.questions(name)
            for span in self.answering(questions):
                self._encode(span)
            self.amounts.test_windows += len(set(questions.windows.values()))
            self.amounts.questions.append(questions)
        return self.amounts

    def blocks(self, first: int) -> Iterator[list[Window]]:
        """The blocks of draws; their windows are counted."""
        for block in super().blocks(first):
            self.amounts.drawn.update(block)
            yield block

    def _encode(self, span: Span) -> None:
        fresh = self.enter(span)
        missing = {batch.hash for batch in fresh}
        if self.job.options.disk_budget is not None:
            needed = {batch.hash for batch in span.batches}
            self._there = {key: size for key, size in self._there.items() if key in needed}
        for batch in span.batches:
            if batch.hash not in missing and batch.hash not in self._there:
                self.amounts.stored_s += batch.duration_s
            self._there[batch.hash] = self.bytes_of(batch)
        for batch in fresh:
            self._store.add(batch.hash)
        self.amounts.encode += fresh
        self.amounts.features_bytes = max(self.amounts.features_bytes, sum(self._there.values()))
