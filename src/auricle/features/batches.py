"""Which windows are encoded together: fixed once per run, before anything is encoded (law 1).

Windows are taken in the order in which they are given, in groups of `GROUP`; inside a group they
are sorted by length, then by content, and cut into batches within a budget of padded audio. So
padding is small, and a span of draws touches few batches that belong to other spans. The order
given is that of the draws or that of content (`clips.by_content`), never that of the shards: places
in a shard follow whoever made its table, often class by class, and an encoder can count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from auricle.data.clips import Window
from auricle.data.decode import DECODER_VERSION, SOXR
from auricle.files import sha256_json

GROUP = 4096
PADDED, EQUAL, SINGLE = "padded", "equal", "single"


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows that go through the encoder in one call; ``hash`` finds their features."""

    windows: tuple[Window, ...]
    hash: str

    @property
    def duration_s(self) -> float:
        """Audio in the batch, without padding."""
        return sum(window.duration_s for window in self.windows)


def batching_mode(*, padding_invariant: bool, batch_invariant: bool) -> str:
    """How an encoder's windows may share a batch, from its measured properties (law 1)."""
    if not batch_invariant:
        return SINGLE
    return PADDED if padding_invariant else EQUAL


class BatchPlan:
    """The batches of a run and the place of each window in them."""

    def __init__(self, *, mode: str, budget_s: float, resampler: str = SOXR) -> None:
        self.mode = mode
        self.budget_s = budget_s
        self.resampler = resampler
        self.batches: list[Batch] = []
        self.places: dict[Window, tuple[Batch, int]] = {}

    def add(self, windows: Iterable[Window]) -> list[Batch]:
        """Plan the windows that are not planned yet; returns the new batches."""
        fresh = [w for w in dict.fromkeys(windows) if w not in self.places]
        added: list[Batch] = []
        for start in range(0, len(fresh), GROUP):
            for members in self._cut(fresh[start : start + GROUP]):
                batch = Batch(tuple(members), batch_hash(members, self.mode, self.resampler))
                added.append(batch)
                for row, window in enumerate(members):
                    self.places[window] = (batch, row)
        self.batches += added
        return added

    def of(self, windows: Iterable[Window]) -> list[Batch]:
        """The batches that hold these planned windows, each once, in the order of the plan."""
        wanted = {self.places[window][0].hash for window in windows}
        return [batch for batch in self.batches if batch.hash in wanted]

    def _cut(self, group: Sequence[Window]) -> Iterator[list[Window]]:
        members: list[Window] = []
        longest = 0.0
        for window in sorted(group, key=lambda w: w.length_order):
            if members and not self._fits(members, window, longest):
                yield members
                members = []
            if not members:
                longest = window.duration_s
            members.append(window)
        if members:
            yield members

    def _fits(self, members: list[Window], window: Window, longest: float) -> bool:
        if self.mode == SINGLE or (len(members) + 1) * longest > self.budget_s:
            return False
        first = members[0]
        equal = (window.count, window.sample_rate) == (first.count, first.sample_rate)
        return self.mode == PADDED or equal


def batch_hash(windows: Sequence[Window], mode: str, resampler: str = SOXR) -> str:
    """SHA-256 of everything but the encoder that makes a batch's features."""
    other = [] if resampler == SOXR else [resampler]
    return sha256_json(["batch", DECODER_VERSION, mode, [w.key for w in windows], *other])
