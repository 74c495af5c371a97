"""Asks the caption models once about one task's answers and keeps what they said.

The same pass gives what a constant answer and shuffled answers would score, so that chance needs
no second loading of the models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.metrics.caption_models import CaptionModels, LoadedModel
from auricle.metrics.discrimination import Array, Rows, rank, rank_constants
from auricle.metrics.embed import embed, penalties, tokenise
from auricle.metrics.evidence import DATE, CaptionEvidence, texts_hash
from auricle.metrics.result import clipped
from auricle.metrics.text import Samples
from auricle.metrics.token_weights import (
    TokenSimilarity,
    inverse_document_frequency,
    token_weights,
    words_of,
)


class _Corpus:
    """Texts with repeats; each distinct one is embedded once."""

    def __init__(self, model: LoadedModel, texts: Sequence[str]) -> None:
        self._model = model
        self._counts = Counter(texts)
        place = {text: row for row, text in enumerate(self._counts)}
        self.distinct = list(self._counts)
        self.rows: Rows = np.array([place[text] for text in texts], dtype=np.int64)
        """The distinct text of each text."""
        self._ids = tokenise(model, self.distinct, model.max_tokens)

    def plain(self) -> Array:
        """Embeddings of the distinct texts."""
        return embed(self._model, self._ids)

    def weighted(self, similarity: TokenSimilarity) -> Array | None:
        """Embeddings under this corpus's own TF-IDF; None where it has no word."""
        documents = [words_of(ids) for ids in self._ids]
        idf = inverse_document_frequency(similarity, documents, list(self._counts.values()))
        if not idf:
            return None
        return embed(self._model, self._ids, token_weights(similarity, self._ids, idf))


def judge(metric: str, samples: Samples, models: CaptionModels) -> CaptionEvidence:
    """Ask both models about every answer.

    Args:
        metric: FENSE or DATE.
        samples: Normalised, with one sample at least.
        models: From `load_caption_models`.
    """
    penalty = penalties(models.detector, samples.predictions, num_samples=samples.num_samples)
    found = (_judge_date if metric == DATE else _judge_fense)(models, samples, penalty)
    return CaptionEvidence(
        metric=metric,
        texts=texts_hash(samples),
        models={
            "sentence_model": models.sentence.name,
            "sentence_model_sha256": models.sentence.sha256,
            "fluency_detector": models.detector.name,
            "fluency_detector_sha256": models.detector.sha256,
        },
        penalty=_numbers(penalty),
        **found,
    )


def _judge_fense(models: CaptionModels, samples: Samples, penalty: Array) -> dict[str, Any]:
    answers = _Corpus(models.sentence, samples.predictions)
    references = _Corpus(models.sentence, samples.flat_references)
    left, right = answers.plain(), references.plain()[references.rows]
    clip = samples.clip_of_sample

    def similarity(giver: Rows) -> Array:
        """Of every sample, if clip i had the answer of clip ``giver[i]``."""
        row, factor = answers.rows[giver[clip]], penalty[giver[clip]]
        values: Array = factor * np.einsum("nd,nd->n", left[row], right)
        return values

    constants = samples.constant_answers()
    factor = penalties(models.detector, constants, num_samples=samples.num_samples)
    tried = _Corpus(models.sentence, constants).plain()
    scores = factor * (tried @ right.mean(axis=0, dtype=np.float64))
    best = int(scores.argmax())
    other = samples.other_clips()
    return {
        "similarity": _numbers(similarity(np.arange(samples.num_clips))),
        "discrimination": [],
        "grouped_similarity": [],
        "grouped_discrimination": [],
        "speechless": None,
        "constant": clipped(scores[best]),
        "constant_answer": constants[best],
        "shuffled": None if other is None else _score(similarity(other)),
    }


