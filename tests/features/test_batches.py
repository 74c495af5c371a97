"""The batch plan: what may share a batch, within the budget, fixed by the windows alone."""

from __future__ import annotations

import random
from dataclasses import replace

from auricle.data.clips import Window, by_content
from auricle.features.batches import EQUAL, PADDED, SINGLE, BatchPlan, batching_mode


def window(position: int, seconds: float, rate: int = 16_000) -> Window:
    return Window("s", position, 0, round(seconds * rate), rate, f"clip{position}")


def lengths() -> list[Window]:
    draw = random.Random(0)
    return [window(j, draw.choice([0.5, 1.0, 1.5, 2.0, 7.0])) for j in range(300)]


def test_padded_batches_stay_within_the_budget_of_padded_audio() -> None:
    plan = BatchPlan(mode=PADDED, budget_s=20.0)
    for batch in plan.add(lengths()):
        longest = max(w.duration_s for w in batch.windows)
        assert len(batch.windows) * longest <= 20.0
    assert len(plan.places) == 300


def test_a_window_longer_than_the_budget_is_a_batch() -> None:
    batches = BatchPlan(mode=PADDED, budget_s=5.0).add([window(0, 9.0), window(1, 1.0)])
    assert [len(b.windows) for b in batches] == [1, 1]


def test_equal_batches_hold_one_length() -> None:
    for batch in BatchPlan(mode=EQUAL, budget_s=20.0).add(lengths()):
        assert len({w.count for w in batch.windows}) == 1


def test_equal_batches_of_two_rates_are_not_cut_at_each_change_of_rate() -> None:
    windows = [replace(window(j, 1.0, 16_000 if j % 2 else 44_100), digest=j) for j in range(100)]
    batches = BatchPlan(mode=EQUAL, budget_s=10.0).add(by_content(windows))
    assert [len(batch.windows) for batch in batches] == [10] * 10


def test_single_batches_hold_one_window() -> None:
    batches = BatchPlan(mode=SINGLE, budget_s=20.0).add(lengths())
    assert [len(b.windows) for b in batches] == [1] * 300


def test_a_window_is_planned_once() -> None:
    plan = BatchPlan(mode=PADDED, budget_s=20.0)
    first = plan.add([window(0, 1.0), window(1, 1.0), window(0, 1.0)])
    assert sum(len(b.windows) for b in first) == 2
    assert plan.add([window(1, 1.0)]) == []
    assert plan.of([window(0, 1.0)]) == first


def test_the_plan_is_a_function_of_its_windows() -> None:
    one = BatchPlan(mode=PADDED, budget_s=20.0).add(lengths())
    two = BatchPlan(mode=PADDED, budget_s=20.0).add(lengths())
    assert [b.hash for b in one] == [b.hash for b in two]
    assert len({b.hash for b in one}) == len(one)


def test_the_mode_follows_from_what_was_measured() -> None:
    assert batching_mode(padding_invariant=True, batch_invariant=True) == PADDED
    assert batching_mode(padding_invariant=False, batch_invariant=True) == EQUAL
    assert batching_mode(padding_invariant=True, batch_invariant=False) == SINGLE


def test_batches_of_two_resamplers_are_two() -> None:
    hashes = [
        [b.hash for b in BatchPlan(mode=PADDED, budget_s=20.0, resampler=name).add(lengths())]
        for name in ("soxr", "sinc-hann")
    ]
    assert not set(hashes[0]) & set(hashes[1])
