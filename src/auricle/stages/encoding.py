"""The encode stage: which windows a run needs, in which batches, and how much of it at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from auricle.data.clips import Window
from auricle.data.places import shown
from auricle.data.tables import DAMAGED, SILENCED, flaw_texts
from auricle.features.batches import Batch, BatchPlan
from auricle.features.encode import Features
from auricle.features.probes import check_probes
from auricle.features.spans import Span
from auricle.job import Data, Job
from auricle.progress import Progress
from auricle.records.manifest import Batches
from auricle.runs.folder import RunFolder
from auricle.runs.manifest import (
    begun_otherwise,
    record_note,
    record_splits,
    record_stage,
    start_manifest,
)
from auricle.stages.manifest import describe_run
from auricle.stages.process import LazyEncoder, open_store, stored_bytes_per_s
from auricle.stages.walk import Walk

_REMARKS = {"shorter": DAMAGED, "silenced": SILENCED}


class Encoding:
    """Features for one folder's work: planned once, then encoded span by span."""

    def __init__(
        self,
        job: Job,
        data: Data,
        folder: RunFolder,
        process: LazyEncoder,
        progress: Progress,
        *,
        batches: Batches,
    ) -> None:
        """Prepare; nothing is planned yet.

        Args:
            job: What was asked for.
            data: What was opened for it.
            folder: Where times and notes are kept.
            process: The encoder.
            progress: Shows the work.
            batches: How windows share batches, as the manifest keeps it.
        """
        self.job, self.folder, self.progress = job, folder, progress
        self._process = process
        store = open_store(job, process)
        check_probes(store.folder.parent, process.properties().probes, encoder=job.encoder.text)
        self.features = Features(
            BatchPlan(
                mode=batches.mode,
                budget_s=batches.budget_s,
                resampler=job.recipe.audio.resampler,
            ),
            store,
            data.source,
            encoder=process.get,
            workers=job.workers,
        )
        for batch, parts in batches.splits.items():
            if store.parts(batch) is None:
                store.write_parts(batch, parts)
        bytes_per_s = stored_bytes_per_s(store, process)
        self.walk = Walk(job, data, self.features, bytes_per_s=bytes_per_s)
        self._remarked: dict[str, set[str]] = {word: set() for word in _REMARKS}

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Add what a block takes to the manifest's stage, also when it is interrupted."""
        started, cpu_s = time.monotonic(), self._cpu_s()
        try:
            yield
        finally:
            if self.folder.manifest.exists():
                record_stage(
                    self.folder,
                    stage,
                    time.monotonic() - started,
                    cpu_s=max(0.0, self._cpu_s() - cpu_s),
                )

    def _cpu_s(self) -> float:
        """Processor seconds of this process and the encoder's."""
        return self._process.cpu_s() + time.process_time()

    def encode(self, span: Span, *, name: str) -> set[Window]:
        """Encode what a span needs and drop what it does not, if there is a disk budget.

        Returns:
            The windows whose audio cannot be decoded.
        """
        with self.clock("encode"):
            self.walk.enter(span)
            return self.ensure(span.batches, name=name)

    def ensure(self, batches: Sequence[Batch], *, name: str) -> set[Window]:
        """Encode batches and keep in the manifest which of them were encoded in parts.

        Returns:
            The windows whose audio cannot be decoded.
        """
        bad = self.features.ensure(batches, name=name, progress=self.progress)
        parts = {batch.hash: self.features.store.parts(batch.hash) for batch in batches}
        record_splits(self.folder, {key: sizes for key, sizes in parts.items() if sizes})
        for word, clips in self._remarked.items():
            clips |= {window.clip_id for window in self.features.remarked(batches, word)}
        return bad

    def begin(self) -> None:
        """Plan the batches; keep for whoever reads the scores which clips are flawed."""
        self.walk.plan_batches()
        data = self.walk.data
        sides = [(part.task.name, part.table, "train") for part in data.mixture.parts]
        sides += [(name, table, "test") for name, (table, _) in data.tests.items()]
        for name, table, side in sides:
            for text in flaw_texts(name, table, side):
                record_note(self.folder, text)  # the user was warned when the data were opened

    def tell_remarks(self, what: str) -> None:
        """Tell of the clips whose audio was remarked since the last time; ``what`` they are."""
        for word, clips in self._remarked.items():
            if clips:
                which = shown(sorted(clips))
                self.tell(f"{what}: {len(clips)} clips {_REMARKS[word]} ({which}).")
            clips.clear()

    def tell(self, note: str) -> None:
        """Warn, and keep the warning for whoever reads the scores."""
        self.progress.warn(note)
        record_note(self.folder, note)


def start_encoding(
    job: Job, data: Data, folder: RunFolder, process: LazyEncoder, progress: Progress
) -> Encoding:
    """Write the manifest of a run, or take up that of one that continues, and plan its batches."""
    manifest = describe_run(job, data, process.get().info, process.properties())
    other = None if folder.manifest.is_file() else begun_otherwise(folder, manifest)
    if other is not None:
        progress.warn(
            f"{other.path} was begun by a version of auricle that reads clips, or puts them into "
            f"order, in another way, so it is not continued: this run begins anew in {folder.path}."
        )
    batches = start_manifest(folder, manifest).batches
    encoding = Encoding(job, data, folder, process, progress, batches=batches)
    encoding.begin()
    return encoding