def _judge_date(models: CaptionModels, samples: Samples, penalty: Array) -> dict[str, Any]:
    tokens = _token_similarity(models)
    references = _Corpus(models.sentence, samples.flat_references)
    right = references.weighted(tokens)
    if right is None:
        return _speechless("references")
    right = right[references.rows]
    found = _date_chance(models, samples, right)
    answers = _Corpus(models.sentence, samples.flat_predictions)
    left = answers.weighted(tokens)
    if left is None:
        return {**_speechless("answers"), **found}
    clip = samples.clip_of_sample
    factor = np.empty(len(left), np.float32)
    factor[answers.rows] = penalty[clip]
    size, other = samples.num_samples, samples.other_clips()
    rows, columns = answers.rows, np.arange(size)
    if other is not None:
        first = np.searchsorted(clip, np.arange(samples.num_clips))
        rows = np.concatenate([rows, rows[first[other[clip]]]])
        columns = np.concatenate([columns, columns])
    ranked = rank(left, factor, right, rows=rows, columns=columns)
    if other is not None:
        found["shuffled"] = _score(ranked.values()[size:])
    grouped: dict[str, Any] = {"grouped_similarity": [], "grouped_discrimination": []}
    if samples.num_samples > samples.num_clips:
        grouped = _judge_grouped(models, samples, penalty, right)
    return {
        "similarity": _numbers(ranked.similarity[:size]),
        "discrimination": _numbers(ranked.discrimination[:size]),
        "speechless": None,
        **grouped,
        **found,
    }


def _judge_grouped(
    models: CaptionModels, samples: Samples, penalty: Array, right: Array
) -> dict[str, Any]:
    """The corrected form: every clip once, its references as the centroid of their embeddings."""
    counts = np.bincount(samples.clip_of_sample, minlength=samples.num_clips)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    centroids = np.add.reduceat(right, starts, axis=0) / counts[:, None]
    answers = _Corpus(models.sentence, samples.predictions)
    left = answers.weighted(_token_similarity(models))
    assert left is not None
    factor = np.empty(len(left), np.float32)
    factor[answers.rows] = penalty
    ranked = rank(
        left,
        factor,
        centroids.astype(np.float32),
        rows=answers.rows,
        columns=np.arange(samples.num_clips),
    )
    return {
        "grouped_similarity": _numbers(ranked.similarity),
        "grouped_discrimination": _numbers(ranked.discrimination),
    }


def _date_chance(models: CaptionModels, samples: Samples, right: Array) -> dict[str, Any]:
    tokens = _token_similarity(models)
    constants = samples.constant_answers()
    factor = penalties(models.detector, constants, num_samples=samples.num_samples)
    ids = tokenise(models.sentence, constants, models.sentence.max_tokens)
    # The corpus of a constant answer is that answer N times, so each has an IDF of its own.
    weights: list[NDArray[np.float32]] = []
    for text in ids:
        idf = inverse_document_frequency(tokens, [words_of(text)], [samples.num_samples])
        weights.extend(token_weights(tokens, [text], idf))
    ranked = rank_constants(embed(models.sentence, ids, weights), factor, right)
    scores = [
        _score(one.values()) if words_of(text) else 0.0
        for one, text in zip(ranked, ids, strict=True)
    ]
    best = int(np.argmax(scores))
    return {"constant": scores[best], "constant_answer": constants[best], "shuffled": None}


def _token_similarity(models: CaptionModels) -> TokenSimilarity:
    return TokenSimilarity(models.sentence.network.get_input_embeddings().weight)


def _speechless(side: str) -> dict[str, Any]:
    names = ("similarity", "discrimination", "grouped_similarity", "grouped_discrimination")
    nothing = {"constant": 0.0, "constant_answer": "", "shuffled": None}
    return {**{name: [] for name in names}, "speechless": side, **nothing}


def _score(values: Array) -> float:
    mean = float(values.mean(dtype=np.float64))
    return clipped(mean) if np.isfinite(mean) else 0.0


def _numbers(values: Array) -> list[float]:
    return [float(value) for value in values]
