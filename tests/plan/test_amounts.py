"""What is encoded, and what lies on disk, counted before it happens."""

from __future__ import annotations

from collections.abc import Sequence

from auricle.data.clips import Window
from auricle.features.batches import Batch
from auricle.features.spans import Span
from auricle.plan.amounts import Storage, encoded_batches
from auricle.plan.questions import Asked, steps_of


def batch(name: str, seconds: int = 1) -> Batch:
    return Batch((Window(name, 0, 0, seconds * 16_000, 16_000, name),), name)


A, B, C = batch("a"), batch("b", 2), batch("c", 4)


def count(
    spans: Sequence[Sequence[Batch]], *, stored: Sequence[Batch] = (), keeps: bool
) -> tuple[list[str], float, float]:
    storage = Storage(10.0, lambda one: one in stored)
    cut = [Span(number, number + 1, tuple(batches)) for number, batches in enumerate(spans)]
    work = encoded_batches(cut, storage, keeps=keeps)
    return [one.hash for one in work.encode], work.stored_s, work.most_bytes


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
