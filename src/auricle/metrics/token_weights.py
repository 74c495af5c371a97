"""DATE's soft TF-IDF weights of tokens, in a cheap form that gives the reference's numbers.

A word counts for a document as far as the document's words resemble it. The reference sums that
over every word, document and position; squaring the similarities first and gathering the rows of
the tokens that occur costs some 250 times less for MECAT. Its float16 roundings are kept where
they show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

# PAD, CLS and SEP of the BERT-uncased vocabulary, as the reference has them; UNK is a normal word.
_SPECIAL = frozenset({0, 101, 102})
_CLS, _SEP = 101, 102
_WORDS_AT_ONCE = 1024
_TOKENS_AT_ONCE = 65536

Ids = list[int]


def words_of(ids: Ids) -> Ids:
    """The tokens that carry weight, repeats kept."""
    return [token for token in ids if token not in _SPECIAL]


class TokenSimilarity:
    """Squared cosines between tokens' static embeddings."""

    def __init__(self, table: torch.Tensor) -> None:
        """Keep the word embedding table.

        Args:
            table: float32 ``[vocabulary, hidden]``.
        """
        self._table = table

    def unit(self, tokens: Sequence[int]) -> torch.Tensor:
        """Unit vectors of tokens, rounded to float16 and held as float32 ``[n, hidden]``."""
        import torch

        rows = self._table[torch.tensor(list(tokens), device=self._table.device)].half()
        return torch.nn.functional.normalize(rows, dim=-1).float()

    @staticmethod
    def squared(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Squared cosines as float16 would hold them, float32 ``[..., m, n]``."""
        cosine = (left @ right.transpose(-1, -2)).half()
        return (cosine * cosine).float()


def inverse_document_frequency(
    similarity: TokenSimilarity, documents: Sequence[Ids], counts: Sequence[int]
) -> dict[int, float]:
    """Soft IDF of every word of a corpus: ``ln((N + 1) / (df + 1)) + 1``.

    Args:
        similarity: Of the sentence model's word embeddings.
        documents: Words of each distinct document.
        counts: How often each document occurs.

    Returns:
        The IDF by token; empty where no document has a word.
    """
    import torch

    vocabulary = sorted({token for words in documents for token in words})
    if not vocabulary:
        return {}
    column = {token: index for index, token in enumerate(vocabulary)}
    unit = similarity.unit(vocabulary)
    blocks = list(_document_blocks(documents, counts, column, unit.device))
    frequency = torch.empty(len(vocabulary), device=unit.device)
    for first in range(0, len(vocabulary), _WORDS_AT_ONCE):
        part = slice(first, first + _WORDS_AT_ONCE)
        squared = similarity.squared(unit, unit[part])
        total = torch.zeros(squared.shape[1], device=unit.device, dtype=torch.float64)
        for tokens, offsets, weights in blocks:
            match = torch.nn.functional.embedding_bag(tokens, squared, offsets, mode="sum")
            total += weights @ match.clamp_(0, 1).double()
        frequency[part] = total.float()
    num_documents = float(sum(counts))
    idf = torch.log((num_documents + 1) / (frequency + 1)) + 1
    return dict(zip(vocabulary, idf.tolist(), strict=True))


def _document_blocks(
    documents: Sequence[Ids], counts: Sequence[int], column: dict[int, int], device: Any
) -> list[tuple[Any, Any, Any]]:
    """Columns of the tokens, where each document starts, and its count, in blocks."""
    import torch

    blocks: list[tuple[list[int], list[int], list[float]]] = []
    tokens: list[int] = []
    offsets: list[int] = []
    weights: list[float] = []
    for words, count in zip(documents, counts, strict=True):
        if not words:
            continue
        offsets.append(len(tokens))
        tokens.extend(column[token] for token in words)
        weights.append(float(count))
        if len(tokens) >= _TOKENS_AT_ONCE:
            blocks.append((tokens, offsets, weights))
            tokens, offsets, weights = [], [], []
    if tokens:
        blocks.append((tokens, offsets, weights))
    return [
        (
            torch.tensor(t, device=device),
            torch.tensor(o, device=device),
            torch.tensor(w, device=device, dtype=torch.float64),
        )
        for t, o, w in blocks
    ]


def token_weights(
    similarity: TokenSimilarity, ids: Sequence[Ids], idf: dict[int, float]
) -> list[NDArray[np.float32]]:
    """The factor of each token of each text: soft TF times IDF, mean 1 over its words.

    CLS takes the largest, the first SEP the smallest weight of the text; a text without words
    keeps ones.
    """
    return [_weights_of(similarity, text, idf) for text in ids]


def _weights_of(
    similarity: TokenSimilarity, ids: Ids, idf: dict[int, float]
) -> NDArray[np.float32]:
    weights = np.ones(len(ids), dtype=np.float32)
    words = words_of(ids)
    if not words:
        return weights
    unit = similarity.unit(words)
    term = similarity.squared(unit, unit).sum(dim=1).half().float().cpu().numpy()
    value = term * np.array([idf[token] for token in words], dtype=np.float32)
    mean = value.mean()
    if mean > 1e-9:
        value = value / mean
    value = value.astype(np.float16).astype(np.float32)
    tokens = np.array(ids)
    weights[~np.isin(tokens, list(_SPECIAL))] = value
    weights[tokens == _CLS] = value.max()
    separators = np.flatnonzero(tokens == _SEP)
    if len(separators):
        weights[separators[0]] = value.min()
    return weights
