"""DATE's second half: how far an answer tells its own reference from all the others.

Works on embeddings alone, in blocks, so that 60,000 samples need no matrix of their square.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Half of mecat's delta for captions of kind "long", 0.1703: references this close to the answer's
# own similarity count as confused with it.
_MARGIN = np.float32(0.1703 / 2)
_CELLS_AT_ONCE = 16_000_000

Array = NDArray[np.float32]
Rows = NDArray[np.int64]


class Ranked(NamedTuple):
    """Of each pair of an answer and a reference, float32 ``[num_pairs]``."""

    similarity: Array
    """Cosine with its own reference, times the answer's penalty."""
    discrimination: Array
    """Share of references that stand further away by more than the margin."""

    def values(self) -> Array:
        """DATE of each pair."""
        return harmonic(self.similarity, self.discrimination)


def harmonic(similarity: Array, discrimination: Array) -> Array:
    """``2 s D / (s + D + 1e-8)``; unguarded, as officially, where s is negative."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return 2 * similarity * discrimination / (similarity + discrimination + np.float32(1e-8))


def clamped_harmonic(similarity: Array, discrimination: Array) -> Array:
    """The same with a negative similarity taken as 0, so that no sum comes near 0."""
    return harmonic(np.maximum(similarity, np.float32(0)), discrimination)


def rank(answers: Array, penalty: Array, references: Array, *, rows: Rows, columns: Rows) -> Ranked:
    """Compare answers with all references, for pairs of an answer and its own reference.

    Args:
        answers: Unit embeddings of the distinct answers, float32 ``[num_answers, hidden]``.
        penalty: Factor of each distinct answer, float32 ``[num_answers]``.
        references: Of each sample, float32 ``[num_samples, hidden]``.
        rows: The answer of each pair, int64 ``[num_pairs]``.
        columns: The reference of each pair, int64 ``[num_pairs]``.

    Returns:
        ``D_i = 1 - #{j: sim_ij >= s_i - delta / 2} / N`` of each pair; its own j always counts.
    """
    total = len(references)
    similarity, count = np.empty(len(rows), np.float32), np.empty(len(rows), np.int64)
    order = np.argsort(rows, kind="stable")
    step = max(1, _CELLS_AT_ONCE // total)
    for first in range(0, len(order), step):
        pairs = order[first : first + step]
        distinct, local = np.unique(rows[pairs], return_inverse=True)
        table = penalty[distinct][:, None] * (answers[distinct] @ references.T)
        own = table[local, columns[pairs]]
        similarity[pairs] = own
        count[pairs] = np.count_nonzero(table[local] >= (own - _MARGIN)[:, None], axis=1)
    return Ranked(similarity, np.float32(1) - (count / np.float32(total)).astype(np.float32))


def rank_constants(constants: Array, penalty: Array, references: Array) -> list[Ranked]:
    """What each constant answer would get, if it were given to every sample.

    Args:
        constants: Unit embeddings, float32 ``[num_constants, hidden]``.
        penalty: float32 ``[num_constants]``.
        references: float32 ``[num_samples, hidden]``.
    """
    total = np.float32(len(references))
    ranked = []
    for constant, factor in zip(constants, penalty, strict=True):
        similarity = factor * (references @ constant)
        ordered = np.sort(similarity)
        count = len(ordered) - np.searchsorted(ordered, similarity - _MARGIN, side="left")
        ranked.append(Ranked(similarity, np.float32(1) - (count / total).astype(np.float32)))
    return ranked
