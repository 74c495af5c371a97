import numpy as np
import pytest
import torch

from auricle.metrics.token_weights import (
    TokenSimilarity,
    inverse_document_frequency,
    token_weights,
)

A, B, C, CLS, SEP = 3, 4, 5, 101, 102


@pytest.fixture
def orthogonal():
    return TokenSimilarity(torch.eye(128))


def plain_idf(table, documents):
    """The definition, word by word and document by document."""
    unit = table / table.norm(dim=1, keepdim=True)
    squared = (unit @ unit.T) ** 2
    words = sorted({w for document in documents for w in document})
    n = len(documents)
    found = {}
    for w in words:
        df = sum(min(1.0, sum(float(squared[w, t]) for t in doc)) for doc in documents)
        found[w] = np.log((n + 1) / (df + 1)) + 1
    return found


def test_idf_of_the_worked_example(orthogonal):
    idf = inverse_document_frequency(orthogonal, [[A, B, A], [B, C]], [1, 1])
    assert idf == pytest.approx({A: 1.405465, B: 1.0, C: 1.405465}, abs=1e-6)


def test_weights_of_the_worked_example(orthogonal):
    idf = {A: 1.405465, B: 1.0, C: 1.405465}
    first, second = token_weights(orthogonal, [[CLS, A, B, A, SEP], [CLS, B, C, SEP]], idf)
    assert first.tolist() == [1.2734375, 1.2734375, 0.453125, 1.2734375, 0.453125]
    assert second == pytest.approx([1.168560, 0.831440, 1.168560, 0.831440], abs=5e-4)


def test_a_text_without_words_keeps_ones(orthogonal):
    (weights,) = token_weights(orthogonal, [[CLS, SEP]], {})
    assert weights.tolist() == [1.0, 1.0]


def test_a_corpus_without_words_has_no_idf(orthogonal):
    assert inverse_document_frequency(orthogonal, [[], []], [1, 1]) == {}


def test_the_fast_form_of_the_idf_agrees_with_the_plain_one():
    generator = torch.Generator().manual_seed(4)
    table = torch.randn(60, 12, generator=generator)
    rng = np.random.default_rng(4)
    documents = [rng.integers(3, 60, rng.integers(1, 9)).tolist() for _ in range(40)]
    fast = inverse_document_frequency(TokenSimilarity(table), documents, [1] * 40)
    assert fast == pytest.approx(plain_idf(table, documents), abs=2e-3)


def test_repeated_documents_count_as_often_as_they_occur(orthogonal):
    once = inverse_document_frequency(orthogonal, [[A], [A], [B]], [1, 1, 1])
    counted = inverse_document_frequency(orthogonal, [[A], [B]], [2, 1])
    assert counted == pytest.approx(once)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_weights_have_a_mean_of_one_whatever_the_idfs_scale(orthogonal, scale):
    idf = {A: 1.5 * scale, B: 1.0 * scale}
    (weights,) = token_weights(orthogonal, [[CLS, A, B, SEP]], idf)
    assert weights.tolist() == pytest.approx([1.2, 1.2, 0.8, 0.8], abs=1e-3)
