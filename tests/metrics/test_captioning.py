import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from auricle.metrics.compute import compute_metric


def test_rouge_l_of_the_worked_example():
    # Lin (2004): "police kill the gunman" against "police killed the gunman": LCS 3 of 4 and 4.
    result = compute_metric("ROUGE-L", ["police kill the gunman"], [["police killed the gunman"]])
    assert result.raw == pytest.approx(0.75)


def test_rouge_l_takes_the_best_reference_and_the_mean_over_clips():
    result = compute_metric("ROUGE-L", ["a b", "x"], [["c d", "a b"], ["y"]])
    assert result.per_clip == [1.0, 0.0]
    assert result.raw == pytest.approx(0.5)


def test_rouge_l_of_two_empty_texts_is_one():
    assert compute_metric("ROUGE-L", ["", ""], [[""], ["a"]]).per_clip == [1.0, 0.0]


def test_rouge_l_agrees_with_the_package_rouge_score():
    rng = np.random.default_rng(11)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    words = ["rain", "dog", "barks", "slow", "music", "a", "the", "car"]
    answers = [" ".join(rng.choice(words, rng.integers(1, 9))) for _ in range(50)]
    texts = [[" ".join(rng.choice(words, rng.integers(1, 9))) for _ in range(3)] for _ in range(50)]
    result = compute_metric("ROUGE-L", answers, texts)
    expected = [
        scorer.score_multi(references, answer)["rougeL"].fmeasure
        for answer, references in zip(answers, texts, strict=True)
    ]
    assert result.per_clip == pytest.approx(expected, abs=1e-12)
