"""What a few measured units say about all of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auricle.plan.sampling import Cost, Limit, Sampled, pick

SIZES = [float(1 + number % 7 * (number % 3)) for number in range(200)]
MANY = Limit(units=12, seconds=1e9)


def cost_of_one(
    sizes: list[float], measure: Callable[[int], Cost], limit: Limit
) -> tuple[Cost | None, int]:
    sampled = Sampled(sizes, measure, limit)
    while not sampled.ended:
        sampled.more()
    return sampled.of_one, len(sampled.seen)


def estimate(sizes: list[float], of: dict[int, float], limit: Limit = MANY) -> float:
    mean, _ = cost_of_one(sizes, lambda place: Cost(of[place], 0.0), limit)
    assert mean is not None
    return mean.cpu_s * sum(sizes)


def test_costs_in_proportion_to_size_are_estimated_exactly() -> None:
    costs = {place: 0.25 * size for place, size in enumerate(SIZES)}
    assert estimate(SIZES, costs) == pytest.approx(sum(costs.values()))


@pytest.mark.parametrize("fixed", [0.0, 3.0, 20.0])
def test_a_fixed_part_and_a_square_part_are_estimated_well(fixed: float) -> None:
    costs = {place: fixed + size + 0.1 * size**2 for place, size in enumerate(SIZES)}
    assert estimate(SIZES, costs) == pytest.approx(sum(costs.values()), rel=0.15)


def test_every_beginning_of_the_picks_is_spread_over_the_sizes() -> None:
    sizes = [1.0] * 1_000
    for count in (1, 3, 7, 12):
        places = sorted(pick(sizes, count))
        assert places[0] < 1_000 / (count + 1) * 2
        assert places[-1] >= 1_000 - 1_000 / (count + 1) * 2
        assert len(set(places)) == count


def test_a_unit_that_is_most_of_the_work_counts_as_much_as_it_is() -> None:
    sizes = [90.0, 5.0, 5.0]
    costs = {0: 45.0, 1: 20.0, 2: 20.0}
    assert estimate(sizes, costs) == pytest.approx(85.0, rel=0.2)


def test_a_few_units_are_measured_however_long_they_take_unless_fewer_may_be() -> None:
    measured: list[int] = []

    def measure(place: int) -> Cost:
        measured.append(place)
        return Cost(1.0, 2.0)

    mean, units = cost_of_one([2.0] * 9, measure, Limit(units=8, seconds=0.0))
    assert (mean, units, len(measured)) == (Cost(0.5, 1.0), 3, 3)
    assert cost_of_one([2.0] * 9, measure, Limit(units=2, seconds=0.0))[1] == 2
    assert cost_of_one([2.0], measure, Limit(units=0, seconds=9.0)) == (None, 0)
    assert len(measured) == 5
