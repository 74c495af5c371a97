import numpy as np
import pytest

from auricle.metrics.discrimination import clamped_harmonic, harmonic, rank, rank_constants


def test_date_of_the_worked_example():
    # Three answers with cosines c1, c2, c3 to three references, the third answer flagged.
    cosines = np.array([[0.80, 0.60, 0.10], [0.50, 0.55, 0.20], [0.30, 0.10, 0.70]], np.float32)
    penalty = np.array([1, 1, 0.1], np.float32)
    # References as unit axes make the cosines their own dot products.
    axes, own = np.eye(3, dtype=np.float32), np.arange(3)
    ranked = rank(cosines, penalty, axes, rows=own, columns=own)
    assert ranked.similarity == pytest.approx([0.80, 0.55, 0.07], abs=1e-6)
    assert ranked.discrimination == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-6)
    assert ranked.values() == pytest.approx([0.727273, 0.415094, 0], abs=1e-6)
    assert ranked.values().mean() == pytest.approx(0.3808, abs=5e-5)


def test_the_harmonic_mean_has_a_pole_that_clamping_removes():
    similarity, discrimination = np.array([-0.1], np.float32), np.array([0.1], np.float32)
    assert harmonic(similarity, discrimination) == pytest.approx(-2.0e6, rel=0.2)
    assert clamped_harmonic(similarity, discrimination) == 0


def test_a_constant_answer_ranks_as_if_it_were_given_everywhere():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(41, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    constant, references = vectors[:1], vectors[1:]
    penalty = np.array([0.7], np.float32)
    everywhere = rank(
        constant, penalty, references, rows=np.zeros(40, np.int64), columns=np.arange(40)
    )
    (once,) = rank_constants(constant, penalty, references)
    assert once.similarity == pytest.approx(everywhere.similarity, abs=1e-6)
    assert once.discrimination == pytest.approx(everywhere.discrimination, abs=1e-6)


def test_a_confuser_at_exactly_the_margin_counts():
    # mecat's delta for long captions is 0.1703; half of it below the own similarity still counts.
    own = np.float32(0.5)
    tie, below = own - np.float32(0.1703 / 2), np.float32(0.41)
    answers = np.array([[own, tie, below]], np.float32)
    axes, one = np.eye(3, dtype=np.float32), np.ones(1, np.float32)
    at, here = np.zeros(1, np.int64), np.zeros(1, np.int64)
    assert rank(answers, one, axes, rows=at, columns=here).discrimination == pytest.approx([1 / 3])
    (constant,) = rank_constants(answers, one, axes)
    assert constant.discrimination[0] == pytest.approx(1 / 3)
