import numpy as np
import pytest
from scipy import stats

from auricle.records.scores import Estimate
from auricle.scoring.health import spearman, task_health

PUBLIC = {"a": 0.9, "b": 0.8, "c": 0.5, "d": 0.3}


def values(*scores):
    return {team: Estimate(score) for team, score in zip("abcd", scores, strict=False)}


def test_a_task_that_orders_rows_like_the_public_ones_separates():
    health = task_health("t*", values(0.9, 0.7, 0.4, 0.2), PUBLIC)
    assert health.verdict == "separates"
    assert health.agreement == pytest.approx(1.0)
    assert health.tied == 0


def test_a_task_that_everyone_solves_is_at_its_ceiling():
    health = task_health("t*", values(1.0, 0.99, 0.98, 0.6), PUBLIC)
    assert health.at_ceiling == 0.75
    assert health.verdict == "at its ceiling"


def test_a_task_near_chance_is_at_its_floor():
    assert task_health("t*", values(0.51, 0.5, 0.5, 0.9), PUBLIC, chance=0.5).at_floor == 0.75
    assert task_health("t*", values(0.51, 0.5, 0.5, 0.9), PUBLIC).verdict != "at its floor"


def test_a_task_may_run_against_the_public_ones():
    assert "runs against" in task_health("t*", values(0.1, 0.2, 0.5, 0.6), PUBLIC).verdict


def test_pairs_told_apart_need_intervals():
    known = {
        t: Estimate(s, s - 0.05, s + 0.05) for t, s in zip("abc", (0.9, 0.88, 0.2), strict=True)
    }
    assert task_health("t*", known, PUBLIC).told_apart == pytest.approx(2 / 3)
    assert task_health("t*", values(0.9, 0.8, 0.7, 0.6), PUBLIC).told_apart is None


def test_equal_scores_are_counted_by_pairs():
    assert task_health("t*", values(0.6, 0.6, 0.6, 0.2), PUBLIC).tied == pytest.approx(3 / 6)


def test_one_row_says_nothing():
    health = task_health("t*", values(0.5), PUBLIC)
    assert health.verdict == "too few rows"
    assert health.mean is None


def test_rank_correlation_agrees_with_scipy():
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, 6, 30).tolist(), rng.integers(0, 6, 30).tolist()
    assert spearman(left, right) == pytest.approx(stats.spearmanr(left, right).statistic)


def test_rank_correlation_of_a_constant_is_unknown():
    assert spearman([1, 1, 1], [1, 2, 3]) is None
