"""What is encoded, and what lies on disk, counted before it happens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from auricle.data.clips import AudioSource, Window
from auricle.features.batches import Batch, BatchPlan
from auricle.features.encode import Features
from auricle.features.spans import Span
from auricle.features.store import FeatureStore
from auricle.plan.amounts import DryStore, DryWalk
from auricle.plan.questions import Asked, steps_of
from auricle.stages.walk import Walk


def batch(name: str, seconds: int = 1) -> Batch:
    return Batch((Window(name, 0, 0, seconds * 16_000, 16_000, name),), name)


A, B, C = batch("a"), batch("b", 2), batch("c", 4)


class Given(FeatureStore):
    """A store of which it is known what it holds."""

    def __init__(self, stored: Sequence[Batch], folder: Path) -> None:
        super().__init__(folder, dtype="float32", dim=1)
        self.stored = [one.hash for one in stored]

    def has(self, batch: str) -> bool:
        return batch in self.stored


def count(
    spans: Sequence[Sequence[Batch]], *, stored: Sequence[Batch] = (), keeps: bool
) -> tuple[list[str], float, float]:
    """Go dry over given spans; with a budget where not everything is kept."""
    store = Given(stored, Path("/nowhere"))
    plan = BatchPlan(mode="padded", budget_s=1.0)
    plan.batches = list({one.hash: one for span in spans for one in span}.values())
    features = Features(plan, store, AudioSource([]), encoder=None, workers=1)  # type: ignore[arg-type]
    job = SimpleNamespace(options=SimpleNamespace(disk_budget=None if keeps else 1e9))
    data = SimpleNamespace(tests={})
    walk = Walk(job, data, features, bytes_per_s=10.0)  # type: ignore[arg-type]
    dry = DryWalk(walk, DryStore(store))
    dry.training = lambda steps_done=0: iter(  # type: ignore[method-assign]
        [Span(number, number + 1, tuple(batches)) for number, batches in enumerate(spans)]
    )
    work = dry.go()
    return [one.hash for one in work.encode], work.stored_s, work.features_bytes


def test_without_a_budget_a_batch_is_encoded_once_and_everything_is_kept() -> None:
    assert count([[A, B], [B, C], [A]], keeps=True) == (["a", "b", "c"], 0.0, 70.0)


def test_with_a_budget_what_was_dropped_in_between_is_encoded_again() -> None:
    assert count([[A, B], [B, C], [A]], keeps=False) == (["a", "b", "c", "a"], 0.0, 60.0)


def test_what_an_earlier_run_stored_is_not_encoded() -> None:
    assert count([[A, B], [C]], stored=[A, C], keeps=True) == (["b"], 5.0, 70.0)


def test_a_budget_drops_at_once_what_the_first_span_does_not_need() -> None:
    assert count([[A, B], [C]], stored=[A, C], keeps=False) == (["b", "c"], 1.0, 40.0)


def test_rows_leave_a_chunk_when_their_answers_end() -> None:
    chunk = Asked((1.0,) * 3, ("?",) * 3, (1, 2, 4), positions=9)
    assert list(steps_of(chunk)) == [2, 1, 1]  # the first token of each comes with the prefill
