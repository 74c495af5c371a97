"""Spans: every unit once, in order, each within the budget."""

from __future__ import annotations

import pytest
from test_batches import window

from auricle.errors import OutputError
from auricle.features.batches import SINGLE, Batch, BatchPlan
from auricle.features.spans import cut_spans


def cost(batch: Batch) -> float:
    return batch.duration_s


@pytest.fixture
def plan() -> BatchPlan:
    plan = BatchPlan(mode=SINGLE, budget_s=100.0)
    plan.add(window(j, 1.0) for j in range(10))
    return plan


UNITS = [[window(j, 1.0), window((j * 3) % 10, 1.0)] for j in range(10)]


def test_without_a_budget_everything_is_one_span(plan: BatchPlan) -> None:
    (span,) = cut_spans(UNITS, plan, cost=cost, budget=None)
    assert (span.first, span.stop, len(span.batches)) == (0, 10, 10)


@pytest.mark.parametrize("budget", [2.0, 3.0, 5.5])
def test_spans_cover_all_units_in_order_within_the_budget(plan: BatchPlan, budget: float) -> None:
    spans = list(cut_spans(UNITS, plan, cost=cost, budget=budget))
    assert [s.first for s in spans] == [0, *(s.stop for s in spans[:-1])]
    assert spans[-1].stop == 10
    assert len(spans) > 1
    for span in spans:
        assert sum(cost(b) for b in span.batches) <= budget
        needed = {w for unit in UNITS[span.first : span.stop] for w in unit}
        assert {w for b in span.batches for w in b.windows} == needed


def test_a_unit_larger_than_the_budget_is_an_error(plan: BatchPlan) -> None:
    with pytest.raises(OutputError, match="Give a larger --disk-budget"):
        list(cut_spans(UNITS, plan, cost=cost, budget=1.5))


def test_no_units_are_no_spans(plan: BatchPlan) -> None:
    assert list(cut_spans([], plan, cost=cost, budget=None)) == []
