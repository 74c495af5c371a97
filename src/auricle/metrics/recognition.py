"""Inverse word and character error rates, pooled over the corpus.

Edits are counted by rapidfuzz, as in jiwer, over small integers instead of words, so that equal
hashes of different words cannot meet.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from auricle.metrics.result import MetricOptions, MetricResult, clipped
from auricle.metrics.tally import RatioTally
from auricle.metrics.text import Samples

IWER = "iWER"
ICER = "iCER"
# Unified ideographs with their extensions and compatibility forms, kana, and the CJK punctuation
# that survives normalisation: scripts that are written without spaces.
_HAN = (
    "\u2e80-\u2fdf\u3001-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_SPACE_BETWEEN_HAN = re.compile(f"(?<=[{_HAN}]) (?=[{_HAN}])")


class _Edits(NamedTuple):
    """Per clip, summed over its samples; float64 ``[num_clips]`` each."""

    substitutions: NDArray[np.float64]
    deletions: NDArray[np.float64]
    insertions: NDArray[np.float64]
    units: NDArray[np.float64]

    @property
    def errors(self) -> NDArray[np.float64]:
        return self.substitutions + self.deletions + self.insertions


def inverse_word_error_rate(samples: Samples, options: MetricOptions) -> MetricResult:
    """``max(0, 1 - edits / reference words)``, both summed over all samples.

    Without any reference word the error is the number of inserted words.
    """
    del options
    return _inverse_error_rate(IWER, samples, str.split)


def inverse_character_error_rate(samples: Samples, options: MetricOptions) -> MetricResult:
    """The same on code points, spaces included; beside it without spaces between Han characters.

    The corrected value (``without_han_spaces``) drops single spaces between characters of scripts
    that are written without them, on both sides: word segmentation is not hearing.
    """
    del options
    result = _inverse_error_rate(ICER, samples, list)
    if result.score is None:
        return result
    closed = Samples(
        [_SPACE_BETWEEN_HAN.sub("", text) for text in samples.predictions],
        [tuple(_SPACE_BETWEEN_HAN.sub("", t) for t in texts) for texts in samples.references],
    )
    value = 1 - _error_rate(_count_edits(closed, list))
    return replace(result, corrected={"without_han_spaces": clipped(value)})


def encode_units(text: str, split: Callable[[str], list[str]], ids: dict[str, int]) -> list[int]:
    """A text's words or characters as small integers; ``ids`` grows with new ones."""
    return [ids.setdefault(unit, len(ids)) for unit in split(text)]


def _inverse_error_rate(
    metric: str, samples: Samples, split: Callable[[str], list[str]]
) -> MetricResult:
    edits = _count_edits(samples, split)
    unclipped = 1 - _error_rate(edits)
    raw = max(0.0, unclipped)
    empty = samples.num_samples == 0
    return MetricResult(
        metric,
        None if empty else clipped(raw),
        raw,
        None,
        "There are no samples to score." if empty else None,
        (1 - edits.errors / np.maximum(edits.units, 1)).tolist(),
        samples.num_clips,
        samples.num_samples,
        {
            "error_rate": 1 - unclipped,
            "substitutions": int(edits.substitutions.sum()),
            "deletions": int(edits.deletions.sum()),
            "insertions": int(edits.insertions.sum()),
            "reference_units": int(edits.units.sum()),
            "hidden_by_clipping": max(0.0, -unclipped),
        },
        RatioTally(edits.units - edits.errors, edits.units),
    )


def _error_rate(edits: _Edits) -> float:
    return float(edits.errors.sum()) / max(float(edits.units.sum()), 1.0)


def _count_edits(samples: Samples, split: Callable[[str], list[str]]) -> _Edits:
    counts = np.zeros((samples.num_clips, 4))
    for clip, texts in enumerate(samples.references):
        for text in texts:
            ids: dict[str, int] = {}
            reference = encode_units(text, split, ids)
            answer = encode_units(samples.predictions[clip], split, ids)
            counts[clip, 3] += len(reference)
            if reference == answer:
                continue
            deletions, insertions, total = 0, 0, 0
            for tag, _, _ in Levenshtein.editops(reference, answer).as_list():
                total += 1
                deletions += tag == "delete"
                insertions += tag == "insert"
            counts[clip, 0] += total - deletions - insertions
            counts[clip, 1] += deletions
            counts[clip, 2] += insertions
    return _Edits(counts[:, 0], counts[:, 1], counts[:, 2], counts[:, 3])
