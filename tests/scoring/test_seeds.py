import math

import pytest
from scipy import stats

from auricle.records.scores import Estimate, TaskScore
from auricle.scoring.seeds import combine_seeds


def entry(score, half=0.05):
    return Estimate(score, score - half, score + half)


def test_one_seed_keeps_its_interval():
    found = combine_seeds([entry(0.5)])
    assert (found.low, found.high) == pytest.approx((0.45, 0.55))
    assert found.seed_sd is None


def test_equal_seeds_leave_the_clips_error_as_it_is():
    found = combine_seeds([entry(0.5)] * 3)
    assert (found.low, found.high) == pytest.approx((0.45, 0.55))
    assert found.seed_sd == 0


def test_seed_and_clip_variance_add():
    found = combine_seeds([entry(0.48), entry(0.50), entry(0.52)])
    assert found.value == pytest.approx(0.5)
    assert found.seed_sd == pytest.approx(0.02)
    clips, seeds = (0.05 / 1.959964) ** 2, 0.02**2 / 3
    freedom = (clips + seeds) ** 2 * 2 / seeds**2
    half = stats.t.ppf(0.975, freedom) * math.sqrt(clips + seeds)
    assert found.high == pytest.approx(0.5 + half, abs=1e-9)


def test_a_missing_seed_is_not_zero():
    found = combine_seeds([entry(0.5), Estimate()])
    assert found.value is None
    assert found.seeds == 2


def test_an_incomplete_seed_is_missing():
    crashed = TaskScore(score=0.4, low=0.35, high=0.45, failure="crashed")
    assert combine_seeds([entry(0.5), crashed.estimate]).value is None


def test_a_seed_without_an_interval_leaves_the_mean_without_one():
    found = combine_seeds([entry(0.5), Estimate(0.4)])
    assert (found.value, found.low, found.high) == (pytest.approx(0.45), None, None)
