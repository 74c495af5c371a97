"""What a system that hears nothing would score: the best constant answer.

For captions also the same answers shuffled over the clips. Tried are the empty answer and each
distinct reference, at most the 500 most frequent. Accuracy and mAP have closed forms; the others
are compared as matrices of whole corpora, never clip by clip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import LCSseq, Levenshtein

from auricle.metrics.captioning import ROUGE_L
from auricle.metrics.classification import ACCURACY, MAP, class_counts
from auricle.metrics.compute import compute_prepared
from auricle.metrics.evidence import CaptionEvidence
from auricle.metrics.recognition import ICER, IWER, encode_units
from auricle.metrics.result import MetricOptions, MetricResult, clipped
from auricle.metrics.tally import LabelTally
from auricle.metrics.text import Samples

# Comparing two texts of m and n units costs about m n / 64 machine words and never less than
# some 40; beyond this many, the rarest constants are left out and the result says so.
_BUDGET_WORDS = 4_000_000_000
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Chance:
    """The floor under a task's score."""

    score: float
    """The better of the two below, in [0, 1]."""
    constant: float
    answer: str
    """The constant answer that scores best, normalised."""
    shuffled: float | None = None
    """Captions: the same answers, given to the wrong clips."""
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What is stored beside the score."""
        return {
            "constant": self.constant,
            "answer": self.answer,
            "shuffled": self.shuffled,
            "note": self.note,
        }


def chance_corrected(score: float, chance: float) -> float | None:
    """0 where a score equals chance, 1 where it is perfect, negative below chance.

    ``(score - chance) / (1 - chance)``, as in Cohen's kappa (1960).
    """
    return (score - chance) / (1 - chance) if chance < 1 else None


def chance_of(samples: Samples, result: MetricResult, options: MetricOptions) -> Chance:
    """The best score that needs no hearing, on the references of a scored task.

    Args:
        samples: Normalised as the metric wants them.
        result: The metric's result on them; its ``score`` is not None.
        options: As the metric took them.
    """
    if result.metric == ACCURACY:
        ((answer, count),) = Counter(samples.flat_references).most_common(1)
        return _chance(count / samples.num_samples, answer)
    if result.metric == MAP:
        return _map_chance(samples, result)
    if result.metric == IWER:
        return _error_rate_chance(samples, str.split)
    if result.metric == ICER:
        return _error_rate_chance(samples, list)
    if result.metric == ROUGE_L:
        return _rouge_chance(samples, result, options)
    assert result.evidence is not None
    return _caption_chance(result.evidence)


def _chance(constant: float, answer: str, note: str | None = None) -> Chance:
    return Chance(clipped(constant), clipped(constant), answer, note=note)


def _map_chance(samples: Samples, result: MetricResult) -> Chance:
    # A constant answer names a label for all samples or for none; either way its average precision
    # is its prevalence, so every constant scores the same.
    assert isinstance(result.tally, LabelTally)
    positives, _, _ = class_counts(result.tally)
    value = float(positives.sum()) / samples.num_samples / result.tally.num_classes
    return _chance(value, "")


def _error_rate_chance(samples: Samples, split: Callable[[str], list[str]]) -> Chance:
    ids: dict[str, int] = {}
    counted = Counter(samples.flat_references)
    references = [encode_units(text, split, ids) for text in counted]
    weights = np.fromiter(counted.values(), np.float64, len(counted))
    units = float(np.dot(weights, [len(reference) for reference in references]))
    answers, note = affordable(
        samples.constant_answers(),
        num_references=len(references),
        num_units=sum(map(len, references)),
    )
    constants = [encode_units(text, split, ids) for text in answers]
    errors = _weighted_sums(constants, references, weights, Levenshtein.distance)
    best = int(errors.argmin())
    return _chance(1 - errors[best] / max(units, 1.0), answers[best], note)


def _weighted_sums(
    constants: list[list[int]],
    references: list[list[int]],
    weights: NDArray[np.float64],
    scorer: Callable[..., int],
) -> NDArray[np.float64]:
    """Sum of ``scorer`` over all references, for each constant; float64 ``[num_constants]``."""
    sums = np.zeros(len(constants))
    step = max(1, _CELLS_AT_ONCE // len(constants))
    for first in range(0, len(references), step):
        block = process.cdist(
            constants, references[first : first + step], scorer=scorer, dtype=np.int32
        )
        sums += block @ weights[first : first + step]
    return sums


def affordable(
    answers: list[str], *, num_references: int, num_units: int
) -> tuple[list[str], str | None]:
    """The first of the constants that can be compared with all references in seconds.

    Args:
        answers: Constants, the most promising first.
        num_references: How many distinct references.
        num_units: Words or characters in all of them.

    Returns:
        One constant at least, and a note if some were left out.
    """
    kept: list[str] = []
    cost = 0.0
    for answer in answers:
        cost += max(40.0 * num_references, len(answer) * num_units / 64)
        if kept and cost > _BUDGET_WORDS:
            return kept, f"tried {len(kept)} of {len(answers)} constant answers: texts are long"
        kept.append(answer)
    return kept, None


def _rouge_chance(samples: Samples, result: MetricResult, options: MetricOptions) -> Chance:
    ids: dict[str, int] = {}
    references = [encode_units(text, str.split, ids) for text in samples.flat_references]
    answers, note = affordable(
        samples.constant_answers(),
        num_references=len(references),
        num_units=sum(map(len, references)),
    )
    constants = [encode_units(text, str.split, ids) for text in answers]
    starts = np.concatenate([[0], np.cumsum([len(texts) for texts in samples.references])[:-1]])
    sums = np.zeros(len(answers))
    step = max(1, _CELLS_AT_ONCE // max(len(references), 1))
    sizes = np.array([len(reference) for reference in references])
    for first in range(0, len(constants), step):
        block = constants[first : first + step]
        common = process.cdist(block, references, scorer=LCSseq.similarity, dtype=np.int32)
        both = np.array([len(constant) for constant in block])[:, None] + sizes[None, :]
        f1 = np.where(both == 0, 1.0, 2 * common / np.maximum(both, 1))
        sums[first : first + step] = np.maximum.reduceat(f1, starts, axis=1).sum(axis=1)
    best = int(sums.argmax())
    constant = clipped(sums[best] / samples.num_clips)
    shuffled = _shuffled_score(samples, result, options)
    return Chance(max(constant, shuffled or 0.0), constant, answers[best], shuffled, note)


def _shuffled_score(samples: Samples, result: MetricResult, options: MetricOptions) -> float | None:
    other = samples.other_clips()
    if other is None:
        return None
    shuffled = Samples([samples.predictions[clip] for clip in other], samples.references)
    return compute_prepared(result.metric, shuffled, options).score


def _caption_chance(evidence: CaptionEvidence) -> Chance:
    best = max(evidence.constant, evidence.shuffled or 0.0)
    return Chance(best, evidence.constant, evidence.constant_answer, evidence.shuffled)
